//! The order of locations: lower priority number first, then the name. Each location has a rank that grows in this order.
//!
//! In: locations as they are named and change their priority. Out: ranks, which say only who comes first. Always: naming one
//! more costs no look at the others but a few; ranks are spread out again where two neighbours leave no room between them.

use crate::state::catalogue::Catalogue;
use crate::state::ids::LocationId;

impl Catalogue {
    fn comes_before(&self, a: LocationId, b: LocationId) -> bool {
        let key = |l: LocationId| (self.locations[l.at()].priority, self.location_name(l));
        key(a) < key(b)
    }

    /// Gives a location that is new, or was taken out, its place in the order.
    pub(in crate::state) fn place_location(&mut self, id: LocationId) {
        let at = self.by_rank.partition_point(|&l| self.comes_before(l, id));
        let below = at.checked_sub(1).map_or(0, |n| self.rank_of(self.by_rank[n]));
        let above = self.by_rank.get(at).map_or(u64::MAX, |&l| self.rank_of(l));
        self.by_rank.insert(at, id);
        if above - below < 2 {
            self.spread_ranks();
        } else {
            self.locations.as_mut()[id.at()].rank = below + (above - below) / 2;
        }
    }

    /// Takes a location out of the order, before its priority changes.
    pub(in crate::state) fn lift_location(&mut self, id: LocationId) {
        let at = self.by_rank.partition_point(|&l| self.rank_of(l) < self.rank_of(id));
        self.by_rank.remove(at);
    }

    fn rank_of(&self, location: LocationId) -> u64 {
        self.locations[location.at()].rank
    }

    fn spread_ranks(&mut self) {
        let step = u64::MAX / (self.by_rank.len() as u64 + 1);
        for n in 0..self.by_rank.len() {
            crate::state::looked::at(1);
            let id = self.by_rank[n];
            self.locations.as_mut()[id.at()].rank = step * (n as u64 + 1);
        }
    }

    /// Renews the whole order.
    pub(crate) fn rank_locations(&mut self) {
        let mut order: Vec<LocationId> = (0..self.locations.len()).map(|n| LocationId(n as u16)).collect();
        order.sort_by(|&a, &b| {
            let key = |l: LocationId| (self.locations[l.at()].priority, self.location_name(l));
            key(a).cmp(&key(b))
        });
        self.by_rank = order;
        self.spread_ranks();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use crate::testing::World;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn ranks_follow_priority_and_name(steps in prop::collection::vec(("[a-f]{1,2}", 0i32..3), 1..40)) {
            let mut world = World::empty("{}");
            for (name, priority) in steps {
                world.location(&name, json!({"priority": priority}));
                let catalogue = &world.state().catalogue;
                let mut by_rank: Vec<_> = (0..catalogue.locations.len()).collect();
                by_rank.sort_by_key(|&n| catalogue.locations[n].rank);
                let keys: Vec<_> = by_rank
                    .iter()
                    .map(|&n| (catalogue.locations[n].priority, catalogue.location_names.name(n as u32)))
                    .collect();
                prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
            }
        }
    }
}
