//! Problems: every way a request can be refused, and how that is reported (docs/http.md, "Problems").
//!
//! In: what went wrong. Out: an RFC 9457 body. Always: one [`Problem`] has one name, one status and one title, and its
//! detail tells the client what to do next.

use crate::wire::json;

/// The problem types of the contract, named as in `urn:holdfast:problem:<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    MalformedJson,
    Unauthenticated,
    Forbidden,
    NotFound,
    UnknownSku,
    UnknownChannel,
    UnknownReservation,
    MethodNotAllowed,
    IdempotencyConflict,
    InsufficientStock,
    ReservationClosed,
    StaleRevision,
    OwnerLimit,
    RenewalsExhausted,
    Oversold,
    Deficit,
    TooLarge,
    UnsupportedEncoding,
    Invalid,
    RateLimited,
    Overloaded,
    NoLeader,
    LogUnavailable,
}

impl Problem {
    /// Every problem, in the order of their statuses.
    pub const ALL: [Self; 23] = [
        Self::MalformedJson,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::UnknownSku,
        Self::UnknownChannel,
        Self::UnknownReservation,
        Self::MethodNotAllowed,
        Self::IdempotencyConflict,
        Self::InsufficientStock,
        Self::ReservationClosed,
        Self::StaleRevision,
        Self::OwnerLimit,
        Self::RenewalsExhausted,
        Self::Oversold,
        Self::Deficit,
        Self::TooLarge,
        Self::UnsupportedEncoding,
        Self::Invalid,
        Self::RateLimited,
        Self::Overloaded,
        Self::NoLeader,
        Self::LogUnavailable,
    ];

    /// The last part of the problem's `type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed-json",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::UnknownSku => "unknown-sku",
            Self::UnknownChannel => "unknown-channel",
            Self::UnknownReservation => "unknown-reservation",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::IdempotencyConflict => "idempotency-conflict",
            Self::InsufficientStock => "insufficient-stock",
            Self::ReservationClosed => "reservation-closed",
            Self::StaleRevision => "stale-revision",
            Self::OwnerLimit => "owner-limit",
            Self::RenewalsExhausted => "renewals-exhausted",
            Self::Oversold => "oversold",
            Self::Deficit => "deficit",
            Self::TooLarge => "too-large",
            Self::UnsupportedEncoding => "unsupported-encoding",
            Self::Invalid => "invalid",
            Self::RateLimited => "rate-limited",
            Self::Overloaded => "overloaded",
            Self::NoLeader => "no-leader",
            Self::LogUnavailable => "log-unavailable",
        }
    }

    /// The HTTP status it is answered with.
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedJson => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound | Self::UnknownSku | Self::UnknownChannel | Self::UnknownReservation => 404,
            Self::MethodNotAllowed => 405,
            Self::IdempotencyConflict
            | Self::InsufficientStock
            | Self::ReservationClosed
            | Self::StaleRevision
            | Self::OwnerLimit
            | Self::RenewalsExhausted
            | Self::Oversold
            | Self::Deficit => 409,
            Self::TooLarge => 413,
            Self::UnsupportedEncoding => 415,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Overloaded | Self::NoLeader | Self::LogUnavailable => 503,
        }
    }

    /// A few words that are the same for every occurrence.
    pub const fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "The body is not JSON",
            Self::Unauthenticated => "No valid key",
            Self::Forbidden => "The key does not allow this",
            Self::NotFound => "Nothing here",
            Self::UnknownSku => "Unknown SKU",
            Self::UnknownChannel => "Unknown channel",
            Self::UnknownReservation => "Unknown reservation",
            Self::MethodNotAllowed => "Method not allowed",
            Self::IdempotencyConflict => "The idempotency key was used for another request",
            Self::InsufficientStock => "Not enough can be sold",
            Self::ReservationClosed => "The reservation is closed to this",
            Self::StaleRevision => "A newer revision is stored",
            Self::OwnerLimit => "The owner holds too much",
            Self::RenewalsExhausted => "Renewed too often",
            Self::Oversold => "The stock has gone since the hold ended",
            Self::Deficit => "Nothing covers some of the held units any more",
            Self::TooLarge => "Too large",
            Self::UnsupportedEncoding => "Unsupported content encoding",
            Self::Invalid => "The request is not valid",
            Self::RateLimited => "Too many requests",
            Self::Overloaded => "Too much to do",
            Self::NoLeader => "Nobody leads at the moment",
            Self::LogUnavailable => "The log cannot be written at the moment",
        }
    }

    /// What to do next, for occurrences that have nothing more precise to say.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::MalformedJson => "Send a body that is JSON in UTF-8.",
            Self::Unauthenticated => "Send 'Authorization: Bearer <key>' with a key that is in force.",
            Self::Forbidden => "Use a key that has this operation and this channel.",
            Self::NotFound => "Check the path against /openapi.json.",
            Self::UnknownSku => "Check the SKU; they are compared byte by byte. A stock or item fact makes it known.",
            Self::UnknownChannel => {
                "Check the channel's name, or declare it with a channel fact; once any channel is declared, others are refused."
            }
            Self::UnknownReservation => "Check the id, or make the reservation with PUT.",
            Self::MethodNotAllowed => "Use a method that the Allow header names.",
            Self::IdempotencyConflict => "Use a new idempotency key for another body.",
            Self::InsufficientStock => "Lower the quantities to what `lines` says is sellable, or set partial.",
            Self::ReservationClosed => "Read the reservation's state; use another id for a new reservation.",
            Self::StaleRevision => "Read the reservation; send a higher revision to replace it.",
            Self::OwnerLimit => "Confirm or release other reservations of this owner, or hold fewer units.",
            Self::RenewalsExhausted => "Confirm or release the reservation; it cannot be renewed again.",
            Self::Oversold => "Tell the shopper what `lines` says is left; confirming may be tried again.",
            Self::Deficit => {
                "Replace the hold with what `lines` says is covered, or confirm it again once stock or supply has come."
            }
            Self::TooLarge => "Send less at once: split the body.",
            Self::UnsupportedEncoding => "Send the body without a content encoding.",
            Self::Invalid => "Correct what `errors` lists and send the request again.",
            Self::RateLimited => "Wait as long as Retry-After says.",
            Self::Overloaded | Self::NoLeader | Self::LogUnavailable => {
                "Wait as long as Retry-After says, then send the same request again unchanged."
            }
        }
    }
}

