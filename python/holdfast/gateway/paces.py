"""How fast a key may ask: leaky buckets, which all workers of a machine share.

In: a key's rates, and how many items a request has. Out: how many of them are within the rates, and when more will be.
Always: a renewed key has the bucket of the key that it renews; the file with the buckets is of this boot of the
machine, whose clock they are in; a worker that stands still in the middle of a change stops no other one.
"""

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import ceil, floor
from pathlib import Path
from time import monotonic, sleep

BURST_S = 1.0
RATES_FILE = "rates"
SLOTS = 16_384
_ID_BYTES = 24
_SLOT = struct.Struct(f"={_ID_BYTES}sd")
_DUE = struct.Struct("=d")
_HEAD_BYTES = 64
_SIZE = _HEAD_BYTES + SLOTS * _SLOT.size
_LOCK_TRIES, _LOCK_WAIT_S = 50, 0.02


class Cell:
    """The moment, on the machine's monotonic clock, at which the bucket will be empty."""

    __slots__ = ("due_at",)

    def __init__(self) -> None:
        self.due_at = 0.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """While one process alone reads and writes it."""
        yield


class SharedCell(Cell):
    """The same in memory that other processes have, too."""

    __slots__ = ("_memory", "_offset")

    def __init__(self, memory: "SharedPaces", offset: int) -> None:
        self._memory = memory
        self._offset = offset

    @property
    def due_at(self) -> float:
        """See Cell."""
        moment: float = _DUE.unpack_from(self._memory.map, self._offset)[0]
        return moment

    @due_at.setter
    def due_at(self, moment: float) -> None:
        _DUE.pack_into(self._memory.map, self._offset, moment)

    @contextmanager
    def held(self) -> Iterator[None]:
        """See Cell. Where another process keeps the place locked it is changed all the same: a count may be lost."""
        descriptor = self._memory.descriptor
        locked = _try_lock(descriptor, self._offset)
        try:
            yield
        finally:
            if locked:
                fcntl.lockf(descriptor, fcntl.LOCK_UN, _DUE.size, self._offset)


def _try_lock(descriptor: int, offset: int) -> bool:
    for _ in range(10):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, _DUE.size, offset)
        except OSError:
            continue
        return True
    return False


class SharedPaces:
    """The buckets of all keys with a rate: DIR/rates, mapped into every worker."""

    def __init__(self, directory: Path) -> None:
        self.descriptor = os.open(directory / RATES_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with self._alone():
            if os.fstat(self.descriptor).st_size != _SIZE:
                os.ftruncate(self.descriptor, _SIZE)
            self.map = mmap.mmap(self.descriptor, _SIZE)
            if self.map[:_HEAD_BYTES] != _boot():
                self.map[:] = _boot() + bytes(_SIZE - _HEAD_BYTES)

    def cell(self, family: str) -> Cell:
        """The bucket of the keys of one family; one of this process alone when the file is full."""
        wanted = family.encode().ljust(_ID_BYTES, b"\0")[:_ID_BYTES]
        with self._alone():
            for number in range(SLOTS):
                offset = _HEAD_BYTES + number * _SLOT.size
                stored = self.map[offset : offset + _ID_BYTES]
                if not stored.strip(b"\0"):
                    self.map[offset : offset + _ID_BYTES] = stored = wanted
                if stored == wanted:
                    return SharedCell(self, offset + _ID_BYTES)
        return Cell()

    def close(self) -> None:
        """Give the file back."""
        self.map.close()
        os.close(self.descriptor)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process adds a key; after a second regardless."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                sleep(_LOCK_WAIT_S)
        try:
            yield
        finally:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)


def _boot() -> bytes:
    """What tells this boot of the machine from others."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # another system than Linux: to the minute, when the monotonic clock began
        name = str(round((time.time() - monotonic()) / 60))
    return name.encode().ljust(_HEAD_BYTES, b"\0")[:_HEAD_BYTES]


class Pace:
    """One key's rate. `spacing_s`: the time that an item takes."""

    __slots__ = ("_cell", "spacing_s")

    def __init__(self, rate_per_s: float, cell: Cell | None = None) -> None:
        self.spacing_s = 1.0 / rate_per_s
        self._cell = cell or Cell()

    def admit(self, items: int, now: float | None = None) -> int:
        """How many of `items` are within the rate now; those are counted."""
        now = monotonic() if now is None else now
        with self._cell.held():
            due_at = max(self._cell.due_at, now)
            room = floor((BURST_S - (due_at - now)) / self.spacing_s + 1e-9) + 1 if due_at - now <= BURST_S else 0
            admitted = min(items, room)
            if admitted:
                self._cell.due_at = due_at + admitted * self.spacing_s
        return admitted

    def charge(self, items: int, now: float | None = None) -> None:
        """Count items of a request that was admitted as one: the next one waits for all of them."""
        now = monotonic() if now is None else now
        with self._cell.held():
            self._cell.due_at = max(self._cell.due_at, now) + items * self.spacing_s

    def give_back(self, items: int) -> None:
        """Items that were admitted a moment ago are not done after all."""
        with self._cell.held():
            self._cell.due_at -= items * self.spacing_s

    def wait_s(self, now: float | None = None) -> float:
        """How long until an item is within the rate."""
        now = monotonic() if now is None else now
        return max(0.0, self._cell.due_at - now - BURST_S)

    def left(self, now: float | None = None) -> int:
        """How many items are within the rate now."""
        now = monotonic() if now is None else now
        ahead_s = max(0.0, self._cell.due_at - now)
        return floor((BURST_S - ahead_s) / self.spacing_s + 1e-9) + 1 if ahead_s <= BURST_S else 0


class Quota:
    """All the buckets in which one call of a key counts: the key's, and that of the operation."""

    __slots__ = ("_paces", "_policy")

    def __init__(self, paces: Mapping[str, Pace]) -> None:
        self._paces = dict(paces)
        policies = (f'"{name}";q={most};w={window_s}' for name, (most, window_s) in self._stated())
        self._policy = f"RateLimit-Policy: {', '.join(policies)}\r\n".encode()

    def _stated(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Each rate as whole items in whole seconds, never more than it is."""
        for name, pace in self._paces.items():
            rate_per_s = 1.0 / pace.spacing_s
            yield name, (floor(rate_per_s + 1e-9), 1) if rate_per_s >= 1 else (1, ceil(pace.spacing_s - 1e-9))

    def admit(self, items: int) -> int:
        """How many of `items` are within all rates now; those are counted, in each."""
        counted: list[Pace] = []
        admitted = items
        for pace in self._paces.values():
            found = pace.admit(admitted)
            for earlier in counted if found < admitted else ():
                earlier.give_back(admitted - found)
            admitted = found
            counted.append(pace)
        return admitted

    def charge(self, items: int) -> None:
        """Count items of a request that was admitted as one: the next one waits for all of them."""
        for pace in self._paces.values():
            pace.charge(items)

    def wait_s(self) -> float:
        """How long until an item is within all rates."""
        return max(pace.wait_s() for pace in self._paces.values())

    def lines(self) -> bytes:
        """RateLimit-Policy, and RateLimit: what is left (`r`), and after how many seconds there is more (`t`)."""
        now = monotonic()
        left = (f'"{name}";r={pace.left(now)};t={seconds(pace.wait_s(now))}' for name, pace in self._paces.items())
        return b"%bRateLimit: %b\r\n" % (self._policy, ", ".join(left).encode())


def seconds(wait_s: float) -> int:
    """A wait as whole seconds, after which it is over: what `Retry-After` and `t` say."""
    return int(wait_s) + 1
