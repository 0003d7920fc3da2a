<?php
// What tests do inside the shop, by its own functions. Each takes the arguments of Shop (tests/woocommerce/shop.py) and returns JSON.

function test_settings( $values ) {
	update_option( 'holdfast_settings', $values );
	foreach ( array( 'breaker', 'unknown' ) as $name ) {
		delete_transient( 'holdfast_' . $name );
	}
	delete_option( 'holdfast_claim_trial' );
	return true;
}

function test_product( $name, $sku, $stock, $props ) {
	$product = new WC_Product_Simple();
	$product->set_name( $name );
	$product->set_regular_price( '10' );
	$product->set_virtual( true );
	if ( '' !== $sku ) {
		$product->set_sku( $sku );
	}
	$product->set_manage_stock( true );
	$product->set_stock_quantity( $stock );
	foreach ( $props as $prop => $value ) {
		$product->{"set_$prop"}( $value );
	}
	return $product->save();
}

function test_variable( $sku, $stock ) {
	$parent = new WC_Product_Variable();
	$parent->set_name( 'With variations' );
	$parent->set_sku( $sku );
	$parent->set_manage_stock( true );
	$parent->set_stock_quantity( $stock );
	$size = new WC_Product_Attribute();
	$size->set_name( 'size' );
	$size->set_options( array( 'M', 'L' ) );
	$size->set_variation( true );
	$parent->set_attributes( array( $size ) );
	$found = array( 'parent' => $parent->save() );
	foreach ( array( 'M', 'L' ) as $value ) {
		$variation = new WC_Product_Variation();
		$variation->set_parent_id( $found['parent'] );
		$variation->set_attributes( array( 'size' => $value ) );
		$variation->set_sku( 'M' === $value ? "$sku-M" : '' );
		$variation->set_regular_price( '10' );
		$variation->set_virtual( true );
		$found[ $value ] = $variation->save();
	}
	return $found;
}

function test_second_of_a_sku( $sku ) {
	$product = new WC_Product_Simple();
	$product->set_name( 'Another one' );
	$id = $product->save();
	update_post_meta( $id, '_sku', $sku );
	return $id;
}

function test_order( $id ) {
	$order = wc_get_order( $id );
	if ( ! $order ) {
		return array( 'status' => 'none' );
	}
	return array(
		'id'          => $order->get_id(),
		'status'      => $order->get_status(),
		'state'       => $order->get_meta( '_holdfast_state' ),
		'reservation' => $order->get_meta( '_holdfast_reservation' ),
		'not_held'    => $order->get_meta( '_holdfast_not_held' ),
		'oversold'    => $order->get_meta( '_holdfast_oversold' ),
		'key'         => $order->get_order_key(),
		'notes'       => array_map(
			static function ( $note ) {
				return $note->content;
			},
			wc_get_order_notes( array( 'order_id' => $id ) )
		),
	);
}

function test_orders( $product ) {
	global $wpdb;
	$items = "{$wpdb->prefix}woocommerce_order_items";
	$meta  = "{$wpdb->prefix}woocommerce_order_itemmeta";
	$ids   = $wpdb->get_col( $wpdb->prepare( "SELECT DISTINCT i.order_id FROM $items i JOIN $meta m ON m.order_item_id = i.order_item_id AND m.meta_key = '_product_id' AND m.meta_value = %d", $product ) );
	return array_map( 'test_order', $ids );
}

function test_status( $id, $status ) {
	wc_get_order( $id )->update_status( $status );
	return true;
}

function test_paid( $id ) {
	return wc_get_order( $id )->payment_complete( 't-1' );
}

function test_stock_of( $id ) {
	return (int) get_post_meta( $id, '_stock', true );
}

function test_set_stock( $id, $quantity ) {
	return wc_update_product_stock( $id, $quantity );
}

function test_mark_product( $id, $sequence = 1 ) {
	return update_post_meta( $id, '_holdfast_sequence', (string) $sequence );
}

// A figure of the connector.
function test_figure( $id, $quantity, $sequence ) {
	$breaker = new Holdfast\Breaker( new Holdfast\Shared_Store() );
	return ( new Holdfast\Stock_Writer( new Holdfast\Settings(), $breaker, new Holdfast\Taken_Units() ) )->write( $id, $quantity, $sequence, '' )[0];
}

