<?php
/**
 * Role: calls of the gateway. In: method, path, body, how long it may take. Out: an answer, always.
 * Always: never longer than it may take (WordPress's own HTTP functions cannot wait less than a second, so this is cURL itself);
 * one connection for all calls of a request; never an exception.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The gateway, as this plugin sees it. */
final class Gateway {
	/** How long a call may take that no shopper waits for, in milliseconds. */
	const PATIENT_MS = 5000;
	/** The largest answer that is read. */
	const ANSWER_BYTES = 4194304;

	/**
	 * Address and key.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * Whether calls may be made.
	 *
	 * @var Breaker
	 */
	private $breaker;

	/**
	 * The connection, kept for the request.
	 *
	 * @var resource|\CurlHandle|null
	 */
	private $connection = null;

	/**
	 * The trace that calls belong to, as the header `traceparent` has it; nothing until the first call.
	 *
	 * @var string
	 */
	private $parent = '';

	/**
	 * Constructor.
	 *
	 * @param Settings $settings Address and key.
	 * @param Breaker  $breaker  Whether calls may be made.
	 */
	public function __construct( Settings $settings, Breaker $breaker ) {
		$this->settings = $settings;
		$this->breaker  = $breaker;
	}

	/**
	 * One call that a shopper waits for.
	 *
	 * @param string     $method   HTTP method.
	 * @param string     $path     Path, its parts percent-encoded.
	 * @param array|null $body     JSON body.
	 * @param Deadline   $deadline Until when.
	 * @return Answer
	 */
	public function call( $method, $path, $body, Deadline $deadline ) {
		if ( ! $this->breaker->allows() ) {
			return new Answer( 0, '', __( 'the gateway did not answer a moment ago', 'holdfast-woocommerce' ), false );
		}
		$left_ms = $deadline->left_ms();
		if ( $left_ms < 1 ) {
			return new Answer( 0, '', __( 'the time for this checkout is used up', 'holdfast-woocommerce' ), false );
		}
		$answer = $this->send( $method, $path, $body, $left_ms );
		if ( 0 === $answer->status || $answer->status >= 500 ) {
			$this->breaker->failed();
		} else {
			$this->breaker->succeeded();
		}
		return $answer;
	}

	/**
	 * One call without the breaker, for background work and the connection test.
	 *
	 * @param string     $method     HTTP method.
	 * @param string     $path       Path.
	 * @param array|null $body       JSON body.
	 * @param int        $timeout_ms How long.
	 * @return Answer
	 */
	public function send( $method, $path, $body, $timeout_ms ) {
		if ( ! function_exists( 'curl_init' ) ) {
			return new Answer( 0, '', __( 'PHP has no cURL extension', 'holdfast-woocommerce' ), false );
		}
		if ( null === $this->connection ) {
			$this->connection = curl_init(); // phpcs:ignore WordPress.WP.AlternativeFunctions -- see the first lines.
		}
		$text    = null === $body ? '' : wp_json_encode( (object) $body, JSON_UNESCAPED_SLASHES );
		$headers = array( 'Accept: application/json', 'Expect:', 'traceparent: ' . $this->parent() );
		if ( '' !== $text ) {
			$headers[] = 'Content-Type: application/json';
		}
		if ( '' !== $this->settings->key() ) {
			$headers[] = 'Authorization: Bearer ' . $this->settings->key();
		}
		$received = '';
		// phpcs:disable WordPress.WP.AlternativeFunctions -- see the first lines.
		curl_reset( $this->connection );
		curl_setopt_array(
			$this->connection,
			array(
				CURLOPT_URL               => $this->settings->url() . $path,
				CURLOPT_CUSTOMREQUEST     => $method,
				CURLOPT_HTTPHEADER        => $headers,
				CURLOPT_NOSIGNAL          => 1,
				CURLOPT_TIMEOUT_MS        => $timeout_ms,
				CURLOPT_CONNECTTIMEOUT_MS => $timeout_ms,
				CURLOPT_TCP_NODELAY       => true,
				CURLOPT_PROTOCOLS         => CURLPROTO_HTTP | CURLPROTO_HTTPS,
				CURLOPT_FOLLOWLOCATION    => false,
				CURLOPT_USERAGENT         => 'holdfast-woocommerce/' . HOLDFAST_WOO_VERSION,
				CURLOPT_WRITEFUNCTION     => static function ( $connection, $part ) use ( &$received ) {
					$received .= $part;
					return strlen( $received ) > self::ANSWER_BYTES ? 0 : strlen( $part );
				},
			)
		);
		if ( '' !== $text ) {
			curl_setopt( $this->connection, CURLOPT_POSTFIELDS, $text );
		}
		curl_exec( $this->connection );
		$number = curl_errno( $this->connection );
		if ( 0 !== $number ) {
			$never = in_array( $number, array( CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_URL_MALFORMAT ), true )
				|| ( CURLE_OPERATION_TIMEDOUT === $number && 0.0 === (float) curl_getinfo( $this->connection, CURLINFO_PRETRANSFER_TIME ) );
			return new Answer( 0, '', curl_error( $this->connection ), ! $never );
		}
		return new Answer( (int) curl_getinfo( $this->connection, CURLINFO_RESPONSE_CODE ), $received );
		// phpcs:enable
	}

	/** The id of the trace that calls belong to: that of the shopper's request where it names one, else a new one. */
	public function trace() {
		return substr( $this->parent(), 3, 32 );
	}

	/**
	 * Calls belong to the trace of an order from now on; to the one of before where it has none.
	 *
	 * @param string $trace Its id, or nothing.
	 */
	public function follow( $trace ) {
		if ( preg_match( '/^(?!0{32})[0-9a-f]{32}$/D', $trace ) && $trace !== $this->trace() ) {
			$this->parent = self::parent_of( $trace );
		}
	}

	/** The header of this request's calls. */
	private function parent() {
		if ( '' === $this->parent ) {
			$given        = isset( $_SERVER['HTTP_TRACEPARENT'] ) ? sanitize_text_field( wp_unslash( $_SERVER['HTTP_TRACEPARENT'] ) ) : '';
			$is_one       = preg_match( '/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/D', $given );
			$this->parent = $is_one ? $given : self::parent_of( bin2hex( random_bytes( 16 ) ) );
		}
		return $this->parent;
	}

	/**
	 * The header for a trace whose spans nobody here records.
	 *
	 * @param string $trace Its id.
	 * @return string
	 */
	private static function parent_of( $trace ) {
		return '00-' . $trace . '-' . bin2hex( random_bytes( 8 ) ) . '-00';
	}

	/**
	 * The path of a reservation.
	 *
	 * @param string $id   Its id.
	 * @param string $verb What is done with it, or nothing.
	 * @return string
	 */
	public static function reservation( $id, $verb = '' ) {
		return '/v1/reservations/' . rawurlencode( $id ) . ( '' === $verb ? '' : '/' . $verb );
	}
}
