//! What an engine publishes: events and figures, taken from it batch by batch.

use holdfast_core::engine::Figure;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::engine::Engine;

/// (sequence, index, kind, channel, body)
type Event<'py> = (u64, u64, &'static str, String, Bound<'py, PyBytes>);
/// (key, channel, SKU, body)
type Change<'py> = ((u16, u32), String, String, Bound<'py, PyBytes>);

/// Has an engine gather, from here on, what its batches change: events, and the figures that channels publish. At first all
/// figures count as changed.
#[pyclass(frozen, module = "holdfast._core")]
#[derive(Debug)]
pub(crate) struct Publication {
    engine: Py<Engine>,
}

#[allow(clippy::needless_pass_by_value)]
#[pymethods]
impl Publication {
    #[new]
    fn new(py: Python<'_>, engine: Py<Engine>) -> Self {
        let core = engine.get();
        py.detach(|| core.core().begin_publishing());
        Self { engine }
    }

    /// The events gathered since the last call, in order: (sequence, index, kind, channel, body).
    #[pyo3(signature = () -> "list[tuple[int, int, str, str, bytes]]")]
    fn events<'py>(&self, py: Python<'py>) -> Vec<Event<'py>> {
        let events = self.engine.get().core().take_events();
        events
            .into_iter()
            .map(|e| (e.sequence, e.index, e.kind, e.channel, PyBytes::new(py, &e.body)))
            .collect()
    }

    /// Up to so many figures that changed, those that came to zero or left it first: (key, channel, SKU, body).
    #[pyo3(signature = (most: "int") -> "list[tuple[tuple[int, int], str, str, bytes]]")]
    fn figures<'py>(&self, py: Python<'py>, most: usize) -> Vec<Change<'py>> {
        let changes = self.engine.get().core().take_figures(most);
        changes
            .into_iter()
            .map(|c| (c.key, c.channel, c.sku, PyBytes::new(py, &c.body)))
            .collect()
    }

    /// A figure that was taken, and is not published, waits again.
    #[pyo3(signature = (key: "tuple[int, int]") -> "None")]
    fn again(&self, key: (u16, u32)) {
        self.engine.get().core().publish_again(key);
    }

    /// What was published before: where it is right it need not be taken. The key; None: no such channel or SKU is known.
    #[pyo3(signature = (channel: "str", sku: "str", published: "int", sellable: "int", unlimited: "bool", gone: "bool") -> "tuple[int, int] | None")]
    fn known(
        &self,
        channel: &str,
        sku: &str,
        published: i64,
        sellable: i64,
        unlimited: bool,
        gone: bool,
    ) -> Option<(u16, u32)> {
        let figure = Figure {
            published,
            sellable,
            unlimited,
        };
        self.engine.get().core().note_published(channel, sku, figure, gone)
    }

    /// Crossing one of these figures is as urgent as coming to zero, and an event, in batches behind `after`.
    #[pyo3(signature = (units: "list[int]", after: "int") -> "None")]
    fn thresholds(&self, units: Vec<i64>, after: u64) {
        self.engine.get().core().set_thresholds(units, after);
    }

    /// In which time sales are counted, and of how many figures at most.
    #[pyo3(signature = (window_ms: "int", most: "int") -> "None")]
    fn pace(&self, window_ms: i64, most: usize) {
        self.engine.get().core().set_pace(window_ms, most);
    }

    /// How late each channel's shop learns of a figure, and those of all others. Of some figures more or less is withheld then;
    /// these wait.
    #[pyo3(signature = (lags_ms: "list[tuple[str, int]]", other_ms: "int", now_ms: "int") -> "None")]
    fn lags(&self, lags_ms: Vec<(String, i64)>, other_ms: i64, now_ms: i64) {
        self.engine.get().core().renew_paces(&lags_ms, other_ms, now_ms);
    }

    /// How many figures wait to be taken.
    #[getter]
    fn waiting(&self) -> usize {
        self.engine.get().core().figures_waiting()
    }
}
