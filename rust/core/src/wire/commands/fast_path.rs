//! The fast path for the usual bodies.
//!
//! In: JSON text. Out: the value that serde would give, or None where anything is unusual or wrong: then serde reads the
//! body, and reports what is wrong. Always: nothing is taken here that serde would not take alike.

use super::{ConfirmBody, PutBody, PutLine};
use crate::wire::facts::Text;
use crate::wire::facts::bounds::{LINES_MAX, NAME_CHARS_MAX, QUANTITY_MAX, REVISION_MAX, TTL_MS_MAX};
use crate::wire::json::scan::{Scan, once};

fn name<'a>(scan: &mut Scan<'a>) -> Option<Text<'a>> {
    scan.name(NAME_CHARS_MAX).map(Text::Borrowed)
}

/// `PUT /v1/reservations/{id}`.
pub(super) fn put(text: &str) -> Option<PutBody<'_>> {
    let mut scan = Scan::new(text);
    let (mut channel, mut region, mut owner, mut ttl_ms) = (None, None, None, None);
    let (mut lines, mut partial, mut supersede, mut revision) = (None, None, None, None);
    scan.take(b'{')?;
    loop {
        scan.skip_space();
        if scan.is("\"channel\":") {
            once(&mut channel, name(&mut scan))
        } else if scan.is("\"owner\":") {
            once(&mut owner, name(&mut scan))
        } else if scan.is("\"ttl_ms\":") {
            once(&mut ttl_ms, scan.int(1, TTL_MS_MAX))
        } else if scan.is("\"lines\":") {
            once(&mut lines, put_lines(&mut scan))
        } else if scan.is("\"region\":") {
            once(&mut region, name(&mut scan))
        } else if scan.is("\"partial\":") {
            once(&mut partial, scan.bool())
        } else if scan.is("\"supersede\":") {
            once(&mut supersede, scan.bool())
        } else if scan.is("\"revision\":") {
            once(&mut revision, scan.int(0, REVISION_MAX))
        } else {
            None
        }?;
        if !scan.more(b'}')? {
            break;
        }
    }
    let body = PutBody {
        channel: channel?,
        region,
        owner,
        ttl_ms: ttl_ms?,
        lines: lines?,
        partial: partial.unwrap_or(false),
        supersede: supersede.unwrap_or(false),
        revision,
    };
    scan.is_done().then_some(body)
}

fn put_lines<'a>(scan: &mut Scan<'a>) -> Option<Vec<PutLine<'a>>> {
    let mut lines = Vec::new();
    scan.take(b'[')?;
    loop {
        if lines.len() == LINES_MAX {
            return None;
        }
        lines.push(put_line(scan)?);
        if !scan.more(b']')? {
            return Some(lines);
        }
    }
}

fn put_line<'a>(scan: &mut Scan<'a>) -> Option<PutLine<'a>> {
    let (mut sku, mut quantity, mut unit, mut location) = (None, None, None, None);
    scan.take(b'{')?;
    loop {
        scan.skip_space();
        if scan.is("\"sku\":") {
            once(&mut sku, name(scan))
        } else if scan.is("\"quantity\":") {
            once(&mut quantity, scan.int(1, QUANTITY_MAX))
        } else if scan.is("\"unit\":") {
            once(&mut unit, name(scan))
        } else if scan.is("\"location\":") {
            once(&mut location, name(scan))
        } else {
            None
        }?;
        if !scan.more(b'}')? {
            break;
        }
    }
    Some(PutLine {
        sku: sku?,
        quantity: quantity?,
        unit,
        location,
    })
}

/// `POST /v1/reservations/{id}/confirm`.
pub(super) fn confirm(text: &str) -> Option<ConfirmBody<'_>> {
    let mut scan = Scan::new(text);
    scan.take(b'{')?;
    scan.skip_space();
    if !scan.is("\"order_ref\":") {
        return None;
    }
    let order_ref = Some(name(&mut scan)?);
    scan.take(b'}')?;
    scan.is_done().then_some(ConfirmBody { order_ref })
}
