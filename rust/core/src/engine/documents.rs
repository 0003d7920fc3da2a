//! Whether two facts of one message contradict each other: the same identity, and another body (docs/facts.md, "Identity").
//!
//! In: the facts of a message that were judged good so far. Out: for the next one nothing, or the reason it is rejected.
//! Always: a higher version is a newer document and contradicts none; a lower one comes late and changes nothing.

use hashbrown::HashMap;

use super::foreseen::{Foreseen, SkuAhead};
use crate::wire::facts::{AsOf, Fact, Statement, StockLevel, Text, Unsellable};

/// What names a document within a message: its kind, `ref`, `line`, and for movements the SKU and the location.
type Identity<'m> = (&'static str, Text<'m>, Option<Text<'m>>, Option<(SkuName, Text<'m>)>);
/// The SKU's own name, by whatever name it came.
type SkuName = String;

/// What a message says of a document.
#[derive(Debug, Clone, Copy)]
struct Said {
    version: Option<i64>,
    body: u64,
    at: usize,
}

/// What a message says of a cell at a time: its figures in base units, and under which name.
#[derive(Debug)]
struct Counted<'m> {
    name: Text<'m>,
    figures: [Option<i64>; 6],
    at: usize,
}

#[derive(Debug, Default)]
pub(super) struct Documents<'m> {
    said: HashMap<Identity<'m>, Said>,
    /// None until some level names a SKU by an alias: before, no two can name one SKU differently.
    counted: Option<HashMap<(SkuName, Text<'m>, AsOf), Counted<'m>>>,
}

impl<'m> Documents<'m> {
    /// Takes note of a fact that is good in all else; `before`: the good ones before it. Err: it contradicts one of them.
    pub(super) fn take(
        &mut self,
        ahead: &Foreseen<'_, 'm>,
        before: &[(usize, Statement<'m>)],
        statement: &Statement<'m>,
    ) -> Result<(), String> {
        let at = ahead.at;
        if let Fact::StockLevel(level) = &statement.fact {
            return self.level(ahead, before, level);
        }
        let Some((identity, version)) = identity_of(ahead, &statement.fact) else {
            return Ok(());
        };
        let said = Said {
            version,
            body: statement.body(),
            at,
        };
        match self.said.get(&identity) {
            Some(earlier) if contradicts(earlier, &said) => Err(format!(
                "same-identity: facts[{}] says otherwise of {} {}; give each its own line or ref, or a newer one a \
                 higher version",
                earlier.at, identity.0, identity.1
            )),
            Some(earlier) if said.version <= earlier.version => Ok(()),
            _ => {
                self.said.insert(identity, said);
                Ok(())
            }
        }
    }

    /// Two levels of one cell at one time are two counts if they name the SKU differently; under one name the later
    /// corrects the earlier.
    fn level(
        &mut self,
        ahead: &Foreseen<'_, 'm>,
        before: &[(usize, Statement<'m>)],
        level: &StockLevel<'m>,
    ) -> Result<(), String> {
        if self.counted.is_none() {
            if ahead.own_name(&level.sku).is_some() || ahead.sku(&level.sku).is_none() {
                return Ok(());
            }
            let mut counted = HashMap::new();
            for (at, earlier) in before {
                if let Fact::StockLevel(earlier) = &earlier.fact {
                    count(&mut counted, ahead, *at, earlier);
                }
            }
            self.counted = Some(counted);
        }
        let counted = self.counted.as_mut().expect("just made");
        let cell = (name_of(ahead, &level.sku), level.location.clone(), level.as_of);
        if let Some(earlier) = counted.get(&cell)
            && earlier.name != level.sku
            && earlier.figures != figures_of(ahead, level)
        {
            return Err(format!(
                "same-identity: facts[{}] counts {} at {} as {}, which is the same SKU, and has other figures; count it once",
                earlier.at, cell.0, cell.1, earlier.name
            ));
        }
        count(counted, ahead, ahead.at, level);
        Ok(())
    }
}

fn count<'m>(
    counted: &mut HashMap<(SkuName, Text<'m>, AsOf), Counted<'m>>,
    ahead: &Foreseen<'_, 'm>,
    at: usize,
    level: &StockLevel<'m>,
) {
    let cell = (name_of(ahead, &level.sku), level.location.clone(), level.as_of);
    let (name, figures) = (level.sku.clone(), figures_of(ahead, level));
    counted.insert(cell, Counted { name, figures, at });
}

/// A lower version than one already said comes late: it changes nothing, and contradicts nothing.
fn contradicts(earlier: &Said, now: &Said) -> bool {
    let other_version = match (earlier.version, now.version) {
        (Some(earlier), Some(now)) => earlier != now,
        (None, Some(_)) => true,
        (_, None) => false,
    };
    earlier.body != now.body && !other_version
}

fn name_of(ahead: &Foreseen<'_, '_>, sku: &str) -> SkuName {
    ahead.sku(sku).map_or(sku, |known| ahead.sku_name(known)).to_owned()
}

fn figures_of(ahead: &Foreseen<'_, '_>, level: &StockLevel<'_>) -> [Option<i64>; 6] {
    let sku = ahead.sku(&level.sku);
    let base = |quantity: i64| {
        let in_base = |sku: SkuAhead| ahead.in_base(sku, quantity, level.unit.as_deref());
        sku.map_or(quantity, in_base)
    };
    let Unsellable {
        quality_control,
        damaged,
        quarantined,
        in_transfer,
    } = level.unsellable;
    let parts = [level.on_hand, quality_control, damaged, quarantined, in_transfer].map(|q| Some(base(q)));
    let [on_hand, quality_control, damaged, quarantined, in_transfer] = parts;
    let allocated = level.allocated.map(base);
    [on_hand, quality_control, damaged, quarantined, in_transfer, allocated]
}

/// What names a document, and its version; None for kinds that state what is, and not what happened.
fn identity_of<'m>(ahead: &Foreseen<'_, 'm>, fact: &Fact<'m>) -> Option<(Identity<'m>, Option<i64>)> {
    let cell = |sku: &Text<'m>, location: &Text<'m>| Some((name_of(ahead, sku), location.clone()));
    let (reference, line, cell, version) = match fact {
        Fact::StockDelta(f) => (&f.reference, f.line.as_ref(), cell(&f.sku, &f.location), f.version),
        Fact::Return(f) => (&f.reference, f.line.as_ref(), cell(&f.sku, &f.location), f.version),
        Fact::Supply(f) => (&f.reference, Some(&f.line), None, f.version),
        Fact::Demand(f) => (&f.reference, Some(&f.line), None, f.version),
        Fact::Receipt(f) => (&f.reference, Some(&f.line), cell(&f.sku, &f.location), f.version),
        Fact::Transfer(f) => (&f.reference, f.line.as_ref(), None, f.version),
        Fact::Shipment(f) => (&f.reference, f.line.as_ref(), None, f.version),
        Fact::OrderUpdate(f) => (&f.reference, f.line.as_ref(), None, f.version),
        _ => return None,
    };
    Some(((fact.kind(), reference.clone(), line.cloned(), cell), version))
}
