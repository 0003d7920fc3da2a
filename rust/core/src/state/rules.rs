//! Settings that take part in the rules. They are replicated: a `lead` batch carries them, so every node applies the same.

use serde::{Deserialize, Serialize};

use crate::state::shares::{Forget, NOBODY, Whose};

/// What becomes of a request for a channel that is not declared, once any channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UndeclaredChannels {
    /// It is refused: a mistyped name would sell past every cap.
    Refuse,
    /// It sells from every enabled location, draws on the shared pool, and has no cap.
    Serve,
}

/// The edition that a leader of this build declares.
pub const EDITION: u8 = 3;

/// What becomes of a hold that is confirmed while units of it are in deficit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfirmDeficit {
    /// It becomes an order, whose deficit is listed.
    Accept,
    /// It stays a hold.
    Refuse,
}

/// Rule settings with their defaults; units are last in the names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Which edition of the rules batches are applied by from this lead batch on; older batches keep theirs.
    pub edition: u8,
    /// A stock fact that names an unknown SKU creates it; else it is rejected.
    pub create_unknown_skus: bool,
    /// Likewise for locations. Off: a mistyped code would count stock twice.
    pub create_unknown_locations: bool,
    /// Whether channels that are not declared sell once any channel is.
    pub undeclared_channels: UndeclaredChannels,
    /// Whether a hold with units in deficit can be confirmed.
    pub confirm_deficit: ConfirmDeficit,
    /// A fact that says it was true later than this after its batch is rejected: it would hide every fact until then.
    pub clock_skew_ms: i64,
    /// A level that rose by more than movements explain is taken to count open supply that arrived.
    pub presume_receipts: bool,
    /// Supply below this confidence (per cent) is listed and not sold.
    pub supply_confidence_min: u8,
    /// Overdue supply still counts for so many days after its due day.
    pub overdue_grace_days: i32,
    /// Overdue supply counts as due so many days from today.
    pub overdue_slip_days: i32,
    /// How far a promise by date looks ahead.
    pub promise_horizon_days: i32,
    /// Units that one owner may hold at a time; 0 switches the bound off.
    pub owner_units_max: i64,
    /// Holds that one owner may have at a time on one channel; 0 switches the bound off.
    pub owner_holds_max: usize,
    /// How often a hold may be extended or replaced.
    pub renewals_max: u32,
    /// Holds that one batch expires at the most.
    pub expire_batch_max: usize,
    /// How long a closed reservation is remembered, on the lead clock.
    pub remember_closed_ms: i64,
    /// Closed reservations remembered at the most.
    pub closed_max: usize,
    /// Identities of movements, closed documents and orders with pending facts remembered at the most.
    pub identities_max: usize,
    /// How long an answer is remembered under its idempotency key, on the lead clock.
    pub answers_kept_ms: i64,
    /// Answers remembered at the most.
    pub answers_max: usize,
    /// Memory that they take at the most, 128 bytes for each beside its text.
    pub answers_bytes_max: usize,
    /// The ids of the scope keys under which batches are signed from this lead batch on; none: they are not signed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mac_keys: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            edition: 1,
            create_unknown_skus: true,
            create_unknown_locations: false,
            undeclared_channels: UndeclaredChannels::Refuse,
            confirm_deficit: ConfirmDeficit::Accept,
            clock_skew_ms: 300_000,
            presume_receipts: true,
            supply_confidence_min: 50,
            overdue_grace_days: 3,
            overdue_slip_days: 1,
            promise_horizon_days: 180,
            owner_units_max: 0,
            owner_holds_max: 100,
            renewals_max: 5,
            expire_batch_max: 10_000,
            remember_closed_ms: 2 * 86_400_000,
            closed_max: 2_000_000,
            identities_max: 1_000_000,
            answers_kept_ms: 86_400_000,
            answers_max: 500_000,
            answers_bytes_max: 128 * 1024 * 1024,
            mac_keys: Vec::new(),
        }
    }
}

impl Rules {
    /// Whether batches are applied by the second edition of the rules (docs/rules.md, "Editions").
    pub(crate) fn is_second_edition(&self) -> bool {
        self.edition >= 2
    }

    /// Whether batches are applied by the third edition of the rules.
    pub(crate) fn is_third_edition(&self) -> bool {
        self.edition >= 3
    }

    /// Which goes first where a memory that sources or API keys share is full. Before the third edition, the oldest of all.
    pub(crate) fn forget(&self) -> Forget {
        if self.is_third_edition() {
            Forget::OfLargestShare
        } else {
            Forget::Oldest
        }
    }

    /// Whose is what is remembered now. Before the third edition nobody's, so that old batches give the same state.
    pub(crate) fn whose(&self, whose: impl FnOnce() -> Whose) -> Whose {
        if self.is_third_edition() { whose() } else { NOBODY }
    }

    /// These rules with the keys of a JSON object put over them.
    pub fn overlaid(&self, json: &str) -> Result<Rules, serde_json::Error> {
        let changes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json)?;
        let serde_json::Value::Object(mut all) = serde_json::to_value(self)? else {
            unreachable!("rules are an object");
        };
        all.extend(changes);
        serde_json::from_value(serde_json::Value::Object(all))
    }
}
