<?php
// Products: posts with WooCommerce's meta keys. A read in the context "view" passes the filters, one in "edit" does not.

class WC_Product {
	const META   = array( 'sku' => '_sku', 'regular_price' => '_regular_price', 'virtual' => '_virtual', 'manage_stock' => '_manage_stock', 'stock_quantity' => '_stock', 'backorders' => '_backorders', 'stock_status' => '_stock_status' );
	const TYPE   = 'product';
	const PREFIX = 'woocommerce_product_get_';
	protected $id;
	protected $name   = '';
	protected $parent = 0;
	protected $data   = array( 'sku' => '', 'regular_price' => '', 'virtual' => 'no', 'manage_stock' => 'no', 'stock_quantity' => '', 'backorders' => 'no', 'stock_status' => 'instock' );

	public function __construct( $id = 0 ) {
		$this->id = $id;
		if ( $id ) {
			$post         = get_post( $id );
			$this->name   = $post->post_title;
			$this->parent = (int) $post->post_parent;
			foreach ( self::META as $prop => $key ) {
				$value = get_post_meta( $id, $key, true );
				if ( '' !== $value ) {
					$this->data[ $prop ] = $value;
				}
			}
		}
	}

	public function __call( $method, $arguments ) {
		list( $verb, $prop ) = explode( '_', $method, 2 );
		if ( 'set' === $verb ) {
			$this->data[ $prop ] = is_bool( $arguments[0] ) ? ( $arguments[0] ? 'yes' : 'no' ) : $arguments[0];
			return null;
		}
		return $this->prop( $prop, $this->data[ $prop ], $arguments[0] ?? 'view' );
	}

	protected function prop( $prop, $value, $context ) {
		return 'view' === $context ? apply_filters( static::PREFIX . $prop, $value, $this ) : $value;
	}

	public function get_id() {
		return $this->id;
	}

	public function get_name() {
		return $this->name;
	}

	public function set_name( $name ) {
		$this->name = $name;
	}

	public function get_parent_id() {
		return $this->parent;
	}

	public function set_parent_id( $parent ) {
		$this->parent = $parent;
	}

	public function set_attributes( $attributes ) {
	}

	public function get_children() {
		return array();
	}

	public function get_price() {
		return (float) $this->data['regular_price'];
	}

	public function get_manage_stock( $context = 'view' ) {
		return $this->prop( 'manage_stock', 'yes' === $this->data['manage_stock'], $context );
	}

	public function get_stock_quantity( $context = 'view' ) {
		$stock = $this->data['stock_quantity'];
		return $this->prop( 'stock_quantity', '' === $stock || null === $stock || 'yes' !== $this->data['manage_stock'] ? null : (int) $stock, $context );
	}

	public function managing_stock() {
		return 'yes' === get_option( 'woocommerce_manage_stock' ) && (bool) $this->get_manage_stock();
	}

	public function get_stock_managed_by_id() {
		return $this->id;
	}

	public function backorders_allowed() {
		return apply_filters( 'woocommerce_product_backorders_allowed', in_array( $this->get_backorders(), array( 'yes', 'notify' ), true ), $this->id, $this );
	}

	public function is_in_stock() {
		return apply_filters( 'woocommerce_product_is_in_stock', 'outofstock' !== $this->get_stock_status(), $this );
	}

	public function has_enough_stock( $quantity ) {
		return ! $this->managing_stock() || $this->backorders_allowed() || $this->get_stock_quantity() >= $quantity;
	}

	// What the stock says of the status.
	protected function validate() {
		if ( 'yes' !== $this->data['manage_stock'] ) {
			$this->data['stock_quantity'] = '';
		} elseif ( (int) $this->data['stock_quantity'] > 0 ) {
			$this->data['stock_status'] = 'instock';
		} else {
			$this->data['stock_status'] = 'no' === $this->data['backorders'] ? 'outofstock' : 'onbackorder';
		}
	}

	public function save() {
		global $wpdb;
		$this->validate();
		$post = array( 'post_title' => $this->name, 'post_type' => static::TYPE, 'post_status' => 'publish', 'post_parent' => $this->parent );
		if ( $this->id ) {
			wp_update_post( array( 'ID' => $this->id ) + $post );
		} else {
			$this->id = wp_insert_post( $post );
		}
		$before = get_post_meta( $this->id, '_stock', true );
		foreach ( self::META as $prop => $key ) {
			update_post_meta( $this->id, $key, $this->data[ $prop ] );
		}
		$wpdb->replace( "{$wpdb->prefix}wc_product_meta_lookup", array( 'product_id' => $this->id, 'sku' => $this->data['sku'], 'stock_quantity' => '' === $this->data['stock_quantity'] ? null : $this->data['stock_quantity'] ) );
		if ( (string) $before !== (string) $this->data['stock_quantity'] ) {
			do_action( 'woocommerce_' . ( 'product' === static::TYPE ? 'product' : 'variation' ) . '_set_stock', $this );
		}
		return $this->id;
	}
}

class WC_Product_Simple extends WC_Product {
}

class WC_Product_Variable extends WC_Product {
	public function get_children() {
		return get_posts( array( 'post_type' => 'product_variation', 'post_parent' => $this->id, 'fields' => 'ids', 'numberposts' => -1 ) );
	}
}

class WC_Product_Variation extends WC_Product {
	const TYPE   = 'product_variation';
	const PREFIX = 'woocommerce_product_variation_get_';

	private function of_parent() {
		return wc_get_product( $this->parent );
	}

	public function get_sku( $context = 'view' ) {
		$own = $this->data['sku'];
		return $this->prop( 'sku', 'view' === $context && '' === $own && $this->parent ? $this->of_parent()->get_sku( 'edit' ) : $own, $context );
	}

	public function get_manage_stock( $context = 'view' ) {
		$own = 'yes' === $this->data['manage_stock'];
		return $this->prop( 'manage_stock', ! $own && 'view' === $context && $this->parent && $this->of_parent()->get_manage_stock() ? 'parent' : $own, $context );
	}

	public function get_stock_quantity( $context = 'view' ) {
		return 'view' === $context && 'parent' === $this->get_manage_stock() ? $this->of_parent()->get_stock_quantity() : parent::get_stock_quantity( $context );
	}

	public function get_stock_managed_by_id() {
		return 'parent' === $this->get_manage_stock() ? $this->parent : $this->id;
	}
}

class WC_Product_Attribute {
	public function __call( $method, $arguments ) {
	}
}

function wc_get_product( $id ) {
	$post = $id ? get_post( $id ) : null;
	if ( $post && 'product_variation' === $post->post_type ) {
		return new WC_Product_Variation( $post->ID );
	}
	if ( ! $post || 'product' !== $post->post_type ) {
		return false;
	}
	$variations = get_posts( array( 'post_type' => 'product_variation', 'post_parent' => $post->ID, 'fields' => 'ids', 'numberposts' => 1 ) );
	return $variations ? new WC_Product_Variable( $post->ID ) : new WC_Product_Simple( $post->ID );
}

function is_product() {
	return is_singular( 'product' );
}
