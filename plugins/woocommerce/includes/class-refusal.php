<?php
/**
 * Role: says no to a checkout. In: sentences. Out: an exception that WooCommerce shows to the shopper.
 * Always: its message is HTML-safe text, sentences one after another.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The order is not placed. */
final class Refusal extends \Exception {
	/**
	 * Constructor.
	 *
	 * @param string[] $words Sentences for the shopper.
	 */
	public function __construct( array $words ) {
		parent::__construct( esc_html( implode( ' ', $words ) ) );
	}
}
