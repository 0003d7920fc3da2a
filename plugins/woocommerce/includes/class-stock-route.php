<?php
/**
 * Role: the route by which the connector writes stock, and the one by which it learns what runs here. In: REST requests with WooCommerce's own keys.
 * Out: one result an item. Always: a bad item costs itself alone; one batch at a time; at most 500 items.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** POST /holdfast/v1/stock and GET /holdfast/v1/about. */
final class Stock_Route {
	const SPACE = 'holdfast/v1';
	const ITEMS = 500;
	/** How long a batch waits for the one before it, in seconds. */
	const LOCK_S = 10;

	/**
	 * Writes figures.
	 *
	 * @var Stock_Writer
	 */
	private $writer;

	/**
	 * Constructor.
	 *
	 * @param Stock_Writer $writer Writes figures.
	 */
	public function __construct( Stock_Writer $writer ) {
		$this->writer = $writer;
	}

	/** Connects with the REST server. */
	public function register() {
		add_filter( 'woocommerce_rest_is_request_to_rest_api', array( $this, 'takes_woocommerce_keys' ) );
		add_action( 'rest_api_init', array( $this, 'routes' ) );
	}

	/**
	 * WooCommerce checks its keys for its own routes, and for those that say so.
	 *
	 * @param bool $is So far.
	 * @return bool
	 */
	public function takes_woocommerce_keys( $is ) {
		$address = isset( $_SERVER['REQUEST_URI'] ) ? esc_url_raw( wp_unslash( $_SERVER['REQUEST_URI'] ) ) : '';
		return $is || false !== strpos( $address, trailingslashit( rest_get_url_prefix() ) . self::SPACE . '/' )
			|| false !== strpos( rawurldecode( $address ), 'rest_route=/' . self::SPACE . '/' );
	}

	/** Declares the routes. */
	public function routes() {
		$may = static function () {
			return current_user_can( 'manage_woocommerce' );
		};
		register_rest_route(
			self::SPACE,
			'/stock',
			array(
				'methods'             => 'POST',
				'callback'            => array( $this, 'stock' ),
				'permission_callback' => $may,
			)
		);
		register_rest_route(
			self::SPACE,
			'/about',
			array(
				'methods'             => 'GET',
				'callback'            => array( $this, 'about' ),
				'permission_callback' => $may,
			)
		);
	}

	/** What runs here. */
	public function about() {
		$hpos = class_exists( \Automattic\WooCommerce\Utilities\OrderUtil::class )
			&& \Automattic\WooCommerce\Utilities\OrderUtil::custom_orders_table_usage_is_enabled();
		return array(
			'plugin_version' => HOLDFAST_WOO_VERSION,
			'woocommerce'    => WC()->version,
			'wordpress'      => get_bloginfo( 'version' ),
			'php'            => PHP_VERSION,
			'hpos'           => $hpos,
			'writes_stock'   => $this->writer->writes(),
		);
	}

	/**
	 * Writes figures.
	 *
	 * @param \WP_REST_Request $request {"items":[{"sku" or "product","quantity","backorders"?,"sequence"}]}.
	 * @return array|\WP_Error
	 */
	public function stock( $request ) {
		global $wpdb;
		$items = $request->get_param( 'items' );
		if ( ! is_array( $items ) || count( $items ) > self::ITEMS ) {
			return new \WP_Error( 'holdfast_items', 'items: a list of at most ' . self::ITEMS, array( 'status' => is_array( $items ) ? 413 : 400 ) );
		}
		$lock = substr( 'holdfast_' . md5( DB_NAME . $wpdb->prefix ), 0, 60 );
		// phpcs:disable WordPress.DB.DirectDatabaseQuery -- a named lock of the database.
		if ( '1' !== (string) $wpdb->get_var( $wpdb->prepare( 'SELECT GET_LOCK(%s, %d)', $lock, self::LOCK_S ) ) ) {
			return new \WP_Error( 'holdfast_busy', 'another batch is being written', array( 'status' => 503 ) );
		}
		try {
			return array( 'results' => $this->write_all( array_values( $items ) ) );
		} finally {
			$wpdb->query( $wpdb->prepare( 'SELECT RELEASE_LOCK(%s)', $lock ) );
		}
		// phpcs:enable
	}

