//! The fast path for the facts that fill a LOG.
//!
//! In: the text of one JSON object as [`super::Statement::encode`] writes it. Out: the statement that serde would give, or
//! None where anything is unusual: then serde reads it. Always: nothing is taken here that serde would not take alike.

use super::bounds::{
    AMOUNT_MAX, HELD_MAX, LINES_MAX, NAME_CHARS_MAX, ON_HAND_MAX, QUANTITY_MAX, REVISION_MAX, TTL_MS_MAX,
};
use super::{
    AsOf, Basis, Fact, HeldLine, ReservationConfirmed, ReservationHeld, Statement, StockLevel, Text, Unsellable,
};
use crate::wire::json::scan::{Scan, once};

/// The members around a fact.
#[derive(Default)]
struct Around<'a> {
    source: Option<Text<'a>>,
    by: Option<Text<'a>>,
    trace: Option<Text<'a>>,
}

impl<'a> Around<'a> {
    /// Takes a member that belongs here, whatever its place.
    fn take(&mut self, scan: &mut Scan<'a>) -> Option<()> {
        if scan.is("\"by\":") {
            once(&mut self.by, name(scan))
        } else if scan.is("\"source\":") {
            once(&mut self.source, name(scan))
        } else if scan.is("\"trace\":") {
            once(&mut self.trace, name(scan))
        } else {
            None
        }
    }
}

fn name<'a>(scan: &mut Scan<'a>) -> Option<Text<'a>> {
    scan.name(NAME_CHARS_MAX).map(Text::Borrowed)
}

/// Reads a fact from LOG.
pub(super) fn logged(text: &str) -> Option<Statement<'_>> {
    let mut scan = Scan::new(text);
    next_logged(&mut scan).filter(|_| scan.is_done())
}

/// Reads the fact that comes next in a batch.
pub(crate) fn next_logged<'a>(scan: &mut Scan<'a>) -> Option<Statement<'a>> {
    let mut around = Around::default();
    scan.take(b'{')?;
    scan.skip_space();
    if !scan.is("\"kind\":") {
        return None;
    }
    let fact = match scan.name(NAME_CHARS_MAX)? {
        "reservation.held" => held(scan, &mut around).map(Fact::ReservationHeld),
        "reservation.confirmed" => confirmed(scan, &mut around).map(Fact::ReservationConfirmed),
        "reservation.released" => only_id(scan, &mut around).map(Fact::ReservationReleased),
        "stock.level" => level(scan, &mut around).map(Fact::StockLevel),
        _ => None,
    }?;
    let Around { source, by, trace } = around;
    Some(Statement {
        source: source.unwrap_or_default(),
        by,
        trace,
        fact,
    })
}

fn held<'a>(scan: &mut Scan<'a>, around: &mut Around<'a>) -> Option<ReservationHeld<'a>> {
    let (mut id, mut channel, mut region, mut owner, mut ttl_ms) = (None, None, None, None, None);
    let (mut lines, mut partial, mut supersede, mut revision) = (None, None, None, None);
    while scan.more(b'}')? {
        scan.skip_space();
        if scan.is("\"id\":") {
            once(&mut id, name(scan))
        } else if scan.is("\"channel\":") {
            once(&mut channel, name(scan))
        } else if scan.is("\"owner\":") {
            once(&mut owner, name(scan))
        } else if scan.is("\"ttl_ms\":") {
            once(&mut ttl_ms, scan.int(1, TTL_MS_MAX))
        } else if scan.is("\"lines\":") {
            once(&mut lines, held_lines(scan))
        } else if scan.is("\"region\":") {
            once(&mut region, name(scan))
        } else if scan.is("\"partial\":") {
            once(&mut partial, scan.bool())
        } else if scan.is("\"supersede\":") {
            once(&mut supersede, scan.bool())
        } else if scan.is("\"revision\":") {
            once(&mut revision, scan.int(0, REVISION_MAX))
        } else {
            around.take(scan)
        }?;
    }
    Some(ReservationHeld {
        id: id?,
        channel: channel?,
        region,
        owner,
        ttl_ms: ttl_ms?,
        lines: lines?,
        partial: partial.unwrap_or(false),
        supersede: supersede.unwrap_or(false),
        revision,
    })
}

