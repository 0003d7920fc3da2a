<?php
/**
 * Role: what came of one call. In: status and body. Out: typed questions about them.
 * Always: status 0 means that nobody knows what became of the request.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The answer to one call of the gateway. */
final class Answer {
	/**
	 * HTTP status; 0 without an answer.
	 *
	 * @var int
	 */
	public $status;

	/**
	 * The parsed body; empty where it was no JSON object.
	 *
	 * @var array<string, mixed>
	 */
	public $body;

	/**
	 * Why there is no answer.
	 *
	 * @var string
	 */
	public $error;

	/**
	 * Whether the request was sent at all.
	 *
	 * @var bool
	 */
	public $sent;

	/**
	 * Constructor.
	 *
	 * @param int    $status HTTP status, or 0.
	 * @param string $text   The body as it came.
	 * @param string $error  Why there is no answer.
	 * @param bool   $sent   Whether the request was sent.
	 */
	public function __construct( $status, $text = '', $error = '', $sent = true ) {
		$parsed       = json_decode( $text, true );
		$this->status = $status;
		$this->body   = is_array( $parsed ) ? $parsed : array();
		$this->error  = $error;
		$this->sent   = $sent;
	}

	/** The request was done. */
	public function ok() {
		return $this->status >= 200 && $this->status < 300;
	}

	/** The gateway decided, one way or the other: not an outage, a full gateway, a wrong key or a wrong address. */
	public function decided() {
		return $this->ok() || in_array( $this->status, array( 404, 409, 422 ), true ) && '' !== $this->problem();
	}

	/** The request may have been done though nobody answered. */
	public function unknown() {
		return $this->sent && ! $this->decided() && ( 0 === $this->status || $this->status >= 500 ) && 'not-done' !== ( $this->body['outcome'] ?? '' );
	}

	/** The name of the problem, such as insufficient-stock. */
	public function problem() {
		$type = (string) ( $this->body['type'] ?? '' );
		return 0 === strpos( $type, 'urn:holdfast:problem:' ) ? substr( $type, 21 ) : '';
	}

	/** One line for an order note or a log. */
	public function summary() {
		if ( 0 === $this->status ) {
			return $this->error;
		}
		$detail = (string) ( $this->body['detail'] ?? '' );
		return trim( $this->status . ' ' . $this->problem() . ( '' === $detail ? '' : ': ' . $detail ) );
	}
}
