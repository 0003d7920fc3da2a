<?php
/**
 * Role: the page WooCommerce > holdfast. In: a form. Out: the stored settings, and the result of the connection test.
 * Always: for those who manage the shop alone; the key is never written into the page; an empty key field keeps the stored one.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The settings page. */
final class Settings_Page {
	const PAGE  = 'holdfast';
	const RIGHT = 'manage_woocommerce';
	const TEST  = 'holdfast_connection_test';

	/**
	 * The settings.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * The gateway.
	 *
	 * @var Gateway
	 */
	private $gateway;

	/**
	 * Constructor.
	 *
	 * @param Settings $settings The settings.
	 * @param Gateway  $gateway  The gateway.
	 */
	public function __construct( Settings $settings, Gateway $gateway ) {
		$this->settings = $settings;
		$this->gateway  = $gateway;
	}

	/** Connects with wp-admin. */
	public function register() {
		add_action( 'admin_menu', array( $this, 'menu' ), 60 );
		add_action( 'admin_init', array( $this, 'declare_option' ) );
		add_filter( 'option_page_capability_' . self::PAGE, array( $this, 'right' ) );
		add_filter( 'plugin_action_links_' . plugin_basename( HOLDFAST_WOO_FILE ), array( $this, 'link' ) );
		add_action( 'admin_notices', array( $this, 'notice' ) );
	}

	/** Who may. */
	public function right() {
		return self::RIGHT;
	}

	/** The menu entry. */
	public function menu() {
		add_submenu_page( 'woocommerce', 'holdfast', 'holdfast', self::RIGHT, self::PAGE, array( $this, 'show' ) );
	}

	/** Declares the option, with what cleans it. */
	public function declare_option() {
		register_setting(
			self::PAGE,
			Settings::OPTION,
			array(
				'type'              => 'array',
				'show_in_rest'      => false,
				'sanitize_callback' => array( $this, 'clean' ),
			)
		);
	}

	/**
	 * Cleans what the form sent, and says what could not be taken as it was.
	 *
	 * @param mixed $given The form.
	 * @return array<string, mixed>
	 */
	public function clean( $given ) {
		$given = (array) $given;
		if ( '' === trim( Settings::string( $given['key'] ?? '' ) ) && empty( $given['forget_key'] ) ) {
			$given['key'] = $this->settings->stored( 'key' );
		}
		$clean   = Settings::clean( $given );
		$address = trim( Settings::string( $given['url'] ?? '' ) );
		if ( '' === $clean['url'] && '' !== $address ) {
			/* translators: %s: what was entered */
			self::say( 'url', sprintf( __( '"%s" is no address of a gateway, such as https://holdfast.example.com. The address from before stays.', 'holdfast-woocommerce' ), $address ) );
			$clean['url'] = $this->settings->stored( 'url' );
		}
		foreach ( Settings::NUMBERS as $name => list( , $least, $most ) ) {
			if ( isset( $given[ $name ] ) && Settings::string( $given[ $name ] ) !== (string) $clean[ $name ] ) {
				/* translators: 1: label of a field, 2: least, 3: greatest, 4: what is stored */
				self::say( $name, sprintf( __( '%1$s: a whole number from %2$d to %3$d is needed; it is %4$d now.', 'holdfast-woocommerce' ), self::label( $name ), $least, $most, $clean[ $name ] ) );
			}
		}
		if ( Settings::string( $given['key'] ?? '' ) !== $clean['key'] ) {
			self::say( 'key', __( 'The key had characters that no key has. They were left out: test the connection.', 'holdfast-woocommerce' ) );
		}
		return $clean;
	}

	/**
	 * Something that the owner of the shop reads above the form, once.
	 *
	 * @param string $field The field.
	 * @param string $words What is to be read.
	 */
	private static function say( $field, $words ) {
		foreach ( get_settings_errors( Settings::OPTION ) as $said ) {
			if ( $said['code'] === $field ) {
				return;
			}
		}
		add_settings_error( Settings::OPTION, $field, $words );
	}

