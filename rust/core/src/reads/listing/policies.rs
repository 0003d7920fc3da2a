//! The rules in force, kind by kind; within a kind by SKU (those for all SKUs first), then by channel, location or source, each
//! in the order in which LOG first named it.
//!
//! In: the state, what is asked. Out: a page. Always: a filter keeps the rules that apply there: those that name it, and those
//! for all; a key that is limited to channels sees the rules of those channels, and those for all.

use std::collections::BTreeMap;

use super::{Listing, Page, RECORD, bool_field, int_field, not_a_place, open, optional_int};
use crate::reads::render::{Answer, field, text_field};
use crate::state::State;
use crate::state::ids::{ChannelId, LocationId, SkuId, SourceId};
use crate::state::policies::{Quota, Quotas, Scope};
use crate::wire::facts::OversellPolicy;
use crate::wire::json::{write_int, write_uint};

const KINDS: [(&str, usize); 6] = [
    ("allocation", 0),
    ("cap", 1),
    ("freshness", 2),
    ("oversell", 3),
    ("restriction", 4),
    ("safety", 5),
];

/// Where a rule stands: its kind, its SKU and what else it names; None: for all.
type Place = (usize, Option<u32>, Option<u16>);

/// Reads `next` of a page: `kind.sku.other`, each number plus one, 0 for none.
fn place(text: &str) -> Result<Place, Answer> {
    let mut parts = text.split('.').map(str::parse::<u32>);
    let mut part = || parts.next().and_then(Result::ok).ok_or_else(not_a_place);
    let (kind, sku, other) = (part()? as usize, part()?, part()?);
    let other = other.checked_sub(1).map(u16::try_from).transpose();
    if kind >= KINDS.len() {
        return Err(not_a_place());
    }
    Ok((kind, sku.checked_sub(1), other.map_err(|_| not_a_place())?))
}

fn name_of((kind, sku, other): Place) -> String {
    format!(
        "{kind}.{}.{}",
        sku.map_or(0, |n| n + 1),
        other.map_or(0, |n| u32::from(n) + 1)
    )
}

/// What a rule must be to be listed.
struct Wanted<'a> {
    state: &'a State,
    asked: &'a Listing<'a>,
    sku: Option<SkuId>,
    channel: Option<ChannelId>,
}

impl Wanted<'_> {
    fn is_of(&self, channel: Option<ChannelId>) -> bool {
        channel.is_none_or(|c| self.channel.is_none_or(|wanted| wanted == c) && self.asked.sees(self.state, c))
    }
}

/// `GET /v1/policies?kind=&sku=&channel=`.
pub(super) fn page(state: &State, asked: &Listing<'_>, as_of: &[u8]) -> Result<Answer, Answer> {
    let mut page = Page::of(asked);
    let next = write(state, asked, &mut page)?;
    Ok(page.end(next.map(name_of).as_deref(), as_of))
}

/// Writes the rules that are asked for; where the next page begins.
fn write(state: &State, asked: &Listing<'_>, page: &mut Page) -> Result<Option<Place>, Answer> {
    let (mut from, only) = (
        asked.after.map_or(Ok((0, None, None)), place)?,
        asked.choice("kind", &KINDS)?,
    );
    let wanted = Wanted {
        state,
        asked,
        sku: asked.sku(state)?,
        channel: asked.channel(state)?,
    };
    for kind in from.0..KINDS.len() {
        if kind > from.0 {
            from = (kind, None, None);
        }
        if only.is_none_or(|k| k == kind)
            && let Some(next) = wanted.kind(from, page)
        {
            return Ok(Some(next));
        }
    }
    Ok(None)
}

/// The rules that apply to a SKU, for its own page; whether there are more of them.
pub(super) fn of_sku(state: &State, sku: SkuId, asked: &Listing<'_>, out: &mut Vec<u8>) -> bool {
    let mut page = Page::of(asked);
    page.out.clear();
    let wanted = Wanted {
        state,
        asked,
        sku: Some(sku),
        channel: None,
    };
    let more = (0..KINDS.len()).any(|kind| wanted.kind((kind, None, None), &mut page).is_some());
    out.extend_from_slice(&page.out);
    more
}

