//! The Python interface of `holdfast-core`. In: Python objects and JSON bytes. Out: JSON bytes and plain Python objects.
//! Always: no rule lives here; every call is convert, (detach,) call, map the error.

use pyo3::prelude::*;

mod asked;
mod bodies;
mod carts;
mod decision;
mod engine;
mod errors;
mod paced;
mod plain;
mod publication;
mod scope_keys;

/// A hold is a handful of small allocations: this allocator takes a third off its time (benches/core.rs uses it too).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The compiled core of holdfast: the class `Engine`, its decisions, its errors, and the scope's keys. JSON is always bytes.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use crate::bodies::{first_beyond, split_facts, well_formed};
    #[pymodule_export]
    use crate::carts::{Carts, CartsBody};
    #[pymodule_export]
    use crate::decision::Decision;
    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::errors::{GapError, HoldfastError, LogError, PendingError, RequestError, ScopeKeyError, SnapshotError};
    #[pymodule_export]
    use crate::publication::Publication;
    #[pymodule_export]
    use crate::scope_keys::ScopeKeys;

    /// True when the extension was compiled without optimisation: its figures mean nothing.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const debug_build: bool = cfg!(debug_assertions);

    /// The format of the snapshots that the extension writes; it reads this one and all before it.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const snapshot_format: u32 = holdfast_core::snapshot::FORMAT;

    /// The Cargo profile that the extension was compiled with: only the figures of "release" are those of what is shipped.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const build_profile: &str = env!("HOLDFAST_PROFILE");
}
