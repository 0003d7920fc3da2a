<?php
/**
 * Role: what the shop owner has set, with bounds. In: the option `holdfast_settings`, constants of wp-config.php.
 * Out: values that cannot be wrong. Always: a value outside its bounds becomes the nearest one inside.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The settings of one site. */
final class Settings {
	const OPTION = 'holdfast_settings';
	const SITE   = 'holdfast_site';
	const OPEN   = 'open';
	const CLOSED = 'closed';

	/** Default, least and greatest value of each number. */
	const NUMBERS = array(
		'budget_ms'     => array( 200, 20, 5000 ),
		'hold_minutes'  => array( 30, 1, 240 ),
		'cache_seconds' => array( 10, 0, 300 ),
	);

	/**
	 * The stored values over the defaults.
	 *
	 * @var array<string, mixed>
	 */
	private $values;

	/** Reads the option. */
	public function __construct() {
		$this->values = self::clean( (array) get_option( self::OPTION, array() ) );
	}

	/**
	 * Brings values from a form or the option into their types and bounds.
	 *
	 * @param array<string, mixed> $given What came.
	 * @return array<string, mixed>
	 */
	public static function clean( array $given ) {
		$clean = array(
			'url'          => self::address( self::string( $given['url'] ?? '' ) ),
			'key'          => preg_replace( '/[^\x21-\x7e]/', '', self::string( $given['key'] ?? '' ) ),
			'channel'      => self::text( $given['channel'] ?? '', 'web' ),
			'fallback'     => self::OPEN === ( $given['fallback'] ?? '' ) ? self::OPEN : self::CLOSED,
			'closed_words' => sanitize_textarea_field( self::string( $given['closed_words'] ?? '' ) ),
			'writes_stock' => ! isset( $given['writes_stock'] ) || in_array( $given['writes_stock'], array( true, 1, '1', 'yes' ), true ),
		);
		foreach ( self::NUMBERS as $name => list( $default, $least, $most ) ) {
			$number         = is_numeric( $given[ $name ] ?? null ) ? (float) $given[ $name ] : $default;
			$clean[ $name ] = (int) max( $least, min( $most, $number ) );
		}
		return $clean;
	}

	/**
	 * What came as text; nothing where it is a list.
	 *
	 * @param mixed $given What came.
	 * @return string
	 */
	public static function string( $given ) {
		return is_scalar( $given ) ? wp_check_invalid_utf8( (string) $given, true ) : '';
	}

	/**
	 * The address of a gateway: scheme, host, port and path, no slash at its end. Nothing where it is no such address.
	 *
	 * @param string $given What came.
	 * @return string
	 */
	private static function address( $given ) {
		$address = esc_url_raw( trim( $given ), array( 'http', 'https' ) );
		$parts   = wp_parse_url( $address );
		$is_one  = is_array( $parts ) && isset( $parts['scheme'], $parts['host'] ) && ! isset( $parts['user'] ) && ! isset( $parts['query'] ) && ! isset( $parts['fragment'] );
		return $is_one ? untrailingslashit( $address ) : '';
	}

	/**
	 * A name of at most 128 characters without control characters, as the gateway takes them.
	 *
	 * @param mixed  $given   What came.
	 * @param string $default What stands for nothing.
	 * @return string
	 */
	private static function text( $given, $default ) {
		$text = mb_substr( trim( preg_replace( '/[\x00-\x1f\x7f]/u', '', self::string( $given ) ) ), 0, 128 );
		return '' === $text ? $default : $text;
	}

	/** Whether there is a gateway to ask. */
	public function ready() {
		return '' !== $this->url();
	}

	/** The address of the gateway, without a slash at its end. */
	public function url() {
		return defined( 'HOLDFAST_URL' ) ? untrailingslashit( HOLDFAST_URL ) : $this->values['url'];
	}

	/** The API key; empty against a gateway without keys. */
	public function key() {
		return defined( 'HOLDFAST_API_KEY' ) ? HOLDFAST_API_KEY : $this->values['key'];
	}

	/** The channel that this shop sells on. */
	public function channel() {
		return $this->values['channel'];
	}

	/** How long a checkout waits for the gateway, all calls together, in milliseconds. */
	public function budget_ms() {
		return $this->values['budget_ms'];
	}

	/** How long an unpaid order keeps its units, in milliseconds. */
	public function hold_ms() {
		return $this->values['hold_minutes'] * 60000;
	}

	/** How long a figure on a page may be old, in seconds. */
	public function cache_s() {
		return $this->values['cache_seconds'];
	}

	/** Whether orders are taken with WooCommerce's own stock while the gateway does not answer. */
	public function falls_open() {
		return self::OPEN === $this->values['fallback'];
	}

	/** Whether holdfast alone writes the stock of products. */
	public function writes_stock() {
		return $this->values['writes_stock'];
	}

	/** What a shopper reads when the gateway does not answer and the shop takes no order then. */
	public function closed_words() {
		return '' !== $this->values['closed_words'] ? $this->values['closed_words']
			: __( 'We cannot check our stock at this moment, so we did not place your order and you were not charged. Please try again in a minute; your cart is kept.', 'holdfast-woocommerce' );
	}

	/**
	 * One value as it is stored, for the form.
	 *
	 * @param string $name Its name.
	 * @return mixed
	 */
	public function stored( $name ) {
		return $this->values[ $name ];
	}

	/** A name of this site that no other shop on the same gateway has. Made once. */
	public static function site() {
		$site = get_option( self::SITE, '' );
		if ( '' === $site ) {
			add_option( self::SITE, strtolower( wp_generate_password( 10, false ) ), '', false );
			wp_cache_delete( self::SITE, 'options' );
			$site = get_option( self::SITE );
		}
		return (string) $site;
	}
}
