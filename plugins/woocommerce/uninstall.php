<?php
/**
 * Role: removes what the plugin stored, on every site of a network. Always: the marks of orders stay, they belong to the orders' history
 * and the connector reads them; every other row goes.
 *
 * @package Holdfast
 */

defined( 'WP_UNINSTALL_PLUGIN' ) || exit;

( static function () {
	global $wpdb;
	$sites = is_multisite() ? get_sites(
		array(
			'fields' => 'ids',
			'number' => 0,
		)
	) : array( get_current_blog_id() );
	foreach ( $sites as $site ) {
		if ( is_multisite() ) {
			switch_to_blog( $site );
		}
		// phpcs:disable WordPress.DB.DirectDatabaseQuery -- removal of all rows, once.
		$wpdb->query( "DELETE FROM {$wpdb->options} WHERE option_name LIKE 'holdfast\\_%' OR option_name LIKE '\\_transient\\_holdfast\\_%' OR option_name LIKE '\\_transient\\_timeout\\_holdfast\\_%'" );
		$wpdb->query( "DELETE FROM {$wpdb->postmeta} WHERE meta_key = '_holdfast_sequence'" );
		// phpcs:enable
		wp_cache_flush();
		if ( function_exists( 'as_unschedule_all_actions' ) ) {
			as_unschedule_all_actions( '', array(), 'holdfast' );
		}
		if ( is_multisite() ) {
			restore_current_blog();
		}
	}
} )();
