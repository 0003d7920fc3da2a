//! F against two independent ways to say it: a textbook augmenting flow, and every way to hand out single units.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Claim, Few, NodeSet, Overflow, SETS_MAX, beside_few, connected, flow, reachable};

fn nodes(of: &[usize]) -> NodeSet {
    of.iter().copied().collect()
}

fn claim(quantity: i64, of: &[usize]) -> Claim {
    Claim {
        quantity,
        nodes: nodes(of),
    }
}

fn stock_within(stock: &[i64], taker: &NodeSet) -> i64 {
    taker.iter().filter_map(|node| stock.get(node)).sum()
}

#[derive(Debug, Clone)]
struct Case {
    stock: Vec<i64>,
    taker: NodeSet,
    claims: Vec<Claim>,
}

impl Case {
    fn reachable(&self) -> i64 {
        reachable(&self.stock, &self.taker, &self.claims).expect("small numbers")
    }

    fn by_augmenting(&self) -> i64 {
        let endless = Claim {
            quantity: self.stock.iter().sum::<i64>() + 1,
            nodes: self.taker.clone(),
        };
        let claims = |more: &[Claim]| augmented(&self.stock, &[&self.claims, more].concat());
        claims(&[endless]) - claims(&[])
    }
}

/// The maximum flow of `claims`, one unit of one claim at a time (Kuhn's way): slow, and plain to see.
fn augmented(stock: &[i64], claims: &[Claim]) -> i64 {
    let mut serving = vec![Vec::new(); stock.len()];
    let mut flow = 0;
    for (index, claim) in claims.iter().enumerate() {
        for _ in 0..claim.quantity.min(stock.iter().sum()) {
            flow += i64::from(seat(stock, claims, &mut serving, index, &mut BTreeSet::new()));
        }
    }
    flow
}

fn seat(stock: &[i64], claims: &[Claim], serving: &mut [Vec<usize>], index: usize, seen: &mut BTreeSet<usize>) -> bool {
    for node in claims[index].nodes.iter().filter(|&node| node < stock.len()) {
        if !seen.insert(node) {
            continue;
        }
        if (serving[node].len() as i64) < stock[node] {
            serving[node].push(index);
            return true;
        }
        for place in 0..serving[node].len() {
            if seat(stock, claims, serving, serving[node][place], seen) {
                serving[node][place] = index;
                return true;
            }
        }
    }
    false
}

/// The most units of `claims` that any hand-out of single units serves.
fn handed_out(stock: &mut [i64], claims: &[Claim]) -> i64 {
    let Some((first, rest)) = claims.split_first() else {
        return 0;
    };
    let unclaimed = handed_out(stock, rest);
    if first.quantity <= 0 {
        return unclaimed;
    }
    let less = [
        &[Claim {
            quantity: first.quantity - 1,
            nodes: first.nodes.clone(),
        }],
        rest,
    ]
    .concat();
    let (mut best, known) = (unclaimed, stock.len());
    for node in first.nodes.iter().take_while(|node| *node < known) {
        if stock[node] > 0 {
            stock[node] -= 1;
            best = best.max(1 + handed_out(stock, &less));
            stock[node] += 1;
        }
    }
    best
}

/// The most that any way to take units off the taker's nodes takes without touching what `claims` can reach.
fn taken_by_trying(case: &Case) -> i64 {
    let before = handed_out(&mut case.stock.clone(), &case.claims);
    let mut best = 0;
    let mut tries = vec![case.stock.clone()];
    for node in case.taker.iter().filter(|&node| node < case.stock.len()) {
        let take = |stock: Vec<i64>| {
            (0..=stock[node]).map(move |left| {
                let mut after = stock.clone();
                after[node] = left;
                after
            })
        };
        tries = tries.into_iter().flat_map(take).collect();
    }
    for mut left in tries {
        let taken = case.stock.iter().sum::<i64>() - left.iter().sum::<i64>();
        if taken > best && handed_out(&mut left, &case.claims) == before {
            best = taken;
        }
    }
    best
}

