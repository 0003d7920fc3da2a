<?php
/**
 * Role: brings a reservation to where its order is. In: an order, after any change of its status. Out: confirm, release or cancel, and the mark.
 * Always: what is done follows from the status of the order and its mark alone, so it may run late, twice, or in any order; only an order with a
 * reservation is touched. What the gateway did not answer goes to the outbox.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The one funnel of all status changes. */
final class Settlement {
	/** A reservation for an order that was paid though its own one is closed: how long it may take to confirm it, in milliseconds. */
	const LATE_MS = 600000;

	/**
	 * The gateway.
	 *
	 * @var Gateway
	 */
	private $gateway;

	/**
	 * Channel and budget.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * What may wait.
	 *
	 * @var Outbox
	 */
	private $outbox;

	/**
	 * Lines of orders.
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
	 * @param Settings    $settings Channel and budget.
	 * @param Outbox      $outbox   What may wait.
	 * @param Order_Lines $lines    Lines of orders.
	 * @param Taken_Units $taken    What this shop took since the last figure.
	 */
	public function __construct( Gateway $gateway, Settings $settings, Outbox $outbox, Order_Lines $lines, Taken_Units $taken ) {
		$this->gateway  = $gateway;
		$this->settings = $settings;
		$this->outbox   = $outbox;
		$this->lines    = $lines;
		$this->taken    = $taken;
	}

	/** Connects with the hooks. */
	public function register() {
		add_action( 'woocommerce_order_status_changed', array( $this, 'changed' ), 20, 4 );
		add_action( 'woocommerce_trash_order', array( $this, 'removed' ) );
		add_action( 'wp_trash_post', array( $this, 'removed' ) );
		add_action( 'woocommerce_before_delete_order', array( $this, 'removed' ) );
		add_action( 'before_delete_post', array( $this, 'removed' ) );
		add_action( 'woocommerce_untrash_order', array( $this, 'restored' ), 20 );
		add_action( 'untrashed_post', array( $this, 'restored' ), 20 );
	}

	/**
	 * An order went from one status to another.
	 *
	 * @param int       $id    The order.
	 * @param string    $from  Status before.
	 * @param string    $to    Status now.
	 * @param \WC_Order $order The order.
	 */
	public function changed( $id, $from, $to, $order ) {
		if ( ! $this->settle( $order, $this->settings->budget_ms(), $to ) ) {
			$this->outbox->settle( $id );
		}
	}

	/**
	 * An order goes to the trash, or for good: after that there is no order to ask, so the reservation's id is what waits.
	 *
	 * @param int $id A post or an order.
	 */
	public function removed( $id ) {
		$order = wc_get_order( $id );
		if ( ! $order instanceof \WC_Order ) {
			return;
		}
		$mark = new Order_Mark( $order );
		if ( '' === $mark->reservation() || Order_Mark::RELEASED === $mark->state() ) {
			return;
		}
		$this->outbox->release( $mark->reservation() );
		$this->taken->forget( $mark->reservation() );
		$mark->write( Order_Mark::RELEASED );
	}

	/**
	 * An order came back from the trash.
	 *
	 * @param int $id A post or an order.
	 */
	public function restored( $id ) {
		$order = wc_get_order( $id );
		if ( $order instanceof \WC_Order && '' !== ( new Order_Mark( $order ) )->reservation() ) {
			$this->outbox->settle( $order->get_id() );
		}
	}

