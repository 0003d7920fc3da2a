//! Reading one fact: find its kind, then read exactly that kind's fields.
//!
//! In: the text of one JSON object. Out: a [`Statement`], or why it is rejected. Always: the fast pass keeps no paths;
//! only what it refuses is read once more, to find the path.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::envelope::{Envelope, Opened, Origin};
use super::incoming_stock::Transfer;
use super::orders::{AckMessage, DemandMessage, ReturnMessage, ShipmentMessage, UpdateMessage};
use super::policies::OversellMessage;
use super::requests::AnsweredMessage;
use super::reservations::OnlyId;
use super::take::{Bounded, Taken};
use super::{Fact, Item, Statement, Text, fast_path};
use crate::wire::errors::FieldError;

/// Why a fact is rejected; displays as the reason that the sender gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// Not JSON at all: send JSON in UTF-8.
    #[error("malformed-json")]
    NotJson,
    /// A `kind` that is not in the contract, or that only the gateway itself writes.
    #[error("unknown-kind")]
    UnknownKind,
    /// A field is missing, unknown, of another type or out of bounds: correct the field at `path`.
    #[error("malformed: {path}{}{reason}", if path.is_empty() { "" } else { ": " })]
    Malformed { path: String, reason: String },
}

impl From<FieldError> for FactError {
    fn from(FieldError { path, reason }: FieldError) -> Self {
        Self::Malformed { path, reason }
    }
}

/// Reads a fact from outside. `default_source` and `by` come from the message around it; the fact itself may not name
/// them. `reservation.*` kinds are unknown here.
pub fn parse_statement<'a>(
    raw: &'a str,
    default_source: Option<&'a str>,
    by: Option<&'a str>,
) -> Result<Statement<'a>, FactError> {
    let kind = kind_of(raw)?;
    let mut reader = Reader {
        raw,
        origin: Origin::Outside,
        envelope: Envelope::default(),
    };
    let fact = reader.public_fact(&kind)?.ok_or(FactError::UnknownKind)?;
    Ok(Statement {
        source: Text::Borrowed(default_source.unwrap_or_default()),
        by: by.map(Text::Borrowed),
        trace: reader.envelope.trace,
        fact,
    })
}

/// Reads a fact from LOG: as [`Statement::encode`] wrote it.
pub fn parse_logged(raw: &str) -> Result<Statement<'_>, FactError> {
    fast_path::logged(raw).map_or_else(|| parse_logged_slowly(raw), Ok)
}

/// As above, whatever the fact looks like.
pub(super) fn parse_logged_slowly(raw: &str) -> Result<Statement<'_>, FactError> {
    let kind = kind_of(raw)?;
    let source_key = if NAME_A_SOURCE.contains(&&*kind) {
        SENDER_KEY
    } else {
        "source"
    };
    let mut reader = Reader {
        raw,
        origin: Origin::Logged { source_key },
        envelope: Envelope::default(),
    };
    let fact = match reader.own_fact(&kind)? {
        Some(fact) => fact,
        None => reader.public_fact(&kind)?.ok_or(FactError::UnknownKind)?,
    };
    let Envelope { source, by, trace, .. } = reader.envelope;
    Ok(Statement {
        source: source.unwrap_or_default(),
        by,
        trace,
        fact,
    })
}

/// Kinds that have a field named `source`, so that their sender stands under another name.
const NAME_A_SOURCE: [&str; 3] = ["freshness", "source.reset", "ownership"];

/// The member of such a logged fact that names its sender.
pub(super) const SENDER_KEY: &str = "from";

/// Finds the kind: at once where it is the first member, as in everything we write ourselves.
pub(super) fn kind_of(raw: &str) -> Result<Text<'_>, FactError> {
    #[derive(Deserialize)]
    struct OnlyKind<'a> {
        #[serde(borrow, default)]
        kind: Option<Bounded<'a, 0, 128>>,
    }
    if let Some((kind, _)) = raw.strip_prefix("{\"kind\":\"").and_then(|rest| rest.split_once('"'))
        && !kind.contains('\\')
    {
        return Ok(Text::Borrowed(kind));
    }
    if raw.trim_ascii_start().starts_with('[') {
        return Err(read_error(raw, "", "must be an object"));
    }
    match serde_json::from_str::<OnlyKind<'_>>(raw) {
        Ok(OnlyKind { kind: Some(kind) }) => Ok(kind.out()),
        Ok(OnlyKind { kind: None }) => Err(FactError::from(FieldError::new("kind", "is missing"))),
        Err(error) => {
            let reason = reason_of(&error);
            let path = if reason == "must be an object" { "" } else { "kind" };
            Err(read_error(raw, path, &reason))
        }
    }
}

fn read_error(raw: &str, path: &str, reason: &str) -> FactError {
    match serde_json::from_str::<IgnoredAny>(raw) {
        Ok(_) => FactError::from(FieldError::new(path, reason)),
        Err(_) => FactError::NotJson,
    }
}

struct Reader<'a> {
    raw: &'a str,
    origin: Origin,
    envelope: Envelope<'a>,
}