/// `spread` puts the nodes that far apart, so that sets of a few nodes spill over the first word.
fn cases(nodes: usize, stock: i64, claims: usize, quantity: i64) -> impl Strategy<Value = Case> {
    let set = move || prop::collection::vec(any::<bool>(), nodes);
    let wants = prop::collection::vec((-2..=quantity, set()), 0..=claims);
    (
        prop::collection::vec(0..=stock, nodes),
        set(),
        wants,
        prop::sample::select(vec![1_usize, 1, 23]),
    )
        .prop_map(move |(levels, taker, wants, spread)| {
            let spread_out = |bits: Vec<bool>| (0..nodes).filter(|&n| bits[n]).map(|n| n * spread).collect::<NodeSet>();
            let mut stock = vec![0; nodes * spread];
            levels
                .iter()
                .enumerate()
                .for_each(|(node, &level)| stock[node * spread] = level);
            let wants = wants.into_iter();
            let claims = wants
                .map(|(quantity, bits)| Claim {
                    quantity,
                    nodes: spread_out(bits),
                })
                .collect();
            Case {
                stock,
                taker: spread_out(taker),
                claims,
            }
        })
}

#[test]
fn without_claims_the_taker_has_all_its_nodes() {
    assert_eq!(reachable(&[3, 5, 7], &nodes(&[0, 2]), &[]), Ok(10));
    assert_eq!(reachable(&[3, 5, 7], &NodeSet::empty(), &[]), Ok(0));
}

#[test]
fn claims_without_quantity_or_nodes_vanish() {
    let void = [claim(0, &[0]), claim(-4, &[0, 1]), claim(9, &[])];
    assert_eq!(reachable(&[3, 5], &nodes(&[0, 1]), &void), Ok(8));
}

#[test]
fn one_claim_is_served_first_from_where_the_taker_cannot_go() {
    assert_eq!(reachable(&[10, 4], &nodes(&[0]), &[claim(6, &[0, 1])]), Ok(8));
    assert_eq!(reachable(&[10, 4], &nodes(&[0, 1]), &[claim(6, &[0, 1])]), Ok(8));
    assert_eq!(reachable(&[10, 4], &nodes(&[0]), &[claim(99, &[0, 1])]), Ok(0));
}

#[test]
fn claims_elsewhere_do_not_count() {
    let elsewhere = [claim(9, &[1, 2]), claim(9, &[2])];
    assert_eq!(reachable(&[3, 5, 7], &nodes(&[0]), &elsewhere), Ok(3));
    assert_eq!(
        reachable(&[3, 5, 7], &nodes(&[0]), &[claim(9, &[1, 2]), claim(2, &[0])]),
        Ok(1)
    );
}

#[test]
fn a_claim_that_shares_nothing_with_the_taker_still_pushes_one_that_does() {
    // The second claim needs all of node 1, so the first must stay on node 0.
    let chain = [claim(3, &[0, 1]), claim(5, &[1])];
    assert_eq!(reachable(&[4, 5], &nodes(&[0]), &chain), Ok(1));
}

#[test]
fn claims_over_equal_nodes_are_one() {
    let split: Vec<_> = (0..20).map(|_| claim(1, &[0, 1])).collect();
    assert_eq!(reachable(&[30, 4], &nodes(&[0]), &split), Ok(14));
    assert_eq!(reachable(&[30, 4], &nodes(&[0]), &[claim(20, &[0, 1])]), Ok(14));
}

#[test]
fn nodes_beyond_the_stock_hold_nothing() {
    assert_eq!(reachable(&[3], &nodes(&[0, 1, 200]), &[]), Ok(3));
    assert_eq!(reachable(&[3], &nodes(&[0, 200]), &[claim(2, &[0, 100])]), Ok(1));
    let many: Vec<_> = (0..12).map(|n| claim(1, &[0, 100 + n])).collect();
    assert_eq!(reachable(&[30], &nodes(&[0, 200]), &many), Ok(18));
}

#[test]
fn only_an_answer_that_is_too_large_overflows() {
    let (full, both) = ([i64::MAX, i64::MAX], nodes(&[0, 1]));
    assert_eq!(reachable(&full, &both, &[]), Err(Overflow));
    assert_eq!(reachable(&full, &nodes(&[1]), &[]), Ok(i64::MAX));
    assert_eq!(reachable(&full, &both, &[claim(i64::MAX, &[0, 1])]), Ok(i64::MAX));
    assert_eq!(
        reachable(&full, &both, &[claim(i64::MAX, &[0]), claim(i64::MAX, &[0, 1])]),
        Ok(0)
    );
    assert_eq!(
        reachable(&full, &both, &[claim(1, &[0]), claim(1, &[1])]),
        Err(Overflow)
    );
    let many: Vec<_> = (2..14).map(|n| claim(i64::MAX, &[0, 1, n])).collect();
    assert_eq!(reachable(&full, &both, &many), Ok(0));
}

