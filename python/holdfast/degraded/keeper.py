"""Carrying `freshness` rules out.

In: a gateway's sources, rules, locations and levels. Out: policy facts while a source is silent, and the ones that end
them when it is back; a status for gateways and people. Always: what will end a step is on the disk before the step is
sent, so a crash leaves nothing in force for ever; done again, each step is the same.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import structlog

from holdfast.client import Client
from holdfast.client.errors import ClientError
from holdfast.contracts.listings import LevelEntry, LocationEntry, PolicyEntry
from holdfast.degraded import FOLDER
from holdfast.degraded.measures import Cell, Fact, Rule, Step, ending, rule_of, steps_of
from holdfast.degraded.silence import Silence, now_ms
from holdfast.guarded import write_private
from holdfast.settings import Settings
from holdfast.settings.degraded import STATUS_FILE

log = structlog.get_logger(__name__)

_AT_ONCE = 16
_TOGETHER = 2_000


class Measure(msgspec.Struct):
    """What is in force of a rule. `since_ms`: when the source had said nothing for long enough."""

    rule: Rule
    since_ms: int
    locations: list[str] = []
    steps: list[Step] = []
    last: str = ""
    """The newest `as_of` of the source then."""


class Keeper:
    """One scope. `turn` again and again; `measures` by source."""

    def __init__(self, client: Client, data: Path, settings: Settings) -> None:
        self._client = client
        self._directory = data / FOLDER
        self._silence = Silence(data, settings.erp)
        self.measures: dict[str, Measure] = self._stored()
        for source, one in self.measures.items():
            self._silence.recall(source, one.last, one.since_ms - one.rule.stale_after_ms)

    def _stored(self) -> dict[str, Measure]:
        try:
            found = msgspec.json.decode((self._directory / "measures.json").read_bytes(), type=dict[str, Measure])
        except FileNotFoundError:
            return {}
        return found

    def _store(self) -> None:
        """Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._directory / "measures.json", msgspec.json.encode(self.measures).decode())

    async def turn(self) -> None:
        """Look once. Raises ClientError, OSError."""
        rules = {one.source: one async for one in self._rules()}
        sources = [one async for one in self._client.sources()] if rules or self.measures else []
        silent_ms = self._silence.of(sources, now_ms())
        owned = {one.source: sorted(one.locations) for one in sources}
        for source in list(self.measures):
            measure, rule = self.measures[source], rules.get(source)
            silent = rule is not None and silent_ms.get(source, 0) > rule.stale_after_ms
            if not silent or rule != measure.rule or owned.get(source) != measure.locations:
                await self._end(source)
        for source, rule in rules.items():
            if source not in self.measures and silent_ms.get(source, 0) > rule.stale_after_ms:
                await self._begin(rule, owned.get(source, []))
        self._report(silent_ms)

    async def _rules(self) -> AsyncIterator[Rule]:
        async for entry in self._client.rules(kind="freshness"):
            yield rule_of(entry)

    async def _begin(self, rule: Rule, locations: list[str]) -> None:
        places, levels, rules = await self._read(locations, with_levels=rule.action in {"widen", "cap"})
        steps = steps_of(rule, places.values(), levels, rules)
        measure = Measure(rule, now_ms(), locations, steps, self._silence.last(rule.source))
        self.measures[rule.source] = measure
        self._store()
        await self._send([one.sent for one in measure.steps], rule.source)
        log.error("alarm", alarm="source-silent", source=rule.source, action=rule.action, steps=len(measure.steps))

    async def _end(self, source: str) -> None:
        measure = self.measures[source]
        places, _, rules = await self._read(measure.locations, with_levels=False)
        facts = ending(measure.steps, places, rules)
        await self._send(facts, source)
        del self.measures[source]
        self._store()
        log.warning("source-is-back", source=source, ended=len(facts), left=len(measure.steps) - len(facts))

    async def _send(self, facts: Sequence[Fact], source: str) -> None:
        for at in range(0, len(facts), _TOGETHER):
            body = [fact | {"trace": f"silent-{source}"[:64]} for fact in facts[at : at + _TOGETHER]]
            answer = await self._client.policies(body)
            for one in answer.rejected:
                log.error("alarm", alarm="source-silent-refused", source=source, why=one.reason, fact=body[one.index])

    async def _read(
        self, locations: list[str], *, with_levels: bool
    ) -> tuple[dict[str, LocationEntry], dict[Cell, LevelEntry], dict[Cell, PolicyEntry]]:
        """The locations, what lies there, and the rules of single cells."""
        wanted = set(locations)
        places = {one.location: one async for one in self._client.locations() if one.location in wanted}
        rules: dict[Cell, PolicyEntry] = {}
        async for one in self._client.rules(kind="safety"):
            if isinstance(one.sku, str) and isinstance(one.location, str) and one.location in wanted:
                rules[one.sku, one.location] = one
        levels: dict[Cell, LevelEntry] = {}
        if with_levels:
            ready = asyncio.Semaphore(_AT_ONCE)

            async def record(sku: str) -> None:
                async with ready:
                    found = await self._client.sku(sku)
                levels.update({(found.sku, one.location): one for one in found.levels if one.location in wanted})

            await asyncio.gather(*[record(one.sku) for one in [one async for one in self._client.skus()]])
        return places, levels, rules

    def _report(self, silent_ms: dict[str, int]) -> None:
        """For gateways of this machine, and people. Raises OSError."""
        found = {
            source: {"action": one.rule.action, "since_ms": one.since_ms, "silent_ms": silent_ms.get(source, 0)}
            for source, one in self.measures.items()
        }
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(
            self._directory.parent / STATUS_FILE, msgspec.json.encode({"at_ms": now_ms(), "silent": found}).decode()
        )


async def keep(data: Path, gateway: str, settings: Settings) -> None:
    """Until it is cancelled. While the gateway does not answer nothing changes."""
    fault = ""
    async with Client(gateway, settings.degraded.key or None) as client:
        keeper = Keeper(client, data, settings)
        while True:
            try:
                await keeper.turn()
                fault = ""
            except ClientError as error:
                if str(error) != fault:
                    log.warning("degraded-waits", why=str(error))
                fault = str(error)
            await asyncio.sleep(settings.degraded.every_ms / 1000)
