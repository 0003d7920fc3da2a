<?php
// Inside WordPress: makes the shop. `$title` is not needed twice, so a second run changes nothing.
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
if ( ! is_blog_installed() ) {
	wp_install( 'A shop', 'owner', 'owner@example.com', true, '', 'owner' );
}
update_option( 'permalink_structure', '/%postname%/' );
if ( ! wp_get_theme()->exists() ) {
	switch_theme( 'plain' );
}
return true;
