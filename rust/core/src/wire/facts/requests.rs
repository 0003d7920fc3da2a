//! How a request under an idempotency key was answered; only LOG has these facts.

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::value::RawValue;

use super::Text;
use super::take::{Name, Taken, int, opt};
use crate::wire::keys::read_hex;

/// How a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It is answered in parts, each under its own key.
    InParts,
    /// With the reservation of this id after the facts before this one, under a status below 300.
    Reservation { status: u16, id: Text<'a> },
    /// With this JSON: a problem, or what became of facts.
    Body { status: u16, json: Text<'a> },
}

/// A request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAnswered<'a> {
    /// Hash of the idempotency key and of who used it.
    pub key: u128,
    /// Hash of what was asked.
    pub request: u128,
    pub outcome: Outcome<'a>,
}

/// The maintained digest had drifted from the state; every process recounts its digest at this batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestRecounted {
    /// What the leader counted.
    #[serde(deserialize_with = "hash")]
    pub digest: u128,
}

/// The same as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnsweredMessage<'a> {
    #[serde(deserialize_with = "hash")]
    key: u128,
    #[serde(deserialize_with = "hash")]
    request: u128,
    #[serde(default, deserialize_with = "int::<_, _, 200, 599>")]
    status: u16,
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    reservation: Option<Text<'a>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

fn hash<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
    let digits = Name::deserialize(from)?.out();
    read_hex(&digits).ok_or_else(|| D::Error::custom("must be 32 hexadecimal digits"))
}

impl<'a> AnsweredMessage<'a> {
    pub(super) fn check(self) -> Result<RequestAnswered<'a>, super::FactError> {
        let outcome = match (self.status, self.reservation, self.body) {
            (0, None, None) => Outcome::InParts,
            (status @ 200..300, Some(id), None) => Outcome::Reservation { status, id },
            (status @ 200.., None, Some(body)) => Outcome::Body {
                status,
                json: Text::Borrowed(body.get()),
            },
            _ => {
                let flaw = crate::wire::errors::FieldError::new("status", "must come with a reservation or a body");
                return Err(flaw.into());
            }
        };
        Ok(RequestAnswered {
            key: self.key,
            request: self.request,
            outcome,
        })
    }
}
