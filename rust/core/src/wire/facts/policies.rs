//! Policies: what there is, where, who may sell it, and how much of it.

use serde::Deserialize;

use super::Text;
use super::bounds::{
    ALIASES_MAX, AMOUNT_MAX, COMPONENTS_MAX, HORIZON_DAYS_MAX, PRIORITY_MAX, PRIORITY_MIN, QUANTITY_MAX, REGIONS_MAX,
    STALE_AFTER_MS_MAX,
};
use super::shapes::{Places, Units, percent};
use super::take::{Int, List, Name, Object, Period, Reason, int, one, opt, or_default};
use super::words::words;
use crate::wire::errors::FieldError;

/// Whether an item is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ItemStatus {
    #[default]
    Active,
    Discontinued,
}

words!(ItemStatus { Active = "active", Discontinued = "discontinued" });

/// How much of a SKU one kit holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, 1, QUANTITY_MAX>")]
    pub quantity: i64,
}

/// A SKU, its units, what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub base_unit: Text<'a>,
    /// Factor to the base unit by unit name, sorted by name.
    #[serde(default, deserialize_with = "or_default::<_, Units>")]
    pub units: Vec<(Text<'a>, i64)>,
    /// Empty: no kit.
    #[serde(
        default,
        deserialize_with = "or_default::<_, List<Object<Component>, 0, COMPONENTS_MAX>>"
    )]
    pub kit: Vec<Component<'a>>,
    #[serde(default, deserialize_with = "or_default::<_, List<Name, 0, ALIASES_MAX>>")]
    pub aliases: Vec<Text<'a>>,
    #[serde(default = "single", deserialize_with = "int::<_, _, 1, QUANTITY_MAX>")]
    pub sell_multiple: i64,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub tax_class: Option<Text<'a>>,
    #[serde(default)]
    pub status: ItemStatus,
}

impl Item<'_> {
    pub(super) fn check(self) -> Result<Self, FieldError> {
        let contradiction = |(unit, factor): &(Text<'_>, i64)| *unit == self.base_unit && *factor != 1;
        if self.units.iter().any(contradiction) {
            return Err(FieldError::new(
                format!("units.{}", self.base_unit),
                "is the base unit and must be 1",
            ));
        }
        Ok(self)
    }
}

const fn single() -> i64 {
    1
}

/// What kind of place a location is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LocationType {
    #[default]
    Warehouse,
    Store,
    ThirdParty,
}

words!(LocationType { Warehouse = "warehouse", Store = "store", ThirdParty = "3pl" });

/// The `priority` of a location or channel that names none.
pub(super) const fn middle() -> i32 {
    100
}

const fn yes() -> bool {
    true
}

/// A place that has stock.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub location: Text<'a>,
    #[serde(default)]
    pub r#type: LocationType,
    /// The regions it serves.
    #[serde(default, deserialize_with = "or_default::<_, List<Name, 0, REGIONS_MAX>>")]
    pub regions: Vec<Text<'a>>,
    /// A lower number goes first.
    #[serde(default = "middle", deserialize_with = "int::<_, _, PRIORITY_MIN, PRIORITY_MAX>")]
    pub priority: i32,
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// In which order a channel's locations are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sourcing {
    #[default]
    Priority,
    Region,
    FewestSplits,
}

words!(Sourcing { Priority = "priority", Region = "region", FewestSplits = "fewest_splits" });

/// What a request's region means to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Regional {
    /// Locations that serve it go first.
    #[default]
    Prefer,
    /// Only locations that serve it count.
    Require,
}

words!(Regional { Prefer = "prefer", Require = "require" });

/// Where something is sold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub channel: Text<'a>,
    /// None: "*", every location.
    #[serde(deserialize_with = "one::<_, Places>")]
    pub locations: Option<Vec<Text<'a>>>,
    #[serde(default = "yes")]
    pub draws_shared: bool,
    #[serde(default, deserialize_with = "int::<_, _, 0, HORIZON_DAYS_MAX>")]
    pub supply_horizon_days: i32,
    #[serde(default)]
    pub sourcing: Sourcing,
    #[serde(default)]
    pub regional: Regional,
    #[serde(default = "middle", deserialize_with = "int::<_, _, PRIORITY_MIN, PRIORITY_MAX>")]
    pub priority: i32,
    #[serde(default, deserialize_with = "opt::<_, Int<0, AMOUNT_MAX>>")]
    pub buffer: Option<i64>,
}

