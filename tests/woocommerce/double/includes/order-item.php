<?php
// Lines of orders, in WooCommerce's tables.

abstract class WC_Order_Item {
	protected $id = 0;
	protected $order_id = 0;
	protected $name = '';
	protected $meta = array();

	public function __construct( $row = null ) {
		global $wpdb;
		if ( $row ) {
			$this->id       = (int) $row->order_item_id;
			$this->order_id = (int) $row->order_id;
			$this->name     = $row->order_item_name;
			foreach ( $wpdb->get_results( $wpdb->prepare( "SELECT meta_key, meta_value FROM {$wpdb->prefix}woocommerce_order_itemmeta WHERE order_item_id = %d", $this->id ) ) as $found ) {
				$this->meta[ $found->meta_key ] = $found->meta_value;
			}
		}
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

	public function get_order_id() {
		return $this->order_id;
	}

	public function set_order_id( $id ) {
		$this->order_id = $id;
	}

	public function get_order() {
		return wc_get_order( $this->order_id );
	}

	public function get_meta( $key, $single = true ) {
		return $this->meta[ $key ] ?? '';
	}

	public function update_meta_data( $key, $value ) {
		$this->meta[ $key ] = $value;
	}

	public function add_meta_data( $key, $value, $unique = false ) {
		$this->meta[ $key ] = $value;
	}

	public function delete_meta_data( $key ) {
		unset( $this->meta[ $key ] );
	}

	public function save() {
		global $wpdb;
		$items = "{$wpdb->prefix}woocommerce_order_items";
		$metas = "{$wpdb->prefix}woocommerce_order_itemmeta";
		if ( ! $this->id ) {
			$wpdb->insert( $items, array( 'order_item_name' => $this->name, 'order_item_type' => 'line_item', 'order_id' => $this->order_id ) );
			$this->id = $wpdb->insert_id;
		}
		$wpdb->delete( $metas, array( 'order_item_id' => $this->id ) );
		foreach ( $this->meta as $key => $value ) {
			$wpdb->insert( $metas, array( 'order_item_id' => $this->id, 'meta_key' => $key, 'meta_value' => $value ) );
		}
		return $this->id;
	}
}

class WC_Order_Item_Product extends WC_Order_Item {
	public function get_product() {
		return wc_get_product( (int) ( $this->get_meta( '_variation_id' ) ? $this->get_meta( '_variation_id' ) : $this->get_meta( '_product_id' ) ) );
	}

	public function set_product( $product ) {
		$is = $product instanceof WC_Product_Variation;
		$this->set_name( $product->get_name() );
		$this->meta['_product_id']   = $is ? $product->get_parent_id() : $product->get_id();
		$this->meta['_variation_id'] = $is ? $product->get_id() : 0;
	}

	public function get_product_id() {
		return (int) $this->get_meta( '_product_id' );
	}

	public function get_quantity() {
		return (float) $this->get_meta( '_qty' );
	}

	public function set_quantity( $quantity ) {
		$this->meta['_qty'] = $quantity;
	}
}