fn held_lines<'a>(scan: &mut Scan<'a>) -> Option<Vec<HeldLine<'a>>> {
    let mut lines = Vec::new();
    scan.take(b'[')?;
    loop {
        if lines.len() == LINES_MAX {
            return None;
        }
        lines.push(held_line(scan)?);
        if !scan.more(b']')? {
            return Some(lines);
        }
    }
}

fn held_line<'a>(scan: &mut Scan<'a>) -> Option<HeldLine<'a>> {
    let (mut sku, mut quantity, mut location, mut asked) = (None, None, None, None);
    let (mut unit, mut units) = (None, None);
    scan.take(b'{')?;
    loop {
        scan.skip_space();
        if scan.is("\"sku\":") {
            once(&mut sku, name(scan))
        } else if scan.is("\"quantity\":") {
            once(&mut quantity, scan.int(0, HELD_MAX))
        } else if scan.is("\"location\":") {
            once(&mut location, name(scan))
        } else if scan.is("\"asked\":") {
            once(&mut asked, scan.int(1, HELD_MAX))
        } else if scan.is("\"unit\":") {
            once(&mut unit, name(scan))
        } else if scan.is("\"units\":") {
            once(&mut units, scan.int(1, QUANTITY_MAX))
        } else {
            None
        }?;
        if !scan.more(b'}')? {
            break;
        }
    }
    Some(HeldLine {
        sku: sku?,
        quantity: quantity?,
        location,
        asked,
        unit,
        units,
    })
}

fn confirmed<'a>(scan: &mut Scan<'a>, around: &mut Around<'a>) -> Option<ReservationConfirmed<'a>> {
    let (mut id, mut order_ref) = (None, None);
    while scan.more(b'}')? {
        scan.skip_space();
        if scan.is("\"id\":") {
            once(&mut id, name(scan))
        } else if scan.is("\"order_ref\":") {
            once(&mut order_ref, name(scan))
        } else {
            around.take(scan)
        }?;
    }
    Some(ReservationConfirmed { id: id?, order_ref })
}

fn only_id<'a>(scan: &mut Scan<'a>, around: &mut Around<'a>) -> Option<Text<'a>> {
    confirmed(scan, around).and_then(|fact| fact.order_ref.is_none().then_some(fact.id))
}

fn level<'a>(scan: &mut Scan<'a>, around: &mut Around<'a>) -> Option<StockLevel<'a>> {
    let (mut sku, mut location, mut on_hand, mut allocated) = (None, None, None, None);
    let (mut basis, mut as_of, mut unit) = (None, None, None);
    while scan.more(b'}')? {
        scan.skip_space();
        if scan.is("\"sku\":") {
            once(&mut sku, name(scan))
        } else if scan.is("\"location\":") {
            once(&mut location, name(scan))
        } else if scan.is("\"on_hand\":") {
            once(&mut on_hand, scan.int(0, ON_HAND_MAX))
        } else if scan.is("\"basis\":") {
            once(&mut basis, scan.name(NAME_CHARS_MAX).and_then(basis_of))
        } else if scan.is("\"as_of\":") {
            once(&mut as_of, scan.int(0, i64::MAX))
        } else if scan.is("\"allocated\":") {
            once(&mut allocated, scan.int(0, AMOUNT_MAX))
        } else if scan.is("\"unit\":") {
            once(&mut unit, name(scan))
        } else {
            around.take(scan)
        }?;
    }
    Some(StockLevel {
        sku: sku?,
        location: location?,
        on_hand: on_hand?,
        unsellable: Unsellable::default(),
        allocated,
        basis: basis?,
        as_of: AsOf::Sequence(as_of?),
        unit,
    })
}

fn basis_of(word: &str) -> Option<Basis> {
    [Basis::Gross, Basis::Net]
        .into_iter()
        .find(|basis| basis.word() == word)
}
