<?php
/**
 * Role: who writes the stock of a product in WooCommerce. In: orders, items; figures with their sequence. Out: the filters by which WooCommerce leaves
 * a product alone; the writing itself.
 * Always: a product that holdfast has written is written by nobody else, but by WooCommerce for orders that fell open while the gateway is down; a
 * figure with a lower sequence never brings an older value back.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The single writer. */
final class Stock_Writer {
	/** The sequence of the figure that a product has. */
	const SEQUENCE = '_holdfast_sequence';

	/** On an item of an order: units that refunds put back to stock. */
	const RESTOCKED = '_holdfast_restocked';

	/**
	 * Whether holdfast writes at all.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * Whether the gateway is down.
	 *
	 * @var Breaker
	 */
	private $breaker;

	/**
	 * Who holds the stock of this request's order: null as always, true holdfast alone, false WooCommerce.
	 *
	 * @var bool|null
	 */
	private $held = null;

	/**
	 * What this shop took since the last figure.
	 *
	 * @var Taken_Units
	 */
	private $taken;

	/**
	 * Constructor.
	 *
	 * @param Settings    $settings Whether holdfast writes at all.
	 * @param Breaker     $breaker  Whether the gateway is down.
	 * @param Taken_Units $taken    What this shop took since the last figure.
	 */
	public function __construct( Settings $settings, Breaker $breaker, Taken_Units $taken ) {
		$this->settings = $settings;
		$this->breaker  = $breaker;
		$this->taken    = $taken;
	}

	/**
	 * Whether the gateway was asked in this request.
	 *
	 * @var bool
	 */
	private $asked = false;

	/**
	 * Whether WooCommerce held nothing of a draft before that.
	 *
	 * @var bool
	 */
	private $skipped = false;

	/** Connects with the filters. */
	public function register() {
		add_filter( 'woocommerce_hold_stock_for_checkout', array( $this, 'woocommerce_holds' ), 100 );
		add_filter( 'woocommerce_order_item_quantity', array( $this, 'quantity_of_draft' ), 90, 2 );
		add_filter( 'woocommerce_query_for_reserved_stock', array( $this, 'held_elsewhere' ), 100, 2 );
		add_action( 'woocommerce_before_order_object_save', array( $this, 'reduce_first' ) );
		if ( ! $this->settings->writes_stock() ) {
			return;
		}
		add_filter( 'woocommerce_can_reduce_order_stock', array( $this, 'woocommerce_reduces' ), 100, 2 );
		add_filter( 'woocommerce_can_restore_order_stock', array( $this, 'woocommerce_restores' ), 100, 2 );
		add_filter( 'woocommerce_can_restock_refunded_items', array( $this, 'woocommerce_restocks' ), 100, 3 );
		add_filter( 'woocommerce_order_item_quantity', array( $this, 'quantity_to_reduce' ), 100, 3 );
		add_action( 'woocommerce_reduce_order_stock', array( $this, 'reduced' ) );
		add_filter( 'woocommerce_prevent_adjust_line_item_product_stock', array( $this, 'line_is_ours' ), 100, 2 );
	}

	/** Whether holdfast writes the stock of products. */
	public function writes() {
		return $this->settings->writes_stock();
	}

	/** The gateway was asked for the order of this request. */
	public function asked() {
		$this->asked = true;
	}

	/** Whether WooCommerce has held nothing of this request's order because of us, and must after all: twice in a second it refuses itself. */
	public function owes_a_hold() {
		return $this->skipped && true !== $this->held;
	}

	/**
	 * Before version 9.2 WooCommerce held stock for each draft of the block checkout, ten minutes a page view, and refused other shoppers for it. A draft
	 * holds nothing here before the gateway was asked, nor an order that is tried again and is held; what the gateway does not hold is then held by WooCommerce (Checkout).
	 *
	 * @param int|float $quantity The item's.
	 * @param \WC_Order $order    The order.
	 * @return int|float
	 */
	public function quantity_of_draft( $quantity, $order ) {
		if ( $this->asked || ! $order instanceof \WC_Order ) {
			return $quantity;
		}
		$held = $order->has_status( array( 'pending', 'failed' ) ) && Order_Mark::HELD === ( new Order_Mark( $order ) )->state();
		if ( ! $held && ! $order->has_status( 'checkout-draft' ) ) {
			return $quantity;
		}
		$this->skipped = true;
		return 0;
	}