/// Units ring-fenced for a channel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub channel: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    /// 0 ends it.
    #[serde(deserialize_with = "int::<_, _, 0, AMOUNT_MAX>")]
    pub quantity: i64,
    #[serde(default, deserialize_with = "opt::<_, Period>")]
    pub period: Option<Text<'a>>,
}

/// The most a channel may sell in a period.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub channel: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub sku: Text<'a>,
    /// None (null in the message, which must name it): no cap.
    #[serde(deserialize_with = "opt::<_, Int<0, AMOUNT_MAX>>")]
    pub quantity: Option<i64>,
    #[serde(default, deserialize_with = "opt::<_, Period>")]
    pub period: Option<Text<'a>>,
}

/// Stock that is never promised.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Safety<'a> {
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    pub sku: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub location: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Int<0, AMOUNT_MAX>>")]
    pub absolute: Option<i64>,
    /// Hundredths of a per cent: 12.5 % is 1250.
    #[serde(rename = "percent", default, deserialize_with = "percent")]
    pub percent_hundredths: Option<i64>,
}

/// How far a channel may sell beyond stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OversellPolicy {
    None,
    /// At most so many units.
    Limit(i64),
    Unlimited,
}

/// A rule about selling beyond stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oversell<'a> {
    pub channel: Option<Text<'a>>,
    pub sku: Option<Text<'a>>,
    /// None ends the rule.
    pub policy: Option<OversellPolicy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PolicyWord {
    None,
    Limit,
    Unlimited,
}

words!(PolicyWord { None = "none", Limit = "limit", Unlimited = "unlimited" });

impl From<OversellPolicy> for PolicyWord {
    fn from(policy: OversellPolicy) -> Self {
        match policy {
            OversellPolicy::None => Self::None,
            OversellPolicy::Limit(_) => Self::Limit,
            OversellPolicy::Unlimited => Self::Unlimited,
        }
    }
}

/// An oversell rule as its message writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OversellMessage<'a> {
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    channel: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    sku: Option<Text<'a>>,
    #[serde(default)]
    policy: Option<PolicyWord>,
    #[serde(default, deserialize_with = "opt::<_, Int<0, AMOUNT_MAX>>")]
    limit: Option<i64>,
}

impl<'a> OversellMessage<'a> {
    pub(super) fn check(self) -> Result<Oversell<'a>, FieldError> {
        let policy = match (self.policy, self.limit) {
            (Some(PolicyWord::Limit), Some(limit)) => Some(OversellPolicy::Limit(limit)),
            (Some(PolicyWord::Limit), None) => return Err(FieldError::new("limit", "is missing")),
            (_, Some(_)) => return Err(FieldError::new("limit", "must be given with policy limit only")),
            (Some(PolicyWord::None), None) => Some(OversellPolicy::None),
            (Some(PolicyWord::Unlimited), None) => Some(OversellPolicy::Unlimited),
            (None, None) => None,
        };
        Ok(Oversell {
            channel: self.channel,
            sku: self.sku,
            policy,
        })
    }
}

/// What to do when a source has gone quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreshnessAction {
    Serve,
    Widen,
    Cap,
    Restrict,
}

words!(FreshnessAction { Serve = "serve", Widen = "widen", Cap = "cap", Restrict = "restrict" });

/// When a source counts as stale, and what then.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freshness<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub source: Text<'a>,
    #[serde(deserialize_with = "int::<_, _, 1, STALE_AFTER_MS_MAX>")]
    pub stale_after_ms: i64,
    pub action: FreshnessAction,
    #[serde(default, deserialize_with = "opt::<_, Int<0, AMOUNT_MAX>>")]
    pub amount: Option<i64>,
}

/// The next level of a source counts, whatever its `as_of`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceReset<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub source: Text<'a>,
    /// None: everywhere, and the source may change its kind of clock.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub location: Option<Text<'a>>,
    /// None: every SKU.
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub sku: Option<Text<'a>>,
}

/// The levels of a location come from another source from now on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ownership<'a> {
    #[serde(borrow, deserialize_with = "one::<_, Name>")]
    pub location: Text<'a>,
    #[serde(deserialize_with = "one::<_, Name>")]
    pub source: Text<'a>,
}

/// Something must not be sold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restriction<'a> {
    #[serde(borrow, default, deserialize_with = "opt::<_, Name>")]
    pub channel: Option<Text<'a>>,
    #[serde(default, deserialize_with = "opt::<_, Name>")]
    pub sku: Option<Text<'a>>,
    pub blocked: bool,
    /// May be empty (absent in the message).
    #[serde(default, deserialize_with = "or_default::<_, Reason>")]
    pub reason: Text<'a>,
}
