//! The engine, as Python calls it: all calls from one thread; `apply_many` and snapshots let other threads run meanwhile.

use std::fs::File;
use std::io::BufReader;
use std::sync::{Mutex, MutexGuard, PoisonError};

use holdfast_core::engine::{self, Engine as Core, Listing, Sale};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

use crate::asked::{Arrived, Asked, as_asked, commands};
use crate::decision::Decision;
use crate::errors::{log_error, snapshot_error};
use crate::paced::{BUFFER_BYTES, Paced};
use crate::plain::{Answered, answer, hex};
use crate::scope_keys::ScopeKeys;

/// The state machine of one scope. `owner_key`: a secret under which owners are hashed; `scope_keys`: what batches are signed
/// with. Neither is part of the state.
#[pyclass(frozen, module = "holdfast._core")]
#[derive(Debug)]
pub(crate) struct Engine {
    scope: String,
    core: Mutex<Core>,
}

impl Engine {
    /// A panic in the core left it half changed: later calls must not use it.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        let broken = |_: PoisonError<MutexGuard<'_, Core>>| panic!("the engine failed before: drop it and replay LOG");
        self.core.lock().unwrap_or_else(broken)
    }
}

// pyo3 passes what it converts by value.
#[allow(clippy::needless_pass_by_value)]
#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (scope, owner_key = None, scope_keys = None))]
    fn new(scope: &str, owner_key: Option<&[u8]>, scope_keys: Option<PyRef<'_, ScopeKeys>>) -> Self {
        let owner_key = owner_key.filter(|secret| !secret.is_empty()).map(engine::owner_key);
        Self {
            scope: scope.to_owned(),
            core: Mutex::new(Core::new(scope, owner_key).with_keys(scope_keys.map(|keys| keys.core()))),
        }
    }

    /// The inventory universe that this is the state of.
    #[getter]
    fn scope(&self) -> &str {
        &self.scope
    }

    /// Of the newest LOG message that was applied or committed.
    #[getter]
    fn sequence(&self) -> u64 {
        self.core().position().sequence
    }

    /// Batches that took effect.
    #[getter]
    fn batch(&self) -> u64 {
        self.core().position().batch
    }

    /// Of the newest lead batch.
    #[getter]
    fn epoch(&self) -> u64 {
        self.core().position().epoch
    }

    /// Who appended the newest lead batch.
    #[getter]
    fn node(&self) -> String {
        self.core().position().node.clone()
    }

    /// The hash of the newest batch, 64 hex digits.
    #[getter]
    fn chain(&self) -> String {
        hex(&self.core().position().chain)
    }

    /// The last IN sequence taken.
    #[getter]
    fn in_upto(&self) -> u64 {
        self.core().position().in_upto
    }

    /// Wall time of the newest batch.
    #[getter]
    fn now_ms(&self) -> i64 {
        self.core().position().now_ms
    }

    /// Lead time of the newest batch.
    #[getter]
    fn lead_ms(&self) -> i64 {
        self.core().position().lead_ms
    }

    /// Whether a decided batch waits for `commit`.
    #[getter]
    fn pending(&self) -> bool {
        self.core().is_pending()
    }

    /// Messages of LOG that did not fit the chain and were skipped.
    #[getter]
    fn void_total(&self) -> u64 {
        self.core().void_total()
    }

    /// The bytes of a `lead` batch (epoch + 1) on the present state, which stays as it is. `rules`: the settings to change.
    #[pyo3(signature = (node, now_ms, rules = None))]
    fn lead_batch<'py>(
        &self,
        py: Python<'py>,
        node: &str,
        now_ms: i64,
        rules: Option<&[u8]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let rules = std::str::from_utf8(rules.unwrap_or(b"{}"))
            .map_err(|_| PyValueError::new_err("rules must be JSON in UTF-8"))?;
        let message = self.core().lead_batch(node, now_ms, rules).map_err(log_error)?;
        Ok(PyBytes::new(py, &message))
    }

    /// Decides incoming facts, then commands, until the batch is full; changes the state ahead of LOG. Raises `PendingError`.
    /// An incoming message is `(IN sequence, subject, payload)`, and perhaps whether a gateway sealed it; without that, yes.
    #[pyo3(signature = (now_ms: "int", lead_ms: "int", requests: "Sequence[tuple[str, str, bytes, tuple[str, ...] | None, str | None] | tuple[str, str, bytes, tuple[str, ...] | None, str | None, str | None] | tuple[str, str, bytes, tuple[str, ...] | None, str | None, str | None, str | None] | Carts]", incoming: "Sequence[tuple[int, str, bytes] | tuple[int, str, bytes, bool]]") -> "Decision")]
    fn decide(&self, now_ms: i64, lead_ms: i64, requests: Vec<Asked>, incoming: Vec<Arrived>) -> PyResult<Decision> {
        let (asked, joined) = commands(&requests)?;
        let arrived: Vec<_> = incoming.iter().map(Arrived::as_incoming).collect();
        let decided = self.core().decide_together(now_ms, lead_ms, &asked, &joined, &arrived);
        decided
            .map(|each| Decision::new(as_asked(&requests, each)))
            .map_err(log_error)
    }

    /// What would become of IN messages of one body now: `(accepted, [(index, reason)], report)`. Changes nothing.
    #[pyo3(signature = (now_ms: "int", source: "str", policies_only: "bool", messages: "Sequence[bytes]") -> "tuple[int, list[tuple[int, str]], bytes]")]
    fn dry_run<'py>(
        &self,
        py: Python<'py>,
        now_ms: i64,
        source: &str,
        policies_only: bool,
        messages: Vec<PyBackedBytes>,
    ) -> (usize, Vec<(i64, String)>, Bound<'py, PyBytes>) {
        let messages: Vec<&[u8]> = messages.iter().map(|message| &message[..]).collect();
        let outcome = self.core().dry_run(now_ms, source, policies_only, &messages);
        let report = PyBytes::new(py, &outcome.report());
        (outcome.accepted, outcome.rejected, report)
    }

    /// The pending message is stored at `sequence`. Raises `GapError`, `PendingError`.
    fn commit(&self, sequence: u64) -> PyResult<()> {
        self.core().commit(sequence).map_err(log_error)
    }

    /// Applies a stored message; False: it is void, skipped and counted. Raises `GapError`, `LogError`.
    fn apply(&self, sequence: u64, message: &[u8]) -> PyResult<bool> {
        self.core().apply(sequence, message).map_err(log_error)
    }

    /// The names of the keys that batches of LOG are signed with from here on; none: they need no code.
    #[getter]
    fn mac_keys(&self) -> Vec<String> {
        self.core().mac_keys().to_vec()
    }

    /// Whether batches of LOG are signed from here on.
    #[getter]
    fn signed(&self) -> bool {
        self.core().is_signed()
    }

    /// Whether no process of the scope can have written a message of LOG, by its code. Raises `LogError`.
    fn lacks_code(&self, message: &[u8]) -> PyResult<bool> {
        self.core().lacks_code(message).map_err(log_error)
    }

    /// Whether a message where the pending batch should stand has no right code; if so it is skipped and counted, and the
    /// pending batch follows it. Raises `GapError`, `LogError`.
    fn skip_unsigned(&self, sequence: u64, message: &[u8]) -> PyResult<bool> {
        self.core().skip_unsigned(sequence, message).map_err(log_error)
    }

    /// Applies stored messages from `first_sequence` on, while other threads run; how many were void.
    #[pyo3(signature = (first_sequence: "int", messages: "Sequence[bytes]") -> "int")]
    fn apply_many(&self, py: Python<'_>, first_sequence: u64, messages: Vec<PyBackedBytes>) -> PyResult<u64> {
        let applied = py.detach(|| {
            let mut core = self.core();
            let mut void = 0;
            for (sequence, message) in (first_sequence..).zip(&messages) {
                void += u64::from(!core.apply(sequence, message)?);
            }
            Ok(void)
        });
        applied.map_err(log_error)
    }

    /// Writes the whole state to a new file at `path`, durably, while other threads run; its header as a JSON object.
    /// Raises `SnapshotError`, `OSError` (also where `path` exists).
    #[pyo3(signature = (path: "str") -> "bytes")]
    fn snapshot<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyBytes>> {
        let written = py.detach(|| {
            let mut file = Paced::new(File::create_new(path)?);
            let header = self.core().snapshot(&mut file)?;
            file.finish()?;
            Ok(header)
        });
        let header = written.map_err(snapshot_error)?;
        Ok(PyBytes::new(py, &header.encoded()))
    }

    /// The engine that a snapshot of `scope` was written from, proven by its digest; other threads run meanwhile.
    /// Raises `SnapshotError`, `OSError`.
    #[staticmethod]
    #[pyo3(signature = (scope: "str", owner_key: "bytes | None", path: "str", scope_keys: "ScopeKeys | None" = None) -> "Engine")]
    fn restore(
        py: Python<'_>,
        scope: &str,
        owner_key: Option<&[u8]>,
        path: &str,
        scope_keys: Option<PyRef<'_, ScopeKeys>>,
    ) -> PyResult<Self> {
        let scope_keys = scope_keys.map(|keys| keys.core());
        let owner_key = owner_key.filter(|secret| !secret.is_empty()).map(engine::owner_key);
        let restored = py.detach(|| {
            let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
            Core::restore(scope, owner_key, &mut file)
        });
        Ok(Self {
            scope: scope.to_owned(),
            core: Mutex::new(restored.map_err(snapshot_error)?.with_keys(scope_keys)),
        })
    }

    /// When, on the lead clock, the earliest hold is due.
    fn next_due_lead_ms(&self) -> Option<i64> {
        self.core().next_due_lead_ms()
    }

    /// Whether a batch without facts is needed because the day changed.
    fn wants_tick(&self, now_ms: i64) -> bool {
        self.core().wants_tick(now_ms)
    }

    /// Of the state, 32 hex digits: the same for the same LOG on every machine.
    fn digest(&self) -> String {
        self.core().digest()
    }

    /// The digest computed from the whole state; changes nothing.
    fn recount(&self, py: Python<'_>) -> String {
        py.detach(|| self.core().recount())
    }

    /// Whether the maintained digest equals the recounted one. Where it does not, the next batch decided here records that, and
    /// every process recounts its digest there. Other threads run meanwhile.
    fn prove(&self, py: Python<'_>) -> bool {
        py.detach(|| self.core().prove())
    }

    /// Counts, as a JSON object.
    fn totals<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.core().totals())
    }

    /// Broken invariants, one sentence each; cheap enough after every batch.
    fn check(&self) -> Vec<String> {
        self.core().check()
    }

    /// Broken invariants, one sentence each, with everything recomputed.
    fn check_thoroughly(&self) -> Vec<String> {
        self.core().check_thoroughly()
    }

    /// GET /v1/availability/{sku}. `location`: what it alone can give; `by_location`: each location's figure, too.
    #[pyo3(signature = (sku: "str", channel: "str", region: "str | None", quantity: "int | None", as_of: "bytes", location: "str | None" = None, by_location: "bool" = false, published: "bool" = false) -> "tuple[int, bytes]")]
    #[allow(clippy::too_many_arguments)]
    fn availability<'py>(
        &self,
        py: Python<'py>,
        sku: &str,
        channel: &str,
        region: Option<&str>,
        quantity: Option<i64>,
        as_of: &[u8],
        location: Option<&str>,
        by_location: bool,
        published: bool,
    ) -> Answered<'py> {
        let sale = Sale {
            region,
            location,
            quantity,
            by_location,
            published,
        };
        answer(py, self.core().availability_of(sku, channel, &sale, as_of))
    }

    /// POST /v1/availability.
    #[pyo3(signature = (body: "bytes", channels: "tuple[str, ...] | None", as_of: "bytes") -> "tuple[int, bytes]")]
    fn availabilities<'py>(
        &self,
        py: Python<'py>,
        body: &[u8],
        channels: Option<Vec<String>>,
        as_of: &[u8],
    ) -> Answered<'py> {
        answer(py, self.core().availabilities(body, channels.as_deref(), as_of))
    }

    /// GET /v1/availability/{sku}/explain.
    #[pyo3(signature = (sku: "str", channel: "str", region: "str | None", as_of: "bytes", channels: "tuple[str, ...] | None" = None) -> "tuple[int, bytes]")]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        sku: &str,
        channel: &str,
        region: Option<&str>,
        as_of: &[u8],
        channels: Option<Vec<String>>,
    ) -> Answered<'py> {
        answer(
            py,
            self.core().explain(sku, channel, region, channels.as_deref(), as_of),
        )
    }

    /// POST /v1/carts/validate.
    #[pyo3(signature = (body: "bytes", channels: "tuple[str, ...] | None", as_of: "bytes") -> "tuple[int, bytes]")]
    fn validate<'py>(
        &self,
        py: Python<'py>,
        body: &[u8],
        channels: Option<Vec<String>>,
        as_of: &[u8],
    ) -> Answered<'py> {
        answer(py, self.core().validate(body, channels.as_deref(), as_of))
    }

    /// GET /v1/reservations/{id}.
    #[pyo3(signature = (id: "str", channels: "tuple[str, ...] | None", as_of: "bytes") -> "tuple[int, bytes]")]
    fn reservation<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        channels: Option<Vec<String>>,
        as_of: &[u8],
    ) -> Answered<'py> {
        answer(py, self.core().reservation(id, channels.as_deref(), as_of))
    }

    /// One page of a list: GET /v1/skus and so on. `filters`: (name, value).
    #[pyo3(signature = (kind: "str", after: "str | None", limit: "int", filters: "Sequence[tuple[str, str]]", channels: "tuple[str, ...] | None", as_of: "bytes", now_ms: "int | None" = None) -> "tuple[int, bytes]")]
    #[allow(clippy::too_many_arguments)]
    fn listing<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        after: Option<&str>,
        limit: usize,
        filters: Vec<(PyBackedStr, PyBackedStr)>,
        channels: Option<Vec<String>>,
        as_of: &[u8],
        now_ms: Option<i64>,
    ) -> Answered<'py> {
        let asked = Listing {
            after,
            limit,
            filters: filters.iter().map(|(name, value)| (&**name, &**value)).collect(),
            channels: channels.as_deref(),
            now_ms,
        };
        answer(py, self.core().listing(kind, &asked, as_of))
    }

    /// GET /v1/skus/{sku}.
    #[pyo3(signature = (sku: "str", channels: "tuple[str, ...] | None", as_of: "bytes") -> "tuple[int, bytes]")]
    fn sku<'py>(&self, py: Python<'py>, sku: &str, channels: Option<Vec<String>>, as_of: &[u8]) -> Answered<'py> {
        answer(py, self.core().sku(sku, channels.as_deref(), as_of))
    }

    /// What a channel can sell, for tests and benches; None: unknown SKU.
    #[pyo3(signature = (sku, channel, region = None))]
    fn sellable(&self, sku: &str, channel: &str, region: Option<&str>) -> Option<i64> {
        self.core().sellable(sku, channel, region)
    }
}
