<?php
/**
 * Role: makes the parts and connects them with the hooks of WooCommerce. In: the settings. Out: hooks.
 * Always: one object of each part a request; a part gets what it needs by its constructor.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The composition of the plugin. */
final class Plugin {
	/** Starts everything; called once WooCommerce is loaded. */
	public static function start() {
		add_action(
			'init',
			static function () {
				load_plugin_textdomain( 'holdfast-woocommerce', false, dirname( plugin_basename( HOLDFAST_WOO_FILE ) ) . '/languages' );
			}
		);
		$settings = new Settings();
		$shared   = new Shared_Store();
		$breaker  = new Breaker( $shared );
		$gateway  = new Gateway( $settings, $breaker );
		$outbox   = new Outbox();
		$taken    = new Taken_Units();
		$writer   = new Stock_Writer( $settings, $breaker, $taken );
		$shopper  = new Shopper();
		$lines    = new Order_Lines( $shared, new Bundles( $gateway, $shared ) );
		$reserver = new Reserver( $gateway, $settings, $shopper, $lines, $taken );
		$settling = new Settlement( $gateway, $settings, $outbox, $lines, $taken );

		( new Settings_Page( $settings, $gateway ) )->register();
		( new Health( $settings, $gateway, $breaker, $outbox ) )->register();
		( new Stock_Route( $writer ) )->register();
		if ( ! $settings->ready() ) {
			return;
		}
		$taken->prepare();
		$writer->register();
		$settling->register();
		$outbox->register( $settling );
		( new Checkout( $reserver, $settings, $shopper, $writer, $outbox, $taken ) )->register();
		( new Sellable( $gateway, $settings, $shopper, $shared, $taken ) )->register();
	}
}
