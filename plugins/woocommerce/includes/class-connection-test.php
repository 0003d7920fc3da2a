<?php
/**
 * Role: tries the gateway as a checkout would. In: the settings. Out: whether it is well, and sentences for the shop owner.
 * Always: holds and changes nothing.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The connection test. */
final class Connection_Test {
	/** How often the time is measured. */
	const ROUNDS = 5;

	/**
	 * The settings.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * The gateway.
	 *
	 * @var Gateway
	 */
	private $gateway;

	/**
	 * Constructor.
	 *
	 * @param Settings $settings The settings.
	 * @param Gateway  $gateway  The gateway.
	 */
	public function __construct( Settings $settings, Gateway $gateway ) {
		$this->settings = $settings;
		$this->gateway  = $gateway;
	}

	/**
	 * Runs it.
	 *
	 * @return array{ok: bool, lines: string[]}
	 */
	public function run() {
		$cart    = array(
			'channel' => $this->settings->channel(),
			'lines'   => array(
				array(
					'sku'      => 'holdfast-connection-test',
					'quantity' => 1,
				),
			),
		);
		$slowest = 0;
		for ( $round = 0; $round < self::ROUNDS; $round++ ) {
			$start  = hrtime( true );
			$answer = $this->gateway->send( 'POST', '/v1/carts/validate', $cart, Gateway::PATIENT_MS );
			if ( ! $answer->ok() ) {
				return $this->bad( $this->advice( $answer ) );
			}
			$slowest = max( $slowest, ( hrtime( true ) - $start ) / 1000000 );
		}
		foreach ( array( 'release', 'cancel' ) as $verb ) {
			$answer = $this->gateway->send( 'POST', Gateway::reservation( 'holdfast-connection-test', $verb ), array(), Gateway::PATIENT_MS );
			if ( 'unknown-reservation' !== $answer->problem() && ! $answer->ok() ) {
				return $this->bad( $this->advice( $answer ) );
			}
		}
		/* translators: 1: milliseconds, 2: milliseconds */
		$lines = array( sprintf( __( 'The gateway answers, and the key may do what a checkout needs. The slowest of five questions took %1$d ms of the %2$d ms that a checkout waits.', 'holdfast-woocommerce' ), ceil( $slowest ), $this->settings->budget_ms() ) );
		if ( $slowest > $this->settings->budget_ms() / 2 ) {
			$lines[] = __( 'That is close: put the gateway nearer to this server, or give the checkout more time.', 'holdfast-woocommerce' );
		}
		return array(
			'ok'    => $slowest <= $this->settings->budget_ms(),
			'lines' => $lines,
		);
	}

	/**
	 * A bad result.
	 *
	 * @param string $words What is wrong and what to do.
	 * @return array{ok: bool, lines: string[]}
	 */
	private function bad( $words ) {
		return array(
			'ok'    => false,
			'lines' => array( $words ),
		);
	}

	/**
	 * What to do about an answer.
	 *
	 * @param Answer $answer The answer.
	 * @return string
	 */
	private function advice( Answer $answer ) {
		switch ( $answer->status ) {
			case 401:
				return __( 'The gateway does not know this key. Make one with: holdfast keys add NAME --channels CHANNEL', 'holdfast-woocommerce' );
			case 403:
				/* translators: %s: what the gateway said */
				return sprintf( __( 'The key may not do what a checkout needs (read, reserve and order on this channel). The gateway says: %s', 'holdfast-woocommerce' ), $answer->summary() );
			case 404:
				/* translators: %s: what the gateway said */
				return sprintf( __( 'The address or the channel is not right. The gateway says: %s', 'holdfast-woocommerce' ), $answer->summary() );
			default:
				/* translators: %s: what happened */
				return sprintf( __( 'The gateway does not answer as it should: %s', 'holdfast-woocommerce' ), $answer->summary() );
		}
	}
}