	/**
	 * The order of this request is held by holdfast.
	 *
	 * @param bool $all All its lines are.
	 */
	public function holdfast_rules( $all ) {
		$this->held = $all ? true : null;
	}

	/** The order of this request is held by WooCommerce: the gateway did not decide. */
	public function woocommerce_rules() {
		$this->held = false;
	}

	/**
	 * Whether WooCommerce holds stock for a checkout itself: not for an order that holdfast holds.
	 *
	 * @param bool $enabled As the shop has set it.
	 * @return bool
	 */
	public function woocommerce_holds( $enabled ) {
		return $enabled && true !== $this->held;
	}

	/**
	 * What WooCommerce counts as held of a product: for an order that falls open also what this shop took since the figure that the product has.
	 *
	 * @param string $query   WooCommerce's question.
	 * @param int    $product The product.
	 * @return string
	 */
	public function held_elsewhere( $query, $product ) {
		return false === $this->held ? Taken_Units::beside( $query, (int) $product ) : $query;
	}

	/**
	 * WooCommerce took an order off its stock.
	 *
	 * @param \WC_Order $order The order.
	 */
	public function reduced( $order ) {
		if ( ! $this->fell_open_now( $order ) ) {
			return;
		}
		$units = array();
		foreach ( $order->get_items() as $item ) {
			if ( $this->item_is_ours( $item ) ) {
				$id           = (int) $item->get_product()->get_stock_managed_by_id();
				$units[ $id ] = ( $units[ $id ] ?? 0 ) + (int) $item->get_meta( '_reduced_stock', true );
			}
		}
		$this->taken->fell_open( $order, array_filter( $units ) );
	}

	/**
	 * An order that fell open leaves "pending" now. WooCommerce would store the new status, by which its hold counts no more, and only then reduce the
	 * stock: who asks in between gets the same pieces. So the stock is reduced before the status is stored; WooCommerce sees that and does not again.
	 *
	 * @param \WC_Order $order The order, about to be stored.
	 */
	public function reduce_first( $order ) {
		if ( ! $order instanceof \WC_Order || 0 === $order->get_id() || ! isset( $order->get_changes()['status'] ) || ! $this->fell_open_now( $order ) ) {
			return;
		}
		if ( $order->has_status( array( 'processing', 'on-hold', 'completed' ) ) ) {
			wc_maybe_reduce_stock_levels( $order->get_id() );
		}
	}

	/**
	 * Whether WooCommerce takes an order off the stock.
	 *
	 * @param bool      $can   So far.
	 * @param \WC_Order $order The order.
	 * @return bool
	 */
	public function woocommerce_reduces( $can, $order ) {
		return $can && ( $this->fell_open_now( $order ) || ! $this->all_ours( $order ) );
	}

	/**
	 * Whether WooCommerce puts an order back.
	 *
	 * @param bool      $can   So far.
	 * @param \WC_Order $order The order.
	 * @return bool
	 */
	public function woocommerce_restores( $can, $order ) {
		return $can && ! $this->any_ours( $order );
	}

	/**
	 * Whether WooCommerce puts refunded items back. Where holdfast does, the connector reads how many from the items.
	 *
	 * @param bool      $can      So far.
	 * @param \WC_Order $order    The order.
	 * @param array     $refunded By item: `qty`.
	 * @return bool
	 */
	public function woocommerce_restocks( $can, $order, $refunded = array() ) {
		if ( ! $can || ! $this->any_ours( $order ) ) {
			return $can;
		}
		foreach ( $order->get_items() as $id => $item ) {
			$units = isset( $refunded[ $id ]['qty'] ) ? (int) $refunded[ $id ]['qty'] : 0;
			if ( $units > 0 ) {
				$item->update_meta_data( self::RESTOCKED, $units + (int) $item->get_meta( self::RESTOCKED, true ) );
				$item->save();
			}
		}
		return false;
	}

