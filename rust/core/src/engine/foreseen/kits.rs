//! Kits as a message will have declared them: what is inside a kit, which kits take a SKU, and whether all stay within bounds.
//!
//! In: an item fact and the items judged good before it. Out: what is wrong with its kit, if anything. Always: kits have no
//! circle, for a fact that would close one is not judged good; and the looking itself is bounded for a whole message, so that
//! no accepted one costs the leader its turn (ADR 12).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use hashbrown::{HashMap, HashSet};

use super::items::Declared;
use super::{Foreseen, SkuAhead};
use crate::wire::facts::bounds::COMPONENTS_MAX;
use crate::wire::facts::{Component, Item, Text};

/// The most that a kit may take of one base component.
const COMPONENT_MAX: i64 = 1_000_000_000;
/// How deep kits may be made of kits.
const DEPTH_MAX: usize = 16;
/// Components that may be looked at for the kits of one message.
const LOOKED_AT_MAX: usize = 100_000;

/// Why a kit cannot be declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KitFault {
    Circular,
    TooMuchOfOne,
    TooManyParts,
    TooDeep,
    TooWide,
}

/// A kit taken apart.
#[derive(Debug, Default)]
struct Shape {
    /// 0: a plain item.
    depth: usize,
    /// What one takes from stock, by base component.
    base: BTreeMap<SkuAhead, i64>,
    /// The kits inside it, at any depth.
    inner: BTreeSet<SkuAhead>,
}

type Shapes = HashMap<SkuAhead, Rc<Shape>>;

impl<'m> Foreseen<'_, 'm> {
    /// What would be wrong if `fact` were taken: with the kit itself, or with a kit that it is part of.
    pub(crate) fn kit_fault(&mut self, fact: &Item<'m>) -> Option<KitFault> {
        let sku = self.sku(&fact.sku).unwrap_or(SkuAhead::New(u32::MAX));
        // Components that nothing names yet are plain ones; each gets a number that no other has.
        let stranger = |name: &Text<'m>| {
            let first = fact.kit.iter().position(|other| other.sku == *name);
            SkuAhead::New(u32::MAX - 1 - first.unwrap_or(0) as u32)
        };
        let part = |c: &Component<'m>| (self.sku(&c.sku).unwrap_or_else(|| stranger(&c.sku)), c.quantity);
        let kit: Vec<(SkuAhead, i64)> = fact.kit.iter().map(part).collect();
        if self.parts(sku) == kit {
            return None;
        }
        let before = self.items.insert(sku, Declared::kit_alone(kit));
        let fault = self.fault_from(sku).err();
        match before {
            Some(item) => self.items.insert(sku, item),
            None => self.items.remove(&sku),
        };
        fault
    }

    fn fault_from(&mut self, sku: SkuAhead) -> Result<(), KitFault> {
        self.no_circle(sku)?;
        let mut shapes = Shapes::new();
        let (mut seen, mut to_see) = (HashSet::new(), vec![sku]);
        while let Some(kit) = to_see.pop() {
            if seen.insert(kit) {
                self.shape(kit, 0, &mut shapes)?;
                let first = to_see.len();
                self.kits_with(kit, &mut to_see);
                self.look_at(1 + to_see.len() - first)?;
            }
        }
        Ok(())
    }

    fn no_circle(&mut self, sku: SkuAhead) -> Result<(), KitFault> {
        let (mut seen, mut to_see) = (HashSet::new(), vec![sku]);
        while let Some(one) = to_see.pop() {
            for (part, _) in self.parts(one) {
                self.look_at(1)?;
                if part == sku {
                    return Err(KitFault::Circular);
                }
                if seen.insert(part) {
                    to_see.push(part);
                }
            }
        }
        Ok(())
    }

    fn look_at(&mut self, components: usize) -> Result<(), KitFault> {
        self.looked_at += components;
        if self.looked_at > LOOKED_AT_MAX {
            return Err(KitFault::TooWide);
        }
        Ok(())
    }

    /// `above`: how many kits it was reached through, so that this ends however deep the state has them.
    fn shape(&mut self, sku: SkuAhead, above: usize, shapes: &mut Shapes) -> Result<Rc<Shape>, KitFault> {
        if let Some(known) = shapes.get(&sku) {
            return Ok(Rc::clone(known));
        }
        let parts = self.parts(sku);
        let mut shape = Shape::default();
        if parts.is_empty() {
            shape.base.insert(sku, 1);
        } else if above == DEPTH_MAX {
            return Err(KitFault::TooDeep);
        }
        for (part, quantity) in parts {
            let inside = self.shape(part, above + 1, shapes)?;
            self.look_at(1 + inside.base.len() + inside.inner.len())?;
            shape.depth = shape.depth.max(inside.depth + 1);
            if inside.depth > 0 {
                shape.inner.insert(part);
                shape.inner.extend(&inside.inner);
            }
            for (&component, units) in &inside.base {
                let sum = shape.base.entry(component).or_default();
                *sum = sum.saturating_add(units.saturating_mul(quantity));
                if *sum > COMPONENT_MAX {
                    return Err(KitFault::TooMuchOfOne);
                }
            }
        }
        if shape.depth > DEPTH_MAX {
            return Err(KitFault::TooDeep);
        }
        if shape.base.len() > COMPONENTS_MAX || shape.inner.len() > COMPONENTS_MAX {
            return Err(KitFault::TooManyParts);
        }
        let shape = Rc::new(shape);
        shapes.insert(sku, Rc::clone(&shape));
        Ok(shape)
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
        into.extend(self.used_in.get(&sku).into_iter().flatten());
    }

    /// Notes which SKUs a kit names from now on.
    pub(super) fn note_uses(&mut self, kit: SkuAhead, parts: &[(SkuAhead, i64)]) {
        for &(part, _) in parts {
            let kits = self.used_in.entry(part).or_default();
            if kits.last() != Some(&kit) {
                kits.push(kit);
            }
        }
    }
}