	/**
	 * The label of a field with a number.
	 *
	 * @param string $name Its name.
	 * @return string
	 */
	private static function label( $name ) {
		switch ( $name ) {
			case 'hold_minutes':
				return __( 'Minutes to pay', 'holdfast-woocommerce' );
			case 'budget_ms':
				return __( 'Milliseconds to wait', 'holdfast-woocommerce' );
			default:
				return __( 'Seconds to keep figures', 'holdfast-woocommerce' );
		}
	}

	/**
	 * The link beside the plugin's name.
	 *
	 * @param string[] $links The others.
	 * @return string[]
	 */
	public function link( $links ) {
		array_unshift( $links, sprintf( '<a href="%s">%s</a>', esc_url( admin_url( 'admin.php?page=' . self::PAGE ) ), esc_html__( 'Settings', 'holdfast-woocommerce' ) ) );
		return $links;
	}

	/** Nothing is protected before an address is entered: said once a page. */
	public function notice() {
		if ( ! $this->settings->ready() && current_user_can( self::RIGHT ) ) {
			printf(
				'<div class="notice notice-warning"><p>%s <a href="%s">%s</a></p></div>',
				esc_html__( 'holdfast protects no checkout yet: it has no address of a gateway.', 'holdfast-woocommerce' ),
				esc_url( admin_url( 'admin.php?page=' . self::PAGE ) ),
				esc_html__( 'Enter it', 'holdfast-woocommerce' )
			);
		}
	}

	/** The page. */
	public function show() {
		echo '<div class="wrap"><h1>holdfast</h1>';
		settings_errors();
		$this->test();
		echo '<form method="post" action="options.php">';
		settings_fields( self::PAGE );
		echo '<table class="form-table" role="presentation">';
		$this->text( 'url', __( 'Address of the gateway', 'holdfast-woocommerce' ), __( 'Such as https://holdfast.example.com or http://10.0.0.5:8080. HOLDFAST_URL in wp-config.php wins.', 'holdfast-woocommerce' ), 'url' );
		$this->text( 'key', __( 'API key', 'holdfast-woocommerce' ), '' === $this->settings->key() ? __( 'Needs read, reserve and order on the channel below.', 'holdfast-woocommerce' ) : __( 'A key is stored. Leave this empty to keep it. HOLDFAST_API_KEY in wp-config.php wins.', 'holdfast-woocommerce' ), 'password' );
		$this->text( 'channel', __( 'Channel', 'holdfast-woocommerce' ), __( 'The name of this shop in holdfast.', 'holdfast-woocommerce' ) );
		$this->number( 'hold_minutes', __( 'How long an order that is not paid keeps its pieces.', 'holdfast-woocommerce' ) );
		$this->number( 'budget_ms', __( 'How long a checkout waits for the gateway at most.', 'holdfast-woocommerce' ) );
		$this->number( 'cache_seconds', __( 'How old a figure on a product page or in a cart may be. The checkout itself always asks.', 'holdfast-woocommerce' ) );
		$this->choice();
		$this->words();
		$this->writes();
		echo '</table>';
		submit_button();
		echo '</form></div>';
	}

	/** The button of the connection test, and its result. */
	private function test() {
		if ( ! $this->settings->ready() ) {
			return;
		}
		if ( isset( $_POST[ self::TEST ] ) && check_admin_referer( self::TEST ) ) {
			$result = ( new Connection_Test( $this->settings, $this->gateway ) )->run();
			printf( '<div class="notice notice-%s"><p>%s</p></div>', $result['ok'] ? 'success' : 'error', esc_html( implode( ' ', $result['lines'] ) ) );
		}
		echo '<form method="post">';
		wp_nonce_field( self::TEST );
		submit_button( __( 'Test the connection', 'holdfast-woocommerce' ), 'secondary', self::TEST, false );
		echo '</form>';
	}

	/**
	 * A field's row begins.
	 *
	 * @param string $name  Its name.
	 * @param string $label Its label.
	 */
	private static function row( $name, $label ) {
		printf( '<tr><th scope="row"><label for="holdfast_%s">%s</label></th><td>', esc_attr( $name ), esc_html( $label ) );
	}

