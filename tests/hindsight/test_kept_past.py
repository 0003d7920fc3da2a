"""Audit and changes over random histories that are kept in an archive."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast._core import Engine
from holdfast.hindsight.audit import SETTINGS, Audit, Wanted
from holdfast.hindsight.batches import RULES
from holdfast.hindsight.changes import changes, figures
from holdfast.hindsight.other_rules import about
from holdfast.hindsight.replaying import Moment, replay
from holdfast.recovery.past import Past
from holdfast.settings import Settings
from holdfast.storage.archive import Archive
from holdfast.storage.chain import START
from tests.support.histories import PickBySeed
from tests.support.playing import History

SEEDS = st.integers(0, 1 << 32)


@contextmanager
def kept(seed: int, steps: int = 30) -> Iterator[tuple[Past, list[bytes]]]:
    """A random history in an archive of three files."""
    pick, history = PickBySeed(seed), History(compare=False)
    history.opening(pick)
    for _ in range(steps):
        pick.one(history.moves(pick))()
    log = history.beside.batches
    with tempfile.TemporaryDirectory() as directory:
        archive = Archive(Path(directory) / "archive", "main")
        messages, position = list(enumerate(log, start=1)), START
        for part in (messages[:10], messages[10:20], messages[20:]):
            position = archive.add(position, iter(part), 1 << 30)
        yield Past(Path(directory), "main", Settings()), log


def facts_of(log: list[bytes]) -> list[dict[str, Any]]:
    return [fact for message in log for fact in orjson.loads(message).get("facts", [])]


@settings(max_examples=15)
@given(SEEDS)
def test_each_change_begins_with_what_the_one_before_ended_with(seed: int) -> None:
    with kept(seed) as (past, log):
        whole, parts = Audit(), Audit()
        assert whole.read(past, None)
        while not parts.read(past, 0.0):
            pass
        assert parts.changes == whole.changes
        standing: dict[Any, Any] = {}
        for change in whole.changes:
            fact = change.read()
            named = about(fact) or (SETTINGS,)
            assert change.document()["before"] == standing.get(named)
            standing[named] = change.document()["after"]
        newest = {about(fact): fact for fact in facts_of(log) if fact["kind"] in RULES}
        for one, fact in newest.items():
            assert all(fact[name] == value for name, value in standing[one].items())
        found, place = [], (0, -1)
        while True:
            page, more = whole.page(Wanted(), place, 3)
            found += page
            if not more:
                break
            place = (page[-1].sequence, page[-1].index)
        assert found == whole.changes


@settings(max_examples=15)
@given(SEEDS, st.sampled_from(["A", "B", "K", "KK"]), st.data())
def test_changes_of_a_sku_come_whole_in_any_pages(seed: int, sku: str, data: st.DataObject) -> None:
    with kept(seed) as (past, log):
        first = data.draw(st.integers(2, len(log)))
        last = data.draw(st.integers(first, len(log)))
        begin, upto = Moment(first), Moment(last)
        whole = changes(past, sku, begin, upto, after=(0, -1), limit=10_000, batches_max=None)
        core = Engine("main")
        core.apply_many(1, log[: first - 1])
        assert whole.before == figures(core, sku)
        core.apply_many(first, log[first - 1 : last])
        assert whole.after == figures(core, sku)
        named = [one["fact"] for one in whole.facts if one["fact"].get("sku") == sku]
        assert len(named) == sum(fact.get("sku") == sku for fact in facts_of(log[first - 1 : last]))
        found: list[Any] = []
        while True:
            after = (found[-1]["sequence"], found[-1]["index"]) if found else (0, -1)
            page = changes(past, sku, begin, upto, after=after, limit=4, batches_max=None)
            found += page.facts
            if not page.more:
                break
        assert found == whole.facts


@settings(max_examples=10)
@given(SEEDS, st.data())
def test_a_range_replayed_is_the_state_at_its_end(seed: int, data: st.DataObject) -> None:
    with kept(seed) as (past, log):
        first = data.draw(st.integers(1, len(log)))
        last = data.draw(st.integers(first, len(log)))
        core = Engine("main")
        core.apply_many(1, log[:last])
        assert replay(past, Moment(first), Moment(last), lambda _: None).digest == core.digest()
