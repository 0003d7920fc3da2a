<?php
/**
 * Role: what may wait for the gateway. In: an order to settle, a reservation to give back. Out: actions of Action Scheduler, which WooCommerce brings.
 * Always: an action says which order, never what to do with it: that follows from the order when its turn comes, so late and repeated actions are
 * right, too. Tried again with growing pauses for some days.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The queue. */
final class Outbox {
	const GROUP   = 'holdfast';
	const SETTLE  = 'holdfast_settle';
	const RELEASE = 'holdfast_release';
	/** First and longest pause between two tries, in seconds. */
	const FIRST_S   = 30;
	const LONGEST_S = 3600;
	/** Tries: some three days. */
	const TRIES = 80;
	/** When a reservation is given back that may have been made during an outage, in seconds. */
	const AFTER_OUTAGE_S = 60;

	/**
	 * Runs what waits.
	 *
	 * @var Settlement
	 */
	private $settlement;

	/**
	 * Connects with Action Scheduler.
	 *
	 * @param Settlement $settlement Runs what waits.
	 */
	public function register( Settlement $settlement ) {
		$this->settlement = $settlement;
		add_action( self::SETTLE, array( $this, 'run_settle' ), 10, 2 );
		add_action( self::RELEASE, array( $this, 'run_release' ), 10, 2 );
	}

	/**
	 * Settles an order later.
	 *
	 * @param int $order_id The order.
	 * @param int $tries    How often it was tried.
	 */
	public function settle( $order_id, $tries = 0 ) {
		$this->schedule( self::SETTLE, (int) $order_id, $tries, self::pause( $tries ) );
	}

	/**
	 * Gives a reservation back later, whatever became of its order.
	 *
	 * @param string $id      The reservation.
	 * @param int    $after_s When.
	 * @param int    $tries   How often it was tried.
	 */
	public function release( $id, $after_s = 0, $tries = 0 ) {
		if ( '' !== $id ) {
			$this->schedule( self::RELEASE, $id, $tries, $after_s );
		}
	}

	/**
	 * Action Scheduler's turn.
	 *
	 * @param int $order_id The order.
	 * @param int $tries    How often it was tried.
	 */
	public function run_settle( $order_id, $tries = 0 ) {
		$order = wc_get_order( $order_id );
		if ( $order instanceof \WC_Order && ! $this->settlement->settle( $order, Gateway::PATIENT_MS ) ) {
			$this->settle( $order_id, (int) $tries + 1 );
		}
	}

	/**
	 * Action Scheduler's turn.
	 *
	 * @param string $id    The reservation.
	 * @param int    $tries How often it was tried.
	 */
	public function run_release( $id, $tries = 0 ) {
		if ( ! $this->settlement->give_back( $id, Gateway::PATIENT_MS ) ) {
			$this->release( $id, self::pause( (int) $tries + 1 ), (int) $tries + 1 );
		}
	}

	/** How many actions wait. */
	public function waiting() {
		if ( ! function_exists( 'as_get_scheduled_actions' ) ) {
			return 0;
		}
		return count(
			as_get_scheduled_actions(
				array(
					'group'    => self::GROUP,
					'status'   => 'pending',
					'per_page' => 1000,
				),
				'ids'
			)
		);
	}

	/**
	 * The pause before a try.
	 *
	 * @param int $tries How often it was tried.
	 * @return int
	 */
	private static function pause( $tries ) {
		return (int) min( self::LONGEST_S, self::FIRST_S * pow( 2, min( 10, $tries ) ) );
	}

	/**
	 * One action, once.
	 *
	 * @param string     $hook    What.
	 * @param int|string $subject About what.
	 * @param int        $tries   How often it was tried.
	 * @param int        $after_s When.
	 */
	private function schedule( $hook, $subject, $tries, $after_s ) {
		if ( ! function_exists( 'as_schedule_single_action' ) ) {
			return;
		}
		$arguments = array( $subject, $tries );
		if ( $tries >= self::TRIES ) {
			wc_get_logger()->error( "Given up after $tries tries: $hook $subject", array( 'source' => 'holdfast' ) );
			return;
		}
		if ( false === as_next_scheduled_action( $hook, $arguments, self::GROUP ) ) {
			as_schedule_single_action( time() + $after_s, $hook, $arguments, self::GROUP );
		}
	}

	/**
	 * Removes what waits: the plugin is switched off.
	 *
	 * @param bool $network On every site of a network.
	 */
	public static function forget_all( $network = false ) {
		if ( ! function_exists( 'as_unschedule_all_actions' ) ) {
			return;
		}
		$sites = $network ? get_sites(
			array(
				'fields' => 'ids',
				'number' => 0,
			)
		) : array( get_current_blog_id() );
		foreach ( $sites as $site ) {
			$switched = is_multisite() && switch_to_blog( $site );
			as_unschedule_all_actions( '', array(), self::GROUP );
			if ( $switched ) {
				restore_current_blog();
			}
		}
	}
}
