<?php
/**
 * Role: what an order says of its reservation. In: an order. Out: the two public fields of the contract with the connector, and this plugin's own ones.
 * Always: written by the order's own functions (HPOS and posts alike), and never by a whole save of the order.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** Reads and writes the mark. */
final class Order_Mark {
	const RESERVATION   = '_holdfast_reservation';
	const STATE         = '_holdfast_state';
	const HELD          = 'held';
	const CONFIRMED     = 'confirmed';
	const RELEASED      = 'released';
	const FALLBACK_OPEN = 'fallback-open';
	/** What of the order no stock covers, as text for people. */
	const OVERSOLD = '_holdfast_oversold';
	/** The id under which the order was asked for when it fell open: it is given back, and not asked under again. */
	const ABANDONED = '_holdfast_abandoned';
	/** Lines that holdfast does not know: SKU or name. */
	const NOT_HELD = '_holdfast_not_held';
	/** The id of the trace of the checkout that asked for the units. */
	const TRACE = '_holdfast_trace';

	/**
	 * The order.
	 *
	 * @var \WC_Order
	 */
	private $order;

	/**
	 * Constructor.
	 *
	 * @param \WC_Order $order The order.
	 */
	public function __construct( \WC_Order $order ) {
		$this->order = $order;
	}

	/** The id of the reservation, or nothing. */
	public function reservation() {
		return (string) $this->order->get_meta( self::RESERVATION );
	}

	/** One of the four states, or nothing. */
	public function state() {
		return (string) $this->order->get_meta( self::STATE );
	}

	/** The trace of the checkout, or nothing. */
	public function trace() {
		return (string) $this->order->get_meta( self::TRACE );
	}

	/**
	 * Notes the trace of the checkout; it is stored with what is written next.
	 *
	 * @param string $trace Its id.
	 */
	public function note_trace( $trace ) {
		$this->put( self::TRACE, $trace );
	}

	/** Whether the order was taken while the gateway did not answer. */
	public function fell_open() {
		return self::FALLBACK_OPEN === $this->state();
	}

	/** Names of lines that holdfast does not hold. */
	public function not_held() {
		return array_filter( (array) $this->order->get_meta( self::NOT_HELD ) );
	}

	/**
	 * Writes a state, and the reservation where one is given.
	 *
	 * @param string      $state       One of the four.
	 * @param string|null $reservation Its id; null leaves it.
	 * @param string[]    $not_held    Lines that are not held; null leaves them.
	 */
	public function write( $state, $reservation = null, $not_held = null ) {
		$this->order->update_meta_data( self::STATE, $state );
		if ( null !== $reservation ) {
			$this->put( self::RESERVATION, $reservation );
		}
		if ( null !== $not_held ) {
			$this->put( self::NOT_HELD, $not_held );
		}
		if ( self::CONFIRMED === $state || self::HELD === $state ) {
			$this->order->delete_meta_data( self::OVERSOLD );
		}
		$this->save();
	}

	/**
	 * The gateway did not decide, and the shop takes the order all the same.
	 *
	 * @param string $id Under which id it was asked for.
	 */
	public function fall_open( $id ) {
		$this->order->update_meta_data( self::ABANDONED, $id );
		$this->write( self::FALLBACK_OPEN, '', array() );
	}

	/** The id that was asked under when the order fell open, or nothing. */
	public function abandoned() {
		return (string) $this->order->get_meta( self::ABANDONED );
	}

	/**
	 * Notes what no stock covers.
	 *
	 * @param string $words For people.
	 */
	public function oversold( $words ) {
		$this->order->update_meta_data( self::OVERSOLD, $words );
		$this->save();
	}

	/** Takes the mark off: the order holds nothing. */
	public function clear() {
		foreach ( array( self::RESERVATION, self::STATE, self::NOT_HELD, self::OVERSOLD, self::TRACE ) as $key ) {
			$this->order->delete_meta_data( $key );
		}
		$this->save();
	}

	/**
	 * Writes a field, or removes it where there is nothing to write.
	 *
	 * @param string $key   Its key.
	 * @param mixed  $value Its value.
	 */
	private function put( $key, $value ) {
		if ( empty( $value ) ) {
			$this->order->delete_meta_data( $key );
			return;
		}
		$this->order->update_meta_data( $key, $value );
	}

	/** An order that is not stored yet is stored by WooCommerce, with these fields. */
	private function save() {
		if ( $this->order->get_id() > 0 ) {
			$this->order->save_meta_data();
		}
	}
}
