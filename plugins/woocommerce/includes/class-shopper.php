<?php
/**
 * Role: who shops, and what that shopper holds. In: WooCommerce's session. Out: the owner of reservations, the shopper's own hold.
 * Always: one owner for a shopper on both checkouts and the pay page, so that a newer hold supersedes the older ones and nobody is refused for an
 * own older hold.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The shopper of this request. */
final class Shopper {
	const HOLD    = 'holdfast_hold';
	const ATTEMPT = 'holdfast_attempt';

	/** The session, where there is one. */
	private function session() {
		return function_exists( 'WC' ) && WC()->session instanceof \WC_Session ? WC()->session : null;
	}

	/**
	 * The owner of the shopper's reservations.
	 *
	 * @param \WC_Order $order The order, for requests without a session.
	 * @return string
	 */
	public function owner( \WC_Order $order ) {
		$session  = $this->session();
		$customer = $session ? (string) $session->get_customer_id() : '';
		if ( '' === $customer ) {
			$customer = $order->get_customer_id() > 0 ? (string) $order->get_customer_id() : 'order-' . $order->get_id();
		}
		return substr( 'woo-' . Settings::site() . '-' . $customer, 0, 128 );
	}

	/**
	 * The id under which this cart asks before its order has a number: the same one while the cart is the same, so that a request that timed out is asked
	 * again and not made twice.
	 *
	 * @param string $cart_hash WooCommerce's hash of the cart.
	 * @return string
	 */
	public function attempt( $cart_hash ) {
		$session = $this->session();
		$kept    = $session ? $session->get( self::ATTEMPT ) : null;
		if ( is_array( $kept ) && $kept['cart'] === $cart_hash ) {
			return $kept['id'];
		}
		$id = 'woo-' . Settings::site() . '-c' . strtolower( wp_generate_password( 16, false ) );
		$this->keep_attempt( $id, $cart_hash );
		return $id;
	}

	/**
	 * Notes the id under which this cart asks.
	 *
	 * @param string $id        The id.
	 * @param string $cart_hash WooCommerce's hash of the cart.
	 */
	public function keep_attempt( $id, $cart_hash ) {
		$session = $this->session();
		if ( $session ) {
			$session->set(
				self::ATTEMPT,
				array(
					'id'   => $id,
					'cart' => $cart_hash,
				)
			);
		}
	}

	/**
	 * Notes what the shopper holds, or may hold: a request that timed out may have been done, and must not refuse the next one.
	 *
	 * @param string             $id    The reservation.
	 * @param array<string, int> $lines By key (Order_Lines).
	 * @param int                $until When it ends.
	 */
	public function holds( $id, array $lines, $until ) {
		$session = $this->session();
		if ( $session ) {
			$session->set( self::HOLD, compact( 'id', 'lines', 'until' ) );
		}
	}

	/**
	 * The order was placed, or its hold given back: it does not count as the shopper's hold any more.
	 *
	 * @param string $id The reservation.
	 */
	public function forget( $id ) {
		$session = $this->session();
		if ( ! $session ) {
			return;
		}
		$hold = $session->get( self::HOLD );
		if ( is_array( $hold ) && $hold['id'] === $id ) {
			$session->set( self::HOLD, null );
		}
		$attempt = $session->get( self::ATTEMPT );
		if ( is_array( $attempt ) && $attempt['id'] === $id ) {
			$session->set( self::ATTEMPT, null );
		}
	}

	/** The reservation that this shopper holds, or nothing. */
	public function hold_id() {
		$session = $this->session();
		$hold    = $session ? $session->get( self::HOLD ) : null;
		return is_array( $hold ) ? (string) $hold['id'] : '';
	}

	/**
	 * How many units of a SKU the shopper holds.
	 *
	 * @param string $sku The SKU.
	 * @return int
	 */
	public function held( $sku ) {
		$session = $this->session();
		$hold    = $session ? $session->get( self::HOLD ) : null;
		if ( ! is_array( $hold ) || $hold['until'] <= time() ) {
			return 0;
		}
		return (int) ( $hold['lines'][ Order_Lines::key( $sku ) ] ?? 0 );
	}
}
