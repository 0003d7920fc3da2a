<?php
// What an administrator's edit of a line does to the stock. Loaded where it is needed, as in WooCommerce.

function wc_maybe_adjust_line_item_product_stock( $item, $quantity = -1 ) {
	$product = $item->get_product();
	if ( apply_filters( 'woocommerce_prevent_adjust_line_item_product_stock', false, $item, $quantity ) || ! $product || ! $product->managing_stock() ) {
		return false;
	}
	$reduced = (int) $item->get_meta( '_reduced_stock' );
	wc_update_product_stock( $product, abs( $quantity - $reduced ), $quantity > $reduced ? 'decrease' : 'increase' );
	$item->update_meta_data( '_reduced_stock', $quantity );
	$item->save();
	return true;
}
