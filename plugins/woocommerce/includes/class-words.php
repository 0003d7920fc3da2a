<?php
/**
 * Role: sentences for shoppers. In: lines that did not fit. Out: text, translated, not escaped.
 * Always: what is wrong and what to do; no word of holdfast, reservations or gateways.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** What a shopper reads. */
final class Words {
	/**
	 * One sentence for each line that does not fit.
	 *
	 * @param array<int, array<string, mixed>> $lines As the gateway judged them.
	 * @param array<string, string>            $names Product names by key (Order_Lines).
	 * @return string[]
	 */
	public static function short( array $lines, array $names ) {
		$words = array();
		foreach ( $lines as $line ) {
			if ( ! empty( $line['ok'] ) ) {
				continue;
			}
			$sku     = (string) ( $line['sku'] ?? '' );
			$name    = $names[ Order_Lines::key( $sku ) ] ?? $sku;
			$left    = max( 0, (int) ( $line['sellable'] ?? 0 ) );
			$words[] = self::line( $name, $left, (string) ( $line['reason'] ?? '' ) );
		}
		return $words ? $words : array( __( 'Sorry, something in your cart has just sold out. Please check your cart and try again.', 'holdfast-woocommerce' ) );
	}

	/**
	 * The sentence for one line.
	 *
	 * @param string $name   The product.
	 * @param int    $left   How many can be sold.
	 * @param string $reason Why it does not fit.
	 * @return string
	 */
	private static function line( $name, $left, $reason ) {
		if ( 'restricted' === $reason || 'inactive' === $reason ) {
			/* translators: %s: product name */
			return sprintf( __( 'Sorry, "%s" cannot be ordered at the moment. Please remove it from your cart.', 'holdfast-woocommerce' ), $name );
		}
		if ( 'not-a-multiple' === $reason ) {
			/* translators: %s: product name */
			return sprintf( __( 'Sorry, "%s" cannot be ordered in this quantity. Please change the quantity in your cart.', 'holdfast-woocommerce' ), $name );
		}
		if ( 0 === $left ) {
			/* translators: %s: product name */
			return sprintf( __( 'Sorry, "%s" has just sold out. Please remove it from your cart; you were not charged.', 'holdfast-woocommerce' ), $name );
		}
		/* translators: 1: number of pieces, 2: product name */
		return sprintf( _n( 'Sorry, only %1$d of "%2$s" is left. Please change the quantity in your cart; you were not charged.', 'Sorry, only %1$d of "%2$s" are left. Please change the quantity in your cart; you were not charged.', $left, 'holdfast-woocommerce' ), $left, $name );
	}

	/** The shopper holds as much as one shopper may. */
	public static function limit() {
		return __( 'Sorry, you cannot order more of this at the moment. Please pay for or cancel your earlier orders first, or order fewer pieces.', 'holdfast-woocommerce' );
	}
}