/// One field that is not as the contract wants it. `path` is like `lines[0].quantity`; empty: the body itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub path: String,
    pub reason: String,
}

impl FieldError {
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// Why a request was refused before it was looked at in the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", problem.name())]
pub struct RequestError {
    pub problem: Problem,
    pub detail: String,
    pub errors: Vec<FieldError>,
}

impl RequestError {
    /// `problem` with its default detail.
    pub fn new(problem: Problem) -> Self {
        Self {
            problem,
            detail: problem.detail().to_owned(),
            errors: Vec::new(),
        }
    }

    /// `problem` with its own detail.
    pub fn with_detail(problem: Problem, detail: impl Into<String>) -> Self {
        Self {
            problem,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// 422 `invalid` because of one field.
    pub fn invalid(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError::new(path, reason)])
    }

    /// 422 `invalid` because of several fields.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        Self {
            problem: Problem::Invalid,
            detail: Problem::Invalid.detail().to_owned(),
            errors,
        }
    }

    /// Appends the problem's JSON body.
    pub fn render(&self, out: &mut Vec<u8>) {
        write_problem(out, self.problem, &self.detail, |out| {
            if self.errors.is_empty() {
                return;
            }
            out.extend_from_slice(b",\"errors\":[");
            for (index, error) in self.errors.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(b"{\"path\":");
                json::write_string(out, &error.path);
                out.extend_from_slice(b",\"reason\":");
                json::write_string(out, &error.reason);
                out.push(b'}');
            }
            out.push(b']');
        });
    }
}

/// Appends a problem body; `members` may append further ones, each as `,"name":value`.
pub fn write_problem(out: &mut Vec<u8>, problem: Problem, detail: &str, members: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"type\":\"urn:holdfast:problem:");
    out.extend_from_slice(problem.name().as_bytes());
    out.extend_from_slice(b"\",\"title\":");
    json::write_string(out, problem.title());
    out.extend_from_slice(b",\"status\":");
    json::write_int(out, i64::from(problem.status()));
    out.extend_from_slice(b",\"detail\":");
    json::write_string(out, detail);
    members(out);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_problem_has_its_own_name_and_says_what_to_do() {
        let names: BTreeSet<_> = Problem::ALL.iter().map(|problem| problem.name()).collect();
        assert_eq!(names.len(), Problem::ALL.len());
        for problem in Problem::ALL {
            assert!(
                problem.detail().ends_with('.') && !problem.title().is_empty(),
                "{problem:?}"
            );
            assert!((400..=503).contains(&problem.status()), "{problem:?}");
        }
        assert!(Problem::ALL.is_sorted_by_key(|problem| problem.status()));
    }

    #[test]
    fn a_refusal_is_rendered_with_its_fields() {
        let mut out = Vec::new();
        RequestError::invalid("lines[0].quantity", "must be \"1\"").render(&mut out);
        let expected = concat!(
            r#"{"type":"urn:holdfast:problem:invalid","title":"The request is not valid","status":422,"#,
            r#""detail":"Correct what `errors` lists and send the request again.","#,
            r#""errors":[{"path":"lines[0].quantity","reason":"must be \"1\""}]}"#,
        );
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    }

    #[test]
    fn further_members_follow_the_detail() {
        let mut out = Vec::new();
        write_problem(&mut out, Problem::Oversold, "d", |out| {
            out.extend_from_slice(b",\"lines\":[]");
        });
        let body: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (body["status"].as_u64(), body["lines"].as_array().map(Vec::len)),
            (Some(409), Some(0))
        );
    }
}
