//! What sources reported of some units of an order, and where each source has them by that (docs/rules.md, section 3).
//!
//! In: acknowledgements and shipments, in whatever order they arrive. Out: the place that the newest of a source names, and
//! the acknowledgements that count there. Always: what one source reports counts in the order of its `as_of`, an equal one
//! after the one before; what several sources report cannot be compared, so there the last to arrive decides; bounded.

use smallvec::SmallVec;

use crate::state::ids::{LocationId, SourceId};
use crate::state::reservations::StockNode;
use crate::wire::facts::AsOf;

/// Statements of one source that are remembered for units at the most; the oldest become what the others build on.
const STATEMENTS_MAX: usize = 8;

/// Places that one statement named.
pub(crate) type Places = SmallVec<[LocationId; 1]>;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Evidence {
    /// By the first edition of the rules: the first acknowledgement that counts.
    pub(crate) ack: Option<(SourceId, AsOf)>,
    pub(crate) shipped: Option<(SourceId, AsOf)>,
    /// By the second: what each source reported, in the order of first report.
    pub(crate) reports: Vec<Reports>,
    /// By the third: when, by which source, they came to the shelf of their place from the supply that they were bound to.
    pub(crate) arrived: Option<(SourceId, AsOf)>,
    /// Of units that have left, by the second edition: what it takes to have them back.
    pub(crate) left: Option<Box<Left>>,
}

/// What units were before they left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// The identity of the document that says so.
    pub(crate) document: u128,
    pub(crate) node: StockNode,
    pub(crate) arrived: Option<(SourceId, AsOf)>,
    pub(crate) reports: Vec<Reports>,
    /// What sources reported of them since.
    pub(crate) since: Vec<Statement>,
}

/// An acknowledgement of units: without places, at the one where they were.
pub(crate) type Statement = (SourceId, AsOf, Option<Places>);

/// What one source reported of the units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reports {
    pub(crate) source: SourceId,
    /// Where the units stood before the first statement of a place.
    pub(crate) origin: Option<LocationId>,
    /// What the source reported before this says nothing of the present stay.
    pub(crate) since: Option<AsOf>,
    /// In the order of `as_of`.
    pub(crate) places: Vec<(AsOf, Places)>,
    /// In the order of `as_of`.
    pub(crate) acks: Vec<AsOf>,
}

/// Where something of this moment stands in what is kept in the order of `as_of`: after all that are not later. What is on
/// another kind of clock, from before a reset, is earlier.
fn place_of(moments: impl DoubleEndedIterator<Item = AsOf> + ExactSizeIterator, as_of: AsOf) -> usize {
    let is_earlier = |moment: AsOf| moment.is_by(as_of).unwrap_or(true);
    moments
        .enumerate()
        .rev()
        .find(|(_, moment)| is_earlier(*moment))
        .map_or(0, |(at, _)| at + 1)
}

impl Reports {
    fn begin(source: SourceId, origin: Option<LocationId>, since: Option<AsOf>) -> Self {
        Reports {
            source,
            origin,
            since,
            places: Vec::new(),
            acks: Vec::new(),
        }
    }

    /// Where the source has the units, and from when on.
    fn stay(&self) -> (Option<LocationId>, Option<AsOf>) {
        let mut stay = (self.origin, None);
        for (as_of, places) in &self.places {
            if stay.0.is_none_or(|at| !places.contains(&at)) {
                stay = (Some(places[0]), Some(*as_of));
            }
        }
        stay
    }

    /// The first acknowledgement at the place where the units are.
    fn first_ack(&self) -> Option<AsOf> {
        let (_, since) = self.stay();
        let counts = |as_of: &&AsOf| since.is_none_or(|since| since.is_by(**as_of) == Some(true));
        self.acks.iter().find(counts).copied()
    }

    fn name(&mut self, as_of: AsOf, places: Places) {
        let at = place_of(self.places.iter().map(|(moment, _)| *moment), as_of);
        self.places.insert(at, (as_of, places));
        if self.places.len() > STATEMENTS_MAX {
            let (as_of, places) = self.places.remove(0);
            if self.origin.is_none_or(|at| !places.contains(&at)) {
                self.origin = Some(places[0]);
                self.acks.retain(|ack| as_of.is_by(*ack) == Some(true));
            }
            self.since = Some(as_of);
        }
    }

    fn acknowledge(&mut self, as_of: AsOf) {
        let at = place_of(self.acks.iter().copied(), as_of);
        self.acks.insert(at, as_of);
        self.acks.dedup();
        if self.acks.len() > STATEMENTS_MAX {
            // The first of a stay is the one that counts, so one in the middle says least.
            self.acks.remove(STATEMENTS_MAX / 2);
        }
    }

