<?php
// The Store API's cart and checkout, as blocks call them. A draft is written on GET and PUT; only POST places an order.

use Automattic\WooCommerce\Checkout\Helpers\ReserveStockException;
use Automattic\WooCommerce\StoreApi\Exceptions\RouteException;

class WC_Store_Api {
	const SPACE = 'wc/store/v1';

	public static function register() {
		add_action( 'rest_api_init', array( __CLASS__, 'routes' ) );
		add_filter( 'rest_authentication_errors', array( __CLASS__, 'without_cookie_nonce' ), 200 );
	}

	// These routes have their own nonce.
	public static function without_cookie_nonce( $error ) {
		return false !== strpos( $_SERVER['REQUEST_URI'], self::SPACE ) ? true : $error;
	}

	public static function routes() {
		foreach ( array(
			array( 'GET', '/cart', 'cart' ),
			array( 'POST', '/cart/add-item', 'add' ),
			array( 'DELETE', '/cart/items', 'clear' ),
			array( 'GET, PUT', '/checkout', 'draft' ),
			array( 'POST', '/checkout', 'place' ),
			array( 'POST', '/checkout/(?P<id>\d+)', 'pay' ),
		) as list( $methods, $path, $name ) ) {
			register_rest_route(
				self::SPACE,
				$path,
				array(
					'methods'             => $methods,
					'permission_callback' => '__return_true',
					'callback'            => static function ( $request ) use ( $name ) {
						return self::answer( $name, $request );
					},
				)
			);
		}
	}

	private static function answer( $name, $request ) {
		try {
			if ( 'GET' !== $request->get_method() && ! wp_verify_nonce( $request->get_header( 'Nonce' ), 'wc_store_api' ) ) {
				throw new RouteException( 'woocommerce_rest_missing_nonce', 'Missing the Nonce header.', 401 );
			}
			$answer = self::$name( $request );
		} catch ( RouteException $exception ) {
			$answer = self::error( $exception->getErrorCode(), $exception->getMessage(), $exception->getCode() );
		} catch ( ReserveStockException $exception ) {
			$answer = self::error( $exception->getErrorCode(), $exception->getMessage(), 403 );
		} catch ( Exception $exception ) {
			$answer = self::error( 'woocommerce_rest_unknown_server_error', $exception->getMessage(), 500 );
		}
		$answer->header( 'Nonce', wp_create_nonce( 'wc_store_api' ) );
		return $answer;
	}

	private static function error( $code, $words, $status ) {
		return new WP_REST_Response( array( 'code' => $code, 'message' => $words, 'data' => array( 'status' => $status ) ), $status );
	}

	private static function cart( $request ) {
		return new WP_REST_Response( array( 'items' => array_column( WC()->cart->get_cart(), 'quantity' ) ) );
	}

	private static function add( $request ) {
		try {
			WC()->cart->add_to_cart( (int) $request['id'], (int) $request['quantity'] );
		} catch ( Exception $exception ) {
			throw new RouteException( 'woocommerce_rest_product_out_of_stock', $exception->getMessage(), 400 );
		}
		$answer = self::cart( $request );
		$answer->set_status( 201 );
		return $answer;
	}

	private static function clear( $request ) {
		WC()->cart->empty_cart();
		return new WP_REST_Response( array() );
	}

	// The session's draft, or its order that is not paid, when the cart is the same.
	private static function draft_order() {
		$order = wc_get_order( (int) WC()->session->get( 'store_api_draft_order', 0 ) );
		$is    = $order && ( $order->has_status( 'checkout-draft' ) || ( $order->needs_payment() && $order->get_cart_hash() === WC()->cart->get_cart_hash() ) );
		if ( ! $is ) {
			$order = new WC_Order();
			$order->set_status( 'checkout-draft' );
		}
		$order->remove_order_items();
		double_fill( $order, 'store-api' );
		$order->save();
		WC()->session->set( 'store_api_draft_order', $order->get_id() );
		do_action( 'woocommerce_store_api_checkout_update_order_meta', $order );
		return $order;
	}

	private static function checked() {
		if ( WC()->cart->is_empty() ) {
			throw new RouteException( 'woocommerce_rest_cart_empty', 'Cannot create order from empty cart.', 400 );
		}
		$errors = new WP_Error();
		do_action( 'woocommerce_store_api_cart_errors', $errors, WC()->cart );
		do_action( 'woocommerce_check_cart_items' );
		$words = array_merge( $errors->get_error_messages(), wc_get_notices( 'error' ) );
		if ( $words ) {
			throw new RouteException( 'woocommerce_rest_cart_errors', $words[0], 409 );
		}
	}

	private static function draft( $request ) {
		self::checked();
		$order = self::draft_order();
		do_action( 'woocommerce_store_api_checkout_update_order_from_request', $order, $request );
		return new WP_REST_Response( array( 'order_id' => $order->get_id(), 'status' => $order->get_status() ) );
	}

	private static function place( $request ) {
		self::checked();
		$order = self::draft_order();
		try {
			do_action( 'woocommerce_store_api_checkout_update_order_from_request', $order, $request );
			$order->save();
			$errors = new WP_Error();
			do_action( 'woocommerce_checkout_validate_order_before_payment', $order, $errors );
			wc_reserve_stock_for_order( $order );
			$order->update_status( 'pending' );
			do_action( 'woocommerce_store_api_checkout_order_processed', $order );
			return self::paid( $order, $request );
		} catch ( Exception $exception ) {
			wc_release_stock_for_order( $order );
			throw $exception;
		}
	}

	private static function pay( $request ) {
		$order = wc_get_order( (int) $request['id'] );
		if ( ! $order || ! hash_equals( $order->get_order_key(), (string) $request['key'] ) || ! $order->needs_payment() ) {
			throw new RouteException( 'woocommerce_rest_invalid_order', 'This order cannot be paid for.', 400 );
		}
		do_action( 'woocommerce_store_api_checkout_update_order_from_request', $order, $request );
		do_action( 'woocommerce_store_api_checkout_order_processed', $order );
		return self::paid( $order, $request );
	}

	private static function paid( $order, $request ) {
		try {
			$done = double_pay( $order, $request['payment_method'] );
		} catch ( Exception $exception ) {
			throw new RouteException( 'woocommerce_rest_checkout_process_payment_error', $exception->getMessage(), 402 );
		}
		$paid = array( 'payment_status' => $done['result'], 'redirect_url' => $done['redirect'] );
		return new WP_REST_Response( array( 'order_id' => $order->get_id(), 'status' => $order->get_status(), 'payment_result' => $paid ) );
	}
}
