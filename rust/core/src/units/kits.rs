//! Kits' own caps: what the lines of a reservation consume of them, and give back.
//!
//! In: a reservation whose lines begin, change or end. Out: caps consumed and given back in the period they belong to.
//! Always: a kit counts in its cap as long as there is any part of it.

use crate::state::State;
use crate::state::ids::{ChannelId, SkuId, Slot};
use crate::state::policies::QuotaKind;
use crate::state::reservations::{Line, Lines};
use crate::units::quotas;

/// Consumes the caps of the kits among lines that are about to be held.
pub(crate) fn consume_caps(state: &mut State, channel: ChannelId, lines: &mut Lines) {
    for line in lines {
        if state.catalogue.is_kit(line.sku) {
            line.cap_period = quotas::period_for_sale(state, line.sku, channel, QuotaKind::Cap);
            quotas::consume(state, line.sku, channel, QuotaKind::Cap, line.quantity, line.cap_period);
        }
    }
}

/// Gives back what lines that are held no longer had consumed.
pub(crate) fn give_back_lines(state: &mut State, channel: ChannelId, lines: &[Line]) {
    for line in lines.iter().filter(|l| l.cap_period != 0) {
        quotas::consume(
            state,
            line.sku,
            channel,
            QuotaKind::Cap,
            -line.quantity,
            line.cap_period,
        );
    }
}

/// Gives back what a reservation's lines consumed; none of them counts in a cap any more.
pub(crate) fn give_back_caps(state: &mut State, slot: Slot) {
    let reservation = state.edit(slot);
    if reservation.lines.iter().all(|line| line.cap_period == 0) {
        return;
    }
    let channel = reservation.channel;
    let lines = reservation.lines.clone();
    for line in &mut reservation.lines {
        line.cap_period = 0;
    }
    give_back_lines(state, channel, &lines);
}

/// How many kits of each line there still are, whole or in part; 0 where no cap counts them.
pub(crate) fn counted(state: &State, slot: Slot) -> Vec<i64> {
    let reservation = state.reservations.get(slot);
    let kits_of = |(n, line): (usize, &Line)| {
        let mut kits = 0;
        if line.cap_period != 0 {
            state.catalogue.for_each_component(line.sku, |sku, per_kit| {
                let here = reservation
                    .portions
                    .iter()
                    .filter(|p| p.sku == sku && usize::from(p.line) == n);
                let units: i64 = here.map(|p| p.quantity).sum();
                kits = kits.max((units + per_kit - 1) / per_kit);
            });
        }
        kits.min(line.quantity)
    };
    reservation.lines.iter().enumerate().map(kits_of).collect()
}

/// Gives the kits that have left since `before` was counted back to their caps.
pub(crate) fn give_back_gone(state: &mut State, slot: Slot, before: &[i64]) {
    let after = counted(state, slot);
    let reservation = state.reservations.get(slot);
    let channel = reservation.channel;
    let gone = reservation.lines.iter().zip(before.iter().zip(&after));
    let gone: Vec<(SkuId, u32, i64)> = gone.map(|(l, (was, is))| (l.sku, l.cap_period, was - is)).collect();
    for (sku, period, kits) in gone {
        quotas::consume(state, sku, channel, QuotaKind::Cap, -kits, period);
    }
}
