//! Request bodies: what a caller asks, parsed so that it cannot be malformed (docs/http.md).
//!
//! In: the bytes of a body. Out: a value whose shape and bounds are checked, or a [`RequestError`] that lists what is
//! wrong. Always: a good body costs one pass that borrows its strings; only a bad one is read again, to list every flaw.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::wire::errors::{FieldError, Problem, RequestError};
use crate::wire::facts::Text;
use crate::wire::facts::bounds::{
    LINES_MAX, NAME_CHARS_MAX, QUANTITY_MAX, REQUESTS_MAX, REVISION_MAX, SKUS_MAX, TTL_MS_MAX,
};
use crate::wire::facts::take::{Int, List, Name, Object, int, one, opt, text_flaw};
use crate::wire::facts::{QuantityLine, QuantityLines, located, names};

mod fast_path;
mod flaws;
mod incoming;
mod rights;
mod split;

use flaws::Field;
pub use incoming::{
    ATOMIC_FACTS_MAX, InMessage, MESSAGE_BYTES_MAX, MESSAGE_FACTS_MAX, MESSAGE_WIDE_MAX, POLICY_SOURCE,
    parse_in_message, split_facts,
};
pub use rights::{Lack, Rights, first_beyond};
pub use split::{join_results, split_batch};

/// One line of a PUT, in the unit it names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutLine<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, 1, QUANTITY_MAX>")]
    pub quantity: i64,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub location: Option<Text<'a>>,
}

/// `PUT /v1/reservations/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutBody<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub channel: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub region: Option<Text<'a>>,
    /// As the caller names the shopper; never stored like this.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub owner: Option<Text<'a>>,
    #[serde(deserialize_with = "int::<_, _, 1, TTL_MS_MAX>")]
    pub ttl_ms: i64,
    #[serde(deserialize_with = "one::<_, List<Object<PutLine>, 1, LINES_MAX>>")]
    pub lines: Vec<PutLine<'a>>,
    #[serde(default)]
    pub partial: bool,
    /// Only with an owner.
    #[serde(default)]
    pub supersede: bool,
    #[serde(default, deserialize_with = "opt::<_, Int<0, REVISION_MAX>>")]
    pub revision: Option<i64>,
}

const PUT_LINE: &[Field] = &[
    Field::needed::<Name<'_>>("sku"),
    Field::needed::<Int<1, QUANTITY_MAX>>("quantity"),
    Field::optional::<Name<'_>>("unit"),
    Field::optional::<Name<'_>>("location"),
];

const PUT: &[Field] = &[
    Field::needed::<Name<'_>>("channel"),
    Field::optional::<Name<'_>>("region"),
    Field::optional::<Name<'_>>("owner"),
    Field::needed::<Int<1, TTL_MS_MAX>>("ttl_ms"),
    Field::objects("lines", PUT_LINE, LINES_MAX),
    Field::defaulted::<bool>("partial"),
    Field::defaulted::<bool>("supersede"),
    Field::optional::<Int<0, REVISION_MAX>>("revision"),
];

/// Reads the body of `PUT /v1/reservations/{id}`.
pub fn parse_put(body: &[u8]) -> Result<PutBody<'_>, RequestError> {
    let put: PutBody<'_> = fast_path::put(utf8(body)?).map_or_else(|| parse(body, PUT), Ok)?;
    if put.supersede && put.owner.is_none() {
        return Err(RequestError::invalid("owner", "is needed with supersede"));
    }
    visible("channel", &put.channel)?;
    Ok(put)
}

/// A name that is stored, and later compared with what others send, as facts must give it.
fn visible(path: &str, name: &str) -> Result<(), RequestError> {
    names::flaw(name).map_or(Ok(()), |reason| Err(RequestError::invalid(path, reason)))
}

/// `POST /v1/reservations/{id}/confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBody<'a> {
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    pub order_ref: Option<Text<'a>>,
}

/// Reads the body of `.../confirm`; no body at all is `{}`.
pub fn parse_confirm(body: &[u8]) -> Result<ConfirmBody<'_>, RequestError> {
    if body.is_empty() {
        return Ok(ConfirmBody { order_ref: None });
    }
    let read = fast_path::confirm(utf8(body)?);
    let confirm: ConfirmBody<'_> = read.map_or_else(|| parse(body, &[Field::optional::<Name<'_>>("order_ref")]), Ok)?;
    if let Some(order_ref) = &confirm.order_ref {
        visible("order_ref", order_ref)?;
    }
    Ok(confirm)
}

/// Reads the body of `.../release` and `.../cancel`: `{}` or nothing.
pub fn parse_empty(body: &[u8]) -> Result<(), RequestError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    if !body.is_empty() {
        parse::<Nothing>(body, &[])?;
    }
    Ok(())
}

/// `POST /v1/reservations/{id}/extend`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendBody {
    #[serde(deserialize_with = "int::<_, _, 1, TTL_MS_MAX>")]
    pub ttl_ms: i64,
}

/// Reads the body of `.../extend`.
pub fn parse_extend(body: &[u8]) -> Result<ExtendBody, RequestError> {
    parse(body, &[Field::needed::<Int<1, TTL_MS_MAX>>("ttl_ms")])
}

