<?php
/**
 * Role: small values that all PHP workers of the site share for seconds. In: names and values. Out: values.
 * Always: APCu, else a persistent object cache, else rows of the options table; a value that is lost costs one more question, nothing else.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** Values that many processes read and write. */
final class Shared_Store {
	const GROUP = 'holdfast';

	/** Where values are: apcu, cache or options. */
	public function place() {
		if ( function_exists( 'apcu_enabled' ) && apcu_enabled() ) {
			return 'apcu';
		}
		return wp_using_ext_object_cache() ? 'cache' : 'options';
	}

	/**
	 * A value, or null.
	 *
	 * @param string $name Its name.
	 * @return mixed
	 */
	public function get( $name ) {
		switch ( $this->place() ) {
			case 'apcu':
				$value = apcu_fetch( $this->own( $name ) );
				break;
			case 'cache':
				$value = wp_cache_get( $name, self::GROUP );
				break;
			default:
				$value = get_transient( 'holdfast_' . $name );
		}
		return false === $value ? null : $value;
	}

	/**
	 * Keeps a value.
	 *
	 * @param string $name    Its name.
	 * @param mixed  $value   Anything but false.
	 * @param int    $seconds How long.
	 */
	public function set( $name, $value, $seconds ) {
		switch ( $this->place() ) {
			case 'apcu':
				apcu_store( $this->own( $name ), $value, $seconds );
				break;
			case 'cache':
				wp_cache_set( $name, $value, self::GROUP, $seconds );
				break;
			default:
				set_transient( 'holdfast_' . $name, $value, $seconds );
		}
	}

	/**
	 * Removes a value.
	 *
	 * @param string $name Its name.
	 */
	public function remove( $name ) {
		switch ( $this->place() ) {
			case 'apcu':
				apcu_delete( $this->own( $name ) );
				break;
			case 'cache':
				wp_cache_delete( $name, self::GROUP );
				break;
			default:
				delete_transient( 'holdfast_' . $name );
		}
	}

	/**
	 * True for one process alone until the seconds are over: who may try a gateway that failed.
	 *
	 * @param string $name    What is claimed.
	 * @param int    $seconds For how long.
	 * @return bool
	 */
	public function claim( $name, $seconds ) {
		switch ( $this->place() ) {
			case 'apcu':
				return apcu_add( $this->own( $name ), time(), $seconds );
			case 'cache':
				return wp_cache_add( $name, time(), self::GROUP, $seconds );
			default:
				return $this->claim_row( 'holdfast_claim_' . $name, $seconds );
		}
	}

	/**
	 * A claim by the unique name of a row: an old one is taken over by the one process whose update changes it.
	 *
	 * @param string $name    The option's name.
	 * @param int    $seconds For how long.
	 * @return bool
	 */
	private function claim_row( $name, $seconds ) {
		global $wpdb;
		$now = time();
		// phpcs:disable WordPress.DB.DirectDatabaseQuery -- a claim must be one atomic statement, and never cached.
		$made = $wpdb->query( $wpdb->prepare( "INSERT IGNORE INTO {$wpdb->options} (option_name, option_value, autoload) VALUES (%s, %d, 'no')", $name, $now + $seconds ) );
		if ( 1 === $made ) {
			return true;
		}
		return 1 === $wpdb->query( $wpdb->prepare( "UPDATE {$wpdb->options} SET option_value = %d WHERE option_name = %s AND CAST(option_value AS UNSIGNED) <= %d", $now + $seconds, $name, $now ) );
		// phpcs:enable
	}

	/**
	 * APCu is shared by all sites of the machine.
	 *
	 * @param string $name A name within this site.
	 * @return string
	 */
	private function own( $name ) {
		global $wpdb;
		return 'holdfast:' . DB_NAME . ':' . $wpdb->prefix . ':' . $name;
	}
}