// The first product wraps the others, as a bundle does.
function test_bundle( $wrapper, $parts ) {
	update_post_meta( $wrapper, 'test_bundle_cart_key', "bundle-$wrapper" );
	foreach ( $parts as $part ) {
		update_post_meta( $part, 'test_bundled_by', "bundle-$wrapper" );
	}
	return true;
}

function test_product_as_stored( $id ) {
	$product = wc_get_product( $id );
	return array( $product->get_manage_stock(), $product->get_backorders(), $product->get_stock_status() );
}

function test_delete( $id, $force ) {
	return wc_get_order( $id )->delete( $force );
}

function test_untrash( $id ) {
	$order = wc_get_order( $id );
	$store = $order->get_data_store();
	if ( method_exists( $store, 'untrash_order' ) ) {
		$store->untrash_order( $order );
	} else {
		wp_untrash_post( $id );
	}
	return wc_get_order( $id )->update_status( 'processing' );
}

function test_order_by_hand( $product ) {
	$order = wc_create_order();
	$order->add_product( wc_get_product( $product ), 1 );
	$order->update_status( 'processing' );
	return $order->get_id();
}

function test_status_again( $id ) {
	do_action( 'woocommerce_order_status_changed', $id, 'pending', 'processing', wc_get_order( $id ) );
	return true;
}

function test_refund_one( $id ) {
	$item = current( wc_get_order( $id )->get_items() );
	$made = wc_create_refund(
		array(
			'order_id'      => $id,
			'amount'        => 10,
			'line_items'    => array( $item->get_id() => array( 'qty' => 1, 'refund_total' => 10 ) ),
			'restock_items' => true,
		)
	);
	return ! is_wp_error( $made );
}

function test_edit_line( $id ) {
	require_once WC_ABSPATH . 'includes/admin/wc-admin-functions.php';
	$item = current( wc_get_order( $id )->get_items() );
	$item->set_quantity( 1 );
	wc_maybe_adjust_line_item_product_stock( $item, 1 );
	return true;
}

function test_rest_key() {
	global $wpdb;
	$wpdb->insert(
		$wpdb->prefix . 'woocommerce_api_keys',
		array(
			'user_id'         => 1,
			'description'     => 'connector',
			'permissions'     => 'read_write',
			'consumer_key'    => wc_api_hash( 'ck_test' ),
			'consumer_secret' => 'cs_test',
			'truncated_key'   => 'ck_test',
		)
	);
	return true;
}

function test_outbox() {
	$ids = as_get_scheduled_actions( array( 'group' => 'holdfast', 'status' => 'pending', 'per_page' => 1000 ), 'ids' );
	foreach ( $ids as $id ) {
		ActionScheduler::runner()->process_action( $id, 'test' );
	}
	return count( $ids );
}

function test_times_of_calls( $budget_ms, $calls ) {
	$gateway = new Holdfast\Gateway( new Holdfast\Settings(), new Holdfast\Breaker( new Holdfast\Shared_Store() ) );
	$took    = array();
	for ( $call = 0; $call < $calls; $call++ ) {
		$start = hrtime( true );
		$gateway->call( 'GET', '/readyz', null, new Holdfast\Deadline( $budget_ms ) );
		$took[] = ( hrtime( true ) - $start ) / 1000000;
	}
	return $took;
}

function test_connection() {
	$settings = new Holdfast\Settings();
	return ( new Holdfast\Connection_Test( $settings, new Holdfast\Gateway( $settings, new Holdfast\Breaker( new Holdfast\Shared_Store() ) ) ) )->run();
}

function test_health() {
	$tests = apply_filters( 'site_status_tests', array( 'direct' => array(), 'async' => array() ) );
	$said  = array();
	foreach ( array( 'holdfast_gateway', 'holdfast_catalogue' ) as $name ) {
		$said[ $name ] = call_user_func( $tests['direct'][ $name ]['test'] )['status'];
	}
	$said['debug'] = wp_json_encode( apply_filters( 'debug_information', array() )['holdfast'] );
	return $said;
}