	/**
	 * One result an item, in order.
	 *
	 * @param array<int, mixed> $items The items.
	 * @return array<int, array<string, string>>
	 */
	private function write_all( array $items ) {
		$skus = array();
		foreach ( $items as $item ) {
			if ( is_array( $item ) && is_string( $item['sku'] ?? null ) ) {
				$skus[ Order_Lines::key( $item['sku'] ) ] = $item['sku'];
			}
		}
		$found = $this->products( array_values( $skus ) );
		_prime_post_caches( array_merge( array(), ...array_values( $found ) ), true, true );
		$results = array();
		foreach ( $items as $item ) {
			list( $status, $message ) = $this->write_one( $item, $found );
			$result                   = array(
				'sku'    => is_array( $item ) && is_string( $item['sku'] ?? null ) ? $item['sku'] : '',
				'status' => $status,
			);
			if ( '' !== $message ) {
				$result['message'] = $message;
			}
			$results[] = $result;
		}
		return $results;
	}

	/**
	 * Judges and writes one item.
	 *
	 * @param mixed               $item  The item.
	 * @param array<string, int[]> $found Products by key (Order_Lines).
	 * @return array{0: string, 1: string}
	 */
	private function write_one( $item, array $found ) {
		if ( is_array( $item ) && is_int( $item['product'] ?? null ) ) {
			$ids = in_array( get_post_type( $item['product'] ), array( 'product', 'product_variation' ), true ) ? array( $item['product'] ) : array();
		} elseif ( is_array( $item ) && is_string( $item['sku'] ?? null ) && '' !== $item['sku'] ) {
			$ids = $found[ Order_Lines::key( $item['sku'] ) ] ?? array();
		} else {
			return array( 'error', 'sku: text is needed, or product: a number' );
		}
		if ( ! is_int( $item['quantity'] ?? null ) || ! is_int( $item['sequence'] ?? null ) || $item['sequence'] < 0 ) {
			return array( 'error', 'quantity and sequence: integers are needed' );
		}
		if ( ! in_array( $item['backorders'] ?? 'no', array( 'no', 'notify', 'yes' ), true ) ) {
			return array( 'error', 'backorders: no, notify or yes' );
		}
		if ( array() === $ids ) {
			return array( 'unknown', '' );
		}
		if ( count( $ids ) > 1 ) {
			return array( 'ambiguous', 'products ' . implode( ', ', $ids ) );
		}
		try {
			return $this->writer->write( $ids[0], $item['quantity'], $item['sequence'], $item['backorders'] ?? '' );
		} catch ( \Exception $exception ) {
			return array( 'error', $exception->getMessage() );
		}
	}

	/**
	 * The products of SKUs, compared byte by byte.
	 *
	 * @param string[] $skus The SKUs.
	 * @return array<string, int[]> Product ids by key (Order_Lines).
	 */
	private function products( array $skus ) {
		global $wpdb;
		$found = array();
		if ( array() === $skus ) {
			return $found;
		}
		$places = implode( ',', array_fill( 0, count( $skus ), '%s' ) );
		// phpcs:disable WordPress.DB -- one query for up to 500 SKUs; the places are counted above.
		$rows = $wpdb->get_results(
			$wpdb->prepare(
				"SELECT m.post_id AS id, m.meta_value AS sku FROM {$wpdb->postmeta} m JOIN {$wpdb->posts} p ON p.ID = m.post_id
				WHERE m.meta_key = '_sku' AND m.meta_value IN ($places) AND p.post_type IN ('product', 'product_variation')
				AND p.post_status NOT IN ('trash', 'auto-draft') ORDER BY m.post_id",
				$skus
			)
		);
		// phpcs:enable
		foreach ( $rows as $row ) {
			$found[ Order_Lines::key( $row->sku ) ][] = (int) $row->id;
		}
		return $found;
	}
}
