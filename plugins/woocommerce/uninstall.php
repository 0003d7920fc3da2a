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
		// phpcs:disable WordPress.DB -- removal of all rows, once.
		$wpdb->query( "DELETE FROM {$wpdb->options} WHERE option_name LIKE 'holdfast\\_%' OR option_name LIKE '\\_transient\\_holdfast\\_%' OR option_name LIKE '\\_transient\\_timeout\\_holdfast\\_%'" );
		$wpdb->query( "DELETE FROM {$wpdb->postmeta} WHERE meta_key = '_holdfast_sequence'" );
		$wpdb->query( "DROP TABLE IF EXISTS {$wpdb->prefix}holdfast_taken" );
		// WooCommerce, which brings Action Scheduler, may be gone by now: its rows are removed by themselves.
		$actions = $wpdb->prefix . 'actionscheduler_actions';
		if ( $wpdb->get_var( $wpdb->prepare( 'SHOW TABLES LIKE %s', $wpdb->esc_like( $actions ) ) ) === $actions ) {
			$ours = "a.hook IN ('holdfast_settle', 'holdfast_release')";
			$wpdb->query( "DELETE l FROM {$wpdb->prefix}actionscheduler_logs l JOIN $actions a ON a.action_id = l.action_id WHERE $ours" );
			$wpdb->query( "DELETE a FROM $actions a WHERE $ours" );
			$wpdb->query( "DELETE FROM {$wpdb->prefix}actionscheduler_groups WHERE slug = 'holdfast'" );
		}
		// phpcs:enable
		wp_cache_flush();
		if ( is_multisite() ) {
			restore_current_blog();
		}
	}
} )();
