"""One endpoint: events from OUT to it, each until it has it, in order for each subject.

In: a feed of OUT, the endpoint's place. Out: requests, the place moved on, parked events. Always: the place moves only
over events that were taken, parked or are not wanted, so that a process that is killed sends some again and misses
none; what follows a parked event about the same reservation, or SKU of a channel, is parked behind it; memory is
bounded by the window.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec
import orjson
import structlog
from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from holdfast.errors import ConflictError, LogError
from holdfast.events.feed import Feed
from holdfast.events.places import Gap, Place, gap_as_json, gap_between, place_in, place_of
from holdfast.nats.outlets import is_wanted, token
from holdfast.settings import WebhookSettings
from holdfast.systems import State, System
from holdfast.tasks import cancel_and_wait
from holdfast.traces import id_of
from holdfast.webhooks.messages import Item, SecretsError, item_of
from holdfast.webhooks.places import EndpointState, HookStream, Parked
from holdfast.webhooks.sender import EndpointGoneError, NotTakenError, Sender

log = structlog.get_logger(__name__)

_RETRY_S = 1.0


class _OverError(Exception):
    """The session is over: somebody changed the place, or OUT was made again."""


class Endpoint:
    """Runs until it is cancelled. `owner`: this process's name; one of the same name before it is over."""

    def __init__(
        self, name: str, settings: WebhookSettings, feed: Feed, stream: HookStream, sender: Sender, owner: str
    ) -> None:
        self.name = name
        self._settings = settings
        self._feed = feed
        self._stream = stream
        self._sender = sender
        self._owner = owner
        self._kinds = frozenset(_names(settings.kinds)) or None
        self._channels = frozenset(token(one) for one in _names(settings.channels)) or None
        self._state = EndpointState(upto="0:0")
        self._at = 0  # the sequence of the state's message
        self._saved_s = 0.0
        self._window: OrderedDict[Place, bool] = OrderedDict()  # whether it is done
        self._queues: dict[str, deque[tuple[Item, bytes]]] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._stuck: set[str] = set()  # keys with a parked event
        self._again: dict[Place, str] = {}  # parked events that are sent again, by their id
        self._parked = 0
        self._works = asyncio.Event()  # set for a moment when a request was taken
        self._slots = asyncio.Semaphore(settings.at_once)
        self._changed = False
        self._saving = asyncio.Lock()

    async def run(self) -> None:
        """Session after session."""
        while True:
            try:
                await self._own()
                await self._session()
            except (_OverError, ConflictError) as over:
                log.info("webhook-again", webhook=self.name, why=str(over))
            except LogError as fault:
                log.warning("webhook-waits", webhook=self.name, why=str(fault))
                await asyncio.sleep(_RETRY_S)
            finally:
                await cancel_and_wait(*self._busy.values())
                await asyncio.gather(*self._busy.values(), return_exceptions=True)  # several may be over
                self._busy.clear()

    # ---- whose it is

    async def _own(self) -> None:
        """Read the state; wait while another process sends."""
        settings = self._settings
        await self._feed.open()
        await self._stream.ensure()
        seen, since_s = 0, time.monotonic()
        while True:
            found = await self._stream.load(self.name)
            if found is None:
                start = await self._feed.start(None)
                self._at, self._state = 0, EndpointState(upto=str(start.place))
                break
            self._at, self._state = found
            self._parked = self._state.parked
            if self._state.owner in {"", self._owner}:
                break
            if self._at != seen:
                seen, since_s = self._at, time.monotonic()
            elif (time.monotonic() - since_s) * 1000 > settings.takeover_ms:
                log.warning("webhook-taken-over", webhook=self.name, of=self._state.owner)
                break
            await asyncio.sleep(settings.look_ms / 1000)
        self._state.owner = self._owner
        await self._save()

    async def _save(self) -> None:
        async with self._saving:
            self._changed = False
            self._saved_s = time.monotonic()
            self._state.parked = self._parked
            self._at = await self._stream.save(self.name, self._state, self._at)

    def system(self) -> System:
        """What the gateways show of it."""
        state = self._state
        word: State = "resting" if state.halted else "failing" if state.failures or state.why else "working"
        why = state.halted or state.why
        return System(f"webhook {self.name}", word, why, sum(map(len, self._queues.values())), self._parked)

    async def release(self) -> None:
        """Another process may go on at once."""
        self._move_on(set())
        self._state.owner = ""
        with contextlib.suppress(LogError):
            await self._save()

    # ---- a session: from the place that is stored, until something else counts

    async def _session(self) -> None:
        for held in (self._window, self._queues, self._stuck, self._again):
            held.clear()
        while self._state.halted:
            await self._look(self._settings.look_ms / 1000)
        await self._load_parked()
        upto = place_of(self._state.upto) or Place(0, 0)
        done = {place for one in self._state.done if (place := place_of(one)) is not None}
        start = await self._feed.start(upto)
        log.info("webhook-sends", webhook=self.name, after=self._state.upto, parked=self._parked)
        generation = self._feed.generation
        self._feed.join()
        try:
            if start.gap is not None:
                self._put_gap(start.gap)
            await self._go_on(start.cursor, upto, done, lambda: self._feed.generation == generation)
        finally:
            self._feed.leave()

    async def _load_parked(self) -> None:
        self._parked = 0
        async for one in self._stream.parked(self.name):
            self._parked += 1
            if self._state.resume and len(self._again) < self._settings.parked_max:
                raw = bytes(one.event)
                item = item_of(raw)
                self._again[item.place] = one.id
                self._queues.setdefault(item.key, deque()).append((item, raw))
            else:
                self._stuck.add(one.key)
        for key, queue in self._queues.items():
            self._queues[key] = deque(sorted(queue, key=lambda pair: pair[0].place))

    async def _go_on(self, cursor: int, upto: Place, done: set[Place], is_same: Callable[[], bool]) -> None:
        settings = self._settings
        seen, last = cursor, upto
        looked_s = time.monotonic()
        while True:
            if not is_same():
                raise _OverError("the stream of events was made again")
            if len(self._window) < settings.window:
                part = await self._feed.after(cursor, min(settings.look_ms, 200) / 1000)
                for entry in part.entries[: settings.window]:
                    place = place_in(entry.payload)
                    if entry.sequence != seen + 1:
                        self._put_gap(gap_between(last, place))
                    seen, last, cursor = entry.sequence, place, entry.sequence
                    if place > upto:
                        self._put(place, entry.subject, entry.payload, is_done=place in done)
                if not part.entries:
                    cursor = max(cursor, part.upto)
            else:
                await asyncio.sleep(0.05)
            for task in [one for one in self._busy.values() if one.done()]:
                task.result()
            self._start_sending()
            self._move_on(done)
            if (time.monotonic() - looked_s) * 1000 >= settings.look_ms:
                looked_s = time.monotonic()
                await self._look(0)

    async def _look(self, wait_s: float) -> None:
        """Save what has moved; raise where somebody else has changed the state."""
        await asyncio.sleep(wait_s)
        since_ms = (time.monotonic() - self._saved_s) * 1000
        if since_ms >= (self._settings.save_ms if self._changed else self._settings.renew_ms):
            await self._save()
            return
        async with self._saving:
            found = await self._stream.load(self.name)
            if found is None or found[0] != self._at:
                raise _OverError("its place was changed")

    # ---- the window

    def _put(self, place: Place, subject: str, payload: bytes, *, is_done: bool) -> None:
        if is_done or not is_wanted(subject, self._channels, self._kinds):
            self._window[place] = True
            return
        self._window[place] = False
        item = item_of(payload)
        self._queues.setdefault(item.key, deque()).append((item, payload))

    def _put_gap(self, gap: Gap) -> None:
        place = Place(gap.sequence, gap.index)
        log.error("webhook-gap", webhook=self.name, first=gap.first, upto=gap.upto)
        if place not in self._window:
            payload = orjson.dumps(gap_as_json(gap))
            self._window[place] = False
            self._queues.setdefault("gap", deque()).append((item_of(payload), payload))

    def _move_on(self, done: set[Place]) -> None:
        """Over the done ones at the beginning of the window."""
        upto: Place | None = None
        while self._window:
            first = next(iter(self._window))
            if not self._window[first]:
                break
            del self._window[first]
            done.discard(first)
            upto = first
        behind = [str(place) for place, is_done in self._window.items() if is_done]
        if upto is not None:
            self._state.upto = str(upto)
        if upto is not None or behind != self._state.done:
            self._state.done = behind
            self._changed = True
        if self._state.resume and not self._again:
            self._state.resume, self._changed = False, True

    # ---- sending

    def _start_sending(self) -> None:
        for key in [key for key, task in self._busy.items() if task.done()]:
            del self._busy[key]
        for key, queue in list(self._queues.items()):
            if not queue:
                del self._queues[key]
            elif key not in self._busy:
                self._busy[key] = asyncio.get_running_loop().create_task(self._drain(key, queue))

    async def _drain(self, key: str, queue: deque[tuple[Item, bytes]]) -> None:
        """Send what is queued of one key."""
        while queue:
            item, payload = queue[0]
            if key not in self._stuck:
                await self._until_taken(item, payload)
            elif self._again.pop(item.place, None) is None:
                await self._park(item, payload, 0, "behind a parked one")
            queue.popleft()
            if item.place in self._window:
                self._window[item.place] = True

    async def _until_taken(self, item: Item, payload: bytes) -> None:
        settings = self._settings
        retrying = AsyncRetrying(
            wait=self._wait,
            sleep=self._rest,
            stop=stop_after_attempt(settings.tries_max),
            retry=retry_if_exception_type(NotTakenError),
        )
        try:
            async for attempt in retrying:
                with attempt:
                    await self._try(item)
        except RetryError as failed:
            why = str(failed.last_attempt.exception())
            self._stuck.add(item.key)
            if self._again.pop(item.place, None) is None:
                await self._park(item, payload, settings.tries_max, why)
            return
        if (parked := self._again.pop(item.place, None)) is not None:
            await self._stream.remove(self.name, parked)
            self._parked -= 1

    async def _try(self, item: Item) -> None:
        async with self._slots:
            try:
                await self._send(item)
            except EndpointGoneError as gone:
                self._state.halted = str(gone)
                await self._save()
                raise _OverError(str(gone)) from gone
            except NotTakenError as failure:
                self._state.failures += 1
                self._state.why, self._changed = str(failure), True
                raise
        self._state.sent_total += 1
        self._state.why = ""
        if self._state.failures:
            self._state.failures = 0
            self._works.set()
            self._works = asyncio.Event()
        self._changed = True

    async def _send(self, item: Item) -> None:
        """One try. That nothing can be signed is no fault of the endpoint: it counts for nothing, and is waited for."""
        while True:
            try:
                await self._sender.send(item)
            except SecretsError as fault:
                if self._state.why != str(fault):
                    log.error("alarm", alarm="webhook-unsigned", detail=f"{self.name}: {fault}")
                self._state.why, self._changed = str(fault), True
                await asyncio.sleep(_RETRY_S)
            else:
                return

    def _wait(self, state: RetryCallState) -> float:
        settings = self._settings
        doubling = wait_random_exponential(
            multiplier=settings.retry_first_ms / 1000, max=settings.retry_wait_ms_max / 1000
        )
        wait = doubling(state)
        failure = state.outcome.exception() if state.outcome is not None else None
        asked = failure.wait_s if isinstance(failure, NotTakenError) else 0.0
        return max(wait, min(asked, settings.retry_wait_ms_max / 1000))

    async def _rest(self, seconds: float) -> None:
        """Until the next try: as long as that, or until something else was taken after failures."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._works.wait()

    async def _park(self, item: Item, payload: bytes, tries: int, why: str) -> None:
        """Where there is no room the endpoint rests."""
        if self._state.halted:
            raise _OverError(self._state.halted)
        if self._parked >= self._settings.parked_max:
            log.error("alarm", alarm="webhook-full", detail=f"{self.name}: {self._parked} events are parked")
            self._state.halted = f"{self._parked} events are parked (parked_max)"
            await self._save()
            raise _OverError(self._state.halted)
        identity = str(item.place)
        parked = Parked(
            id=identity, key=item.key, why=why, tries=tries, at_ms=int(time.time() * 1000), event=msgspec.Raw(payload)
        )
        self._parked += 1  # before it is stored: several are parked at the same time
        await self._stream.park(self.name, parked)
        self._state.parked_total += 1
        self._changed = True
        self._stuck.add(item.key)
        log.error("webhook-parked", webhook=self.name, identity=identity, about=item.key, why=why, **_traced(item))


def _traced(item: Item) -> dict[str, str]:
    return {"trace": id_of(item.trace)} if item.trace else {}


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
