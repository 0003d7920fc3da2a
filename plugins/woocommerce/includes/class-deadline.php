<?php
/**
 * Role: until when a shopper waits. In: milliseconds. Out: how many are left.
 * Always: one deadline for all calls of one step of a shopper, so that two slow calls do not take twice the time.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** A point in time. */
final class Deadline {
	/**
	 * When it ends, by the clock that never jumps, in nanoseconds.
	 *
	 * @var int
	 */
	private $end_ns;

	/**
	 * Constructor.
	 *
	 * @param int $milliseconds From now.
	 */
	public function __construct( $milliseconds ) {
		$this->end_ns = hrtime( true ) + $milliseconds * 1000000;
	}

	/** Milliseconds that are left. */
	public function left_ms() {
		return (int) max( 0, ( $this->end_ns - hrtime( true ) ) / 1000000 );
	}
}
