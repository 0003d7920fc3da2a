<?php
// Orders: posts, saved and changed with WooCommerce's hooks in its order.

class WC_Order {
	const OWN = array( '_customer_user' => 'customer_id', '_order_key' => 'order_key', '_created_via' => 'created_via', '_cart_hash' => 'cart_hash', '_payment_method' => 'payment_method' );
	private $id = 0;
	private $status = 'pending';
	private $stored_status = '';
	private $props = array( 'customer_id' => 0, 'order_key' => '', 'created_via' => '', 'cart_hash' => '', 'payment_method' => '' );
	private $meta = array();
	private $removed = array();
	private $items = null;

	public function __construct( $id = 0 ) {
		$this->id = $id;
		if ( $id ) {
			$this->read();
		}
	}

	private function read() {
		$this->status        = preg_replace( '/^wc-/', '', get_post( $this->id )->post_status );
		$this->stored_status = $this->status;
		foreach ( get_post_meta( $this->id ) as $key => $values ) {
			if ( isset( self::OWN[ $key ] ) ) {
				$this->props[ self::OWN[ $key ] ] = $values[0];
			} elseif ( '_order_stock_reduced' !== $key ) {
				$this->meta[ $key ] = maybe_unserialize( $values[0] );
			}
		}
	}

	public function __call( $method, $arguments ) {
		list( $verb, $prop ) = explode( '_', $method, 2 );
		if ( 'set' === $verb ) {
			$this->props[ $prop ] = $arguments[0];
			return null;
		}
		return $this->props[ $prop ];
	}

	public function get_id() {
		return $this->id;
	}

	public function get_customer_id() {
		return (int) $this->props['customer_id'];
	}

	public function get_status() {
		return $this->status;
	}

	public function set_status( $status ) {
		$this->status = preg_replace( '/^wc-/', '', $status );
	}

	public function has_status( $status ) {
		return in_array( $this->status, (array) $status, true );
	}

	public function get_changes() {
		return $this->status === $this->stored_status ? array() : array( 'status' => $this->status );
	}

	public function needs_payment() {
		return $this->has_status( array( 'pending', 'failed', 'checkout-draft' ) );
	}

	public function get_meta( $key ) {
		return $this->meta[ $key ] ?? '';
	}

	public function update_meta_data( $key, $value ) {
		$this->meta[ $key ] = $value;
		unset( $this->removed[ $key ] );
	}

	public function delete_meta_data( $key ) {
		unset( $this->meta[ $key ] );
		$this->removed[ $key ] = true;
	}

	public function save_meta_data() {
		foreach ( $this->meta as $key => $value ) {
			update_post_meta( $this->id, $key, $value );
		}
		foreach ( $this->removed as $key => $is ) {
			delete_post_meta( $this->id, $key );
		}
		$this->removed = array();
	}

	public function get_items() {
		global $wpdb;
		if ( null === $this->items ) {
			$this->items = array();
			$rows        = $this->id ? $wpdb->get_results( $wpdb->prepare( "SELECT * FROM {$wpdb->prefix}woocommerce_order_items WHERE order_id = %d ORDER BY order_item_id", $this->id ) ) : array();
			foreach ( $rows as $row ) {
				$this->items[ (int) $row->order_item_id ] = new WC_Order_Item_Product( $row );
			}
		}
		return $this->items;
	}

	public function add_product( $product, $quantity = 1 ) {
		$item = new WC_Order_Item_Product();
		$item->set_product( $product );
		$item->set_quantity( $quantity );
		$this->add_item( $item );
		$this->save();
		return $item;
	}

	public function add_item( $item ) {
		$this->get_items();
		$this->items[ 'new:' . count( $this->items ) ] = $item;
	}

	public function remove_order_items() {
		global $wpdb;
		foreach ( $this->get_items() as $item ) {
			$wpdb->delete( "{$wpdb->prefix}woocommerce_order_items", array( 'order_item_id' => $item->get_id() ) );
			$wpdb->delete( "{$wpdb->prefix}woocommerce_order_itemmeta", array( 'order_item_id' => $item->get_id() ) );
		}
		$this->items = array();
	}

	public function save() {
		do_action( 'woocommerce_before_order_object_save', $this, null );
		$is_new = ! $this->id;
		$post   = array( 'post_type' => 'shop_order', 'post_status' => "wc-{$this->status}", 'post_title' => 'Order' );
		if ( 'trash' === $this->status ) {
			$post['post_status'] = 'trash';
		}
		if ( $is_new ) {
			$this->props['order_key'] = 'wc_order_' . wp_generate_password( 13, false );
			$this->id                 = wp_insert_post( $post );
		} else {
			wp_update_post( array( 'ID' => $this->id ) + $post );
		}
		foreach ( self::OWN as $key => $prop ) {
			update_post_meta( $this->id, $key, $this->props[ $prop ] );
		}
		$this->save_meta_data();
		$items       = $this->get_items();
		$this->items = array();
		foreach ( $items as $item ) {
			$item->set_order_id( $this->id );
			if ( ! $item->get_id() ) {
				$item->save();
			}
			$this->items[ $item->get_id() ] = $item;
		}
		do_action( $is_new ? 'woocommerce_new_order' : 'woocommerce_update_order', $this->id, $this );
		$this->transition();
		return $this->id;
	}

	private function transition() {
		$from                = $this->stored_status;
		$to                  = $this->status;
		$this->stored_status = $to;
		if ( $from === $to ) {
			return;
		}
		do_action( "woocommerce_order_status_$to", $this->id, $this );
		if ( '' !== $from ) {
			do_action( "woocommerce_order_status_{$from}_to_$to", $this->id, $this );
			do_action( 'woocommerce_order_status_changed', $this->id, $from, $to, $this );
		}
	}

	public function update_status( $status, $note = '' ) {
		$this->set_status( $status );
		return (bool) $this->save();
	}

	public function payment_complete( $transaction = '' ) {
		if ( ! $this->has_status( array( 'on-hold', 'pending', 'failed', 'cancelled' ) ) ) {
			return false;
		}
		$this->set_status( 'processing' );
		$this->save();
		do_action( 'woocommerce_payment_complete', $this->id, $transaction );
		return true;
	}

	public function add_order_note( $words ) {
		return wp_insert_comment( array( 'comment_post_ID' => $this->id, 'comment_content' => $words, 'comment_type' => 'order_note', 'comment_approved' => 1 ) );
	}

	public function get_data_store() {
		return new stdClass();
	}

	public function get_checkout_order_received_url() {
		return home_url( "/classic-checkout/order-received/{$this->id}/?key={$this->props['order_key']}" );
	}

	public function delete( $force = false ) {
		return $force ? (bool) wp_delete_post( $this->id, true ) : (bool) wp_trash_post( $this->id );
	}
}

function wc_get_order( $id ) {
	$id   = $id instanceof WC_Order ? $id->get_id() : (int) $id;
	$post = $id ? get_post( $id ) : null;
	return $post && 'shop_order' === $post->post_type ? new WC_Order( $id ) : false;
}

function wc_create_order() {
	$order = new WC_Order();
	$order->save();
	return $order;
}

function wc_get_is_paid_statuses() {
	return array( 'processing', 'completed' );
}

function wc_get_order_notes( $args ) {
	return array_map(
		static function ( $comment ) {
			return (object) array( 'content' => $comment->comment_content );
		},
		get_comments( array( 'post_id' => $args['order_id'], 'type' => 'order_note' ) )
	);
}
