<?php
// Inside WordPress: switches plugins on, as the page Plugins does.
require_once ABSPATH . 'wp-admin/includes/plugin.php';
foreach ( $with['plugins'] as $plugin ) {
	$result = activate_plugin( $plugin );
	if ( is_wp_error( $result ) ) {
		return $result->get_error_messages();
	}
}
return array();
