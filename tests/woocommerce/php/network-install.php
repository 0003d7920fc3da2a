<?php
// Inside WordPress, once: makes a network of the site that `install` has made.
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
define( 'WP_INSTALLING_NETWORK', true );
foreach ( $wpdb->tables( 'ms_global' ) as $table => $prefixed ) {
	$wpdb->$table = $prefixed;
}
install_network();
$made = populate_network( 1, '127.0.0.1', 'owner@example.com', 'Two shops', '/', false );
return is_wp_error( $made ) ? $made->get_error_codes() : array();