    fn newest(&self) -> Option<AsOf> {
        self.places.last().map(|(as_of, _)| *as_of).or(self.since)
    }
}

impl Evidence {
    /// An acknowledgement of units at `at`; without places they were seen where they are. Returns where they are to be now.
    pub(crate) fn acknowledge(
        &mut self,
        at: Option<LocationId>,
        source: SourceId,
        as_of: AsOf,
        places: Option<&[LocationId]>,
    ) -> Option<LocationId> {
        if let Some(left) = &mut self.left {
            left.since.push((source, as_of, places.map(Into::into)));
            if left.since.len() > STATEMENTS_MAX {
                left.since.remove(0);
            }
        }
        // Units that have left do not move.
        if self.shipped.is_some() && places.is_some_and(|places| at.is_none_or(|at| !places.contains(&at))) {
            return at;
        }
        let reports = self.reports_of(source, at);
        if reports.since.is_some_and(|since| since.is_by(as_of) == Some(false)) {
            return at;
        }
        reports.acknowledge(as_of);
        if let Some(places) = places {
            reports.name(as_of, places.into());
        }
        reports.stay().0.or(at)
    }

    /// Units at a node have left by a document.
    pub(crate) fn leave(&mut self, node: StockNode, document: u128, (source, as_of): (SourceId, AsOf)) {
        self.left = Some(Box::new(Left {
            document,
            node,
            arrived: self.arrived,
            reports: self.reports.clone(),
            since: Vec::new(),
        }));
        self.shipped = Some((source, as_of));
    }

    /// A shipment names the place that the units at `at` left from: a statement of it. What was reported later is void.
    pub(crate) fn leave_from(&mut self, at: Option<LocationId>, (source, as_of): (SourceId, AsOf), place: LocationId) {
        let reports = self.reports_of(source, at);
        let later = place_of(reports.places.iter().map(|(moment, _)| *moment), as_of);
        reports.places.truncate(later);
        reports.name(as_of, SmallVec::from_slice(&[place]));
    }

    /// They have not left after all. Returns where they were, and what was reported of them since: it is to count again.
    pub(crate) fn come_back(&mut self) -> Option<(StockNode, Vec<Statement>)> {
        self.shipped = None;
        let left = self.left.take()?;
        let Left {
            node,
            arrived,
            reports,
            since,
            ..
        } = *left;
        (self.arrived, self.reports) = (arrived, reports);
        Some((node, since))
    }

    /// The units are at another place now, by a statement of `by`: what the others saw of them before says nothing of it.
    pub(crate) fn moved(&mut self, by: Option<SourceId>, to: Option<LocationId>) {
        (self.ack, self.arrived) = (None, None);
        for reports in self.reports.iter_mut().filter(|r| Some(r.source) != by) {
            *reports = Reports::begin(reports.source, to, reports.newest());
        }
    }

    /// Units came to the shelf at their place: what a source acknowledged of them before is in its levels from then on. By the
    /// third edition also what it acknowledges later (`arrived`).
    pub(crate) fn arrive(&mut self, as_of: AsOf) {
        let since = |ack: AsOf| if ack.is_by(as_of) == Some(true) { as_of } else { ack };
        self.ack = self.ack.map(|(source, ack)| (source, since(ack)));
        for reports in &mut self.reports {
            reports.acks.iter_mut().for_each(|ack| *ack = since(*ack));
            reports.acks.dedup();
        }
    }

    /// Whether any source acknowledged the units since they are at their place.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.ack.is_some() || self.reports.iter().any(|reports| !reports.acks.is_empty())
    }

    /// The first acknowledgement of this source at the place where the units are.
    pub(crate) fn ack_of(&self, source: SourceId) -> Option<AsOf> {
        let second = self.reports.iter().find(|r| r.source == source);
        let first = self.ack.filter(|(by, _)| *by == source).map(|(_, as_of)| as_of);
        second.map_or(first, Reports::first_ack)
    }

    fn reports_of(&mut self, source: SourceId, at: Option<LocationId>) -> &mut Reports {
        let known = self.reports.iter().position(|r| r.source == source);
        let n = known.unwrap_or_else(|| {
            let mut reports = Reports::begin(source, at, None);
            // What the first edition kept of this source.
            reports
                .acks
                .extend(self.ack.take_if(|(by, _)| *by == source).map(|(_, as_of)| as_of));
            self.reports.push(reports);
            self.reports.len() - 1
        });
        let reports = &mut self.reports[n];
        if reports.places.is_empty() {
            reports.origin = at;
        }
        reports
    }
}
