//! Bounds of quantities. Quantities are signed 64-bit integers in a SKU's base unit.
//!
//! Always: what enters the state is at most [`QUANTITY_MAX`] in size, so that sums over a SKU's nodes cannot overflow.
//! The release profile checks overflow all the same: an overflow stops the process, it never wraps.

/// The most that one quantity of the state may reach, either way.
pub(crate) const QUANTITY_MAX: i64 = 1_000_000_000_000_000;

/// `quantity * factor` if it stays within the bound.
pub(crate) fn scaled(quantity: i64, factor: i64) -> Option<i64> {
    quantity.checked_mul(factor).filter(|q| q.abs() <= QUANTITY_MAX)
}

/// The greatest multiple of `multiple` that is at most `quantity`; 0 for what is below 0.
#[inline]
pub(crate) fn floor_to(quantity: i64, multiple: i64) -> i64 {
    if quantity <= 0 {
        0
    } else if multiple <= 1 {
        quantity
    } else {
        quantity - quantity % multiple
    }
}

/// The least quantity that is a multiple of both; at most [`QUANTITY_MAX`], beyond which nothing is held.
pub(crate) fn common_multiple(a: i64, b: i64) -> i64 {
    let (mut x, mut y) = (a.max(1), b.max(1));
    while y != 0 {
        (x, y) = (y, x % y);
    }
    scaled(a.max(1) / x, b.max(1)).unwrap_or(QUANTITY_MAX)
}

/// `ceil(hundredths of a per cent * quantity)`, never below 0.
pub(crate) fn percent_up(hundredths: i64, quantity: i64) -> i64 {
    if quantity <= 0 {
        return 0;
    }
    let product = i128::from(hundredths) * i128::from(quantity);
    ((product + 9_999) / 10_000) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_rounds_up() {
        assert_eq!(percent_up(1_000, 11), 2);
        assert_eq!(percent_up(1_000, 10), 1);
        assert_eq!(percent_up(1, 1), 1);
        assert_eq!(percent_up(1_000, -5), 0);
    }

    #[test]
    fn a_common_multiple_is_the_least() {
        assert_eq!(common_multiple(1, 4), 4);
        assert_eq!(common_multiple(6, 4), 12);
        assert_eq!(common_multiple(12, 12), 12);
        assert_eq!(common_multiple(0, 5), 5);
        assert_eq!(common_multiple(QUANTITY_MAX, QUANTITY_MAX - 1), QUANTITY_MAX);
    }

    #[test]
    fn multiples_floor_and_never_go_below_zero() {
        assert_eq!(floor_to(17, 6), 12);
        assert_eq!(floor_to(-1, 6), 0);
        assert_eq!(floor_to(5, 6), 0);
    }
}
