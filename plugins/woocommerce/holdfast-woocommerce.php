<?php
/**
 * Plugin Name: holdfast for WooCommerce
 * Description: Never sells the same piece twice: both checkouts ask holdfast for the stock before an order is placed.
 * Version: 0.1.0
 * Requires at least: 6.1
 * Requires PHP: 7.4
 * Requires Plugins: woocommerce
 * WC requires at least: 8.9
 * WC tested up to: 9.9
 * License: Apache-2.0
 * License URI: https://www.apache.org/licenses/LICENSE-2.0
 * Text Domain: holdfast-woocommerce
 * Domain Path: /languages
 *
 * Role: finds its classes, and starts them once WooCommerce is loaded. Always: without WooCommerce it does nothing.
 *
 * @package Holdfast
 */

defined( 'ABSPATH' ) || exit;

define( 'HOLDFAST_WOO_VERSION', '0.1.0' );
define( 'HOLDFAST_WOO_FILE', __FILE__ );

spl_autoload_register(
	static function ( $name ) {
		if ( 0 !== strpos( $name, 'Holdfast\\' ) ) {
			return;
		}
		$file = __DIR__ . '/includes/class-' . strtolower( str_replace( '_', '-', substr( $name, 9 ) ) ) . '.php';
		if ( is_file( $file ) ) {
			require $file;
		}
	}
);

add_action(
	'before_woocommerce_init',
	static function () {
		if ( class_exists( \Automattic\WooCommerce\Utilities\FeaturesUtil::class ) ) {
			\Automattic\WooCommerce\Utilities\FeaturesUtil::declare_compatibility( 'custom_order_tables', __FILE__, true );
			\Automattic\WooCommerce\Utilities\FeaturesUtil::declare_compatibility( 'cart_checkout_blocks', __FILE__, true );
		}
	}
);
add_action( 'woocommerce_loaded', array( \Holdfast\Plugin::class, 'start' ) );
register_deactivation_hook( __FILE__, array( \Holdfast\Outbox::class, 'forget_all' ) );
