<?php
/**
 * Role: what this shop took since the connector wrote a product's stock. In: what the gateway answered to checkouts; orders that fell open. Out: units by
 * product, as SQL that WooCommerce's own hold reads in one statement with the stock.
 * Always: a figure of the connector has a place in LOG, and so has each hold; a hold at or below the figure's place is inside the figure and counts no
 * more. Read while the gateway does not answer, and never on the way of a checkout that it answers.
 *
 * @package Holdfast
 */

namespace Holdfast;

defined( 'ABSPATH' ) || exit;

/** The table of units that the stock of products does not show yet. */
final class Taken_Units {
	/** The option that says which form of the table this site has. */
	const MADE = 'holdfast_table';
	const FORM = '1';
	/** For how long rows stay that no figure has covered, in days. */
	const KEPT_DAYS = 30;

	/** The table's name on this site. */
	public static function table() {
		global $wpdb;
		return $wpdb->prefix . 'holdfast_taken';
	}

	/** Makes the table where this site has none. */
	public function prepare() {
		global $wpdb;
		if ( self::FORM === (string) get_option( self::MADE ) ) {
			return;
		}
		$table = self::table();
		// phpcs:disable WordPress.DB -- an own table, made once.
		$wpdb->query(
			"CREATE TABLE IF NOT EXISTS $table (
				reservation varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
				product_id bigint unsigned NOT NULL,
				units bigint NOT NULL,
				sequence bigint unsigned NOT NULL,
				seen bigint unsigned NOT NULL,
				fell_open tinyint NOT NULL DEFAULT 0,
				expires datetime NULL,
				noted datetime NOT NULL,
				PRIMARY KEY (reservation, product_id),
				KEY product_id (product_id),
				KEY seen (seen)
			) ENGINE=InnoDB"
		);
		// phpcs:enable
		update_option( self::MADE, self::FORM );
	}

	/**
	 * The gateway holds units for an order.
	 *
	 * @param string             $id       The reservation.
	 * @param \WC_Order          $order    The order.
	 * @param array<string, int> $lines    What is held, by key (Order_Lines).
	 * @param int                $sequence Its place in LOG.
	 * @param int                $until    When the hold ends, in seconds since 1970.
	 */
	public function hold( $id, $order, array $lines, $sequence, $until ) {
		global $wpdb;
		$rows = array();
		$held = $this->units( $order, $lines );
		foreach ( $held as $product => $units ) {
			$rows[] = $wpdb->prepare( '(%s, %d, %d, %d, %d, NOW() + INTERVAL %d SECOND, NOW())', $id, $product, $units, $sequence, $sequence, max( 0, $until - time() ) );
		}
		if ( array() === $rows ) {
			$this->forget( $id );
			return;
		}
		$this->query( 'REPLACE INTO ' . self::table() . ' (reservation, product_id, units, sequence, seen, expires, noted) VALUES ' . implode( ', ', $rows ) );
		$this->query( $wpdb->prepare( 'DELETE FROM ' . self::table() . ' WHERE reservation = %s', $id ) . ' AND product_id NOT IN (' . implode( ', ', array_keys( $held ) ) . ')' );
	}

	/**
	 * The units of an order are owed: its hold does not end by itself any more. What WooCommerce takes off its stock by itself is in that stock now.
	 *
	 * @param string   $id       The reservation.
	 * @param bool     $writes   Whether holdfast writes the stock of products.
	 * @param int|null $sequence The place in LOG of the confirmation; null where nobody has confirmed it yet.
	 */
	public function owe( $id, $writes, $sequence = null ) {
		global $wpdb;
		$table = self::table();
		if ( ! $writes ) {
			$this->forget( $id );
			return;
		}
		// A hold that had ended was free in between: it counts from where it was confirmed.
		$this->query( $wpdb->prepare( "UPDATE $table SET sequence = IF(expires <= NOW(), GREATEST(sequence, %d), sequence), seen = GREATEST(seen, %d), expires = NULL WHERE reservation = %s", (int) $sequence, (int) $sequence, $id ) );
		$this->query(
			$wpdb->prepare(
				"DELETE t FROM $table t LEFT JOIN {$wpdb->postmeta} m ON m.post_id = t.product_id AND m.meta_key = %s WHERE t.reservation = %s AND m.meta_id IS NULL",
				Stock_Writer::SEQUENCE,
				$id
			)
		);
	}

	/**
	 * The units are free again, or another reservation has them.
	 *
	 * @param string $id The reservation.
	 */
	public function forget( $id ) {
		global $wpdb;
		if ( '' !== $id ) {
			$this->query( $wpdb->prepare( 'DELETE FROM ' . self::table() . ' WHERE reservation = %s', $id ) );
		}
	}

	/**
	 * WooCommerce took an order off the stock that fell open: a figure from before that, which comes later, must not bring its units back. It is one from
	 * before where its place is no higher than any that this shop has seen by then.
	 *
	 * @param \WC_Order       $order The order.
	 * @param array<int, int> $units By product.
	 */
	public function fell_open( $order, array $units ) {
		global $wpdb;
		$table = self::table();
		foreach ( $units as $product => $quantity ) {
			$this->query(
				$wpdb->prepare(
					"REPLACE INTO $table (reservation, product_id, units, sequence, seen, fell_open, noted)
					SELECT %s, %d, %d, GREATEST(" . self::figure_sql( $product ) . ", COALESCE(MAX(t.seen), 0)), 0, 1, NOW() FROM $table t",
					self::of_open( $order ),
					$product,
					$quantity
				)
			);
		}
	}

	/**
	 * Under which name the units of an order stand that fell open.
	 *
	 * @param \WC_Order $order The order.
	 * @return string
	 */
	public static function of_open( $order ) {
		return 'open:' . $order->get_id();
	}

	/**
	 * Units of orders that fell open, of which a figure of this place in LOG knows nothing.
	 *
	 * @param int $product  The product.
	 * @param int $sequence The figure's place.
	 * @return int
	 */
	public function open_beside( $product, $sequence ) {
		global $wpdb;
		// phpcs:ignore WordPress.DB -- an own table, never cached.
		return (int) $wpdb->get_var( $wpdb->prepare( 'SELECT COALESCE(SUM(units), 0) FROM ' . self::table() . ' WHERE product_id = %d AND fell_open = 1 AND sequence >= %d', $product, $sequence ) );
	}

	/**
	 * A product has the figure of this place in LOG: what it covers is removed, and what nobody will ever cover.
	 *
	 * @param int $product  The product.
	 * @param int $sequence The figure's place.
	 */
	public function covered( $product, $sequence ) {
		global $wpdb;
		$table = self::table();
		$this->query( $wpdb->prepare( "DELETE FROM $table WHERE product_id = %d AND ((fell_open = 0 AND sequence <= %d) OR (fell_open = 1 AND sequence < %d) OR noted < NOW() - INTERVAL %d DAY)", $product, $sequence, $sequence, self::KEPT_DAYS ) );
	}

	/**
	 * Units of a product that its stock does not show yet.
	 *
	 * @param int $product The product.
	 * @return int
	 */
	public function of( $product ) {
		global $wpdb;
		return (int) $wpdb->get_var( self::sum_sql( $product ) ); // phpcs:ignore WordPress.DB -- an own table, never cached.
	}

	/**
	 * WooCommerce's question what is held of a product, and these units: one number.
	 *
	 * @param string $query   WooCommerce's, without a clause about locks.
	 * @param int    $product The product.
	 * @return string
	 */
	public static function beside( $query, $product ) {
		return "SELECT ( $query LOCK IN SHARE MODE ) + ( " . self::sum_sql( $product ) . ' LOCK IN SHARE MODE ) FROM DUAL';
	}

	/**
	 * The units of a product as SQL.
	 *
	 * @param int $product The product.
	 * @return string
	 */
	private static function sum_sql( $product ) {
		global $wpdb;
		return $wpdb->prepare( 'SELECT COALESCE(SUM(taken.units), 0) FROM ' . self::table() . ' taken WHERE taken.product_id = %d AND taken.fell_open = 0 AND (taken.expires IS NULL OR taken.expires > NOW())', $product )
			. ' AND taken.sequence > ' . self::figure_sql( $product );
	}

	/**
	 * The place in LOG of the figure that a product has, as SQL; 0 where it has none.
	 *
	 * @param int $product The product.
	 * @return string
	 */
	private static function figure_sql( $product ) {
		global $wpdb;
		return $wpdb->prepare( "(SELECT COALESCE(MAX(CAST(figure.meta_value AS UNSIGNED)), 0) FROM {$wpdb->postmeta} figure WHERE figure.post_id = %d AND figure.meta_key = %s)", $product, Stock_Writer::SEQUENCE );
	}

	/**
	 * Units by product of what is held of an order.
	 *
	 * @param \WC_Order          $order The order.
	 * @param array<string, int> $lines What is held, by key.
	 * @return array<int, int>
	 */
	private function units( $order, array $lines ) {
		$units = array();
		foreach ( $order->get_items() as $item ) {
			$product = $item instanceof \WC_Order_Item_Product ? $item->get_product() : null;
			if ( $product && isset( $lines[ Order_Lines::key( (string) $product->get_sku() ) ] ) ) {
				$id           = (int) $product->get_stock_managed_by_id();
				$units[ $id ] = ( $units[ $id ] ?? 0 ) + (int) $item->get_quantity();
			}
		}
		ksort( $units );
		return $units;
	}

	/**
	 * A statement whose failure must cost no order: it is logged.
	 *
	 * @param string $sql Prepared.
	 */
	private function query( $sql ) {
		global $wpdb;
		// phpcs:ignore WordPress.DB -- an own table; callers prepare.
		if ( false === $wpdb->query( $sql ) ) {
			wc_get_logger()->error( 'Units are not noted: ' . $wpdb->last_error, array( 'source' => 'holdfast' ) );
		}
	}
}
