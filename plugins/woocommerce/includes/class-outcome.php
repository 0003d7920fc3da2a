<?php
/**
 * Role: what came of asking for a reservation. In, out: one of five cases with what belongs to it.
 * Always: exactly one case.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The result of Reserver. */
final class Outcome {
	/** The units are held. */
	const HELD = 'held';
	/** There is not enough. */
	const REFUSED = 'refused';
	/** Nothing of the order is known to holdfast. */
	const NOTHING = 'nothing';
	/** The gateway did not decide. */
	const UNDECIDED = 'undecided';

	/**
	 * Which case.
	 *
	 * @var string
	 */
	public $case;

	/**
	 * The reservation that was asked for.
	 *
	 * @var string
	 */
	public $id;

	/**
	 * Sentences for the shopper where it was refused; the reason for the log where it was not decided.
	 *
	 * @var string[]
	 */
	public $words;

	/**
	 * Lines that are not held.
	 *
	 * @var string[]
	 */
	public $not_held;

	/**
	 * Whether the reservation may have been made all the same.
	 *
	 * @var bool
	 */
	public $unknown;

	/**
	 * Constructor.
	 *
	 * @param string   $what     Which case.
	 * @param string   $id       The reservation.
	 * @param string[] $words    Sentences.
	 * @param string[] $not_held Lines that are not held.
	 * @param bool     $unknown  Whether it may have been made.
	 */
	public function __construct( $what, $id = '', array $words = array(), array $not_held = array(), $unknown = false ) {
		$this->case     = $what;
		$this->id       = $id;
		$this->words    = $words;
		$this->not_held = $not_held;
		$this->unknown  = $unknown;
	}
}
