<?php
// How WooCommerce holds, takes and gives back its own stock, and the filters by which plugins keep it from that.

use Automattic\WooCommerce\Checkout\Helpers\ReserveStockException;

function wc_update_product_stock( $product, $quantity, $operation = 'set' ) {
	global $wpdb;
	$product = $product instanceof WC_Product ? $product : wc_get_product( $product );
	$id      = $product->get_stock_managed_by_id();
	$holder  = wc_get_product( $id );
	$kind    = $holder instanceof WC_Product_Variation ? 'variation' : 'product';
	do_action( "woocommerce_{$kind}_before_set_stock", $holder );
	if ( 'set' === $operation ) {
		update_post_meta( $id, '_stock', $quantity );
	} else {
		$sign = 'decrease' === $operation ? '-' : '+';
		$wpdb->query( $wpdb->prepare( "UPDATE {$wpdb->postmeta} SET meta_value = meta_value $sign %d WHERE post_id = %d AND meta_key = '_stock'", $quantity, $id ) );
		wp_cache_delete( $id, 'post_meta' );
	}
	$stock = (int) get_post_meta( $id, '_stock', true );
	update_post_meta( $id, '_stock_status', $stock > 0 ? 'instock' : ( 'no' === get_post_meta( $id, '_backorders', true ) ? 'outofstock' : 'onbackorder' ) );
	$wpdb->update( "{$wpdb->prefix}wc_product_meta_lookup", array( 'stock_quantity' => $stock ), array( 'product_id' => $id ) );
	do_action( "woocommerce_{$kind}_set_stock", wc_get_product( $id ) );
	return $stock;
}

function wc_reduce_stock_levels( $order ) {
	$order = wc_get_order( $order );
	if ( ! $order || 'yes' !== get_option( 'woocommerce_manage_stock' ) || ! apply_filters( 'woocommerce_can_reduce_order_stock', true, $order ) ) {
		return;
	}
	foreach ( $order->get_items() as $item ) {
		$product = $item->get_product();
		if ( ! $product || ! $product->managing_stock() || $item->get_meta( '_reduced_stock' ) ) {
			continue;
		}
		$quantity = apply_filters( 'woocommerce_order_item_quantity', $item->get_quantity(), $order, $item );
		wc_update_product_stock( $product, $quantity, 'decrease' );
		$item->update_meta_data( '_reduced_stock', $quantity );
		$item->save();
	}
	do_action( 'woocommerce_reduce_order_stock', $order );
}

function wc_increase_stock_levels( $order ) {
	$order = wc_get_order( $order );
	if ( ! $order || ! apply_filters( 'woocommerce_can_restore_order_stock', true, $order ) ) {
		return;
	}
	foreach ( $order->get_items() as $item ) {
		$product = $item->get_product();
		$reduced = (int) $item->get_meta( '_reduced_stock' );
		if ( $product && $reduced ) {
			wc_update_product_stock( $product, $reduced, 'increase' );
			$item->delete_meta_data( '_reduced_stock' );
			$item->save();
		}
	}
	do_action( 'woocommerce_restore_order_stock', $order );
}

function wc_maybe_reduce_stock_levels( $id ) {
	if ( 'yes' !== get_post_meta( $id, '_order_stock_reduced', true ) ) {
		wc_reduce_stock_levels( $id );
		update_post_meta( $id, '_order_stock_reduced', 'yes' );
	}
}

function wc_maybe_increase_stock_levels( $id ) {
	if ( 'yes' === get_post_meta( $id, '_order_stock_reduced', true ) ) {
		wc_increase_stock_levels( $id );
		update_post_meta( $id, '_order_stock_reduced', 'no' );
	}
}

function wc_query_for_reserved_stock( $id, $but ) {
	global $wpdb;
	$query = $wpdb->prepare(
		"SELECT COALESCE(SUM(r.stock_quantity), 0) FROM {$wpdb->prefix}wc_reserved_stock r JOIN {$wpdb->posts} p ON p.ID = r.order_id
		WHERE p.post_status IN ('wc-checkout-draft', 'wc-pending') AND r.expires > NOW() AND r.product_id = %d AND r.order_id <> %d",
		$id,
		$but
	);
	return apply_filters( 'woocommerce_query_for_reserved_stock', $query, $id, $but );
}

