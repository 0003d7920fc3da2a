<?php
/**
 * Role: pages show what can be sold. In: the products of the cart, or of the page. Out: WooCommerce's read filters.
 * Always: for shoppers' pages alone, never while a product is saved; one request for all products of a cart, kept for seconds; what the shopper holds
 * counts for that shopper; without an answer the shop's own figure stands.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** Figures of the gateway on pages. */
final class Sellable {
	/** Most SKUs that are asked for at once. */
	const SKUS = 1000;

	/**
	 * The gateway.
	 *
	 * @var Gateway
	 */
	private $gateway;

	/**
	 * Channel, budget, how old a figure may be.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * What the shopper holds.
	 *
	 * @var Shopper
	 */
	private $shopper;

	/**
	 * Figures that all workers share.
	 *
	 * @var Shared_Store
	 */
	private $shared;

	/**
	 * Figures of this request by key (Order_Lines): a number, 'unlimited', or null where the gateway says nothing.
	 *
	 * @var array<string, int|string|null>
	 */
	private $figures = array();

	/**
	 * Whether the gateway gave no figures in this request.
	 *
	 * @var bool
	 */
	private $unanswered = false;

	/**
	 * Above 0 while a product is being written or figures are being read.
	 *
	 * @var int
	 */
	private $quiet = 0;

	/**
	 * What this shop took since the last figure.
	 *
	 * @var Taken_Units
	 */
	private $taken;

	/**
	 * Constructor.
	 *
	 * @param Gateway      $gateway  The gateway.
	 * @param Settings     $settings Channel, budget, age.
	 * @param Shopper      $shopper  What the shopper holds.
	 * @param Shared_Store $shared   Figures that all workers share.
	 * @param Taken_Units  $taken    What this shop took since the last figure.
	 */
	public function __construct( Gateway $gateway, Settings $settings, Shopper $shopper, Shared_Store $shared, Taken_Units $taken ) {
		$this->gateway  = $gateway;
		$this->settings = $settings;
		$this->shopper  = $shopper;
		$this->shared   = $shared;
		$this->taken    = $taken;
	}

	/** Connects with the filters. */
	public function register() {
		add_filter( 'woocommerce_product_get_stock_quantity', array( $this, 'quantity' ), 100, 2 );
		add_filter( 'woocommerce_product_variation_get_stock_quantity', array( $this, 'quantity' ), 100, 2 );
		add_filter( 'woocommerce_product_is_in_stock', array( $this, 'in_stock' ), 100, 2 );
		add_filter( 'woocommerce_product_backorders_allowed', array( $this, 'backorders' ), 100, 3 );
		foreach ( array( 'product', 'variation' ) as $kind ) {
			add_action( "woocommerce_{$kind}_before_set_stock", array( $this, 'hush' ) );
			add_action( "woocommerce_{$kind}_set_stock", array( $this, 'unhush' ) );
		}
	}

	/** A product is about to be written: its own figure must be seen. */
	public function hush() {
		++$this->quiet;
	}

	/** The product is written. */
	public function unhush() {
		$this->quiet = max( 0, $this->quiet - 1 );
	}

	/**
	 * The quantity that a page shows and WooCommerce compares a cart with.
	 *
	 * @param int|float|null $stock   The shop's own figure.
	 * @param \WC_Product    $product The product.
	 * @return int|float|null
	 */
	public function quantity( $stock, $product ) {
		if ( null === $stock || ! $this->concerns( $product ) ) {
			return $stock;
		}
		$sku    = (string) $product->get_sku( 'edit' );
		$figure = $this->figure( $product );
		$own    = $this->shopper->held( $sku );
		if ( $this->unanswered && null === $figure ) {
			$stock = max( 0, $stock - $this->taken->of( $product->get_id() ) );
		}
		return is_int( $figure ) ? $figure + $own : $stock + ( $figure ? 0 : $own );
	}

	/**
	 * Whether the product can be bought at all.
	 *
	 * @param bool        $is      What the shop says.
	 * @param \WC_Product $product The product.
	 * @return bool
	 */
	public function in_stock( $is, $product ) {
		if ( ! $this->concerns( $product ) || ! $product->managing_stock() ) {
			return $is;
		}
		$figure = $this->figure( $product );
		if ( 'unlimited' === $figure || $this->shopper->held( (string) $product->get_sku( 'edit' ) ) > 0 ) {
			return true;
		}
		return is_int( $figure ) ? $figure > 0 || $product->backorders_allowed() : $is;
	}

	/**
	 * Whether more can be sold than there is.
	 *
	 * @param bool        $allowed What the shop says.
	 * @param int         $id      The product's id.
	 * @param \WC_Product $product The product.
	 * @return bool
	 */
	public function backorders( $allowed, $id, $product = null ) {
		return $allowed || ( $product instanceof \WC_Product && $this->concerns( $product ) && 'unlimited' === $this->figure( $product ) );
	}

