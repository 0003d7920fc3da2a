"""Stating orders: snapshots in, facts and confirmations out.

Role: the only writer of one store's orders to holdfast. In: snapshots; the gateway's client; the shop, to ask where two
snapshots cannot be distinguished. Out: facts in the store's name, reservations confirmed or released, counts. Always:
one batch at a time; what was not taken is not noted as known, so it is stated again; a fact that is rejected is counted
and listed, and stops nothing else.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from msgspec import UNSET

from holdfast.client import Client, ProblemError
from holdfast.client.errors import InvalidError, NotFoundError, OversoldError, ReservationClosedError
from holdfast.contracts.answers import FactsAnswer, Reservation
from holdfast.settings import WooSettings
from holdfast.traces import following
from holdfast.woo.known_skus import KnownSkus
from holdfast.woo.orderbook import OrderBook
from holdfast.woo.shop_orders import ShopOrders
from holdfast.woo.snapshots import Line, Snapshot
from holdfast.woo.statements import TIES_MAX, Known, Standing, Stated, removed, role_of, stated
from holdfast.woo.stores import Role, Store

log = structlog.get_logger(__name__)

_AT_ONCE = 16
_ASKED_AT_ONCE = 500
_LISTED_MAX = 50
_OVERTAKEN = {"lower-version", "conflicting-body"}
_BUMPS = (1, 10, 100, TIES_MAX - 1)
_COMPONENTS_MAX = 1_024
"""More than a kit has: the numbers of its components' lines are the line's, times this."""
_IGNORED_LISTED = 100  # the gateway names no more of a body


@dataclass(slots=True)
class OrderCounts:
    """Since the process began."""

    stated: int = 0
    facts: int = 0
    repeats: int = 0
    stale: int = 0
    asked: int = 0
    confirmed: int = 0
    released: int = 0
    oversold: int = 0
    rejected: int = 0
    nameless_lines: int = 0
    removed: int = 0


@dataclass(slots=True)
class Orders:
    """The orders of one store."""

    name: str
    store: Store
    client: Client
    shop: ShopOrders
    settings: WooSettings
    book: OrderBook
    counts: OrderCounts = field(default_factory=OrderCounts)
    rejected: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_LISTED_MAX))
    unknown_statuses: dict[str, int] = field(default_factory=dict)
    asked: dict[int, float] = field(default_factory=dict)
    skus: KnownSkus = field(init=False)
    _learned: set[str] = field(default_factory=set)
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.skus = KnownSkus(self.client, self.store.channel)

    async def recall(self) -> None:
        """What holdfast has of this store's orders: the memory of an earlier run. Raises ClientError."""
        lines: dict[int, dict[int, tuple[str, int]]] = {}
        versions: dict[int, int] = {}
        async for entry in self.client.demands():
            if entry.source != self.name or not (entry.ref.isdecimal() and entry.line.isdecimal()):
                continue
            order = int(entry.ref)
            versions[order] = max(versions.get(order, 0), entry.version or 0)
            if entry.quantity > 0:
                lines.setdefault(order, {})[int(entry.line)] = (entry.sku, entry.quantity)
        for order, version in versions.items():
            seconds, tie = divmod(version, TIES_MAX)
            self.book.note(order, Known(seconds, tie, lines=lines.get(order, {})))

    async def take(self, snapshots: Iterable[Snapshot], ask: Iterable[int] = ()) -> int:
        """State what is newer; note what only the shop can say. How many were stated. Raises ClientError, ShopError."""
        async with self._alone:
            found = self.book.sort(snapshots)
            self.counts.repeats += found.repeats
            self.counts.stale += found.stale
            self._note_asked(found.ask | set(ask))
            return await self._state(found.newer)

    def _note_asked(self, orders: Iterable[int]) -> None:
        """Ask for these once the second in which they may still change is over."""
        due_s = time.monotonic() + self.settings.settle_ms / 1000
        for order in orders:
            self.asked.setdefault(order, due_s)

    async def ask(self, *, at_once: bool = False) -> int:
        """Read from the shop what is due. How many were stated. Raises ClientError, ShopError."""
        async with self._alone:
            now_s = time.monotonic()
            due = [order for order, due_s in self.asked.items() if at_once or due_s <= now_s][:_ASKED_AT_ONCE]
            if not due:
                return 0
            read, missing = await self.shop.by_number(due)
            self.counts.asked += len(due)
            found = self.book.sort(read)
            done = await self._state(found.newer)
            for order in missing:
                known = self.book.known(order)
                if known.lines or known.reservation:
                    await self._end(order, known)
                    done += 1
            for order in due:
                self.asked.pop(order, None)
            self._note_asked(found.ask)
            return done

    async def _end(self, order: int, known: Known) -> None:
        """It is not in the shop any more."""
        self.counts.removed += 1
        standing = None
        if known.reservation:
            standing = await self._let_end(known.reservation)
        plan = removed(order, self.store, known, now_s=int(time.time()))
        if standing is not None and standing.is_order(order):
            nothing = Snapshot(order, plan.known.modified_s, "trash", ())
            plan = stated(nothing, self.store, known, standing, now_s=int(time.time()), tie=plan.known.tie)
        await self._send({order: plan})

    async def look_for_skus(self) -> None:
        """Ask again for the SKUs that holdfast did not know; state the orders of those that it knows now."""
        for sku, orders in list(self.skus.waiting.items()):
            if sku in await self.skus.known([sku]):
                self.skus.waiting.pop(sku, None)
                for order in orders:
                    self.book.note(order, replace(self.book.known(order), mark=b""))  # it is to be stated again
                self._note_asked(orders)

    async def _state(self, snapshots: dict[int, Snapshot]) -> int:
        """State what of these holdfast can know.

        A line of a SKU that holdfast does not know is left out: stating it would make the SKU known, with no stock, and
        checkouts of it would be refused. A bundle that is a kit in holdfast is left out where its parts are lines: they
        would count twice.
        """
        named = {line.sku for one in snapshots.values() for line in one.lines if line.sku}
        known = await self.skus.known(named)
        whole = await self._counted(snapshots, known)
        done = await self._state_whole(whole)
        again = {order: one for order, one in snapshots.items() if any(x.sku in self._learned for x in one.lines)}
        if again:  # demand for a kit is rejected: its components are stated in its place
            self._learned.clear()
            await self._state_whole(await self._counted(again, known))
        return done

    async def _counted(self, snapshots: dict[int, Snapshot], known: set[str]) -> dict[int, Snapshot]:
        """With the lines that count."""
        wrapping = {line.sku for one in snapshots.values() for line in one.lines if known.intersection(line.wraps)}
        kits = await self.skus.kits((wrapping & known) | (self.skus.rejected & known))
        whole: dict[int, Snapshot] = {}
        for order, one in snapshots.items():
            self.skus.await_sku(order, [line.sku for line in one.lines if line.sku and line.sku not in known])
            kept = (line for line in one.lines if _counts(line, known, kits))
            in_parts = {} if one.is_reserved else kits  # a reservation names the kit
            lines = tuple(part for line in kept for part in _components(line, in_parts))
            whole[order] = one if lines == one.lines else replace(one, lines=lines, whole_mark=one.mark)
        return whole

    async def _state_whole(self, snapshots: dict[int, Snapshot]) -> int:
        """State these. Those that need an answer of the gateway or of the shop first are asked about together."""
        ready = asyncio.Semaphore(_AT_ONCE)

        async def planned(snapshot: Snapshot) -> Stated:
            async with ready:
                return await self._plan(snapshot)

        easy = {order: one for order, one in snapshots.items() if not self._needs_answer(one)}
        hard = [one for order, one in snapshots.items() if order not in easy]
        plans: dict[int, Stated] = {}
        for order, one in easy.items():
            plans[order] = self._stated(one, None)
        answers = await asyncio.gather(*(planned(one) for one in hard), return_exceptions=True)
        for one, answer in zip(hard, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            plans[one.order] = answer
        await self._send(plans)
        return len(plans)

    def _needs_answer(self, snapshot: Snapshot) -> bool:
        has_returns = bool(self.store.ships_from) and snapshot.refunded and snapshot.completed_s is not None
        return snapshot.is_reserved or has_returns

    async def _plan(self, snapshot: Snapshot) -> Stated:
        if self.store.ships_from and snapshot.refunded and snapshot.completed_s is not None:
            snapshot = await self.shop.with_refunds(snapshot)
        standing = await self._settle(snapshot) if snapshot.is_reserved else None
        return self._stated(snapshot, standing)

    def _stated(self, snapshot: Snapshot, standing: Standing | None) -> Stated:
        if not self.store.knows(snapshot.status):
            self.unknown_statuses[snapshot.status] = self.unknown_statuses.get(snapshot.status, 0) + 1
        known = self.book.known(snapshot.order)
        tie = self.book.tie_of(snapshot)
        return stated(snapshot, self.store, known, standing, now_s=int(time.time()), tie=tie)

    async def _settle(self, snapshot: Snapshot) -> Standing | None:
        """Complete what the plugin began: confirm what is owed, release what is not; None where it is not known."""
        role = role_of(snapshot, self.store)
        if role is Role.HOLD:
            return None
        if role is Role.NONE:
            return await self._let_end(snapshot.reservation)
        try:
            with following(snapshot.trace):
                confirmed = await self.client.confirm(snapshot.reservation, str(snapshot.order))
        except (NotFoundError, ReservationClosedError):
            return await self._look(snapshot.reservation)
        except OversoldError:
            self.counts.oversold += 1
            return await self._look(snapshot.reservation)
        self.counts.confirmed += 1
        return standing_of(confirmed)

    async def _let_end(self, reservation: str) -> Standing | None:
        standing = await self._look(reservation)
        if standing is None or standing.state != "held":
            return standing
        try:
            await self.client.release(reservation)
            self.counts.released += 1
        except (NotFoundError, ReservationClosedError):
            return await self._look(reservation)
        return None

    async def _look(self, reservation: str) -> Standing | None:
        try:
            return standing_of(await self.client.reservation(reservation))
        except NotFoundError:
            return None

    async def _send(self, plans: dict[int, Stated]) -> None:
        """Send the facts of many orders, in bodies of bounded size; then they are known."""
        body: list[tuple[int, dict[str, Any]]] = []
        for order, plan in plans.items():
            self.counts.nameless_lines += plan.nameless
            body += ((order, fact) for fact in plan.facts)
            if len(body) >= self.settings.facts_max:
                await self._post(body, plans)
                body = []
        if body:
            await self._post(body, plans)
        for order, plan in plans.items():
            lines = {at: line for at, line in plan.known.lines.items() if line[0] not in self.skus.rejected}
            self.book.note(order, replace(plan.known, lines=lines))
        self.counts.stated += len(plans)

    async def _post(self, body: list[tuple[int, dict[str, Any]]], plans: dict[int, Stated]) -> None:
        overtaken = await self._posted(body)
        for bump in _BUMPS:
            if not overtaken:
                return
            overtaken = await self._again(overtaken, plans, bump)
        log.info("orders-overtaken", store=self.name, orders=sorted(overtaken)[:_LISTED_MAX])

    async def _again(self, orders: set[int], plans: dict[int, Stated], bump: int) -> set[int]:
        """Holdfast has another version of that second: a memory of this process that was lost. State a higher one."""
        body: list[tuple[int, dict[str, Any]]] = []
        for order in orders:
            plan = plans[order]
            tie = min(TIES_MAX - 1, plan.known.tie + bump)
            version = plan.known.modified_s * TIES_MAX + tie
            facts = [{**fact, "version": version} for fact in plan.facts]
            known = plan.known
            known = Known(
                known.modified_s, tie, known.mark, known.reservation, known.lines, known.returned, known.shipped
            )
            plans[order] = Stated(facts, known, 0)
            body += ((order, fact) for fact in facts)
        return await self._posted(body)

    async def _posted(self, body: list[tuple[int, dict[str, Any]]]) -> set[int]:
        """The orders of which something did not count because a newer or another version is known."""
        try:
            answer = await self.client.facts(self.name, [fact for _, fact in body])
        except InvalidError as refused:
            self._note_rejected(body, refused)
            return set()
        self.counts.facts += answer.accepted
        for one in answer.rejected:
            self._reject(body, one.index, one.reason)
        ignored = [] if answer.ignored is UNSET else answer.ignored
        if _count(answer) > len(ignored) and len(body) > _IGNORED_LISTED:
            found: set[int] = set()
            for at in range(0, len(body), _IGNORED_LISTED):
                found |= await self._posted(body[at : at + _IGNORED_LISTED])
            return found
        return {body[one.index][0] for one in ignored if one.reason in _OVERTAKEN}

    def _note_rejected(self, body: list[tuple[int, dict[str, Any]]], refused: ProblemError) -> None:
        rejected = refused.problem.rejected
        if rejected is UNSET:
            raise refused
        for one in rejected:
            self._reject(body, one.index, one.reason)

    def _reject(self, body: list[tuple[int, dict[str, Any]]], index: int, reason: str) -> None:
        order, fact = body[index]
        if reason == "kit-has-no-stock" and fact["sku"] not in self.skus.rejected:
            self.skus.rejected.add(fact["sku"])
            self._learned.add(fact["sku"])
            return
        self.counts.rejected += 1
        self.rejected.append({"order": order, "kind": fact["kind"], "sku": fact.get("sku", ""), "reason": reason})
        log.warning("fact-rejected", store=self.name, order=order, kind=fact["kind"], reason=reason)


def _components(line: Line, kits: Mapping[str, Mapping[str, int]]) -> list[Line]:
    """A line of a kit as lines of its components, each a document; another one as it is."""
    if line.sku not in kits:
        return [line]
    return [
        Line(
            id=line.id * _COMPONENTS_MAX + at,
            sku=sku,
            quantity=line.quantity * each,
            restocked=line.restocked * each,
            of=line.id,
            per=each,
        )
        for at, (sku, each) in enumerate(sorted(kits[line.sku].items()))
    ]


def _counts(line: Line, known: set[str], kits: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether a line is stated. One without a SKU is, for its SKU may be known from before."""
    if not line.sku:
        return True
    return line.sku in known and not (line.sku in kits and known.intersection(line.wraps))


def _count(answer: FactsAnswer) -> int:
    return 0 if answer.ignored_count is UNSET else int(answer.ignored_count)


def standing_of(reservation: Reservation) -> Standing:
    """What of a reservation matters to its order."""
    units: dict[str, int] = {}
    cancelled: dict[str, int] = {}
    for line in reservation.lines:
        units[line.sku] = units.get(line.sku, 0) + line.quantity
        cancelled[line.sku] = cancelled.get(line.sku, 0) + line.cancelled
    return Standing(reservation.state, reservation.order_ref, units, cancelled)
