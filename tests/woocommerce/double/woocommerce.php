<?php
/**
 * Plugin Name: A double of WooCommerce for the tests of holdfast
 * Description: What a checkout asks of WooCommerce, with its hooks in its order. Not WooCommerce, and of no use to a shop.
 * Version: 9.9.0
 *
 * It is written from the documented behaviour, and has: products and variations with stock; a cart in a session; the classic checkout and its pay page;
 * the Store API's cart and checkout; orders as posts with status transitions; reserved stock; reducing, restoring and refunding by the filters; notices; Action
 * Scheduler's tables and functions; a test is their runner; keys for REST routes of others. It has not: prices, taxes, coupons, shipping, mail, blocks,
 * order tables (HPOS), the REST API v3, webhooks. tests/support/woo_store plays the last two. `make woo-test` plays the same tests on WooCommerce itself.
 */

defined( 'ABSPATH' ) || exit;

define( 'WC_ABSPATH', __DIR__ . '/' );
foreach ( array( 'exceptions', 'scheduler', 'product', 'order', 'order-item', 'stock', 'session', 'cart', 'payment', 'shop', 'classic', 'pay-page', 'store-api', 'install' ) as $part ) {
	require __DIR__ . "/includes/$part.php";
}

// The one object of the shop.
function WC() {
	static $shop = null;
	$shop = $shop ?? new WooCommerce();
	return $shop;
}

register_activation_hook( __FILE__, array( 'WC_Install', 'install' ) );
add_action(
	'plugins_loaded',
	static function () {
		do_action( 'before_woocommerce_init' );
		do_action( 'woocommerce_loaded' );
	},
	-1
);
add_action( 'init', array( WC(), 'init' ), 0 );
WC_Classic_Checkout::register();
WC_Pay_Page::register();
WC_Store_Api::register();
