//! SKUs whose unsourced units may bind now, in the order in which they are looked at: the one noted last comes first.
//!
//! In: SKUs whose stock changed, some of them many times. Out: each once. Always: noting, taking and striking out one costs
//! the same, however many are noted.

use hashbrown::HashMap;

use crate::state::ids::SkuId;

#[derive(Debug, Default)]
pub(crate) struct ToBind {
    /// With the number of each note; only the newest note of a SKU counts.
    stack: Vec<(SkuId, u64)>,
    newest: HashMap<SkuId, u64>,
    notes: u64,
}

impl ToBind {
    /// Notes a SKU: it is the next one.
    pub(crate) fn push(&mut self, sku: SkuId) {
        self.notes += 1;
        self.newest.insert(sku, self.notes);
        if let Some(last) = self.stack.last_mut().filter(|(last, _)| *last == sku) {
            last.1 = self.notes;
        } else {
            self.stack.push((sku, self.notes));
        }
    }

    /// Takes the next one.
    pub(crate) fn pop(&mut self) -> Option<SkuId> {
        while let Some((sku, note)) = self.stack.pop() {
            if self.newest.get(&sku) == Some(&note) {
                self.newest.remove(&sku);
                return Some(sku);
            }
        }
        None
    }

    pub(crate) fn contains(&self, sku: SkuId) -> bool {
        self.newest.contains_key(&sku)
    }

    pub(crate) fn strike_out(&mut self, sku: SkuId) {
        self.newest.remove(&sku);
    }

    /// Those noted, by number.
    pub(crate) fn sorted(&self) -> Vec<SkuId> {
        let mut all: Vec<SkuId> = self.newest.keys().copied().collect();
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_taken_once_and_the_one_noted_last_first(steps in prop::collection::vec((0u8..4, 0u32..5), 0..60)) {
            let (mut noted, mut plain) = (ToBind::default(), Vec::<SkuId>::new());
            for (what, number) in steps {
                let sku = SkuId(number);
                match what {
                    0 | 1 => {
                        noted.push(sku);
                        plain.push(sku);
                    }
                    2 => {
                        noted.strike_out(sku);
                        plain.retain(|s| *s != sku);
                    }
                    _ => {
                        let next = plain.pop();
                        plain.retain(|s| Some(*s) != next);
                        prop_assert_eq!(noted.pop(), next);
                    }
                }
                prop_assert_eq!(noted.contains(sku), plain.contains(&sku));
                prop_assert_eq!(noted.sorted().is_empty(), plain.is_empty());
            }
        }
    }
}
