<?php
// The cart of the session, and the checks of its stock.

class WC_Cart {
	public $cart_contents = array();

	public function load() {
		foreach ( (array) WC()->session->get( 'cart', array() ) as $key => $kept ) {
			$product = wc_get_product( $kept['variation_id'] ? $kept['variation_id'] : $kept['product_id'] );
			if ( $product ) {
				$this->cart_contents[ $key ] = $kept + array( 'key' => $key, 'data' => $product );
			}
		}
		do_action( 'woocommerce_load_cart_from_session' );
	}

	private function keep() {
		WC()->session->set(
			'cart',
			array_map(
				static function ( $line ) {
					return array( 'product_id' => $line['product_id'], 'variation_id' => $line['variation_id'], 'quantity' => $line['quantity'] );
				},
				$this->cart_contents
			)
		);
	}

	public function get_cart() {
		return $this->cart_contents;
	}

	public function is_empty() {
		return array() === $this->cart_contents;
	}

	public function get_cart_hash() {
		return $this->is_empty() ? '' : md5( wp_json_encode( WC()->session->get( 'cart' ) ) );
	}

	// Throws an exception with words for the shopper.
	public function add_to_cart( $id, $quantity ) {
		$product = wc_get_product( $id );
		if ( ! $product ) {
			throw new Exception( 'This product does not exist.' );
		}
		$key  = md5( (string) $id );
		$have = $this->cart_contents[ $key ]['quantity'] ?? 0;
		if ( ! $product->is_in_stock() ) {
			throw new Exception( 'You cannot add "' . $product->get_name() . '" to the cart because the product is out of stock.' );
		}
		if ( ! $product->has_enough_stock( $have + $quantity ) ) {
			throw new Exception( 'You cannot add that amount of "' . $product->get_name() . '" to the cart because there is not enough stock (' . $product->get_stock_quantity() . ' remaining).' );
		}
		$is                          = $product instanceof WC_Product_Variation;
		$this->cart_contents[ $key ] = array(
			'key'          => $key,
			'product_id'   => $is ? $product->get_parent_id() : $id,
			'variation_id' => $is ? $id : 0,
			'quantity'     => $have + $quantity,
			'data'         => $product,
		);
		$this->keep();
	}

	public function empty_cart() {
		$this->cart_contents = array();
		$this->keep();
	}

	// What keeps the cart from being bought, as text.
	public function check_cart_item_stock() {
		foreach ( $this->cart_contents as $line ) {
			$product = $line['data'];
			if ( ! $product->is_in_stock() ) {
				return 'Sorry, "' . $product->get_name() . '" is not in stock. Please edit your cart and try again.';
			}
			if ( ! $product->has_enough_stock( $line['quantity'] ) ) {
				return 'Sorry, we do not have enough "' . $product->get_name() . '" in stock to fulfil your order (' . $product->get_stock_quantity() . ' available).';
			}
		}
		return '';
	}
}

add_action(
	'woocommerce_check_cart_items',
	static function () {
		$words = WC()->cart->check_cart_item_stock();
		if ( '' !== $words ) {
			wc_add_notice( $words, 'error' );
		}
	},
	1
);