// Holds for an order that is being placed. One statement a product, as atomic as the database makes it; all or none.
function wc_reserve_stock_for_order( $order ) {
	global $wpdb;
	$order   = wc_get_order( $order );
	$minutes = (int) get_option( 'woocommerce_hold_stock_minutes' );
	if ( ! $order || ! $minutes || ! apply_filters( 'woocommerce_hold_stock_for_checkout', 'yes' === get_option( 'woocommerce_manage_stock' ) ) ) {
		return;
	}
	$wanted = array();
	foreach ( $order->get_items() as $item ) {
		$product = $item->get_product();
		if ( ! $product || ! $product->is_in_stock() ) {
			wc_release_stock_for_order( $order );
			throw new ReserveStockException( 'woocommerce_product_out_of_stock', '"' . $item->get_name() . '" is out of stock and cannot be purchased.', 403 );
		}
		if ( $product->managing_stock() && ! $product->backorders_allowed() ) {
			$id            = $product->get_stock_managed_by_id();
			$wanted[ $id ] = ( $wanted[ $id ] ?? 0 ) + apply_filters( 'woocommerce_order_item_quantity', $item->get_quantity(), $order, $item );
		}
	}
	$table = "{$wpdb->prefix}wc_reserved_stock";
	foreach ( $wanted as $id => $quantity ) {
		$held = wc_query_for_reserved_stock( $id, $order->get_id() );
		$made = $wpdb->query(
			$wpdb->prepare(
				"INSERT INTO $table (order_id, product_id, stock_quantity, `timestamp`, expires) SELECT %d, %d, %d, NOW(), NOW() + INTERVAL %d MINUTE FROM DUAL
				WHERE (SELECT COALESCE(MAX(CAST(meta_value AS SIGNED)), 0) FROM {$wpdb->postmeta} WHERE meta_key = '_stock' AND post_id = %d FOR UPDATE) - ($held FOR UPDATE) >= %d
				ON DUPLICATE KEY UPDATE expires = VALUES(expires), stock_quantity = VALUES(stock_quantity)",
				...array( $order->get_id(), $id, $quantity, $minutes, $id, $quantity )
			)
		);
		if ( ! $made ) {
			wc_release_stock_for_order( $order );
			throw new ReserveStockException( 'woocommerce_product_not_enough_stock', 'Not enough units of "' . wc_get_product( $id )->get_name() . '" are available in stock to fulfil this order.', 403 );
		}
	}
}

function wc_release_stock_for_order( $order ) {
	global $wpdb;
	$wpdb->delete( "{$wpdb->prefix}wc_reserved_stock", array( 'order_id' => $order instanceof WC_Order ? $order->get_id() : $order ) );
}

function wc_create_refund( $args ) {
	$order    = wc_get_order( $args['order_id'] );
	$refunded = $args['line_items'];
	if ( ! empty( $args['restock_items'] ) && apply_filters( 'woocommerce_can_restock_refunded_items', true, $order, $refunded ) ) {
		foreach ( $order->get_items() as $id => $item ) {
			$back = min( (int) ( $refunded[ $id ]['qty'] ?? 0 ), (int) $item->get_meta( '_reduced_stock' ) );
			if ( $back > 0 ) {
				wc_update_product_stock( $item->get_product(), $back, 'increase' );
				$item->update_meta_data( '_reduced_stock', $item->get_meta( '_reduced_stock' ) - $back );
				$item->update_meta_data( '_restock_refunded_items', (int) $item->get_meta( '_restock_refunded_items' ) + $back );
				$item->save();
			}
		}
	}
	do_action( 'woocommerce_order_refunded', $order->get_id(), 0 );
	return true;
}

foreach ( array( 'woocommerce_payment_complete', 'woocommerce_order_status_completed', 'woocommerce_order_status_processing', 'woocommerce_order_status_on-hold' ) as $hook ) {
	add_action( $hook, 'wc_maybe_reduce_stock_levels' );
	add_action( $hook, 'wc_release_stock_for_order', 11 );
}
add_action( 'woocommerce_order_status_cancelled', 'wc_maybe_increase_stock_levels' );
add_action( 'woocommerce_order_status_pending', 'wc_maybe_increase_stock_levels' );
add_action( 'woocommerce_order_status_cancelled', 'wc_release_stock_for_order', 11 );
add_action( 'woocommerce_checkout_order_created', 'wc_reserve_stock_for_order' );
add_action( 'woocommerce_checkout_order_exception', 'wc_release_stock_for_order' );
