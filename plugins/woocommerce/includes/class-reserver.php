<?php
/**
 * Role: asks for the units of an order. In: an order, stored or not. Out: an outcome; the order's mark is the caller's.
 * Always: within the budget of one checkout; all lines or none; a repeat asks under the same id; the shopper's other holds are superseded in the
 * same step; an id whose reservation is closed is followed by the next one.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** Makes reservations for both checkouts and the pay page. */
final class Reserver {
	/** Most requests for one checkout. */
	const CALLS = 6;

	/**
	 * The gateway.
	 *
	 * @var Gateway
	 */
	private $gateway;

	/**
	 * Channel, budget, hold.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * Who asks.
	 *
	 * @var Shopper
	 */
	private $shopper;

	/**
	 * What is asked for.
	 *
	 * @var Order_Lines
	 */
	private $lines;

	/**
	 * What this shop took since the last figure.
	 *
	 * @var Taken_Units
	 */
	private $taken;

	/**
	 * Constructor.
	 *
	 * @param Gateway     $gateway  The gateway.
	 * @param Settings    $settings Channel, budget, hold.
	 * @param Shopper     $shopper  Who asks.
	 * @param Order_Lines $lines    What is asked for.
	 * @param Taken_Units $taken    What this shop took since the last figure.
	 */
	public function __construct( Gateway $gateway, Settings $settings, Shopper $shopper, Order_Lines $lines, Taken_Units $taken ) {
		$this->gateway  = $gateway;
		$this->settings = $settings;
		$this->shopper  = $shopper;
		$this->lines    = $lines;
		$this->taken    = $taken;
	}

	/**
	 * Asks for the units of an order.
	 *
	 * @param \WC_Order $order The order.
	 * @return Outcome
	 */
	public function reserve( \WC_Order $order ) {
		$deadline = new Deadline( $this->settings->budget_ms() );
		$id       = $this->id_for( $order );
		$wanted   = $this->lines->of( $order, $deadline );
		$answer   = null;
		for ( $call = 0; $call < self::CALLS; $call++ ) {
			if ( array() === $wanted['lines'] ) {
				return new Outcome( Outcome::NOTHING, '', array(), $wanted['not_held'] );
			}
			$last   = $answer;
			$answer = $this->gateway->call( 'PUT', Gateway::reservation( $id ), $this->body( $order, $wanted['lines'] ), $deadline );
			if ( $answer->ok() ) {
				return $this->held( $id, $answer, $order, $wanted, $deadline );
			}
			switch ( $answer->problem() ) {
				case 'insufficient-stock':
					return new Outcome( Outcome::REFUSED, $id, Words::short( $answer->body['lines'] ?? array(), $wanted['names'] ) );
				case 'owner-limit':
					return new Outcome( Outcome::REFUSED, $id, array( Words::limit() ) );
				case 'unknown-sku':
					$this->learn_unknown( $answer, $wanted['lines'], $deadline );
					$wanted = $this->lines->of( $order, $deadline );
					continue 2;
				case 'reservation-closed':
				case 'renewals-exhausted':
					$id = self::next_id( $id );
					$this->note_attempt( $order, $id );
					continue 2;
			}
			if ( null !== $last && $last->status === $answer->status || ! $this->may_repeat( $answer, $deadline ) ) {
				break;
			}
		}
		if ( $answer->unknown() ) {
			$this->shopper->holds( $id, $wanted['lines'], time() + (int) ( $this->settings->hold_ms() / 1000 ) );
		}
		return new Outcome( Outcome::UNDECIDED, $id, array( $answer->summary() ), array(), $answer->unknown() );
	}

	/** The id of the trace that the requests of this checkout belong to. */
	public function trace() {
		return $this->gateway->trace();
	}

	/**
	 * The body of the request: the same order asks with the same bytes, so that a repeat changes nothing.
	 *
	 * @param \WC_Order          $order The order.
	 * @param array<string, int> $lines By key.
	 * @return array<string, mixed>
	 */
	private function body( \WC_Order $order, array $lines ) {
		return array(
			'channel'   => $this->settings->channel(),
			'owner'     => $this->shopper->owner( $order ),
			'ttl_ms'    => $this->settings->hold_ms(),
			'lines'     => Order_Lines::body( $lines ),
			'supersede' => true,
		);
	}

