<?php
// A way to pay for the tests' shop, as an off-site payment is: the shopper leaves, the order stays pending; "card-fails" fails at once.
add_action(
	'woocommerce_loaded',
	static function () {
		class Offsite_Payment extends WC_Payment_Gateway {
			public function __construct( $id = 'offsite' ) {
				$this->id      = $id;
				$this->title   = $id;
				$this->enabled = 'yes';
				$this->has_fields = false;
				$this->supports = array( 'products', 'refunds' );
			}
			public function is_available() {
				return true;
			}
			public function process_payment( $order_id ) {
				if ( 'card-fails' === $this->id ) {
					throw new Exception( 'The card was declined.' );
				}
				return array(
					'result'   => 'success',
					'redirect' => home_url( '/?paying=' . $order_id ),
				);
			}
			public function process_refund( $order_id, $amount = null, $reason = '' ) {
				return true;
			}
		}
		add_filter(
			'woocommerce_payment_gateways',
			static function ( $gateways ) {
				return array_merge( $gateways, array( new Offsite_Payment( 'offsite' ), new Offsite_Payment( 'card-fails' ) ) );
			}
		);
	}
);
// No mail leaves a test.
add_filter( 'pre_wp_mail', '__return_true' );
// As plugins for bundles mark the lines of an order: by the meta of products.
add_action(
	'woocommerce_checkout_create_order_line_item',
	static function ( $item ) {
		foreach ( array( '_bundle_cart_key', '_bundled_by' ) as $key ) {
			$mark = get_post_meta( $item->get_product_id(), "test$key", true );
			if ( $mark ) {
				$item->update_meta_data( $key, $mark );
			}
		}
	}
);
