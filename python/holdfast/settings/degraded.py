"""Settings of what is done while a source is silent (docs/degraded.md).

In: nothing. Out: DegradedSettings. Always: without `enabled` a `freshness` rule is stored and does nothing.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import HOUR_MS, SECOND_MS

STATUS_FILE = "degraded/status.json"
"""Below the data directory: which sources are silent now. The gateways of the machine read it."""


@section("degraded", "What is done while a source is silent ([degraded.md](degraded.md)).")
@dataclass(frozen=True, slots=True)
class DegradedSettings:
    """The process that carries `freshness` rules out."""

    enabled: bool = public(
        False,  # noqa: FBT003 - the default of a setting
        "Whether `serve` carries `freshness` rules out, in a separate process. Of several machines one is enough: the "
        "one that runs the connections.",
    )
    every_ms: int = public(SECOND_MS, "How often it looks.", lowest=100, highest=HOUR_MS)
    key: str = public(
        "",
        "API key that may read all channels and send policies; `@FILE` reads it from a file.",
        unset="none",
        secret=True,
    )
    niceness: int = 5
