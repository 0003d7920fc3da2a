"""holdfast answers how much shops can sell, and holds it, at checkout speed.

The package's parts, from the outside in: cli, client, gateway, node, log, contracts; the rules are in the extension
holdfast._core, written in Rust. Always: importing this module needs nothing but the extension.
"""

import warnings
from importlib.metadata import PackageNotFoundError, version

from holdfast import _core

try:
    __version__ = version("holdfast-inventory")
except PackageNotFoundError:  # a source tree that nobody installed
    __version__ = "0+unknown"

if _core.debug_build:
    warnings.warn(
        "holdfast._core is a debug build: every figure it gives is wrong. `make install` builds it optimised.",
        RuntimeWarning,
        stacklevel=2,
    )

__all__ = ["__version__"]
