//! Reservations, by their place in memory: it is theirs until they are forgotten.
//!
//! In: the state, what is asked. Out: a page of reservations, each as GET answers it. Always: only what the key's channels have.

use super::{Listing, Page, RECORD, int_field, open};
use crate::availability::deficits::{Deficit, Deficits};
use crate::reads::render::{self, Answer, field, list, text_field};
use crate::state::State;
use crate::state::ids::{ChannelId, SkuId, Slot};
use crate::state::reservations::{Owner, Reservation, ReservationState};
use crate::wire::json::write_uint;

const STATES: [(&str, ReservationState); 8] = [
    ("held", ReservationState::Held),
    ("committed", ReservationState::Committed),
    ("in_erp", ReservationState::InErp),
    ("fulfilled", ReservationState::Fulfilled),
    ("released", ReservationState::Released),
    ("expired", ReservationState::Expired),
    ("cancelled", ReservationState::Cancelled),
    ("oversold", ReservationState::Oversold),
];

/// What a reservation must be to be listed.
struct Wanted {
    /// The owner's name, hashed; and what was asked for as it is, where it is a hash already.
    owners: Option<[Owner; 2]>,
    sku: Option<SkuId>,
    channel: Option<ChannelId>,
    state: Option<ReservationState>,
}

impl Wanted {
    fn is(&self, r: &Reservation) -> bool {
        self.state.is_none_or(|s| s == r.state)
            && self.channel.is_none_or(|c| c == r.channel)
            && self
                .owners
                .is_none_or(|all| r.owner.is_some_and(|owner| all.contains(&owner)))
            && self
                .sku
                .is_none_or(|sku| r.lines.iter().any(|l| l.sku == sku) || r.portions.iter().any(|p| p.sku == sku))
    }
}

/// `GET /v1/reservations?order_ref=&owner=&sku=&channel=&state=`.
pub(super) fn page(
    state: &State,
    asked: &Listing<'_>,
    owner_key: Option<&[u8; 32]>,
    as_of: &[u8],
) -> Result<Answer, Answer> {
    let wanted = Wanted {
        owners: asked
            .filter("owner")
            .map(|name| [Owner::keyed(owner_key, name), Owner::of(name)]),
        sku: asked.sku(state)?,
        channel: asked.channel(state)?,
        state: asked.choice("state", &STATES)?,
    };
    let from = asked.from()?;
    let mut page = Page::of(asked);
    let look = |page: &mut Page, slot: Slot| {
        page.look(1);
        let Some(r) = state.reservations.get_taken(slot) else {
            return;
        };
        page.look(RECORD + r.lines.len() + r.portions.len());
        if wanted.is(r) && asked.sees(state, r.channel) {
            page.entry(|out| render::reservation(state, r, b"", out));
        }
    };
    let next = if let Some(order_ref) = asked.filter("order_ref") {
        let mut slots = state.reservations.of_order(order_ref);
        slots.sort_unstable();
        slots.retain(|slot| slot.at() >= from);
        let mut next = None;
        for slot in slots {
            if page.is_full() {
                next = Some(slot.0.to_string());
                break;
            }
            look(&mut page, slot);
        }
        next
    } else {
        page.numbered(from, state.reservations.slots_total(), |page, n| {
            look(page, Slot(n as u32));
        })
    };
    Ok(page.end(next.as_deref(), as_of))
}

/// `GET /v1/deficits?sku=&channel=`: units of live reservations that nothing covers, in the order of the reservations.
pub(super) fn deficits(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let (sku, channel) = (asked.sku(state)?, asked.channel(state)?);
    let mut page = Page::of(asked);
    let mut found = Deficits::new(state);
    let next = page.numbered(asked.from()?, state.reservations.slots_total(), |page, n| {
        page.look(1);
        let Some(r) = state.reservations.get_taken(Slot(n as u32)) else {
            return;
        };
        page.look(RECORD + r.lines.len() + r.portions.len());
        if channel.is_some_and(|c| c != r.channel) || !asked.sees(state, r.channel) {
            return;
        }
        let before = found.looked();
        let missing = found.of(r);
        page.look(found.looked() - before);
        let missing: Vec<Deficit> = missing.into_iter().filter(|d| sku.is_none_or(|s| s == d.sku)).collect();
        if !missing.is_empty() {
            page.entry(|out| deficit_fields(state, r, missing, out));
        }
    });
    Ok(page.end(next.as_deref(), as_of))
}

fn deficit_fields(state: &State, r: &Reservation, missing: Vec<Deficit>, out: &mut Vec<u8>) {
    open(out, "reservation", &r.id);
    text_field(out, "state", Some(r.state.name()));
    text_field(out, "channel", Some(state.catalogue.channel_name(r.channel)));
    text_field(out, "order_ref", r.order_ref.as_deref());
    field(out, "units");
    list(out, missing, |out, deficit| {
        open(out, "sku", state.catalogue.sku_name(deficit.sku));
        text_field(
            out,
            "line",
            Some(state.catalogue.sku_name(r.lines[usize::from(deficit.line)].sku)),
        );
        text_field(
            out,
            "location",
            deficit.location.map(|l| state.catalogue.location_name(l)),
        );
        int_field(out, "quantity", deficit.units);
        out.push(b'}');
    });
    field(out, "sequence");
    write_uint(out, state.stored_at(r.sequence));
    out.push(b'}');
}