	/**
	 * A field's row ends.
	 *
	 * @param string $hint What it means.
	 */
	private static function end( $hint ) {
		printf( '<p class="description">%s</p></td></tr>', esc_html( $hint ) );
	}

	/**
	 * A field of text.
	 *
	 * @param string $name  Its name.
	 * @param string $label Its label.
	 * @param string $hint  What it means.
	 * @param string $type  Type of the field.
	 */
	private function text( $name, $label, $hint, $type = 'text' ) {
		self::row( $name, $label );
		printf(
			'<input type="%s" id="holdfast_%s" name="%s[%s]" value="%s" class="regular-text" autocomplete="off">',
			esc_attr( $type ),
			esc_attr( $name ),
			esc_attr( Settings::OPTION ),
			esc_attr( $name ),
			esc_attr( 'key' === $name ? '' : $this->settings->stored( $name ) )
		);
		self::end( $hint );
	}

	/**
	 * A field with a number.
	 *
	 * @param string $name Its name.
	 * @param string $hint What it means.
	 */
	private function number( $name, $hint ) {
		list( , $least, $most ) = Settings::NUMBERS[ $name ];
		self::row( $name, self::label( $name ) );
		printf(
			'<input type="number" id="holdfast_%s" name="%s[%s]" value="%d" min="%d" max="%d" class="small-text">',
			esc_attr( $name ),
			esc_attr( Settings::OPTION ),
			esc_attr( $name ),
			(int) $this->settings->stored( $name ),
			(int) $least,
			(int) $most
		);
		self::end( $hint );
	}

	/** What happens while the gateway does not answer. */
	private function choice() {
		self::row( 'fallback', __( 'While the gateway does not answer', 'holdfast-woocommerce' ) );
		$choices = array(
			Settings::CLOSED => __( 'Take no orders: nothing is ever sold twice', 'holdfast-woocommerce' ),
			Settings::OPEN   => __( "Take orders with WooCommerce's own stock: other channels may sell the same pieces", 'holdfast-woocommerce' ),
		);
		printf( '<select id="holdfast_fallback" name="%s[fallback]">', esc_attr( Settings::OPTION ) );
		foreach ( $choices as $value => $words ) {
			printf( '<option value="%s"%s>%s</option>', esc_attr( $value ), selected( $this->settings->stored( 'fallback' ), $value, false ), esc_html( $words ) );
		}
		echo '</select>';
		self::end( __( 'Orders that were taken so are marked, and counted by the connector once the gateway is back.', 'holdfast-woocommerce' ) );
	}

	/** Words for the shopper then. */
	private function words() {
		self::row( 'closed_words', __( 'What shoppers read then', 'holdfast-woocommerce' ) );
		printf(
			'<textarea id="holdfast_closed_words" name="%s[closed_words]" rows="3" class="large-text" placeholder="%s">%s</textarea>',
			esc_attr( Settings::OPTION ),
			esc_attr( $this->settings->closed_words() ),
			esc_textarea( $this->settings->stored( 'closed_words' ) )
		);
		self::end( __( 'Where no orders are taken. Empty: the sentence that is shown here in grey.', 'holdfast-woocommerce' ) );
	}

	/** Who writes the stock. */
	private function writes() {
		self::row( 'writes_stock', __( 'Stock of products', 'holdfast-woocommerce' ) );
		printf(
			'<input type="hidden" name="%1$s[writes_stock]" value="no"><label><input type="checkbox" id="holdfast_writes_stock" name="%1$s[writes_stock]" value="yes"%2$s> %3$s</label>',
			esc_attr( Settings::OPTION ),
			checked( $this->settings->writes_stock(), true, false ),
			esc_html__( 'Products whose stock the connector of holdfast writes are written by nobody else', 'holdfast-woocommerce' )
		);
		self::end( __( 'WooCommerce then neither reduces nor restores the stock of these products for orders. The others stay as they are.', 'holdfast-woocommerce' ) );
	}
}
