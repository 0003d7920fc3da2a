//! Whether the facts of a body are within what its sender may say.
//!
//! In: the messages of a body, and the sender's rights. Out: the first fact that is beyond them. Always: a fact that
//! cannot be read is nobody's: it is within every right, and rejected later, by the same reading.

use std::collections::HashSet;

use super::parse_in_message;
use crate::wire::facts::parse_statement;
use crate::wire::facts::rights::{Reach, is_kind_of_rules, kind_word};

/// What a sender of facts may say.
#[derive(Debug, Clone, Copy)]
pub struct Rights<'r> {
    /// Kinds that set rules.
    pub policies: bool,
    /// About these locations alone; None: about any.
    pub locations: Option<&'r HashSet<String>>,
}

/// What the sender lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// The right to send this kind.
    Policies(String),
    /// This location.
    Location(String),
    /// The right to send what may concern any location; the kind of the fact.
    AllLocations(String),
}

/// The first fact of a body that is beyond `rights`: its index in the body, and what the sender lacks for it.
pub fn first_beyond(messages: &[&[u8]], rights: Rights<'_>) -> Option<(usize, Lack)> {
    let mut before = 0;
    for message in messages {
        let Ok(message) = parse_in_message(message) else {
            continue;
        };
        let mut facts = message.facts.iter().enumerate();
        if let Some((at, lack)) = facts.find_map(|(at, raw)| Some((at, lack_of(raw.get(), rights)?))) {
            return Some((before + at, lack));
        }
        before += message.facts.len();
    }
    None
}

fn lack_of(raw: &str, rights: Rights<'_>) -> Option<Lack> {
    let kind = kind_word(raw)?;
    if !rights.policies && is_kind_of_rules(&kind) {
        return Some(Lack::Policies(kind.into_owned()));
    }
    let own = rights.locations?;
    let fact = parse_statement(raw, None, None).ok()?.fact;
    match fact.reach() {
        Reach::Any => Some(Lack::AllLocations(kind.into_owned())),
        Reach::Locations(named) => {
            let foreign = named.into_iter().find(|location| !own.contains(*location))?;
            Some(Lack::Location(foreign.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn beyond(policies: bool, locations: Option<&[&str]>, facts: &[Value]) -> Option<(usize, Lack)> {
        let own: Option<HashSet<String>> = locations.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let locations = own.as_ref();
        let message = json!({ "facts": facts }).to_string();
        first_beyond(&[message.as_bytes()], Rights { policies, locations })
    }

    fn level(location: &str) -> Value {
        json!({"kind": "stock.level", "sku": "S", "location": location, "on_hand": 1, "basis": "net", "as_of": 1})
    }

    #[test]
    fn rules_need_the_right_and_master_data_do_not() {
        let item = json!({"sku": "S", "base_unit": "each", "kind": "item"});
        let place = json!({"kind": "location", "location": "A"});
        let oversell = json!({"policy": "unlimited", "kind": "oversell"});
        let sent = [item, place, level("A"), oversell];
        assert_eq!(beyond(false, None, &sent), Some((3, Lack::Policies("oversell".into()))));
        assert_eq!(beyond(true, None, &sent), None);
    }

    #[test]
    fn the_index_counts_through_all_messages_of_a_body() {
        let plain = json!({"facts": [level("A"), level("A")]}).to_string();
        let cap = json!({"facts": [{"kind": "cap", "channel": "web", "sku": "S", "quantity": null}]}).to_string();
        let rights = Rights {
            policies: false,
            locations: None,
        };
        let found = first_beyond(&[plain.as_bytes(), cap.as_bytes()], rights);
        assert_eq!(found, Some((2, Lack::Policies("cap".into()))));
    }

    #[test]
    fn a_sender_of_some_locations_says_nothing_of_others() {
        let own = Some(&["A"][..]);
        assert_eq!(beyond(false, own, &[level("A")]), None);
        assert_eq!(beyond(false, own, &[level("B")]), Some((0, Lack::Location("B".into()))));
        let whole = json!({"kind": "order.ack", "order_ref": "o", "as_of": 1});
        let part = json!({"kind": "order.ack", "order_ref": "o", "as_of": 1, "lines": [{"sku": "S", "location": "A"}]});
        assert_eq!(beyond(false, own, &[part]), None);
        assert_eq!(
            beyond(false, own, &[whole]),
            Some((0, Lack::AllLocations("order.ack".into())))
        );
        let item = json!({"kind": "item", "sku": "S", "base_unit": "each"});
        assert_eq!(
            beyond(false, own, &[item]),
            Some((0, Lack::AllLocations("item".into())))
        );
        let out = json!({"kind": "transfer", "ref": "t", "sku": "S", "from": "A", "to": "B", "quantity": 1,
            "status": "shipped", "as_of": 1});
        assert_eq!(beyond(false, own, &[out]), Some((0, Lack::Location("B".into()))));
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_leader() {
        let broken = [json!({"kind": "stock.level"}), json!([]), json!({"kind": "nonsense"})];
        assert_eq!(beyond(false, Some(&[]), &broken), None);
    }
}