#[test]
fn hundreds_of_overlapping_claims_are_answered() {
    let stock: Vec<i64> = (0..300).map(|n| n % 7 + 1).collect();
    let claims: Vec<_> = (0..300)
        .map(|first| Claim {
            quantity: 3,
            nodes: (first..300).step_by(3).collect(),
        })
        .collect();
    let case = Case {
        taker: (0..300).step_by(2).collect(),
        stock,
        claims,
    };
    assert_eq!(case.reachable(), case.by_augmenting());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_equals_the_augmenting_flow(case in prop_oneof![cases(4, 6, 3, 8), cases(6, 5, 8, 6), cases(8, 4, 14, 4)]) {
        prop_assert_eq!(case.reachable(), case.by_augmenting());
    }

    #[test]
    fn the_table_of_subsets_equals_the_flow(case in cases(9, 1_000_000, SETS_MAX, 1_000_000)) {
        let alive: Vec<_> = case.claims.iter().filter(|claim| claim.quantity > 0).collect();
        let (_, within) = connected(&case.taker, &case.claims);
        let within = alive.iter().fold(within, |within, claim| within.union(&claim.nodes));
        let mut few = Few { sets: [&case.taker; SETS_MAX], quantities: [0; SETS_MAX], count: 0 };
        prop_assert!(alive.iter().all(|claim| few.add(claim)));
        let table = beside_few::<{ 1 << SETS_MAX }>(&case.stock, &case.taker, &few, &within);
        prop_assert_eq!(table, flow::beside_many(&case.stock, &case.taker, alive.iter().copied()));
        prop_assert_eq!(table, i128::from(case.reachable()));
    }

    #[test]
    fn more_stock_never_lowers_it(case in cases(7, 9, 12, 9), node in any::<Index>(), more in 1_i64..20) {
        let mut richer = case.clone();
        richer.stock[node.index(case.stock.len())] += more;
        prop_assert!(richer.reachable() >= case.reachable());
    }

    #[test]
    fn it_is_between_nothing_and_the_takers_stock(case in cases(7, 9, 12, 9)) {
        prop_assert!((0..=stock_within(&case.stock, &case.taker)).contains(&case.reachable()));
    }

    #[test]
    fn the_order_of_claims_does_not_matter(case in cases(7, 9, 12, 9), by in any::<Index>()) {
        let mut turned = case.clone();
        turned.claims.rotate_left(if case.claims.is_empty() { 0 } else { by.index(case.claims.len()) });
        prop_assert_eq!(turned.reachable(), case.reachable());
    }

    #[test]
    fn taking_it_node_by_node_in_any_order_takes_it_all_and_leaves_the_claims_theirs(
        (case, order) in cases(6, 6, 10, 6).prop_flat_map(|case| {
            let order = Just(case.taker.iter().collect::<Vec<_>>()).prop_shuffle();
            (Just(case), order)
        })
    ) {
        let (mut left, mut taken) = (case.stock.clone(), 0);
        for node in order {
            let here = reachable(&left, &nodes(&[node]), &case.claims).expect("small numbers");
            left[node] -= here;
            taken += here;
        }
        prop_assert_eq!(taken, case.reachable());
        prop_assert_eq!(augmented(&left, &case.claims), augmented(&case.stock, &case.claims));
        prop_assert_eq!(reachable(&left, &case.taker, &case.claims), Ok(0));
    }

    #[test]
    fn a_set_of_nodes_is_a_set_of_numbers(
        a in prop::collection::btree_set(0_usize..200, 0..9), b in prop::collection::btree_set(0_usize..200, 0..9)
    ) {
        let (mine, theirs) = (a.iter().copied().collect::<NodeSet>(), b.iter().copied().collect::<NodeSet>());
        prop_assert!(mine.iter().eq(a.iter().copied()));
        prop_assert!(mine.union(&theirs).iter().eq(a.union(&b).copied()));
        prop_assert_eq!(mine == theirs, a == b);
        prop_assert_eq!(mine.intersects(&theirs), !a.is_disjoint(&b));
        prop_assert_eq!(mine.is_subset(&theirs), a.is_subset(&b));
        prop_assert!(mine.is_subset(&mine.union(&theirs)));
        prop_assert_eq!(mine.is_empty(), a.is_empty());
        prop_assert!((0..300).all(|node| mine.contains(node) == a.contains(&node)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_is_the_most_that_any_way_of_taking_units_takes(case in cases(3, 3, 3, 3)) {
        prop_assert_eq!(case.reachable(), taken_by_trying(&case));
    }
}
