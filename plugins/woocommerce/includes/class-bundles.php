<?php
/**
 * Role: which lines of an order only wrap others. In: the marks that plugins for bundles leave on items. Out: the wrapping items with their parts; whether
 * a SKU is a kit in holdfast. Always: an order without bundles asks nothing; without an answer a SKU is taken to be no kit.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** Bundles, composites, sets. */
final class Bundles {
	/** On a part: the mark that names what wraps it. On what wraps: the mark that has the same value; none: it is the number of the wrapping product. */
	const MARKS = array(
		'_bundled_by'       => '_bundle_cart_key',
		'_composite_parent' => '_composite_cart_key',
		'_mnm_container'    => '_mnm_cart_key',
		'_woosb_parent_id'  => '',
	);
	/** For how long it is remembered whether a SKU is a kit, in seconds. */
	const KEPT_S = 60;

	/**
	 * The gateway.
	 *
	 * @var Gateway
	 */
	private $gateway;

	/**
	 * Where answers are remembered.
	 *
	 * @var Shared_Store
	 */
	private $shared;

	/**
	 * Constructor.
	 *
	 * @param Gateway      $gateway The gateway.
	 * @param Shared_Store $shared  Where answers are remembered.
	 */
	public function __construct( Gateway $gateway, Shared_Store $shared ) {
		$this->gateway = $gateway;
		$this->shared  = $shared;
	}

	/**
	 * The items that wrap others of the same order, each with the SKUs of these.
	 *
	 * @param \WC_Order_Item[] $items The order's, by key.
	 * @return array<int|string, string[]>
	 */
	public static function wrapping( array $items ) {
		$found = array();
		foreach ( $items as $part ) {
			foreach ( self::MARKS as $of_part => $of_wrapper ) {
				$value   = (string) $part->get_meta( $of_part, true );
				$product = '' !== $value && $part instanceof \WC_Order_Item_Product ? $part->get_product() : null;
				foreach ( $product ? $items : array() as $key => $item ) {
					$same = '' === $of_wrapper ? (string) $item->get_product_id() : (string) $item->get_meta( $of_wrapper, true );
					if ( $item !== $part && $same === $value ) {
						$found[ $key ][] = (string) $product->get_sku();
					}
				}
			}
		}
		return $found;
	}

	/**
	 * Whether a SKU is a kit in holdfast.
	 *
	 * @param string        $sku      The SKU.
	 * @param Deadline|null $deadline Until when it may be asked; null: only what is remembered counts.
	 * @return bool
	 */
	public function is_kit( $sku, ?Deadline $deadline = null ) {
		$kept = $this->shared->get( 'kit_' . md5( $sku ) );
		if ( is_array( $kept ) || null === $deadline ) {
			return is_array( $kept ) && $kept[0];
		}
		$answer = $this->gateway->call( 'GET', '/v1/skus/' . rawurlencode( $sku ), null, $deadline );
		$is     = $answer->ok() && ! empty( $answer->body['item']['kit'] );
		if ( $answer->decided() ) {
			$this->shared->set( 'kit_' . md5( $sku ), array( $is ), self::KEPT_S );
		}
		return $is;
	}
}
