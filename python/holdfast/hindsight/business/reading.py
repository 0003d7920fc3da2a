"""Counting on from where the last count stopped, to the end of what is kept.

In: a data directory's past, refusals. Out: the file of figures, further. Always: LOG is read once, in order, from
files, beside the gateway; one process at a time counts; a stretch that is no longer kept is a gap, which reports say.
"""

import fcntl
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from holdfast._core import Engine, Publication
from holdfast.errors import LogError
from holdfast.hindsight.business.beside import Levels, Refused
from holdfast.hindsight.business.lives import Event, Lives
from holdfast.hindsight.business.store import Place, Store, Stretch
from holdfast.recovery.past import Past, made_ms

FOLDER: Final = "figures"
CHUNK: Final = 512
_LEVEL: Final = b'"kind":"stock.level"'
_events = msgspec.json.Decoder(Event)

Refusals = Sequence[tuple[int, Sequence[dict[str, Any]], int]]
"""Messages of ASK: sequence, refusals, how many were only counted."""
SETTLED_MS: Final = 2_000
"""A batch is counted once it is so old: what was refused at it is in ASK by then."""
MESSAGES_MAX: Final = 20_000  # of ASK, in one count


class OtherLogError(LogError):
    """The figures are those of another log."""


class Counting:
    """The figures of one data directory, and a core at the place up to which they reach."""

    def __init__(self, directory: Path, scope: str) -> None:
        folder = directory / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        self.file = folder / f"{scope}.sqlite"
        self.store = Store(self.file)
        self._lock = folder / "lock"
        self._core: Engine | None = None
        self._publication: Publication | None = None

    @property
    def asked(self) -> int:
        """Up to which message of ASK refusals are known."""
        return self.store.place().asked

    def close(self) -> None:
        """No more of it."""
        self.store.close()

    def count(self, past: Past, refusals: Refusals, within_s: float | None = None) -> bool:
        """To the end of the past; false where that takes longer: the rest next time.

        Raises OtherLogError, NotKeptError, ArchiveError, JournalDamagedError.
        """
        until = None if within_s is None else time.monotonic() + within_s
        with self._alone():
            place = self.store.place()
            core = self._at(past, place)
            lives = Lives(self.store.db)
            refused = Refused(self.store.db)
            self._wait(refused, refusals, place)
            settled_ms = time.time() * 1000 - SETTLED_MS
            messages = itertools.takewhile(
                lambda one: (made_ms(one[1]) or 0) <= settled_ms, past.messages(core.sequence)
            )
            while True:
                self.store.begin()
                try:
                    ended = self._stretch(core, messages, lives, refused, place)
                except BaseException:
                    self.store.rollback()
                    self._core = None
                    raise
                if ended:
                    return True
                if until is not None and time.monotonic() > until:
                    return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _at(self, past: Past, place: Place) -> Engine:
        """A core where the figures end, with a publication that is empty."""
        core = self._core
        if core is None or core.sequence != place.sequence or core.chain != place.chain:
            core = self._begin(past, place)
            self._core, self._publication = core, Publication(core)
        return core

    def _begin(self, past: Past, place: Place) -> Engine:
        if place.sequence == 0 or place.sequence + 1 < past.first:
            oldest = past.oldest()
            core = past.core(oldest.header.sequence) if oldest is not None else Engine(past.scope, None, past.keys)
            if place.sequence:
                self.store.db.execute("INSERT INTO gaps VALUES (?, ?)", (place.now_ms, core.now_ms))
            return core
        if past.last < place.sequence or (core := past.core(place.sequence)).chain != place.chain:
            raise OtherLogError(
                f"the figures in {self.file} count messages up to {place.sequence}, and what is kept here is another "
                "log, or ends before that: `holdfast verify` says which; after a repair, remove that file"
            )
        return core

    def _wait(self, refused: Refused, refusals: Refusals, place: Place) -> None:
        self.store.begin()
        out = Stretch()
        for asked, found, left_out in refusals:
            if asked > place.asked:
                refused.wait(asked, found)
                place.asked = asked
                at_ms = max((one["at_ms"] for one in found), default=place.now_ms)
                out.add(at_ms, "refusals.left_out", "", n=left_out)
        self.store.commit(out, place)

    def _stretch(
        self, core: Engine, messages: Iterator[tuple[int, bytes]], lives: Lives, refused: Refused, place: Place
    ) -> bool:
        """Some messages, in the open transaction. True: there are no more."""
        out = Stretch()
        since_ms = core.now_ms
        refused.take(core, out)
        due = refused.places(core.sequence + CHUNK)
        found = list(itertools.islice(messages, CHUNK))
        run: list[bytes] = []
        for n, (sequence, message) in enumerate(found):
            if _LEVEL in message:
                self._apply(core, run, lives, out)
                self._with_levels(core, sequence, message, lives, out)
                run = []
            else:
                run.append(message)
            if n + 1 == len(found) or (due and due[0] == sequence):
                self._apply(core, run, lives, out)
                run = []
            if due and due[0] == sequence:
                refused.take(core, out)
                due.pop(0)
        lives.save()
        if place.since_ms is None and found:
            place.since_ms = since_ms or made_ms(found[0][1])
        place.sequence, place.chain, place.now_ms = core.sequence, core.chain, core.now_ms
        self.store.commit(out, place)
        return len(found) < CHUNK

    def _apply(self, core: Engine, run: list[bytes], lives: Lives, out: Stretch) -> None:
        if run:
            core.apply_many(core.sequence + 1, run)
            for event in self._events():
                lives.take(event, out)

    def _events(self) -> list[Event]:
        assert self._publication is not None, "Invariant: made with the core"
        found = [_events.decode(body) for *_, body in self._publication.events()]
        while self._publication.waiting and self._publication.figures(10_000):
            pass
        return found

    def _with_levels(self, core: Engine, sequence: int, message: bytes, lives: Lives, out: Stretch) -> None:
        try:
            levels = Levels(core, sequence, message)
        except msgspec.MsgspecError:  # a void message may have any bytes
            levels = None
        took_effect = core.apply(sequence, message)
        events = self._events()
        for event in events:
            lives.take(event, out)
        if took_effect and levels is not None:
            levels.compare(core, core.now_ms, events, out)
