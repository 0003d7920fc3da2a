//! One SKU: the item, what each location has of it, the rules that apply to it.
//!
//! In: the state, a SKU or alias. Out: its page. Always: bounded by the cells that a SKU may have, and by `RULES_MAX`.

use super::catalogue::owner_of;
use super::{Listing, as_of_field, bool_field, int_field, open, policies};
use crate::reads::refusals::unknown_sku;
use crate::reads::render::{Answer, field, list, text_field};
use crate::state::State;
use crate::state::catalogue::Item;
use crate::state::ids::SkuId;
use crate::state::stock::Cell;
use crate::wire::json::{write_int, write_string, write_uint};

/// Rules that are listed with the SKU; `/v1/policies?sku=` has all.
const RULES_MAX: usize = 1_000;

/// `GET /v1/skus/{sku}`.
pub(crate) fn sku(state: &State, name: &str, channels: Option<&[String]>, as_of: &[u8]) -> Result<Answer, Answer> {
    let sku = state.catalogue.sku(name).ok_or_else(|| unknown_sku(name))?;
    let mut out = Vec::with_capacity(1_024);
    open(&mut out, "sku", state.catalogue.sku_name(sku));
    field(&mut out, "item");
    match state.catalogue.item(sku) {
        Some(item) => item_fields(state, item, &mut out),
        None => out.extend_from_slice(b"null"),
    }
    let detail = state.catalogue.detail(sku);
    field(&mut out, "used_in");
    list(&mut out, detail.map_or(&[][..], |d| &d.used_in), |out, kit| {
        write_string(out, state.catalogue.sku_name(*kit));
    });
    field(&mut out, "levels");
    list(&mut out, state.cells(sku), |out, cell| level(state, sku, cell, out));
    field(&mut out, "rules");
    out.push(b'[');
    let asked = Listing {
        limit: RULES_MAX,
        channels,
        ..Listing::default()
    };
    let more = policies::of_sku(state, sku, &asked, &mut out);
    out.push(b']');
    bool_field(&mut out, "more_rules", more);
    if !as_of.is_empty() {
        field(&mut out, "as_of");
        out.extend_from_slice(as_of);
    }
    out.push(b'}');
    Ok((200, out))
}

fn item_fields(state: &State, item: &Item, out: &mut Vec<u8>) {
    open(out, "base_unit", &item.base_unit);
    field(out, "units");
    out.push(b'{');
    for (n, (unit, factor)) in item.units.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_string(out, unit);
        out.push(b':');
        write_int(out, *factor);
    }
    out.push(b'}');
    field(out, "kit");
    list(out, &item.kit, |out, (component, quantity)| {
        open(out, "sku", state.catalogue.sku_name(*component));
        int_field(out, "quantity", *quantity);
        out.push(b'}');
    });
    field(out, "aliases");
    list(out, &item.aliases, |out, alias| write_string(out, alias));
    int_field(out, "sell_multiple", item.sell_multiple);
    text_field(out, "tax_class", item.tax_class.as_deref());
    text_field(out, "status", Some(item.status.word()));
    out.push(b'}');
}

/// What a location has: the level as its source stated it, what moved since, what is owed from there.
fn level(state: &State, sku: SkuId, cell: &Cell, out: &mut Vec<u8>) {
    let stamp = cell.level();
    open(out, "location", state.catalogue.location_name(cell.location));
    text_field(out, "owner", owner_of(state, cell.location));
    let source = stamp.map(|l| state.catalogue.source_names.name(u32::from(l.source.0)));
    text_field(out, "source", source);
    as_of_field(out, "as_of", stamp.map(|l| l.as_of));
    text_field(out, "basis", stamp.map(|l| l.basis.word()));
    int_field(out, "on_hand", cell.on_hand);
    let moved = state.movements(sku, cell.location).iter().map(|m| m.on_hand).sum();
    int_field(out, "moved", moved);
    int_field(out, "unsellable", cell.unsellable);
    int_field(out, "allocated", cell.allocated);
    int_field(out, "demand", cell.demand);
    int_field(out, "committed", cell.committed);
    int_field(out, "held", cell.held);
    int_field(out, "safety", state.safety_in(sku, cell));
    int_field(out, "at_hand", state.in_cell(sku, cell, 0));
    field(out, "sequence");
    write_uint(out, cell.stock_sequence);
    field(out, "owed_sequence");
    write_uint(out, cell.owed_sequence);
    out.push(b'}');
}