function test_health_words( $name ) {
	$tests = apply_filters( 'site_status_tests', array( 'direct' => array(), 'async' => array() ) );
	$said  = call_user_func( $tests['direct'][ $name ]['test'] );
	return array(
		'status' => $said['status'],
		'label'  => $said['label'],
		'words'  => wp_strip_all_tags( $said['description'] ),
	);
}

function test_stored_settings() {
	return get_option( 'holdfast_settings' );
}

function test_people() {
	foreach ( array( 'manager' => 'shop_manager', 'writer' => 'author' ) as $name => $role ) {
		if ( ! username_exists( $name ) ) {
			wp_insert_user( array( 'user_login' => $name, 'user_pass' => $name, 'user_email' => "$name@example.com", 'role' => $role ) );
		}
	}
	return true;
}

function test_clean_settings( $forms ) {
	return array_map( array( 'Holdfast\\Settings', 'clean' ), $forms );
}

function test_install_french( $catalogue ) {
	wp_mkdir_p( WP_LANG_DIR . '/plugins' );
	return copy( $catalogue, WP_LANG_DIR . '/plugins/holdfast-woocommerce-fr_FR.mo' );
}

function test_in_french() {
	$french = static function () {
		return 'fr_FR';
	};
	add_filter( 'plugin_locale', $french );
	add_filter( 'locale', $french );
	unload_textdomain( 'holdfast-woocommerce', true );
	load_plugin_textdomain( 'holdfast-woocommerce', false, 'holdfast-woocommerce/languages' );
	return __( 'Test the connection', 'holdfast-woocommerce' );
}

function test_leave_something() {
	set_transient( 'holdfast_breaker', array( 'failures' => 3, 'until' => 1.0 ), 60 );
	( new Holdfast\Shared_Store() )->claim( 'trial', 1 );
	( new Holdfast\Outbox() )->settle( 1 );
	( new Holdfast\Outbox() )->release( 'woo-x-1' );
	return true;
}

// All rows and tables that the plugin has left on this site.
function test_traces() {
	global $wpdb;
	$found = $wpdb->get_col( "SELECT CONCAT('option ', option_name) FROM {$wpdb->options} WHERE option_name LIKE '%holdfast%'" );
	$found = array_merge( $found, $wpdb->get_col( "SELECT CONCAT('mark of product ', post_id) FROM {$wpdb->postmeta} m JOIN {$wpdb->posts} p ON p.ID = m.post_id WHERE meta_key LIKE '\\_holdfast%' AND p.post_type LIKE 'product%'" ) );
	$found = array_merge( $found, $wpdb->get_col( "SELECT CONCAT('meta of user ', meta_key) FROM {$wpdb->usermeta} WHERE meta_key LIKE '%holdfast%'" ) );
	$found = array_merge( $found, $wpdb->get_col( $wpdb->prepare( 'SHOW TABLES LIKE %s', $wpdb->esc_like( "{$wpdb->prefix}holdfast" ) . '%' ) ) );
	$table = "{$wpdb->prefix}actionscheduler_";
	$found = array_merge( $found, $wpdb->get_col( "SELECT CONCAT('action ', hook) FROM {$table}actions WHERE hook LIKE 'holdfast%'" ) );
	$found = array_merge( $found, $wpdb->get_col( "SELECT CONCAT('group ', slug) FROM {$table}groups WHERE slug LIKE 'holdfast%'" ) );
	return array_merge( $found, $wpdb->get_col( "SELECT CONCAT('log ', log_id) FROM {$table}logs l LEFT JOIN {$table}actions a ON a.action_id = l.action_id WHERE a.action_id IS NULL" ) );
}

function test_uninstall() {
	global $wpdb;
	define( 'WP_UNINSTALL_PLUGIN', 'holdfast-woocommerce/holdfast-woocommerce.php' );
	$kept   = $wpdb->get_results( "SELECT option_name, option_value, autoload FROM {$wpdb->options} WHERE option_name IN ('holdfast_settings', 'holdfast_site')", ARRAY_A );
	$before = count( test_traces() );
	require WP_PLUGIN_DIR . '/holdfast-woocommerce/uninstall.php';
	$left = test_traces();
	foreach ( $kept as $row ) {
		$wpdb->insert( $wpdb->options, $row );
	}
	return array( $before, $left );
}
