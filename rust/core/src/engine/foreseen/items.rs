//! Items as a message will have declared them: units, kits, aliases.
//!
//! In: item facts judged good. Out: what the items are then, those of the state included. Always: kits have no circle, for
//! a fact that would close one is not judged good.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use super::{Foreseen, SkuAhead};
use crate::wire::facts::{Component, Item, Text};

#[derive(Debug)]
pub(super) struct Declared<'m> {
    base_unit: Text<'m>,
    units: Vec<(Text<'m>, i64)>,
    kit: Vec<(SkuAhead, i64)>,
    aliases: Vec<Text<'m>>,
}

/// What one of a kit takes from stock, by base component.
type Base = BTreeMap<SkuAhead, i64>;

impl<'m> Foreseen<'_, 'm> {
    /// Base units in one `unit` of a SKU.
    pub(crate) fn unit_factor(&self, sku: SkuAhead, unit: &str) -> Option<i64> {
        if !self.items.is_empty()
            && let Some(item) = self.items.get(&sku)
        {
            let other = || item.units.iter().find(|(name, _)| name == unit);
            return if item.base_unit == unit {
                Some(1)
            } else {
                other().map(|&(_, factor)| factor)
            };
        }
        match sku {
            SkuAhead::Known(known) => self.state.catalogue.unit_factor(known, unit),
            SkuAhead::New(_) => None,
        }
    }

    /// The names of a SKU's units; none where it is not declared.
    pub(crate) fn units(&self, sku: SkuAhead) -> Vec<&str> {
        if let Some(item) = self.items.get(&sku) {
            let others = item.units.iter().map(|(name, _)| name.as_ref());
            return std::iter::once(item.base_unit.as_ref()).chain(others).collect();
        }
        let SkuAhead::Known(known) = sku else { return Vec::new() };
        let item = self.state.catalogue.item(known);
        item.map_or_else(Vec::new, |item| {
            let others = item.units.iter().map(|(name, _)| &**name);
            std::iter::once(&*item.base_unit).chain(others).collect()
        })
    }

    pub(crate) fn is_kit(&self, sku: SkuAhead) -> bool {
        match (self.items.get(&sku), sku) {
            (Some(item), _) => !item.kit.is_empty(),
            (None, SkuAhead::Known(known)) => self.state.catalogue.is_kit(known),
            (None, SkuAhead::New(_)) => false,
        }
    }

    /// What a kit is made of; nothing for a plain item.
    fn parts(&self, sku: SkuAhead) -> Vec<(SkuAhead, i64)> {
        match (self.items.get(&sku), sku) {
            (Some(item), _) => item.kit.clone(),
            (None, SkuAhead::Known(known)) => {
                let item = self.state.catalogue.item(known);
                let kit = item.map_or(&[][..], |item| &item.kit[..]);
                kit.iter()
                    .map(|&(part, quantity)| (SkuAhead::Known(part), quantity))
                    .collect()
            }
            (None, SkuAhead::New(_)) => Vec::new(),
        }
    }

    /// Whether a kit takes a SKU at any depth, or is it.
    pub(crate) fn contains(&self, kit: SkuAhead, sku: SkuAhead) -> bool {
        let (mut seen, mut to_see) = (HashSet::new(), vec![kit]);
        while let Some(one) = to_see.pop() {
            if one == sku {
                return true;
            }
            if seen.insert(one) {
                to_see.extend(self.parts(one).into_iter().map(|(part, _)| part));
            }
        }
        false
    }

    /// The most that any kit would take of one base component if `fact`, which closes no circle, were taken: the kit itself,
    /// and each kit that it is part of.
    pub(crate) fn most_of_a_component(&mut self, fact: &Item<'m>) -> i64 {
        let sku = self.sku(&fact.sku).unwrap_or(SkuAhead::New(u32::MAX));
        // Components that nothing names yet are plain ones; each gets a number that no other has.
        let stranger = |name: &Text<'m>| {
            let first = fact.kit.iter().position(|other| other.sku == *name);
            SkuAhead::New(u32::MAX - 1 - first.unwrap_or(0) as u32)
        };
        let part = |c: &Component<'m>| (self.sku(&c.sku).unwrap_or_else(|| stranger(&c.sku)), c.quantity);
        let kit = fact.kit.iter().map(part).collect();
        let tried = Declared {
            base_unit: Text::Borrowed(""),
            units: Vec::new(),
            kit,
            aliases: Vec::new(),
        };
        let before = self.items.insert(sku, tried);
        let (mut bases, mut most) = (HashMap::new(), 0);
        let (mut seen, mut to_see) = (HashSet::new(), vec![sku]);
        while let Some(kit) = to_see.pop() {
            if seen.insert(kit) {
                let base = self.base_of(kit, &mut bases);
                most = base.values().fold(most, |most: i64, &quantity| most.max(quantity));
                self.kits_with(kit, &mut to_see);
            }
        }
        match before {
            Some(item) => self.items.insert(sku, item),
            None => self.items.remove(&sku),
        };
        most
    }

    fn base_of(&self, sku: SkuAhead, bases: &mut HashMap<SkuAhead, Base>) -> Base {
        if let Some(known) = bases.get(&sku) {
            return known.clone();
        }
        let parts = self.parts(sku);
        let mut base = Base::new();
        if parts.is_empty() {
            base.insert(sku, 1);
        }
        for (part, quantity) in parts {
            for (component, units) in self.base_of(part, bases) {
                let sum = base.entry(component).or_default();
                *sum = sum.saturating_add(units.saturating_mul(quantity));
            }
        }
        bases.insert(sku, base.clone());
        base
    }

    pub(super) fn is_in_a_kit(&self, sku: SkuAhead) -> bool {
        let mut kits = Vec::new();
        self.kits_with(sku, &mut kits);
        kits.iter()
            .any(|&kit| self.parts(kit).iter().any(|&(part, _)| part == sku))
    }

    /// The kits that name a SKU, or did before this message.
    fn kits_with(&self, sku: SkuAhead, into: &mut Vec<SkuAhead>) {
        if let SkuAhead::Known(known) = sku {
            let detail = self.state.catalogue.detail(known);
            let used_in = detail.map_or(&[][..], |detail| &detail.used_in[..]);
            into.extend(used_in.iter().map(|&kit| SkuAhead::Known(kit)));
        }
        let names = |item: &Declared<'_>| item.kit.iter().any(|&(part, _)| part == sku);
        into.extend(self.items.iter().filter(|(_, item)| names(item)).map(|(&kit, _)| kit));
    }

    /// Whose alias a name is.
    pub(crate) fn alias_of(&self, name: &str) -> Option<SkuAhead> {
        match self.aliases.get(name) {
            Some((of, _)) => *of,
            None => self.state.catalogue.aliases.get(name).map(|&of| SkuAhead::Known(of)),
        }
    }

    /// The fact of the message that made a name an alias.
    pub(crate) fn alias_given_at(&self, name: &str) -> Option<usize> {
        self.aliases.get(name).map(|&(_, at)| at)
    }

    pub(super) fn declare(&mut self, fact: &Item<'m>) {
        let sku = self.name_sku(&fact.sku);
        let mut kit = Vec::with_capacity(fact.kit.len());
        for component in &fact.kit {
            kit.push((self.name_sku(&component.sku), component.quantity));
        }
        let before = self.aliases_of(sku);
        for alias in &fact.aliases {
            self.aliases.insert(alias.clone(), (Some(sku), self.at));
        }
        for gone in before {
            if !fact.aliases.contains(&gone) {
                self.aliases.insert(gone, (None, self.at));
            }
        }
        let item = Declared {
            base_unit: fact.base_unit.clone(),
            units: fact.units.clone(),
            kit,
            aliases: fact.aliases.clone(),
        };
        self.items.insert(sku, item);
    }

    pub(super) fn aliases_of(&self, sku: SkuAhead) -> Vec<Text<'m>> {
        match (self.items.get(&sku), sku) {
            (Some(item), _) => item.aliases.clone(),
            (None, SkuAhead::Known(known)) => {
                let item = self.state.catalogue.item(known);
                let aliases = item.map_or(&[][..], |item| &item.aliases[..]);
                aliases.iter().map(|alias| Text::Owned(alias.to_string())).collect()
            }
            (None, SkuAhead::New(_)) => Vec::new(),
        }
    }
}
