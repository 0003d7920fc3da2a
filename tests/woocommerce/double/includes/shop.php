<?php
// The shop as a whole: kinds of posts, session and cart of a request, a product's page, keys of REST clients.

class WooCommerce {
	public $version = '9.9.0';
	public $session = null;
	public $cart    = null;

	public function init() {
		register_post_type( 'product', array( 'public' => true, 'label' => 'Products', 'rewrite' => array( 'slug' => 'product' ) ) );
		register_post_type( 'product_variation', array( 'public' => false ) );
		register_post_type( 'shop_order', array( 'public' => false ) );
		foreach ( array( 'pending', 'processing', 'on-hold', 'completed', 'cancelled', 'refunded', 'failed', 'checkout-draft' ) as $status ) {
			register_post_status( "wc-$status", array( 'label' => $status, 'public' => false ) );
		}
		foreach ( array( 'order-pay', 'order-received' ) as $endpoint ) {
			add_rewrite_endpoint( $endpoint, EP_PAGES );
		}
		if ( 'cli' === PHP_SAPI || is_admin() ) {
			return;
		}
		$this->session = new WC_Session_Handler();
		$this->session->init();
		$this->cart = new WC_Cart();
		add_action( 'wp_loaded', array( $this->cart, 'load' ), 5 );
		add_action( 'wp_loaded', array( $this, 'add_to_cart' ), 20 );
	}

	public function add_to_cart() {
		if ( isset( $_GET['add-to-cart'] ) ) {
			try {
				$this->cart->add_to_cart( (int) $_GET['add-to-cart'], (int) ( $_GET['quantity'] ?? 1 ) );
			} catch ( Exception $exception ) {
				wc_add_notice( $exception->getMessage(), 'error' );
			}
		}
	}

	public function is_rest_api_request() {
		return false !== strpos( $_SERVER['REQUEST_URI'] ?? '', '/wp-json/' );
	}
}

add_filter(
	'the_content',
	static function ( $content ) {
		if ( ! is_product() ) {
			return $content;
		}
		$product = wc_get_product( get_the_ID() );
		return $content . '<p class="stock">' . ( $product->is_in_stock() ? (int) $product->get_stock_quantity() . ' in stock' : 'Out of stock' ) . '</p>';
	}
);

// Keys of REST clients: Basic authentication, over HTTPS alone, for routes that say so.
add_filter(
	'determine_current_user',
	static function ( $user ) {
		global $wpdb;
		if ( $user || ! is_ssl() || ! isset( $_SERVER['PHP_AUTH_USER'] ) || ! apply_filters( 'woocommerce_rest_is_request_to_rest_api', false ) ) {
			return $user;
		}
		$key = $wpdb->get_row( $wpdb->prepare( "SELECT user_id, consumer_secret FROM {$wpdb->prefix}woocommerce_api_keys WHERE consumer_key = %s", wc_api_hash( $_SERVER['PHP_AUTH_USER'] ) ) );
		return $key && hash_equals( $key->consumer_secret, $_SERVER['PHP_AUTH_PW'] ) ? (int) $key->user_id : $user;
	},
	15
);
