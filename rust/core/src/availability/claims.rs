//! What may be taken while every claim stays as reachable as before: F of docs/rules.md, section 1.
//!
//! In: the stock of each node of one SKU, the nodes that the taker may use, and the claims of the others. Out: how many
//! units the taker can have. Always: `0 <= F <= stock(taker)`; taking F, node by node in any order, leaves the claims'
//! maximum flow as it was; more stock never makes F smaller. F is the same however it is computed (closed form,
//! enumeration or flow).
//!
//! The form used here is that of docs/rules.md, rewritten. With T the claims *outside* S, `W(T)` the stock of the nodes that no
//! claim but those in T wants, and `V(T)` the part of it that the taker may not use:
//! ```text
//! F = max over T of [ W(T) - claims in T ] - max over T of [ V(T) - claims in T ]
//! ```
//! Both are subset sums of one small table, so no set of nodes has to be united 2^k times.

mod flow;
mod nodes;
#[cfg(test)]
mod tests;

pub use nodes::NodeSet;

/// A quantity that must stay reachable from a set of nodes. At or below 0, or without nodes, it claims nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    pub quantity: i64,
    pub nodes: NodeSet,
}

/// What is reachable does not fit in a quantity (signed 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stock within reach exceeds 64 bits; lower the stock levels of this SKU")]
pub struct Overflow;

/// More distinct sets than this are solved as a flow: the table doubles with each set, the flow does not.
const SETS_MAX: usize = 8;

/// What a taker that may use `taker` can take while `claims` stay as reachable as before.
///
/// `stock[n] >= 0` is the quantity at node n; a node beyond the end of `stock` holds nothing. Sums are kept in 128 bits,
/// so only an answer that is itself too large is an [`Overflow`], never a step on the way to a small one.
pub fn reachable(stock: &[i64], taker: &NodeSet, claims: &[Claim]) -> Result<i64, Overflow> {
    debug_assert!(
        stock.iter().all(|&quantity| quantity >= 0),
        "stock at hand is never negative"
    );
    let mut alive = claims
        .iter()
        .filter(|claim| claim.quantity > 0 && !claim.nodes.is_empty());
    let most = match (alive.next(), alive.next()) {
        (None, _) => stock_of(stock, taker),
        (Some(only), None) => beside_one(stock, taker, &only.nodes, only.quantity.into()),
        (Some(_), Some(_)) => beside_several(stock, taker, claims),
    };
    i64::try_from(most).map_err(|_| Overflow)
}

fn at(stock: &[i64], node: usize) -> i128 {
    stock.get(node).copied().unwrap_or(0).into()
}

fn stock_of(stock: &[i64], nodes: &NodeSet) -> i128 {
    nodes.iter().map(|node| at(stock, node)).sum()
}

/// The closed form: what only the taker wants, and of the shared nodes what the claim leaves when it first takes from
/// those that the taker may not use.
fn beside_one(stock: &[i64], taker: &NodeSet, claimed: &NodeSet, quantity: i128) -> i128 {
    let (mut claimed_alone, mut shared) = (0, 0);
    for node in claimed {
        let share = if taker.contains(node) {
            &mut shared
        } else {
            &mut claimed_alone
        };
        *share += at(stock, node);
    }
    let taker_alone = stock_of(stock, taker) - shared;
    taker_alone + (claimed_alone + shared - quantity).max(0) - (claimed_alone - quantity).max(0)
}

fn beside_several(stock: &[i64], taker: &NodeSet, claims: &[Claim]) -> i128 {
    let (connected, within) = connected(taker, claims);
    let mut few = Few {
        sets: [taker; SETS_MAX],
        quantities: [0; SETS_MAX],
        count: 0,
    };
    for index in &connected {
        if !few.add(&claims[index]) {
            return flow::beside_many(stock, taker, connected.iter().map(|index| &claims[index]));
        }
    }
    match few.count {
        0 => stock_of(stock, taker),
        1 => beside_one(stock, taker, few.sets[0], few.quantities[0]),
        // The usual handful of claims must not pay for clearing the largest table.
        2 => beside_few::<4>(stock, taker, &few, &within),
        3..=4 => beside_few::<16>(stock, taker, &few, &within),
        5..=6 => beside_few::<64>(stock, taker, &few, &within),
        _ => beside_few::<{ 1 << SETS_MAX }>(stock, taker, &few, &within),
    }
}

/// The indexes of the claims that share a node with the taker, directly or through other claims, and all the nodes of
/// both. No unit that the taker takes can push any other claim around.
fn connected(taker: &NodeSet, claims: &[Claim]) -> (NodeSet, NodeSet) {
    let (mut connected, mut within) = (NodeSet::empty(), taker.clone());
    let mut grown = true;
    while std::mem::take(&mut grown) {
        for (index, claim) in claims.iter().enumerate() {
            if claim.quantity > 0 && !connected.contains(index) && claim.nodes.intersects(&within) {
                connected.insert(index);
                // A claim that brings no new node brings no new neighbour either.
                grown |= !claim.nodes.is_subset(&within);
                within.union_with(&claim.nodes);
            }
        }
    }
    (connected, within)
}

/// The claims of at most [`SETS_MAX`] distinct sets; those over equal sets are one, since they ask for the same.
struct Few<'a> {
    sets: [&'a NodeSet; SETS_MAX],
    quantities: [i128; SETS_MAX],
    count: usize,
}

impl<'a> Few<'a> {
    /// False when there is no room for one more set.
    fn add(&mut self, claim: &'a Claim) -> bool {
        let known = self.sets[..self.count].iter().position(|set| **set == claim.nodes);
        let slot = known.unwrap_or(self.count);
        if slot == SETS_MAX {
            return false;
        }
        self.sets[slot] = &claim.nodes;
        self.quantities[slot] += i128::from(claim.quantity);
        self.count = self.count.max(slot + 1);
        true
    }

    /// Which of the sets hold `node`, one bit each: nodes wanted by the same claims are one node to the rule.
    fn wanting(&self, node: usize) -> usize {
        let bits = self.sets[..self.count].iter().enumerate();
        bits.fold(0, |mask, (index, set)| mask | usize::from(set.contains(node)) << index)
    }
}

/// The two maxima of the module's head. `SIZE` is at least 2 to the number of sets.
fn beside_few<const SIZE: usize>(stock: &[i64], taker: &NodeSet, few: &Few<'_>, within: &NodeSet) -> i128 {
    let (mut all, mut without_taker) = ([0_i128; SIZE], [0_i128; SIZE]);
    for node in within {
        let (mask, quantity) = (few.wanting(node), at(stock, node));
        all[mask] += quantity;
        if !taker.contains(node) {
            without_taker[mask] += quantity;
        }
    }
    for (index, quantity) in few.quantities[..few.count].iter().enumerate() {
        all[1 << index] -= quantity;
        without_taker[1 << index] -= quantity;
    }
    let used = 1 << few.count;
    most_left(&mut all[..used]) - most_left(&mut without_taker[..used])
}

/// Turns each entry into the sum over its subsets, and gives the largest.
fn most_left(table: &mut [i128]) -> i128 {
    let mut bit = 1;
    while bit < table.len() {
        for mask in 0..table.len() {
            if mask & bit != 0 {
                table[mask] += table[mask ^ bit];
            }
        }
        bit <<= 1;
    }
    table.iter().copied().max().unwrap_or(0)
}