	/**
	 * How many units of an item WooCommerce takes off: none of a product that holdfast writes.
	 *
	 * @param int|float      $quantity The item's.
	 * @param \WC_Order      $order    The order.
	 * @param \WC_Order_Item $item     The item.
	 * @return int|float
	 */
	public function quantity_to_reduce( $quantity, $order, $item ) {
		return ! $this->fell_open_now( $order ) && $this->item_is_ours( $item ) ? 0 : $quantity;
	}

	/**
	 * Whether an edit of an item changes no stock.
	 *
	 * @param bool           $prevented So far.
	 * @param \WC_Order_Item $item      The item.
	 * @return bool
	 */
	public function line_is_ours( $prevented, $item ) {
		return $prevented || $this->item_is_ours( $item );
	}

	/**
	 * The order is taken with WooCommerce's own stock, while nobody else can count it.
	 *
	 * @param \WC_Order $order The order.
	 * @return bool
	 */
	private function fell_open_now( $order ) {
		return false === $this->held || ( $this->breaker->is_open() && ( new Order_Mark( $order ) )->fell_open() );
	}

	/**
	 * Whether holdfast writes the stock of an item's product.
	 *
	 * @param \WC_Order_Item $item The item.
	 * @return bool
	 */
	private function item_is_ours( $item ) {
		$product = $item instanceof \WC_Order_Item_Product ? $item->get_product() : null;
		return $product && '' !== (string) get_post_meta( $product->get_stock_managed_by_id(), self::SEQUENCE, true );
	}

	/**
	 * Whether holdfast writes all products of an order.
	 *
	 * @param \WC_Order $order The order.
	 * @return bool
	 */
	private function all_ours( $order ) {
		foreach ( $order->get_items() as $item ) {
			if ( ! $this->item_is_ours( $item ) ) {
				return false;
			}
		}
		return true;
	}

	/**
	 * Whether holdfast writes a product of an order.
	 *
	 * @param \WC_Order $order The order.
	 * @return bool
	 */
	private function any_ours( $order ) {
		foreach ( $order->get_items() as $item ) {
			if ( $this->item_is_ours( $item ) ) {
				return true;
			}
		}
		return false;
	}

	/**
	 * Writes one figure. The caller holds the lock.
	 *
	 * @param int    $product_id The product.
	 * @param int    $quantity   The figure.
	 * @param int    $sequence   Its sequence.
	 * @param string $backorders no, notify, yes; or nothing: leave it.
	 * @return array{0: string, 1: string} Status and message.
	 */
	public function write( $product_id, $quantity, $sequence, $backorders ) {
		$kept = (string) get_post_meta( $product_id, self::SEQUENCE, true );
		if ( '' !== $kept && (int) $kept > $sequence ) {
			return array( 'older', '' );
		}
		$product = wc_get_product( $product_id );
		if ( ! $product ) {
			return array( 'error', 'the product cannot be read' );
		}
		if ( 'parent' === $product->get_manage_stock() ) {
			return array( 'parent', 'its stock is managed at its parent, product ' . $product->get_parent_id() );
		}
		$quantity = max( 0, $quantity - $this->taken->open_beside( $product_id, $sequence ) );
		$same     = $product->get_manage_stock( 'edit' ) && (float) $product->get_stock_quantity( 'edit' ) === (float) $quantity
			&& ( '' === $backorders || $product->get_backorders( 'edit' ) === $backorders );
		if ( ! $same ) {
			if ( ! $product->get_manage_stock( 'edit' ) ) {
				$product->set_manage_stock( true );
			}
			if ( '' !== $backorders ) {
				$product->set_backorders( $backorders );
			}
			$product->set_stock_quantity( $quantity );
			$product->save();
		}
		if ( (string) $sequence !== $kept ) {
			update_post_meta( $product_id, self::SEQUENCE, (string) $sequence );
		}
		$this->taken->covered( $product_id, $sequence );
		return array( $same ? 'same' : 'written', '' );
	}
}
