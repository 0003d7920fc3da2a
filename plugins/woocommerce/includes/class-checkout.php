<?php
/**
 * Role: both checkouts and the pay page ask before an order is placed. In: WooCommerce's hooks. Out: the order's mark, or a refusal.
 * Always: asked once a request and order. Classic: a new order is not even stored when it is refused; one that is tried again keeps its lines. Block:
 * only on POST, never for the drafts that a page writes while the shopper types.
 *
 * @package Holdfast
 */

namespace Holdfast;

use Automattic\WooCommerce\Checkout\Helpers\ReserveStockException;
use Automattic\WooCommerce\StoreApi\Exceptions\RouteException;

defined( 'ABSPATH' ) || exit;

/** The hooks of the checkouts. */
final class Checkout {
	/**
	 * Asks the gateway.
	 *
	 * @var Reserver
	 */
	private $reserver;

	/**
	 * Which fallback.
	 *
	 * @var Settings
	 */
	private $settings;

	/**
	 * The shopper's own hold.
	 *
	 * @var Shopper
	 */
	private $shopper;

	/**
	 * Who writes WooCommerce's stock.
	 *
	 * @var Stock_Writer
	 */
	private $writer;

	/**
	 * What may wait.
	 *
	 * @var Outbox
	 */
	private $outbox;

	/**
	 * Orders that were asked for in this request.
	 *
	 * @var \SplObjectStorage<\WC_Order, Outcome>
	 */
	private $asked;

	/**
	 * Ids of stored orders that were asked for in this request.
	 *
	 * @var array<int, bool>
	 */
	private $asked_ids = array();

	/**
	 * What this shop took since the last figure.
	 *
	 * @var Taken_Units
	 */
	private $taken;

	/**
	 * Constructor.
	 *
	 * @param Reserver     $reserver Asks the gateway.
	 * @param Settings     $settings Which fallback.
	 * @param Shopper      $shopper  The shopper's own hold.
	 * @param Stock_Writer $writer   Who writes WooCommerce's stock.
	 * @param Outbox       $outbox   What may wait.
	 * @param Taken_Units  $taken    What this shop took since the last figure.
	 */
	public function __construct( Reserver $reserver, Settings $settings, Shopper $shopper, Stock_Writer $writer, Outbox $outbox, Taken_Units $taken ) {
		$this->reserver = $reserver;
		$this->settings = $settings;
		$this->shopper  = $shopper;
		$this->writer   = $writer;
		$this->outbox   = $outbox;
		$this->taken    = $taken;
		$this->asked    = new \SplObjectStorage();
	}

	/** Connects with the hooks. */
	public function register() {
		add_action( 'woocommerce_checkout_create_order', array( $this, 'classic_new' ), 1000 );
		add_action( 'woocommerce_checkout_order_created', array( $this, 'classic_stored' ), 5 );
		add_action( 'woocommerce_checkout_order_processed', array( $this, 'classic_processed' ), 5, 3 );
		add_action( 'woocommerce_checkout_order_exception', array( $this, 'classic_failed' ), 5 );
		add_action( 'woocommerce_store_api_checkout_update_order_from_request', array( $this, 'block' ), 1000, 2 );
		add_action( 'woocommerce_before_pay_action', array( $this, 'pay_page' ) );
		add_filter( 'woocommerce_pay_order_product_in_stock', array( $this, 'pay_page_has_it' ), 10, 3 );
		add_filter( 'woocommerce_pay_order_product_has_enough_stock', array( $this, 'pay_page_has_it' ), 10, 3 );
	}

	/**
	 * Classic checkout, a new order that is not stored yet.
	 *
	 * @param \WC_Order $order The order.
	 * @throws Refusal When it is not placed.
	 */
	public function classic_new( $order ) {
		if ( 0 === $order->get_id() ) {
			$this->ask( $order );
		}
	}

	/**
	 * Classic checkout, an order that was there before (an earlier payment failed): its lines are stored again by now.
	 *
	 * @param \WC_Order $order The order.
	 * @throws Refusal When it is not placed.
	 */
	public function classic_stored( $order ) {
		if ( isset( $this->asked[ $order ] ) ) {
			$this->asked_ids[ $order->get_id() ] = true;
			return;
		}
		$this->ask( $order );
	}

	/**
	 * Classic checkout, an order that another plugin made by the filter woocommerce_create_order.
	 *
	 * @param int       $id    Its id.
	 * @param array     $form  What the shopper entered.
	 * @param \WC_Order $order The order.
	 * @throws Refusal When it is not placed.
	 */
	public function classic_processed( $id, $form, $order ) {
		if ( ! isset( $this->asked_ids[ $id ] ) ) {
			$this->ask( $order );
		}
	}

