<?php
// The configuration of the tests' shop. It is copied beside WordPress, with `shop.json`, which has what differs.
$shop = json_decode( file_get_contents( __DIR__ . '/shop.json' ), true );
define( 'DB_NAME', 'shop' );
define( 'DB_USER', 'shop' );
define( 'DB_PASSWORD', 'shop' );
define( 'DB_HOST', 'localhost:' . $shop['socket'] );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', '' );
foreach ( array( 'AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT' ) as $name ) {
	define( $name, $name . '-of-a-shop-that-ends-with-the-test' );
}
if ( ! getenv( 'SHOP_NETWORK' ) ) {
	define( 'WP_SITEURL', $shop['url'] );
	define( 'WP_HOME', $shop['url'] );
}
define( 'DISABLE_WP_CRON', true );
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
define( 'AUTOMATIC_UPDATER_DISABLED', true );
define( 'WP_DEBUG', true );
define( 'WP_DEBUG_DISPLAY', false );
define( 'WP_DEBUG_LOG', __DIR__ . '/debug.log' );
// A network of sites, beside the shop in the same database: "install" makes it, "yes" uses it.
$network      = (string) getenv( 'SHOP_NETWORK' );
$table_prefix = '' === $network ? 'wp_' : 'net_';
if ( 'yes' === $network ) {
	define( 'MULTISITE', true );
	define( 'SUBDOMAIN_INSTALL', false );
	define( 'DOMAIN_CURRENT_SITE', '127.0.0.1' );
	define( 'PATH_CURRENT_SITE', '/' );
	define( 'SITE_ID_CURRENT_SITE', 1 );
	define( 'BLOG_ID_CURRENT_SITE', 1 );
}
// WooCommerce takes Basic authentication over HTTPS only: a test says so by this header.
if ( 'https' === ( $_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '' ) ) {
	$_SERVER['HTTPS'] = 'on';
}
if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