	/**
	 * The units are held; a hold that was made a while ago is extended, so that paying has the whole time again.
	 *
	 * @param string    $id       The reservation.
	 * @param Answer    $answer   What the gateway said.
	 * @param \WC_Order $order    The order.
	 * @param array     $wanted   Lines and what is not held.
	 * @param Deadline  $deadline Until when.
	 * @return Outcome
	 */
	private function held( $id, Answer $answer, \WC_Order $order, array $wanted, Deadline $deadline ) {
		$until = (int) strtotime( (string) ( $answer->body['expires_at'] ?? '' ) );
		$this->taken->hold( $id, $order, $wanted['lines'], (int) ( $answer->body['sequence'] ?? 0 ), $until );
		if ( $this->shopper->hold_id() !== $id ) {
			$this->taken->forget( $this->shopper->hold_id() ); // superseded in the same step.
		}
		if ( 200 === $answer->status && 'held' === ( $answer->body['state'] ?? '' ) && $until - time() < $this->settings->hold_ms() / 2000 ) {
			$extended = $this->gateway->call( 'POST', Gateway::reservation( $id, 'extend' ), array( 'ttl_ms' => $this->settings->hold_ms() ), $deadline );
			$until    = $extended->ok() ? (int) strtotime( (string) ( $extended->body['expires_at'] ?? '' ) ) : $until;
		}
		$this->shopper->holds( $id, $wanted['lines'], $until );
		return new Outcome( Outcome::HELD, $id, array(), $wanted['not_held'] );
	}

	/**
	 * One SKU was named as unknown; the cart is judged once, so that each other unknown one costs no further request.
	 *
	 * @param Answer             $answer   What named it.
	 * @param array<string, int> $lines    By key.
	 * @param Deadline           $deadline Until when.
	 */
	private function learn_unknown( Answer $answer, array $lines, Deadline $deadline ) {
		$unknown = array( (string) ( $answer->body['sku'] ?? '' ) );
		if ( count( $lines ) > 1 ) {
			$judged = $this->gateway->call(
				'POST',
				'/v1/carts/validate',
				array(
					'channel' => $this->settings->channel(),
					'lines'   => Order_Lines::body( $lines ),
				),
				$deadline
			);
			foreach ( (array) ( $judged->body['lines'] ?? array() ) as $line ) {
				if ( 'unknown-sku' === ( $line['reason'] ?? '' ) ) {
					$unknown[] = (string) $line['sku'];
				}
			}
		}
		$this->lines->remember_unknown( $unknown );
	}

	/**
	 * Whether the same request may be sent again at once: something answered in time that it could not now, or a connection broke.
	 *
	 * @param Answer   $answer   What came of it.
	 * @param Deadline $deadline Until when.
	 * @return bool
	 */
	private function may_repeat( Answer $answer, Deadline $deadline ) {
		return ( 503 === $answer->status || 0 === $answer->status ) && $deadline->left_ms() > $this->settings->budget_ms() / 3;
	}

	/**
	 * The id under which an order asks.
	 *
	 * @param \WC_Order $order The order.
	 * @return string
	 */
	private function id_for( \WC_Order $order ) {
		$mark = new Order_Mark( $order );
		if ( '' !== $mark->reservation() ) {
			return $mark->reservation();
		}
		if ( '' !== $mark->abandoned() ) {
			return self::next_id( $mark->abandoned() );
		}
		return $order->get_id() > 0 ? 'woo-' . Settings::site() . '-' . $order->get_id() : $this->shopper->attempt( $order->get_cart_hash() );
	}

	/**
	 * The next id after one that is closed.
	 *
	 * @param string $id The closed one.
	 * @return string
	 */
	public static function next_id( $id ) {
		return preg_match( '/^(.*)\.(\d{1,6})$/', $id, $parts ) ? $parts[1] . '.' . ( (int) $parts[2] + 1 ) : $id . '.2';
	}

	/**
	 * A cart whose order has no number yet asks under the next id from now on.
	 *
	 * @param \WC_Order $order The order.
	 * @param string    $id    The id.
	 */
	private function note_attempt( \WC_Order $order, $id ) {
		if ( 0 === $order->get_id() ) {
			$this->shopper->keep_attempt( $id, $order->get_cart_hash() );
		}
	}
}