/// `POST /v1/reservations/{id}/fulfil`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FulfilBody<'a> {
    #[serde(borrow, deserialize_with = "one::<_, QuantityLines>")]
    pub lines: Vec<QuantityLine<'a>>,
}

const FULFIL_LINE: &[Field] = &[
    Field::needed::<Name<'_>>("sku"),
    Field::optional::<Name<'_>>("location"),
    Field::needed::<Int<1, QUANTITY_MAX>>("quantity"),
    Field::optional::<Name<'_>>("unit"),
];

/// Reads the body of `.../fulfil`.
pub fn parse_fulfil(body: &[u8]) -> Result<FulfilBody<'_>, RequestError> {
    let fields = &[Field::objects("lines", FULFIL_LINE, LINES_MAX)];
    let fulfil: FulfilBody<'_> = parse(body, fields)?;
    // A fulfilment is no document: its lines have no names.
    match fulfil.lines.iter().position(|line| line.line.is_some()) {
        Some(n) => Err(RequestError::invalid(format!("lines[{n}].line"), "is unknown")),
        None => Ok(fulfil),
    }
}

/// One line of a cart to validate, in the unit it names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidateLine<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, 1, QUANTITY_MAX>")]
    pub quantity: i64,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub unit: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub location: Option<Text<'a>>,
}

/// `POST /v1/carts/validate`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidateBody<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub channel: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub region: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub owner: Option<Text<'a>>,
    /// Of each line that names none itself.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub location: Option<Text<'a>>,
    #[serde(deserialize_with = "one::<_, List<Object<ValidateLine>, 1, LINES_MAX>>")]
    pub lines: Vec<ValidateLine<'a>>,
}

const VALIDATE_LINE: &[Field] = PUT_LINE;

const VALIDATE: &[Field] = &[
    Field::needed::<Name<'_>>("channel"),
    Field::optional::<Name<'_>>("region"),
    Field::optional::<Name<'_>>("owner"),
    Field::optional::<Name<'_>>("location"),
    Field::objects("lines", VALIDATE_LINE, LINES_MAX),
];

/// Reads the body of `POST /v1/carts/validate`.
pub fn parse_validate(body: &[u8]) -> Result<ValidateBody<'_>, RequestError> {
    parse(body, VALIDATE)
}

/// `POST /v1/availability`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvailabilitiesBody<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub channel: Text<'a>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub region: Option<Text<'a>>,
    #[serde(deserialize_with = "one::<_, List<Name, 1, SKUS_MAX>>")]
    pub skus: Vec<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub location: Option<Text<'a>>,
    #[serde(default)]
    pub published: bool,
}

const AVAILABILITIES: &[Field] = &[
    Field::needed::<Name<'_>>("channel"),
    Field::optional::<Name<'_>>("region"),
    Field::values::<Name<'_>>("skus", SKUS_MAX),
    Field::optional::<Name<'_>>("location"),
    Field::defaulted::<bool>("published"),
];

/// Reads the body of `POST /v1/availability`.
pub fn parse_availabilities(body: &[u8]) -> Result<AvailabilitiesBody<'_>, RequestError> {
    parse(body, AVAILABILITIES)
}

/// Checks a reservation's id as a path has it.
pub fn check_id(id: &str) -> Result<(), RequestError> {
    check_name("id", id)
}

/// Checks a name that did not come in a body; `path` says where it stood, for example `channel`.
pub fn check_name(path: &str, name: &str) -> Result<(), RequestError> {
    text_flaw(name, 1, NAME_CHARS_MAX).map_or(Ok(()), |flaw| Err(RequestError::invalid(path, flaw)))
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], fields: &[Field]) -> Result<T, RequestError> {
    let text = utf8(body)?;
    serde_json::from_str::<Object<T>>(text)
        .map(|object| object.0)
        .map_err(|error| refusal(text, fields, &error))
}

fn utf8(body: &[u8]) -> Result<&str, RequestError> {
    std::str::from_utf8(body).map_err(|_| RequestError::new(Problem::MalformedJson))
}

/// Lists everything that is wrong with a body that serde refused with `error`.
#[cold]
fn refusal(text: &str, fields: &[Field], error: &serde_json::Error) -> RequestError {
    if let Some(refused) = not_json(text) {
        return refused;
    }
    let mut errors = flaws::list(text, fields);
    if errors.is_empty() {
        errors.push(located("", error));
    }
    RequestError::invalid_fields(errors)
}

fn not_json(text: &str) -> Option<RequestError> {
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    Some(RequestError::with_detail(
        Problem::MalformedJson,
        format!("Send a body that is JSON in UTF-8: {error}."),
    ))
}

/// For bodies that only wrap others: the first flaw.
fn parse_located<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, RequestError> {
    serde_json::from_str::<Object<T>>(text)
        .map(|object| object.0)
        .map_err(|_| not_json(text).unwrap_or_else(|| RequestError::invalid_fields(vec![first_flaw::<T>(text)])))
}

#[cold]
fn first_flaw<'a, T: Deserialize<'a>>(text: &'a str) -> FieldError {
    let mut json = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, Object<T>>(&mut json) {
        Ok(_) => FieldError::new("", "cannot be read"),
        Err(error) => located(&error.path().to_string(), error.inner()),
    }
}

#[cfg(test)]
mod fast_path_tests;
#[cfg(test)]
mod tests;
