<?php
// A shopper's session: a cookie, and a row that is written when the request ends, so that of two requests at once the last one stays.

abstract class WC_Session {
	protected $customer = '';
	protected $data     = array();
	protected $dirty    = false;

	public function get( $key, $default = null ) {
		return isset( $this->data[ $key ] ) ? maybe_unserialize( $this->data[ $key ] ) : $default;
	}

	public function set( $key, $value ) {
		$this->data[ $key ] = maybe_serialize( $value );
		$this->dirty        = true;
	}

	public function get_customer_id() {
		return $this->customer;
	}
}

class WC_Session_Handler extends WC_Session {
	const COOKIE = 'wp_woocommerce_session_double';

	public function init() {
		global $wpdb;
		$came = isset( $_COOKIE[ self::COOKIE ] ) ? preg_replace( '/[^a-z0-9_]/', '', $_COOKIE[ self::COOKIE ] ) : '';
		if ( '' === $came ) {
			$came = 't_' . substr( md5( random_bytes( 16 ) ), 0, 30 );
			if ( ! headers_sent() ) {
				setcookie( self::COOKIE, $came, 0, '/' );
			}
		} else {
			$kept       = $wpdb->get_var( $wpdb->prepare( "SELECT session_value FROM {$wpdb->prefix}woocommerce_sessions WHERE session_key = %s", $came ) );
			$this->data = $kept ? unserialize( $kept ) : array();
		}
		$this->customer = is_user_logged_in() ? (string) get_current_user_id() : $came;
		add_action( 'shutdown', array( $this, 'save' ), 20 );
	}

	public function save() {
		global $wpdb;
		if ( $this->dirty ) {
			$wpdb->query( $wpdb->prepare( "INSERT INTO {$wpdb->prefix}woocommerce_sessions (session_key, session_value, session_expiry) VALUES (%s, %s, %d) ON DUPLICATE KEY UPDATE session_value = VALUES(session_value)", $this->customer, serialize( $this->data ), time() + 172800 ) );
		}
	}
}

function wc_add_notice( $words, $type = 'success', $data = array() ) {
	$GLOBALS['wc_notices'][ $type ][] = $words;
}

function wc_get_notices( $type ) {
	return $GLOBALS['wc_notices'][ $type ] ?? array();
}

function wc_notice_count( $type ) {
	return count( wc_get_notices( $type ) );
}

function wc_print_notices( $return = false ) {
	$text = '';
	foreach ( $GLOBALS['wc_notices'] ?? array() as $type => $all ) {
		foreach ( $all as $words ) {
			$text .= "<ul class=\"woocommerce-$type\"><li>" . wp_kses_post( $words ) . '</li></ul>';
		}
	}
	$GLOBALS['wc_notices'] = array();
	if ( $return ) {
		return $text;
	}
	echo $text;
}

function wc_get_logger() {
	return new class() {
		public function __call( $level, $arguments ) {
		}
	};
}

function wc_api_hash( $text ) {
	return hash_hmac( 'sha256', $text, 'wc-api' );
}
