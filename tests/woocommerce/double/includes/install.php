<?php
// The tables that plugins and the tests read, the shop's roles and rights.

class WC_Install {
	public static function install() {
		global $wpdb;
		require_once ABSPATH . 'wp-admin/includes/upgrade.php';
		$p = $wpdb->prefix;
		foreach ( array(
			"{$p}woocommerce_sessions (session_id bigint AUTO_INCREMENT, session_key char(32) NOT NULL, session_value longtext NOT NULL, session_expiry bigint NOT NULL, PRIMARY KEY (session_id), UNIQUE KEY session_key (session_key))",
			"{$p}woocommerce_api_keys (key_id bigint AUTO_INCREMENT, user_id bigint, description varchar(200), permissions varchar(10), consumer_key char(64), consumer_secret char(43), truncated_key char(7), PRIMARY KEY (key_id), KEY consumer_key (consumer_key))",
			"{$p}woocommerce_order_items (order_item_id bigint AUTO_INCREMENT, order_item_name text, order_item_type varchar(200), order_id bigint, PRIMARY KEY (order_item_id), KEY order_id (order_id))",
			"{$p}woocommerce_order_itemmeta (meta_id bigint AUTO_INCREMENT, order_item_id bigint, meta_key varchar(255), meta_value longtext, PRIMARY KEY (meta_id), KEY order_item_id (order_item_id))",
			"{$p}wc_product_meta_lookup (product_id bigint, sku varchar(100) DEFAULT '', stock_quantity double NULL, PRIMARY KEY (product_id))",
			"{$p}wc_reserved_stock (order_id bigint, product_id bigint, stock_quantity double NOT NULL DEFAULT 0, `timestamp` datetime, expires datetime, PRIMARY KEY (order_id, product_id))",
			"{$p}actionscheduler_actions (action_id bigint AUTO_INCREMENT, hook varchar(191), status varchar(20), args varchar(191) DEFAULT '', group_id bigint DEFAULT 0, scheduled_date_gmt datetime NULL, PRIMARY KEY (action_id), KEY hook (hook), KEY status (status))",
			"{$p}actionscheduler_groups (group_id bigint AUTO_INCREMENT, slug varchar(255), PRIMARY KEY (group_id))",
			"{$p}actionscheduler_logs (log_id bigint AUTO_INCREMENT, action_id bigint, message text, PRIMARY KEY (log_id), KEY action_id (action_id))",
		) as $table ) {
			$wpdb->query( "CREATE TABLE IF NOT EXISTS $table ENGINE=InnoDB" );
		}
		add_role( 'shop_manager', 'Shop manager', array( 'read' => true, 'manage_woocommerce' => true, 'edit_products' => true, 'view_admin_dashboard' => true ) );
		foreach ( array( 'manage_woocommerce', 'edit_products' ) as $right ) {
			get_role( 'administrator' )->add_cap( $right );
		}
	}

	public static function create_pages() {
	}
}

add_action(
	'admin_menu',
	static function () {
		add_menu_page( 'WooCommerce', 'WooCommerce', 'manage_woocommerce', 'woocommerce', '__return_null' );
	}
);
