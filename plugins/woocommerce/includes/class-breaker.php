<?php
/**
 * Role: the circuit breaker. In: how calls ended. Out: whether a call may be made.
 * Always: while it is open no shopper waits for the gateway, but the one whose request tries it every few seconds.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** One breaker for all PHP workers of the site. */
final class Breaker {
	/** Failures in a row, of all workers, that open it. */
	const FAILURES = 3;
	/** How long it stays open before one request tries again, in seconds. */
	const OPEN_S = 5;
	/** How long failures are remembered, in seconds. */
	const MEMORY_S = 60;

	/**
	 * Where the state is.
	 *
	 * @var Shared_Store
	 */
	private $shared;

	/**
	 * State as this request has read it: failures and until when it is open.
	 *
	 * @var array{failures: int, until: float}|null
	 */
	private $state = null;

	/**
	 * Constructor.
	 *
	 * @param Shared_Store $shared Where the state is.
	 */
	public function __construct( Shared_Store $shared ) {
		$this->shared = $shared;
	}

	/** The state, read once a request. */
	private function state() {
		if ( null === $this->state ) {
			$kept        = $this->shared->get( 'breaker' );
			$this->state = is_array( $kept ) ? $kept : array(
				'failures' => 0,
				'until'    => 0.0,
			);
		}
		return $this->state;
	}

	/** Whether the gateway is taken to be down. */
	public function is_open() {
		return $this->state()['failures'] >= self::FAILURES;
	}

	/** Whether a call may be made: always while closed; while open by one request each OPEN_S. */
	public function allows() {
		if ( ! $this->is_open() ) {
			return true;
		}
		return microtime( true ) >= $this->state()['until'] && $this->shared->claim( 'trial', self::OPEN_S );
	}

	/** The gateway answered. */
	public function succeeded() {
		if ( $this->state()['failures'] > 0 ) {
			$this->shared->remove( 'breaker' );
			$this->state = null;
		}
	}

	/** The gateway did not answer in time, or could not answer. */
	public function failed() {
		$this->state = null;
		$state       = $this->state();
		$this->state = array(
			'failures' => min( self::FAILURES, $state['failures'] + 1 ),
			'until'    => microtime( true ) + self::OPEN_S,
		);
		$this->shared->set( 'breaker', $this->state, self::MEMORY_S );
	}
}
