<?php
// Inside WordPress, with the plugins active: what a shop owner sets up before the first sale.
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';
wp_set_current_user( 1 );
if ( class_exists( 'WC_Install' ) && method_exists( 'WC_Install', 'install' ) ) {
	WC_Install::install();
	WC_Install::create_pages();
}
foreach ( array(
	'woocommerce_store_address'           => '1 Main Street',
	'woocommerce_default_country'         => 'FR',
	'woocommerce_currency'                => 'EUR',
	'woocommerce_manage_stock'            => 'yes',
	'woocommerce_hold_stock_minutes'      => '60',
	'woocommerce_coming_soon'             => 'no',
	'woocommerce_enable_guest_checkout'   => 'yes',
	'woocommerce_ship_to_countries'       => 'disabled',
	'woocommerce_calc_taxes'              => 'no',
	'woocommerce_task_list_hidden'        => 'yes',
	'woocommerce_allow_tracking'          => 'no',
	'woocommerce_cod_settings'            => array( 'enabled' => 'yes', 'title' => 'Cash on delivery', 'enable_for_methods' => array(), 'enable_for_virtual' => 'yes' ),
	'woocommerce_bacs_settings'           => array( 'enabled' => 'yes', 'title' => 'Bank transfer' ),
	'woocommerce_custom_orders_table_enabled' => $with['hpos'] ? 'yes' : 'no',
	'woocommerce_custom_orders_table_data_sync_enabled' => 'no',
	'woocommerce_feature_custom_order_tables_enabled' => 'yes',
) as $name => $value ) {
	update_option( $name, $value );
}
$page = static function ( $title, $content ) {
	return wp_insert_post( array( 'post_title' => $title, 'post_name' => sanitize_title( $title ), 'post_content' => $content, 'post_status' => 'publish', 'post_type' => 'page' ) );
};
// Newer versions make a page with the block themselves.
$made   = get_post( (int) get_option( 'woocommerce_checkout_page_id' ) );
$blocks = $made && has_block( 'woocommerce/checkout', $made );
$pages  = array(
	'classic' => $page( 'Classic checkout', '[woocommerce_checkout]' ),
	'block'   => $blocks ? $made->ID : $page( 'Block checkout', '<!-- wp:woocommerce/checkout --><div class="wp-block-woocommerce-checkout alignwide wc-block-checkout is-loading"></div><!-- /wp:woocommerce/checkout -->' ),
);
update_option( 'woocommerce_checkout_page_id', $pages['classic'] );
delete_transient( '_wc_activation_redirect' ); // else the first page of wp-admin is the setup wizard's
flush_rewrite_rules();
return $pages;