	/**
	 * Classic checkout: something else refused the order after it was held.
	 *
	 * @param \WC_Order $order The order.
	 */
	public function classic_failed( $order ) {
		$outcome = isset( $this->asked[ $order ] ) ? $this->asked[ $order ] : null;
		if ( $outcome && Outcome::HELD === $outcome->case ) {
			$this->outbox->release( $outcome->id );
			$this->taken->forget( $outcome->id );
			$this->shopper->forget( $outcome->id );
		}
	}

	/**
	 * Block checkout and its pay page.
	 *
	 * @param \WC_Order        $order   The order, a draft or one that waits for payment.
	 * @param \WP_REST_Request $request The request.
	 * @throws RouteException When it is not placed.
	 */
	public function block( $order, $request ) {
		if ( 'POST' !== $request->get_method() ) {
			return;
		}
		try {
			$this->ask( $order );
			if ( $this->writer->owes_a_hold() ) {
				wc_reserve_stock_for_order( $order );
			}
		} catch ( ReserveStockException $exception ) {
			throw new RouteException( esc_html( $exception->getErrorCode() ), esc_html( $exception->getMessage() ), 409 );
		} catch ( Refusal $refusal ) {
			throw new RouteException( 'holdfast_not_enough_stock', $refusal->getMessage(), 409 ); // phpcs:ignore WordPress.Security.EscapeOutput -- escaped in Refusal.
		}
	}

	/**
	 * The pay page of the classic checkout: an error notice stops the payment there.
	 *
	 * @param \WC_Order $order The order.
	 */
	public function pay_page( $order ) {
		try {
			$this->ask( $order );
		} catch ( Refusal $refusal ) {
			wc_add_notice( $refusal->getMessage(), 'error' );
		}
	}

	/**
	 * The pay page compares with the stock of the shop, from which the order's own units are already taken.
	 *
	 * @param bool        $has     What WooCommerce found.
	 * @param \WC_Product $product The product.
	 * @param \WC_Order   $order   The order.
	 * @return bool
	 */
	public function pay_page_has_it( $has, $product, $order ) {
		return $has || Order_Mark::HELD === ( new Order_Mark( $order ) )->state();
	}

	/**
	 * Asks once, and marks the order.
	 *
	 * @param \WC_Order $order The order.
	 * @throws Refusal When it is not placed.
	 */
	private function ask( $order ) {
		if ( isset( $this->asked[ $order ] ) || isset( $this->asked_ids[ $order->get_id() ] ) ) {
			return;
		}
		$mark = new Order_Mark( $order );
		if ( Order_Mark::CONFIRMED === $mark->state() ) {
			return;
		}
		$outcome               = $this->reserver->reserve( $order );
		$this->writer->asked();
		$this->asked[ $order ] = $outcome;
		if ( $order->get_id() > 0 ) {
			$this->asked_ids[ $order->get_id() ] = true;
		}
		switch ( $outcome->case ) {
			case Outcome::HELD:
				$this->writer->holdfast_rules( array() === $outcome->not_held );
				$mark->note_trace( $this->reserver->trace() );
				$mark->write( Order_Mark::HELD, $outcome->id, $outcome->not_held );
				return;
			case Outcome::NOTHING:
				$mark->clear();
				return;
			case Outcome::REFUSED:
				throw new Refusal( $outcome->words );
		}
		$this->undecided( $order, $mark, $outcome );
	}

	/**
	 * The gateway did not decide: the shop's choice does.
	 *
	 * @param \WC_Order  $order   The order.
	 * @param Order_Mark $mark    Its mark.
	 * @param Outcome    $outcome What came of asking.
	 * @throws Refusal Where the shop takes no order then.
	 */
	private function undecided( $order, Order_Mark $mark, Outcome $outcome ) {
		wc_get_logger()->warning( 'The gateway did not decide on ' . $outcome->id . ': ' . $outcome->words[0], array( 'source' => 'holdfast' ) );
		if ( ! $this->settings->falls_open() ) {
			throw new Refusal( array( $this->settings->closed_words() ) );
		}
		if ( $outcome->unknown || '' !== $mark->reservation() ) {
			$this->outbox->release( $outcome->id, Outbox::AFTER_OUTAGE_S );
		}
		$this->shopper->forget( $outcome->id );
		$this->taken->forget( $outcome->id ); // WooCommerce holds the same units from now on.
		$this->writer->woocommerce_rules();
		$mark->fall_open( $outcome->id );
	}
}