	/**
	 * What the reservation of an order in this status should be.
	 *
	 * @param string    $status The status, without wc-.
	 * @param string    $state  The mark's state.
	 * @param \WC_Order $order  The order.
	 * @return string A state of the mark, or nothing: leave it.
	 */
	private static function wanted( $status, $state, $order ) {
		$wanted = '';
		if ( in_array( $status, array_merge( wc_get_is_paid_statuses(), array( 'on-hold' ) ), true ) ) {
			$wanted = Order_Mark::CONFIRMED;
		} elseif ( in_array( $status, array( 'cancelled', 'failed', 'refunded', 'trash' ), true ) ) {
			$wanted = Order_Mark::RELEASED;
		} elseif ( 'pending' === $status && Order_Mark::CONFIRMED === $state ) {
			$wanted = Order_Mark::RELEASED;
		}
		/**
		 * For shops with their own statuses: "confirmed" (its units are owed), "released" (they are not), or "" (leave it).
		 *
		 * @since 0.1.0
		 */
		return (string) apply_filters( 'holdfast_status_means', $wanted, $status, $order );
	}

	/**
	 * Brings the reservation to where the order is.
	 *
	 * @param \WC_Order   $order     The order.
	 * @param int         $budget_ms How long it may take.
	 * @param string|null $status    Its status, where a change is under way.
	 * @return bool Whether nothing is left to do.
	 */
	public function settle( \WC_Order $order, $budget_ms, $status = null ) {
		$mark   = new Order_Mark( $order );
		$state  = $mark->state();
		$wanted = self::wanted( null === $status ? $order->get_status() : $status, $state, $order );
		if ( Order_Mark::RELEASED === $wanted ) {
			$this->taken->forget( $mark->fell_open() ? Taken_Units::of_open( $order ) : $mark->reservation() );
		}
		if ( '' === $mark->reservation() || $mark->fell_open() || '' === $wanted || $wanted === $state ) {
			return true;
		}
		$deadline = new Deadline( $budget_ms );
		$patient  = $budget_ms >= Gateway::PATIENT_MS;
		$this->gateway->follow( $mark->trace() );
		return Order_Mark::CONFIRMED === $wanted
			? $this->confirm( $order, $mark, $deadline, $patient )
			: $this->release( $order, $mark, $deadline, $patient );
	}

	/**
	 * One call, with the breaker where somebody waits.
	 *
	 * @param string     $method   HTTP method.
	 * @param string     $path     Path.
	 * @param array|null $body     JSON body.
	 * @param Deadline   $deadline Until when.
	 * @param bool       $patient  Background work: the breaker does not count.
	 * @return Answer
	 */
	private function call( $method, $path, $body, Deadline $deadline, $patient ) {
		return $patient
			? $this->gateway->send( $method, $path, $body, max( 1, $deadline->left_ms() ) )
			: $this->gateway->call( $method, $path, $body, $deadline );
	}

	/**
	 * The units are owed.
	 *
	 * @param \WC_Order  $order    The order.
	 * @param Order_Mark $mark     Its mark.
	 * @param Deadline   $deadline Until when.
	 * @param bool       $patient  Background work.
	 * @return bool
	 */
	private function confirm( $order, Order_Mark $mark, Deadline $deadline, $patient ) {
		$id     = $mark->reservation();
		$body   = array( 'order_ref' => (string) $order->get_id() );
		$writes = $this->settings->writes_stock();
		$this->taken->owe( $id, $writes );
		$answer = $this->call( 'POST', Gateway::reservation( $id, 'confirm' ), $body, $deadline, $patient );
		if ( in_array( $answer->problem(), array( 'reservation-closed', 'unknown-reservation' ), true ) ) {
			$this->taken->forget( $id );
			$id     = Reserver::next_id( $id );
			$answer = $this->take_late( $order, $id, $deadline, $patient );
			if ( $answer->ok() ) {
				$mark->write( Order_Mark::HELD, $id );
				$this->taken->hold( $id, $order, $this->lines->of( $order )['lines'], (int) ( $answer->body['sequence'] ?? 0 ), time() + (int) ( self::LATE_MS / 1000 ) );
				$answer = $this->call( 'POST', Gateway::reservation( $id, 'confirm' ), $body, $deadline, $patient );
			}
		}
		if ( $answer->ok() ) {
			$this->taken->owe( $id, $writes, (int) ( $answer->body['sequence'] ?? 0 ) );
			$mark->write( Order_Mark::CONFIRMED );
			( new Shopper() )->forget( $id );
			return true;
		}
		if ( in_array( $answer->problem(), array( 'oversold', 'insufficient-stock', 'deficit' ), true ) ) {
			$this->say_oversold( $order, $mark, $answer );
		}
		return false;
	}

