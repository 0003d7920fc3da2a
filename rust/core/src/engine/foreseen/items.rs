//! Items as a message will have declared them: units, aliases, and whether they are kits.
//!
//! In: item facts judged good. Out: what the items are then, those of the state included. Always: a name is the alias of one
//! item at most.

use super::{Foreseen, SkuAhead};
use crate::wire::facts::{Item, Text};

#[derive(Debug)]
pub(super) struct Declared<'m> {
    base_unit: Text<'m>,
    units: Vec<(Text<'m>, i64)>,
    pub(super) kit: Vec<(SkuAhead, i64)>,
    aliases: Vec<Text<'m>>,
}

impl Declared<'_> {
    /// An item of which only the kit matters: to look at what declaring it would do.
    pub(super) fn kit_alone(kit: Vec<(SkuAhead, i64)>) -> Self {
        Declared {
            base_unit: Text::Borrowed(""),
            units: Vec::new(),
            kit,
            aliases: Vec::new(),
        }
    }
}

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
        self.note_uses(sku, &kit);
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