impl Wanted<'_> {
    fn kind(&self, from: Place, page: &mut Page) -> Option<Place> {
        let rules = &self.state.policies;
        let next = match from.0 {
            0 => self.quotas(from, page, "allocation", |d| &d.allocations),
            1 => self.quotas(from, page, "cap", |d| &d.caps),
            2 => self.freshness(from, page),
            3 => self.scoped(from, page, &rules.oversell, ChannelId, |c| self.is_of(c), oversell),
            4 => self.scoped(
                from,
                page,
                &rules.restrictions,
                ChannelId,
                |c| self.is_of(c),
                |state, scope, rule, out| {
                    named(state, "restriction", scope, out);
                    bool_field(out, "blocked", rule.blocked);
                    text_field(out, "reason", Some(&rule.reason));
                    sequence(state.stored_at(rule.sequence), out);
                },
            ),
            _ => self.scoped(from, page, &rules.safety, LocationId, |_| true, safety),
        };
        next.map(|(sku, other)| (from.0, sku, other))
    }

    fn quotas(
        &self,
        (_, sku, other): Place,
        page: &mut Page,
        kind: &'static str,
        of: fn(&crate::state::catalogue::Detail) -> &Quotas,
    ) -> Option<(Option<u32>, Option<u16>)> {
        let (first, last) = match self.sku {
            Some(sku) => (sku.at(), sku.at() + 1),
            None => (0, self.state.catalogue.skus.len()),
        };
        let from = sku.map_or(first, |n| first.max(n as usize));
        for n in from..last {
            if page.is_full() {
                return Some((Some(n as u32), None));
            }
            page.look(1);
            let Some(detail) = self.state.catalogue.detail(SkuId(n as u32)) else {
                continue;
            };
            page.look(RECORD);
            let start = other.filter(|_| sku == Some(n as u32)).unwrap_or(0);
            for (&channel, quota) in of(detail).range(ChannelId(start)..) {
                if page.is_full() {
                    return Some((Some(n as u32), Some(channel.0)));
                }
                page.look(RECORD);
                if self.is_of(Some(channel)) {
                    let scope = (Some(SkuId(n as u32)), Some(channel));
                    page.entry(|out| quota_fields(self.state, kind, scope, quota, out));
                }
            }
        }
        None
    }

    fn freshness(&self, from: Place, page: &mut Page) -> Option<(Option<u32>, Option<u16>)> {
        for (&source, rule) in self.state.policies.freshness.range(SourceId(from.2.unwrap_or(0))..) {
            if page.is_full() {
                return Some((None, Some(source.0)));
            }
            page.look(RECORD);
            page.entry(|out| {
                open(out, "kind", "freshness");
                let name = self.state.catalogue.source_names.name(u32::from(source.0));
                text_field(out, "source", Some(name));
                int_field(out, "stale_after_ms", rule.stale_after_ms);
                text_field(out, "action", Some(rule.action.word()));
                optional_int(out, "amount", rule.amount);
                out.push(b'}');
            });
        }
        None
    }

    /// Rules by SKU and something else; with a filter by SKU those for all SKUs, then its own.
    fn scoped<B: Copy + Ord + Into<u16>, R>(
        &self,
        (_, sku, other): Place,
        page: &mut Page,
        rules: &BTreeMap<Scope<SkuId, B>, R>,
        make: fn(u16) -> B,
        is_wanted: impl Fn(Option<B>) -> bool,
        write: impl Fn(&State, Scope<SkuId, B>, &R, &mut Vec<u8>),
    ) -> Option<(Option<u32>, Option<u16>)> {
        let start = (sku.map(SkuId), other.map(make));
        let ranges = match self.sku {
            None => vec![(start, (Some(SkuId(u32::MAX)), None))],
            Some(own) => [None, Some(own)]
                .into_iter()
                .map(|sku| (start.max((sku, None)), (sku, Some(make(u16::MAX)))))
                .filter(|(first, last)| first <= last)
                .collect(),
        };
        for (first, last) in ranges {
            for (&scope, rule) in rules.range(first..=last) {
                if page.is_full() {
                    return Some((scope.0.map(|s| s.0), scope.1.map(Into::into)));
                }
                page.look(RECORD);
                if is_wanted(scope.1) {
                    page.entry(|out| {
                        write(self.state, scope, rule, out);
                        out.push(b'}');
                    });
                }
            }
        }
        None
    }
}

fn sequence(sequence: u64, out: &mut Vec<u8>) {
    field(out, "sequence");
    write_uint(out, sequence);
}

fn named(state: &State, kind: &str, scope: Scope<SkuId, ChannelId>, out: &mut Vec<u8>) {
    open(out, "kind", kind);
    text_field(out, "sku", scope.0.map(|s| state.catalogue.sku_name(s)));
    text_field(out, "channel", scope.1.map(|c| state.catalogue.channel_name(c)));
}

fn quota_fields(state: &State, kind: &str, scope: Scope<SkuId, ChannelId>, quota: &Quota, out: &mut Vec<u8>) {
    named(state, kind, scope, out);
    optional_int(out, "quantity", quota.quantity);
    text_field(out, "period", quota.period.as_deref());
    int_field(out, "consumed", quota.consumed);
    optional_int(out, "rest", quota.rest(0));
    sequence(state.stored_at(quota.sequence), out);
    out.push(b'}');
}

fn oversell(
    state: &State,
    scope: Scope<SkuId, ChannelId>,
    rule: &crate::state::policies::OversellRule,
    out: &mut Vec<u8>,
) {
    named(state, "oversell", scope, out);
    let (word, limit) = match rule.policy {
        OversellPolicy::None => ("none", None),
        OversellPolicy::Limit(limit) => ("limit", Some(limit)),
        OversellPolicy::Unlimited => ("unlimited", None),
    };
    text_field(out, "policy", Some(word));
    optional_int(out, "limit", limit);
    sequence(state.stored_at(rule.sequence), out);
}

fn safety(
    state: &State,
    scope: Scope<SkuId, LocationId>,
    rule: &crate::state::policies::SafetyRule,
    out: &mut Vec<u8>,
) {
    open(out, "kind", "safety");
    text_field(out, "sku", scope.0.map(|s| state.catalogue.sku_name(s)));
    text_field(out, "location", scope.1.map(|l| state.catalogue.location_name(l)));
    optional_int(out, "absolute", rule.absolute);
    field(out, "percent");
    match rule.percent_hundredths {
        None => out.extend_from_slice(b"null"),
        Some(hundredths) => {
            write_int(out, hundredths / 100);
            out.extend_from_slice(format!(".{:02}", hundredths % 100).as_bytes());
        }
    }
    sequence(state.stored_at(rule.sequence), out);
}
