<?php
/**
 * Role: tells the shop owner under Tools > Site Health whether both checkouts are protected. In: the settings, one question to the gateway, what waits.
 * Out: WordPress's own tests and its debug page. Always: the key is never shown.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** Site Health. */
final class Health {
	/** More that waits than this is said. */
	const WAITING = 20;

	/**
	 * The settings.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * The gateway.
	 *
	 * @var Gateway
	 */
	private $gateway;

	/**
	 * The breaker.
	 *
	 * @var Breaker
	 */
	private $breaker;

	/**
	 * What waits.
	 *
	 * @var Outbox
	 */
	private $outbox;

	/**
	 * Constructor.
	 *
	 * @param Settings $settings The settings.
	 * @param Gateway  $gateway  The gateway.
	 * @param Breaker  $breaker  The breaker.
	 * @param Outbox   $outbox   What waits.
	 */
	public function __construct( Settings $settings, Gateway $gateway, Breaker $breaker, Outbox $outbox ) {
		$this->settings = $settings;
		$this->gateway  = $gateway;
		$this->breaker  = $breaker;
		$this->outbox   = $outbox;
	}

	/** Connects with Site Health. */
	public function register() {
		add_filter( 'site_status_tests', array( $this, 'tests' ) );
		add_filter( 'debug_information', array( $this, 'debug' ) );
	}

	/**
	 * Adds the tests.
	 *
	 * @param array $tests WordPress's.
	 * @return array
	 */
	public function tests( $tests ) {
		$tests['direct']['holdfast_gateway'] = array(
			'label' => __( 'Stock protection (holdfast)', 'holdfast-woocommerce' ),
			'test'  => array( $this, 'gateway' ),
		);
		$tests['direct']['holdfast_catalogue'] = array(
			'label' => __( 'Products that holdfast cannot hold', 'holdfast-woocommerce' ),
			'test'  => array( $this, 'catalogue' ),
		);
		return $tests;
	}

	/**
	 * One result as Site Health shows it.
	 *
	 * @param string $name   The test.
	 * @param string $status good, recommended or critical.
	 * @param string $label  Heading.
	 * @param string $words  Text.
	 * @return array
	 */
	private static function result( $name, $status, $label, $words ) {
		return array(
			'test'        => $name,
			'status'      => $status,
			'label'       => $label,
			'description' => '<p>' . esc_html( $words ) . '</p>',
			'badge'       => array(
				'label' => __( 'Stock', 'holdfast-woocommerce' ),
				'color' => 'blue',
			),
			'actions'     => sprintf( '<a href="%s">%s</a>', esc_url( admin_url( 'admin.php?page=' . Settings_Page::PAGE ) ), esc_html__( 'Settings of holdfast', 'holdfast-woocommerce' ) ),
		);
	}

	/** Whether the checkouts are protected now. */
	public function gateway() {
		$name = 'holdfast_gateway';
		if ( ! $this->settings->ready() ) {
			return self::result( $name, 'critical', __( 'The checkouts are not protected: holdfast has no address', 'holdfast-woocommerce' ), __( 'Enter the address and the key of your gateway.', 'holdfast-woocommerce' ) );
		}
		$test = ( new Connection_Test( $this->settings, $this->gateway ) )->run();
		if ( ! $test['ok'] ) {
			return self::result( $name, 'critical', __( 'The checkouts are not protected: the gateway does not answer as it should', 'holdfast-woocommerce' ), implode( ' ', $test['lines'] ) );
		}
		$waiting = $this->outbox->waiting();
		if ( $this->breaker->is_open() || $waiting > self::WAITING ) {
			/* translators: %d: number of orders */
			return self::result( $name, 'recommended', __( 'The gateway was not reachable a moment ago', 'holdfast-woocommerce' ), sprintf( __( '%d messages about orders wait to be sent.', 'holdfast-woocommerce' ), $waiting ) );
		}
		return self::result( $name, 'good', __( 'Both checkouts are protected by holdfast', 'holdfast-woocommerce' ), implode( ' ', $test['lines'] ) );
	}

	/** Products without a SKU, and SKUs that two products have. */
	public function catalogue() {
		global $wpdb;
		// phpcs:disable WordPress.DB.DirectDatabaseQuery -- counts over the whole catalogue, on an administrator's page.
		$without = (int) $wpdb->get_var( "SELECT COUNT(*) FROM {$wpdb->prefix}wc_product_meta_lookup l JOIN {$wpdb->posts} p ON p.ID = l.product_id WHERE p.post_status = 'publish' AND p.post_type = 'product' AND l.sku = '' AND l.stock_quantity IS NOT NULL" );
		$double  = (int) $wpdb->get_var( "SELECT COUNT(*) FROM (SELECT l.sku FROM {$wpdb->prefix}wc_product_meta_lookup l JOIN {$wpdb->posts} p ON p.ID = l.product_id WHERE p.post_status = 'publish' AND l.sku <> '' GROUP BY BINARY l.sku HAVING COUNT(*) > 1) AS twice" );
		// phpcs:enable
		if ( 0 === $without + $double ) {
			return self::result( 'holdfast_catalogue', 'good', __( 'Every product with stock has its own SKU', 'holdfast-woocommerce' ), __( 'holdfast can hold all of them.', 'holdfast-woocommerce' ) );
		}
		/* translators: 1: number of products, 2: number of SKUs */
		$words = sprintf( __( '%1$d products with managed stock have no SKU: WooCommerce alone counts them. %2$d SKUs belong to more than one product: their stock cannot be written.', 'holdfast-woocommerce' ), $without, $double );
		return self::result( 'holdfast_catalogue', 'recommended', __( 'Some products cannot be held by holdfast', 'holdfast-woocommerce' ), $words );
	}

	/**
	 * Adds to the debug page.
	 *
	 * @param array $pages WordPress's.
	 * @return array
	 */
	public function debug( $pages ) {
		$fields = array();
		foreach ( array( 'channel', 'fallback', 'budget_ms', 'hold_minutes', 'cache_seconds', 'writes_stock' ) as $name ) {
			$fields[ $name ] = array(
				'label' => $name,
				'value' => (string) wp_json_encode( $this->settings->stored( $name ) ),
			);
		}
		$fields['url']     = array(
			'label'   => 'url',
			'value'   => $this->settings->url(),
			'private' => true,
		);
		$fields['waiting'] = array(
			'label' => 'waiting',
			'value' => (string) $this->outbox->waiting(),
		);
		$fields['shared']  = array(
			'label' => 'shared values',
			'value' => ( new Shared_Store() )->place(),
		);

		$pages['holdfast'] = array(
			'label'  => 'holdfast',
			'fields' => $fields,
		);
		return $pages;
	}
}
