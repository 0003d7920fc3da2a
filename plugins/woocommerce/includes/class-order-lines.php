<?php
/**
 * Role: what of an order holdfast holds. In: the items of an order. Out: SKUs with quantities, and the items that cannot be held, with why.
 * Always: a variation counts under its own SKU, or its parent's where it has none, as WooCommerce itself names it; items of one SKU are one line;
 * a kit is one product whose SKU is a kit in holdfast; a bundle whose parts are lines of the order is its parts, where its SKU is such a kit.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** Turns items into lines. */
final class Order_Lines {
	/** For how long a SKU that the gateway does not know is not asked for again, in seconds. */
	const UNKNOWN_S = 60;
	/** Most such SKUs that are remembered. */
	const UNKNOWN_MAX = 500;
	/** Most lines and units of one request, as the gateway takes them. */
	const LINES_MAX    = 2000;
	const QUANTITY_MAX = 1000000000;

	/**
	 * Where unknown SKUs are remembered.
	 *
	 * @var Shared_Store
	 */
	private $shared;

	/**
	 * Which lines wrap others.
	 *
	 * @var Bundles
	 */
	private $bundles;

	/**
	 * Constructor.
	 *
	 * @param Shared_Store $shared  Where unknown SKUs are remembered.
	 * @param Bundles      $bundles Which lines wrap others.
	 */
	public function __construct( Shared_Store $shared, Bundles $bundles ) {
		$this->shared  = $shared;
		$this->bundles = $bundles;
	}

	/**
	 * The lines of an order.
	 *
	 * @param \WC_Order     $order    The order.
	 * @param Deadline|null $deadline Until when the gateway may be asked what is a kit; null: it is not asked.
	 * @return array{lines: array<string, int>, names: array<string, string>, not_held: string[]}
	 */
	public function of( \WC_Order $order, ?Deadline $deadline = null ) {
		$lines    = array();
		$names    = array();
		$not_held = array();
		$unknown  = $this->unknown();
		$wrapping = Bundles::wrapping( $order->get_items() );
		foreach ( $order->get_items() as $key => $item ) {
			if ( ! $item instanceof \WC_Order_Item_Product ) {
				continue;
			}
			$product  = $item->get_product();
			$sku      = $product ? (string) $product->get_sku() : '';
			$quantity = (float) $item->get_quantity();
			$known    = '' !== $sku && mb_strlen( $sku ) <= 128 && ! isset( $unknown[ self::key( $sku ) ] );
			if ( ! $known || $quantity !== floor( $quantity ) || $quantity < 1 ) {
				$not_held[] = '' !== $sku ? $sku : $item->get_name();
				continue;
			}
			if ( $this->is_its_parts( $sku, $wrapping[ $key ] ?? array(), $unknown, $deadline ) ) {
				continue;
			}
			$lines[ self::key( $sku ) ] = min( self::QUANTITY_MAX, ( $lines[ self::key( $sku ) ] ?? 0 ) + (int) $quantity );
			$names[ self::key( $sku ) ] = $item->get_name();
		}
		/**
		 * What of an order holdfast is asked to hold: an array of SKU => quantity. A SKU is prefixed with "sku:", so that digits stay text.
		 *
		 * @since 0.1.0
		 */
		$lines = (array) apply_filters( 'holdfast_order_lines', $lines, $order );
		return array(
			'lines'    => array_slice( $lines, 0, self::LINES_MAX, true ),
			'names'    => $names,
			'not_held' => array_values( array_unique( $not_held ) ),
		);
	}

	/**
	 * Whether an item is held by its parts: these are lines of the order, and its SKU would have the gateway hold them once more.
	 *
	 * @param string             $sku      The item's.
	 * @param string[]           $parts    SKUs of the lines that it wraps.
	 * @param array<string, int> $unknown  SKUs that the gateway does not know, by key.
	 * @param Deadline|null      $deadline Until when the gateway may be asked.
	 * @return bool
	 */
	private function is_its_parts( $sku, array $parts, array $unknown, ?Deadline $deadline = null ) {
		foreach ( $parts as $part ) {
			if ( '' !== $part && ! isset( $unknown[ self::key( $part ) ] ) ) {
				return $this->bundles->is_kit( $sku, $deadline );
			}
		}
		return false;
	}

	/**
	 * Lines as the gateway reads them.
	 *
	 * @param array<string, int> $lines By key.
	 * @return array<int, array{sku: string, quantity: int}>
	 */
	public static function body( array $lines ) {
		$body = array();
		foreach ( $lines as $key => $quantity ) {
			$body[] = array(
				'sku'      => self::sku( $key ),
				'quantity' => $quantity,
			);
		}
		return $body;
	}

	/**
	 * A SKU as the key of an array: PHP would make a number of "42".
	 *
	 * @param string $sku The SKU.
	 * @return string
	 */
	public static function key( $sku ) {
		return 'sku:' . $sku;
	}

	/**
	 * The SKU of a key.
	 *
	 * @param string $key The key.
	 * @return string
	 */
	public static function sku( $key ) {
		return substr( $key, 4 );
	}

	/**
	 * SKUs that the gateway did not know a moment ago.
	 *
	 * @return array<string, int> When each may be asked for again.
	 */
	private function unknown() {
		$now = time();
		return array_filter(
			(array) $this->shared->get( 'unknown' ),
			static function ( $until ) use ( $now ) {
				return $until > $now;
			}
		);
	}

	/**
	 * Remembers SKUs that the gateway does not know.
	 *
	 * @param string[] $skus The SKUs.
	 */
	public function remember_unknown( array $skus ) {
		$unknown = $this->unknown();
		foreach ( $skus as $sku ) {
			$unknown[ self::key( $sku ) ] = time() + self::UNKNOWN_S;
		}
		$this->shared->set( 'unknown', array_slice( $unknown, - self::UNKNOWN_MAX, null, true ), self::UNKNOWN_S );
	}
}
