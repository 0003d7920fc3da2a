<?php
// The classic checkout: the page with its nonce, and what "Place order" does, hook after hook.

class WC_Classic_Checkout {
	public static function register() {
		add_shortcode( 'woocommerce_checkout', array( __CLASS__, 'page' ) );
		add_action( 'template_redirect', array( __CLASS__, 'ajax' ), 0 );
	}

	public static function page() {
		if ( '' !== (string) get_query_var( 'order-pay' ) ) {
			return WC_Pay_Page::page( (int) get_query_var( 'order-pay' ) );
		}
		do_action( 'woocommerce_check_cart_items' );
		if ( wc_notice_count( 'error' ) > 0 ) {
			$said = wc_print_notices( true );
			return $said . '<p>There are some issues with the items in your cart.</p>' . self::nonce();
		}
		return wc_print_notices( true ) . self::nonce();
	}

	private static function nonce() {
		return '<form>' . wp_nonce_field( 'woocommerce-process_checkout', 'woocommerce-process-checkout-nonce', true, false ) . '</form>';
	}

	public static function ajax() {
		if ( 'checkout' !== ( $_GET['wc-ajax'] ?? '' ) ) {
			return;
		}
		try {
			$done = self::process();
		} catch ( Exception $exception ) {
			wc_add_notice( $exception->getMessage(), 'error' );
			$done = array();
		}
		if ( 'success' !== ( $done['result'] ?? '' ) ) {
			$done = array( 'result' => 'failure', 'messages' => wc_print_notices( true ), 'refresh' => false, 'reload' => false );
		}
		wp_send_json( $done );
	}

	private static function process() {
		if ( ! wp_verify_nonce( $_POST['woocommerce-process-checkout-nonce'] ?? '', 'woocommerce-process_checkout' ) ) {
			throw new Exception( 'We were unable to process your order, please try again.' );
		}
		if ( WC()->cart->is_empty() ) {
			throw new Exception( 'Sorry, your session has expired.' );
		}
		do_action( 'woocommerce_before_checkout_process' );
		do_action( 'woocommerce_checkout_process' );
		do_action( 'woocommerce_check_cart_items' );
		$errors = new WP_Error();
		do_action( 'woocommerce_after_checkout_validation', $_POST, $errors );
		foreach ( $errors->get_error_messages() as $words ) {
			wc_add_notice( $words, 'error' );
		}
		if ( wc_notice_count( 'error' ) > 0 ) {
			return array();
		}
		$order = self::order();
		do_action( 'woocommerce_checkout_order_processed', $order->get_id(), $_POST, $order );
		WC()->session->set( 'order_awaiting_payment', $order->get_id() );
		return double_pay( $order, $_POST['payment_method'] ?? '' );
	}

	// A new one; or that of an earlier try, when the cart is the same and it is not paid.
	private static function order() {
		$before = wc_get_order( (int) WC()->session->get( 'order_awaiting_payment', 0 ) );
		$hash   = WC()->cart->get_cart_hash();
		$resume = $before && $before->has_status( array( 'pending', 'failed' ) ) && $before->get_cart_hash() === $hash;
		$order  = $resume ? $before : new WC_Order();
		if ( $resume ) {
			do_action( 'woocommerce_resume_order', $order->get_id() );
			$order->remove_order_items();
		}
		double_fill( $order, 'checkout' );
		do_action( 'woocommerce_checkout_create_order', $order, $_POST );
		$order->save();
		do_action( 'woocommerce_checkout_update_order_meta', $order->get_id(), $_POST );
		try {
			do_action( 'woocommerce_checkout_order_created', $order );
		} catch ( Exception $exception ) {
			do_action( 'woocommerce_checkout_order_exception', $order );
			throw $exception;
		}
		return $order;
	}
}

// Lines of the cart into the order.
function double_fill( $order, $via ) {
	$order->set_created_via( $via );
	$order->set_cart_hash( WC()->cart->get_cart_hash() );
	$order->set_customer_id( get_current_user_id() );
	foreach ( WC()->cart->get_cart() as $line ) {
		$item = new WC_Order_Item_Product();
		$item->set_product( $line['data'] );
		$item->set_quantity( $line['quantity'] );
		do_action( 'woocommerce_checkout_create_order_line_item', $item, '', $line, $order );
		$order->add_item( $item );
	}
}
