//! Taking a batch of reservations apart into PUT bodies, and joining the answers.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::flaws::Members;
use super::{REQUESTS_MAX, parse_located, utf8};
use crate::wire::errors::{FieldError, RequestError};
use crate::wire::facts::take::{List, Taken, one};
use crate::wire::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchBody<'a> {
    #[serde(borrow, deserialize_with = "one::<_, List<Members, 1, REQUESTS_MAX>>")]
    requests: Vec<Vec<(String, &'a RawValue)>>,
}

impl<'a> Taken for Members<'a> {
    type Out = Vec<(String, &'a RawValue)>;
    fn out(self) -> Self::Out {
        self.0
    }
}

/// Splits `{"requests":[{"id", ...PUT body}]}` into (id, PUT body without the id). Each id is a string; whether it and
/// the body are valid is for each request on its own ([`super::check_id`], [`super::parse_put`]).
pub fn split_batch(body: &[u8]) -> Result<Vec<(String, String)>, RequestError> {
    let batch: BatchBody<'_> = parse_located(utf8(body)?)?;
    let split = batch
        .requests
        .into_iter()
        .enumerate()
        .map(|(index, members)| split_request(index, &members));
    split
        .collect::<Result<_, FieldError>>()
        .map_err(|flaw| RequestError::invalid_fields(vec![flaw]))
}

fn split_request(index: usize, members: &[(String, &RawValue)]) -> Result<(String, String), FieldError> {
    let mut id = None;
    let mut rest = Vec::with_capacity(256);
    for (name, value) in members {
        if name == "id" {
            let read = serde_json::from_str::<Cow<'_, str>>(value.get());
            let read = read.map_err(|_| FieldError::new(format!("requests[{index}].id"), "must be a string"))?;
            if id.replace(read).is_some() {
                return Err(FieldError::new(format!("requests[{index}].id"), "is given twice"));
            }
            continue;
        }
        rest.push(if rest.is_empty() { b'{' } else { b',' });
        json::write_string(&mut rest, name);
        rest.push(b':');
        rest.extend_from_slice(value.get().as_bytes());
    }
    if rest.is_empty() {
        rest.push(b'{');
    }
    rest.push(b'}');
    let id = id.ok_or_else(|| FieldError::new(format!("requests[{index}].id"), "is missing"))?;
    let rest = String::from_utf8(rest).map_err(|_| FieldError::new("", "must be UTF-8"))?;
    Ok((id.into_owned(), rest))
}

/// What a result has beside its id and its answer takes no more.
const RESULT_BYTES: usize = 48;

/// The members of `results`: `{"id":...,"status":...,"reservation":{...}}` each, of ids, statuses and answers.
pub fn join_results<'a>(each: impl Iterator<Item = (&'a str, u16, &'a [u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, status, answer) in each {
        if !out.is_empty() {
            out.push(b',');
        }
        out.reserve(RESULT_BYTES + id.len() + answer.len());
        out.extend_from_slice(b"{\"id\":");
        json::write_string(&mut out, id);
        out.extend_from_slice(b",\"status\":");
        json::write_uint(&mut out, status.into());
        let what: &[u8] = if status < 400 {
            b",\"reservation\":"
        } else {
            b",\"problem\":"
        };
        out.extend_from_slice(what);
        out.extend_from_slice(answer);
        out.push(b'}');
    }
    out
}
