"""Sizes and times in the units that the names of settings end with, and how a person reads them.

In: whole numbers. Out: whole numbers, text. Always: what `readable` writes is exact or not written.
"""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB
SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_SCALES: dict[str, tuple[tuple[int, str], ...]] = {
    "ms": ((DAY_MS, "days"), (HOUR_MS, "h"), (MINUTE_MS, "min"), (SECOND_MS, "s")),
    "bytes": ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")),
}


def readable(value: int, unit: str) -> str:
    """15000 ms as `15 s`; "" where no larger unit gives a whole number."""
    for size, name in _SCALES.get(unit, ()):
        if value >= size and value % size == 0:
            count = value // size
            return f"{count} {name[:-1] if name == 'days' and count == 1 else name}"
    return ""
