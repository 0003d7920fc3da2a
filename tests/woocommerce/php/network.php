<?php
// Inside a network of two sites: what the plugin may have stored on each, then its end, with WooCommerce removed already.
wpmu_create_blog( '127.0.0.1', '/second/', 'The second shop', 1 );
$sites = get_sites( array( 'fields' => 'ids', 'number' => 0 ) );
$each  = static function ( $work ) use ( $sites ) {
	$found = array();
	foreach ( $sites as $site ) {
		switch_to_blog( $site );
		$found = array_merge( $found, $work() );
		restore_current_blog();
	}
	return $found;
};
require_once WP_PLUGIN_DIR . '/holdfast-woocommerce/includes/class-taken-units.php';
$each(
	static function () {
		global $wpdb;
		$table = "{$wpdb->prefix}actionscheduler_";
		foreach ( array( 'actions', 'groups', 'logs' ) as $name ) {
			$wpdb->query( "CREATE TABLE $table$name LIKE wp_actionscheduler_$name" );
		}
		$wpdb->insert( "{$table}groups", array( 'slug' => 'holdfast' ) );
		$wpdb->insert( "{$table}actions", array( 'hook' => 'holdfast_settle', 'status' => 'pending' ) );
		$wpdb->insert( "{$table}logs", array( 'action_id' => $wpdb->insert_id, 'message' => 'made' ) );
		$wpdb->insert( "{$table}actions", array( 'hook' => 'of_another', 'status' => 'pending' ) );
		( new Holdfast\Taken_Units() )->prepare();
		add_option( 'holdfast_settings', array( 'url' => 'http://127.0.0.1' ) );
		set_transient( 'holdfast_unknown', array( 'sku:x' => 1 ), 60 );
		$product = wp_insert_post( array( 'post_type' => 'product', 'post_title' => 'Mug' ) );
		update_post_meta( $product, '_holdfast_sequence', '7' );
		return array();
	}
);
$before = count( $each( 'test_traces' ) );
define( 'WP_UNINSTALL_PLUGIN', 'holdfast-woocommerce/holdfast-woocommerce.php' );
require WP_PLUGIN_DIR . '/holdfast-woocommerce/uninstall.php';
$others = $each(
	static function () {
		global $wpdb;
		return $wpdb->get_col( "SELECT hook FROM {$wpdb->prefix}actionscheduler_actions" );
	}
);
return array(
	'sites'  => count( $sites ),
	'before' => $before,
	'left'   => $each( 'test_traces' ),
	'others' => $others,
);
