<?php
// Runs one function inside WordPress and writes its result as JSON to a file. From stdin: {"call": "product", "with": {...}}, a function of
// shop.php, or {"file": "install"}, a file beside it.
$root                      = $argv[1];
$_SERVER['HTTP_HOST']      = parse_url( json_decode( file_get_contents( $root . '/shop.json' ), true )['url'], PHP_URL_HOST );
$_SERVER['REQUEST_METHOD'] = 'GET';
$asked                     = json_decode( stream_get_contents( STDIN ), true );
if ( in_array( $asked['file'] ?? '', array( 'install', 'network-install' ), true ) ) {
	define( 'WP_INSTALLING', true );
}
require $root . '/wp-load.php';
require __DIR__ . '/shop.php';
$with   = $asked['with'];
$result = isset( $asked['file'] ) ? require __DIR__ . '/' . $asked['file'] . '.php' : ( 'test_' . $asked['call'] )( ...array_values( $with ) );
file_put_contents( $argv[2], json_encode( $result ) );