	/**
	 * Whether a product's figure is the gateway's to say, here and now. A variation whose stock is managed at its parent shows the parent's.
	 *
	 * @param \WC_Product $product The product.
	 * @return bool
	 */
	private function concerns( $product ) {
		return 0 === $this->quiet && $this->is_shoppers_request()
			&& '' !== (string) $product->get_sku( 'edit' ) && true === $product->get_manage_stock( 'edit' );
	}

	/** Shoppers' pages and the Store API; not wp-admin, other REST calls, cron or the command line. */
	private function is_shoppers_request() {
		if ( wp_doing_cron() || ( defined( 'WP_CLI' ) && WP_CLI ) || doing_action( 'action_scheduler_run_queue' ) ) {
			return false;
		}
		if ( WC()->is_rest_api_request() || ( defined( 'REST_REQUEST' ) && REST_REQUEST ) ) {
			$address = isset( $_SERVER['REQUEST_URI'] ) ? rawurldecode( esc_url_raw( wp_unslash( $_SERVER['REQUEST_URI'] ) ) ) : '';
			return false !== strpos( $address, '/wc/store/' );
		}
		return ! is_admin() || ( wp_doing_ajax() && ! current_user_can( 'edit_products' ) );
	}

	/**
	 * The figure of a product: asked for when it is in the cart or the product of the page, else as another page has left it.
	 *
	 * @param \WC_Product $product The product.
	 * @return int|string|null
	 */
	private function figure( $product ) {
		$key = Order_Lines::key( (string) $product->get_sku( 'edit' ) );
		if ( ! array_key_exists( $key, $this->figures ) ) {
			++$this->quiet;
			$skus = $this->skus_of_page();
			if ( isset( $skus[ $key ] ) ) {
				$this->read( $skus );
			} else {
				$this->figures[ $key ] = null;
			}
			--$this->quiet;
		}
		return $this->figures[ $key ] ?? null;
	}

	/**
	 * SKUs of the cart and of the product that the page is about.
	 *
	 * @return array<string, string> By key.
	 */
	private function skus_of_page() {
		$products = array();
		if ( WC()->cart instanceof \WC_Cart && did_action( 'woocommerce_load_cart_from_session' ) ) {
			$products = array_column( WC()->cart->cart_contents, 'data' );
		}
		if ( did_action( 'wp' ) && is_product() ) {
			$shown = wc_get_product( get_queried_object_id() );
			if ( $shown ) {
				$products = array_merge( $products, array( $shown ), array_map( 'wc_get_product', array_slice( $shown->get_children(), 0, 100 ) ) );
			}
		}
		$skus = array();
		foreach ( $products as $product ) {
			$sku = $product instanceof \WC_Product ? (string) $product->get_sku( 'edit' ) : '';
			if ( '' !== $sku && mb_strlen( $sku ) <= 128 ) {
				$skus[ Order_Lines::key( $sku ) ] = $sku;
			}
		}
		return array_slice( $skus, 0, self::SKUS, true );
	}

	/**
	 * Reads figures: those that are young enough from the shared store, the others in one request.
	 *
	 * @param array<string, string> $skus By key.
	 */
	private function read( array $skus ) {
		$missing = array();
		foreach ( $skus as $key => $sku ) {
			$kept = $this->settings->cache_s() > 0 ? $this->shared->get( 'figure_' . md5( $sku ) ) : null;
			if ( is_array( $kept ) ) {
				$this->figures[ $key ] = $kept[0];
			} else {
				$this->figures[ $key ] = null;
				$missing[]             = $sku;
			}
		}
		if ( array() === $missing ) {
			return;
		}
		$answer = $this->gateway->call(
			'POST',
			'/v1/availability',
			array(
				'channel'   => $this->settings->channel(),
				'published' => true,
				'skus'      => $missing,
			),
			new Deadline( $this->settings->budget_ms() )
		);
		if ( ! $answer->ok() ) {
			$this->unanswered = true;
			return;
		}
		foreach ( (array) ( $answer->body['items'] ?? array() ) as $item ) {
			$figure = null;
			if ( isset( $item['sellable'] ) ) {
				$figure = empty( $item['unlimited'] ) ? max( 0, (int) $item['sellable'] ) : 'unlimited';
			}
			$this->figures[ Order_Lines::key( $item['sku'] ) ] = $figure;
			if ( $this->settings->cache_s() > 0 ) {
				$this->shared->set( 'figure_' . md5( $item['sku'] ), array( $figure ), $this->settings->cache_s() );
			}
		}
	}
}
