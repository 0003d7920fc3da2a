//! Whether an item can be declared: its aliases are free, its kit has no circle and stays within bounds.
//!
//! In: an item fact and what it would meet. Out: nothing, or the reason that the sender gets.

use super::{Checked, known_sku, reject};
use crate::engine::foreseen::{Foreseen, KitFault, SkuAhead};
use crate::wire::facts::Item;

pub(super) fn item<'m>(ahead: &mut Foreseen<'_, 'm>, fact: &Item<'m>) -> Checked {
    let own = ahead.own_name(&fact.sku);
    if let Some(of) = ahead.alias_of(&fact.sku) {
        return Err(taken(ahead, &fact.sku, of));
    }
    for alias in &fact.aliases {
        if *alias == fact.sku {
            return Err(format!("alias-taken: {alias} is the item's own name"));
        }
        if let Some(of) = ahead.alias_of(alias).filter(|&of| Some(of) != own) {
            return Err(taken(ahead, alias, of));
        }
        let is_alias_already = ahead.alias_of(alias).is_some();
        if let Some(phantom) = ahead.own_name(alias).filter(|_| !is_alias_already)
            && let Some(why) = ahead.why_not_an_alias(phantom)
        {
            return Err(format!(
                "alias-taken: {alias} is a SKU that {why}; a SKU can become an alias only while nothing but levels names it"
            ));
        }
    }
    for component in &fact.kit {
        if ahead.sku(&component.sku).is_none() {
            if component.sku == fact.sku || fact.aliases.contains(&component.sku) {
                return reject("circular-kit");
            }
            known_sku(ahead, &component.sku)?;
        }
    }
    ahead.kit_fault(fact).map_or(Ok(()), |fault| reject(reason(fault)))
}

fn reason(fault: KitFault) -> &'static str {
    match fault {
        KitFault::Circular => "circular-kit",
        KitFault::TooMuchOfOne => "malformed: kit: takes more than 1,000,000,000 of a component",
        KitFault::TooManyParts => "malformed: kit: has more than 1,000 components, or kits, at all depths together",
        KitFault::TooDeep => "malformed: kit: kits may be made of kits 16 deep, and this would be deeper",
        KitFault::TooWide => {
            "too-wide: the kits of this message, and those that take them, have too many components together; \
             send fewer items in one message, or have fewer kits take one SKU"
        }
    }
}

fn taken(ahead: &Foreseen<'_, '_>, name: &str, of: SkuAhead) -> String {
    let of = ahead.sku_name(of);
    match ahead.alias_given_at(name) {
        Some(at) => format!("alias-taken: facts[{at}] makes {name} an alias of {of}"),
        None => format!("alias-taken: {name} is an alias of {of}"),
    }
}