impl<'a> Reader<'a> {
    fn public_fact(&mut self, kind: &str) -> Result<Option<Fact<'a>>, FactError> {
        Ok(Some(match kind {
            "stock.level" => Fact::StockLevel(self.read()?),
            "stock.delta" => Fact::StockDelta(self.read()?),
            "supply" => Fact::Supply(self.read()?),
            "receipt" => Fact::Receipt(self.read()?),
            "transfer" => Fact::Transfer(self.read::<Transfer<'a>>()?.check()?),
            "demand" => Fact::Demand(self.read::<DemandMessage<'a>>()?.check()?),
            "order.ack" => Fact::OrderAck(self.read::<AckMessage<'a>>()?.check()?),
            "order.update" => Fact::OrderUpdate(self.read::<UpdateMessage<'a>>()?.check()?),
            "shipment" => Fact::Shipment(self.read::<ShipmentMessage<'a>>()?.check()?),
            "return" => Fact::Return(self.read::<ReturnMessage<'a>>()?.check()),
            "item" => Fact::Item(self.read::<Item<'a>>()?.check()?),
            "location" => Fact::Location(self.read()?),
            "channel" => Fact::Channel(self.read()?),
            "allocation" => Fact::Allocation(self.read()?),
            "cap" => Fact::Cap(self.read()?),
            "safety" => Fact::Safety(self.read()?),
            "oversell" => Fact::Oversell(self.read::<OversellMessage<'a>>()?.check()?),
            "freshness" => Fact::Freshness(self.read()?),
            "restriction" => Fact::Restriction(self.read()?),
            "source.reset" => Fact::SourceReset(self.read()?),
            "ownership" => Fact::Ownership(self.read()?),
            _ => return Ok(None),
        }))
    }

    /// The kinds that stand in LOG alone.
    fn own_fact(&mut self, kind: &str) -> Result<Option<Fact<'a>>, FactError> {
        if kind == "digest.recounted" {
            return Ok(Some(Fact::DigestRecounted(self.read()?)));
        }
        if kind == "request.answered" {
            let answered = self.read::<AnsweredMessage<'a>>()?.check()?;
            return Ok(Some(Fact::RequestAnswered(answered)));
        }
        let Some(what) = kind.strip_prefix("reservation.") else {
            return Ok(None);
        };
        Ok(Some(match what {
            "held" => Fact::ReservationHeld(self.read()?),
            "confirmed" => Fact::ReservationConfirmed(self.read()?),
            "released" => Fact::ReservationReleased(self.read::<OnlyId<'a>>()?.id),
            "cancelled" => Fact::ReservationCancelled(self.read::<OnlyId<'a>>()?.id),
            "extended" => Fact::ReservationExtended(self.read()?),
            "fulfilled" => Fact::ReservationFulfilled(self.read()?),
            "oversold" => Fact::ReservationOversold(self.read::<OnlyId<'a>>()?.id),
            _ => return Ok(None),
        }))
    }

    fn read<T: Deserialize<'a>>(&mut self) -> Result<T, FactError> {
        let mut json = serde_json::Deserializer::from_str(self.raw);
        let opened = Opened {
            inner: &mut json,
            origin: self.origin,
            envelope: &mut self.envelope,
        };
        let read = T::deserialize(opened).and_then(|value| json.end().map(|()| value));
        read.map_err(|_| self.explain::<T>())
    }

    /// Reads once more what [`Self::read`] refused, and keeps track of the path.
    #[cold]
    fn explain<T: Deserialize<'a>>(&self) -> FactError {
        if serde_json::from_str::<IgnoredAny>(self.raw).is_err() {
            return FactError::NotJson;
        }
        let mut envelope = Envelope::default();
        let mut json = serde_json::Deserializer::from_str(self.raw);
        let opened = Opened {
            inner: &mut json,
            origin: self.origin,
            envelope: &mut envelope,
        };
        match serde_path_to_error::deserialize::<_, T>(opened) {
            Ok(_) => FactError::NotJson,
            Err(error) => {
                let path = envelope.reading.map_or_else(|| error.path().to_string(), str::to_owned);
                FactError::from(located(&path, error.inner()))
            }
        }
    }
}

/// Turns a refusal by serde into the path and the reason that is reported.
pub(crate) fn located(path: &str, error: &serde_json::Error) -> FieldError {
    let path = if path == "." { "" } else { path };
    let message = message_of(error);
    let named = |prefix: &str| {
        message
            .strip_prefix(prefix)?
            .split_once('`')
            .map(|(name, _)| name.to_owned())
    };
    for (prefix, reason) in [
        ("missing field `", "is missing"),
        ("unknown field `", "is unknown"),
        ("duplicate field `", "is given twice"),
    ] {
        if let Some(name) = named(prefix) {
            return FieldError::new(under(path, &name), reason);
        }
    }
    FieldError::new(path, reason_of(error))
}

/// The path of member `name` of the object at `path`, unless the path leads there already.
fn under(path: &str, name: &str) -> String {
    let inside = path
        .strip_suffix(name)
        .is_some_and(|parent| parent.is_empty() || parent.ends_with('.'));
    match (inside, path.is_empty()) {
        (true, _) => path.to_owned(),
        (false, true) => name.to_owned(),
        (false, false) => format!("{path}.{name}"),
    }
}

/// serde's message in our words: `invalid type: ..., expected an integer` becomes `must be an integer`.
pub(crate) fn reason_of(error: &serde_json::Error) -> String {
    if matches!(error.classify(), Category::Syntax | Category::Eof) {
        // A half of a surrogate pair, a number beyond every float: JSON in form, but nothing that can be held.
        return "cannot be read".to_owned();
    }
    let message = message_of(error);
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if expected.starts_with("struct ") => "must be an object".to_owned(),
        // What serde calls its own lists.
        Some((_, "a sequence")) => "must be an array".to_owned(),
        Some((start, expected)) if start.starts_with("invalid ") => format!("must be {expected}"),
        _ => message,
    }
}

/// The message without the line and column, which do not help the sender of a one-line object.
fn message_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(place.as_str()).unwrap_or(&message).to_owned()
}
