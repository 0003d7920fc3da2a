<?php
// The page on which an order is paid that was placed before.

class WC_Pay_Page {
	public static function register() {
		add_action( 'wp', array( __CLASS__, 'pay' ), 20 );
	}

	private static function order( $id ) {
		$order = wc_get_order( $id );
		return $order && hash_equals( $order->get_order_key(), (string) ( $_GET['key'] ?? '' ) ) ? $order : false;
	}

	// What of an order the shop has not.
	private static function lacks( $order ) {
		foreach ( $order->get_items() as $item ) {
			$product = $item->get_product();
			if ( ! $product || ! apply_filters( 'woocommerce_pay_order_product_in_stock', $product->is_in_stock(), $product, $order ) ) {
				return 'Sorry, "' . $item->get_name() . '" is no longer in stock so this order cannot be paid for.';
			}
			if ( ! apply_filters( 'woocommerce_pay_order_product_has_enough_stock', $product->has_enough_stock( $item->get_quantity() ), $product, $order ) ) {
				return 'Sorry, we do not have enough "' . $item->get_name() . '" in stock to fulfil your order.';
			}
		}
		return '';
	}

	public static function page( $id ) {
		$order = self::order( $id );
		if ( ! $order || ! $order->needs_payment() ) {
			return wc_print_notices( true ) . '<p>This order cannot be paid for.</p>';
		}
		$lacks = self::lacks( $order );
		if ( '' !== $lacks ) {
			return wc_print_notices( true ) . '<p>' . esc_html( $lacks ) . '</p>';
		}
		return wc_print_notices( true ) . '<form>' . wp_nonce_field( 'woocommerce-pay', 'woocommerce-pay-nonce', true, false ) . '</form>';
	}

	public static function pay() {
		global $wp;
		if ( ! isset( $_POST['woocommerce_pay'] ) || ! wp_verify_nonce( $_POST['woocommerce-pay-nonce'] ?? '', 'woocommerce-pay' ) ) {
			return;
		}
		$order = self::order( (int) $wp->query_vars['order-pay'] );
		if ( ! $order || ! $order->needs_payment() ) {
			return;
		}
		do_action( 'woocommerce_before_pay_action', $order );
		if ( wc_notice_count( 'error' ) > 0 ) {
			return;
		}
		try {
			$done = double_pay( $order, $_POST['payment_method'] );
			do_action( 'woocommerce_after_pay_action', $order );
			wp_redirect( $done['redirect'] );
			exit;
		} catch ( Exception $exception ) {
			wc_add_notice( $exception->getMessage(), 'error' );
		}
	}
}