	/**
	 * The order was given back, or forgotten, before it was paid: its units are asked for again.
	 *
	 * @param \WC_Order $order    The order.
	 * @param string    $id       The new reservation.
	 * @param Deadline  $deadline Until when.
	 * @param bool      $patient  Background work.
	 * @return Answer
	 */
	private function take_late( $order, $id, Deadline $deadline, $patient ) {
		$body = array(
			'channel' => $this->settings->channel(),
			'ttl_ms'  => self::LATE_MS,
			'lines'   => Order_Lines::body( $this->lines->of( $order, $deadline )['lines'] ),
		);
		return $this->call( 'PUT', Gateway::reservation( $id ), $body, $deadline, $patient );
	}

	/**
	 * Paid for, and not there: people must decide. Tried again later, too, for stock may come.
	 *
	 * @param \WC_Order  $order  The order.
	 * @param Order_Mark $mark   Its mark.
	 * @param Answer     $answer What the gateway said.
	 */
	private function say_oversold( $order, Order_Mark $mark, Answer $answer ) {
		$words = implode( ' ', Words::short( (array) ( $answer->body['lines'] ?? array() ), $this->lines->of( $order )['names'] ) );
		if ( (string) $order->get_meta( Order_Mark::OVERSOLD ) === $words ) {
			return;
		}
		$mark->oversold( $words );
		$order->add_order_note( __( 'This order was paid after its stock had been given back, and the stock is not there any more. Deliver later, offer something else, or refund it.', 'holdfast-woocommerce' ) );
		/**
		 * An order is paid for, and there is no stock for it.
		 *
		 * @since 0.1.0
		 */
		do_action( 'holdfast_order_oversold', $order, $answer->body['lines'] ?? array() );
	}

	/**
	 * The units are not owed any more.
	 *
	 * @param \WC_Order  $order    The order.
	 * @param Order_Mark $mark     Its mark.
	 * @param Deadline   $deadline Until when.
	 * @param bool       $patient  Background work.
	 * @return bool
	 */
	private function release( $order, Order_Mark $mark, Deadline $deadline, $patient ) {
		$id     = $mark->reservation();
		$verb   = Order_Mark::HELD === $mark->state() ? 'release' : 'cancel';
		$answer = $this->call( 'POST', Gateway::reservation( $id, $verb ), array(), $deadline, $patient );
		if ( 'release' === $verb && self::is_closed( $answer ) ) {
			$answer = $this->call( 'POST', Gateway::reservation( $id, 'cancel' ), array(), $deadline, $patient );
		}
		if ( ! $answer->ok() && ! self::is_closed( $answer ) ) {
			return false;
		}
		( new Shopper() )->forget( $id );
		$mark->write( Order_Mark::RELEASED );
		return true;
	}

	/**
	 * Gives a reservation back, whether it is held or an order.
	 *
	 * @param string $id        The reservation.
	 * @param int    $budget_ms How long it may take.
	 * @return bool Whether nothing is left to do.
	 */
	public function give_back( $id, $budget_ms ) {
		$answer = $this->gateway->send( 'POST', Gateway::reservation( $id, 'cancel' ), array(), $budget_ms );
		return $answer->ok() || self::is_closed( $answer );
	}

	/**
	 * Nothing of the reservation can be given back: it is over, or it was never made.
	 *
	 * @param Answer $answer What the gateway said.
	 * @return bool
	 */
	private static function is_closed( Answer $answer ) {
		return in_array( $answer->problem(), array( 'reservation-closed', 'unknown-reservation' ), true );
	}
}
