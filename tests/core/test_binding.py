"""The extension: what goes in and comes out of it, and how its errors arrive."""

import json
import threading
import warnings

import pytest

from holdfast import _core
from holdfast._core import (
    CartsBody,
    Engine,
    GapError,
    HoldfastError,
    LogError,
    PendingError,
    RequestError,
    split_facts,
    well_formed,
)

NOW_MS = 1_790_000_000_000
AS_OF = b'{"sequence":1,"age_ms":0,"mode":"live"}'
PLACE = {"kind": "location", "location": "paris", "type": "warehouse"}
LEVEL = {"kind": "stock.level", "sku": "A", "location": "paris", "on_hand": 5, "basis": "net", "as_of": 1}


Command = tuple[str, str, bytes, tuple[str, ...] | None, str | None]


def put(reservation: str, quantity: int) -> Command:
    lines = [{"sku": "A", "quantity": quantity}]
    return "put", reservation, json.dumps({"channel": "web", "ttl_ms": 60_000, "lines": lines}).encode(), None, None


def leading(on_hand: int = 5) -> tuple[Engine, list[bytes]]:
    engine = Engine("main", b"secret")
    log = [engine.lead_batch("n1", NOW_MS)]
    engine.apply(1, log[0])
    facts = json.dumps({"facts": [PLACE, LEVEL | {"on_hand": on_hand}]}).encode()
    decision = engine.decide(NOW_MS, 0, [], [(1, "hf.main.in.erp.acme", facts)])
    [(_, accepted, rejected, report)] = decision.received
    assert (accepted, rejected, json.loads(report)["created"]) == (2, [], [{"sku": "A"}])
    assert decision.message is not None
    engine.commit(2)
    return engine, [*log, decision.message]


def test_the_errors_are_one_tree() -> None:
    assert issubclass(LogError, HoldfastError)
    assert issubclass(GapError, LogError)
    assert issubclass(PendingError, LogError)
    assert issubclass(RequestError, HoldfastError)
    assert not issubclass(RequestError, LogError)


def test_commands_of_one_group_see_each_other_and_answers_are_json() -> None:
    engine, _ = leading()
    decision = engine.decide(NOW_MS, 1, [put("r1", 3), put("r2", 3), put("r1", 3)], [])
    assert decision.commands_taken == 3
    assert [status for status, _ in decision.answers] == [201, 409, 200]
    problem = json.loads(decision.answers[1][1])
    assert problem["type"] == "urn:holdfast:problem:insufficient-stock"
    assert problem["lines"][0]["sellable"] == 2


def test_what_is_decided_waits_for_its_sequence() -> None:
    engine, _ = leading()
    engine.decide(NOW_MS, 1, [put("r1", 1)], [])
    assert engine.pending
    with pytest.raises(PendingError):
        engine.decide(NOW_MS, 1, [], [])
    with pytest.raises(GapError):
        engine.commit(9)
    engine.commit(3)
    assert (engine.pending, engine.sequence) == (False, 3)


def test_replaying_the_log_gives_the_same_state_and_a_foreign_batch_is_void() -> None:
    engine, log = leading()
    other = Engine("main")
    assert other.apply_many(1, log) == 0
    assert (other.digest(), other.chain, other.in_upto) == (engine.digest(), engine.chain, 1)
    assert other.apply(3, log[0]) is False
    assert other.void_total == 1
    with pytest.raises(GapError):
        other.apply(3, log[0])
    assert other.check_thoroughly() == []


def test_dead_facts_keep_their_bytes() -> None:
    engine, _ = leading()
    bad = {**LEVEL, "location": "parsi"}
    raw = json.dumps({"facts": [bad]}).encode()
    decision = engine.decide(NOW_MS, 1, [], [(2, "hf.main.in.erp.acme", raw), (3, "hf.main.in.erp.acme", b"{")])
    assert decision.dead[0] == (2, 0, "unknown-location", json.dumps(bad).encode())
    assert decision.dead[1][:2] == (3, -1)
    assert decision.dead[1][3] == b"{"


def test_questions_are_answered_with_the_freshness_that_is_given() -> None:
    engine, _ = leading()
    status, body = engine.availability("A", "web", None, None, AS_OF)
    assert status == 200
    assert json.loads(body) == {
        "sku": "A",
        "channel": "web",
        "sellable": 5,
        "unlimited": False,
        "as_of": json.loads(AS_OF),
    }
    assert engine.availability("B", "web", None, None, AS_OF)[0] == 404
    assert engine.sellable("A", "web") == 5
    assert engine.sellable("B", "web") is None


def test_a_refused_body_arrives_as_its_problem() -> None:
    with pytest.raises(RequestError) as refused:
        split_facts(b'{"facts":[]}', 1_000)
    body, status = refused.value.args
    assert status == 422
    assert json.loads(body)["errors"][0]["path"] == "facts"
    with pytest.raises(RequestError):
        CartsBody(b"[]")


def test_bodies_are_taken_apart_without_a_change_to_the_facts() -> None:
    facts = [dict(LEVEL, sku=f"S{number}") for number in range(100)]
    source, messages = split_facts(json.dumps({"source": "acme", "facts": facts}).encode(), 2_000, "key-1")
    assert source == "acme"
    assert len(messages) > 1
    assert max(map(len, messages)) <= 2_000
    assert [fact for message in messages for fact in json.loads(message)["facts"]] == facts
    assert {json.loads(message)["by"] for message in messages} == {"key-1"}
    assert well_formed(messages[0])[1] == []
    assert well_formed(b'{"facts":[{"kind":"bogus"}]}')[0] == 0


def test_a_verb_that_does_not_exist_is_a_mistake_of_the_caller() -> None:
    engine, _ = leading()
    with pytest.raises(ValueError, match="no such verb: steal"):
        engine.decide(NOW_MS, 1, [("steal", "r1", b"", None, None)], [])
    assert not engine.pending


def test_replay_lets_other_threads_run() -> None:
    engine, log = leading(on_hand=10**9)
    for group in range(200):
        decision = engine.decide(NOW_MS, 1, [put(f"{group}-{number}", 1) for number in range(200)], [])
        assert decision.message is not None
        engine.commit(engine.sequence + 1)
        log.append(decision.message)
    other = Engine("main")
    replaying = threading.Thread(target=other.apply_many, args=(1, log))
    replaying.start()
    ticks = 0
    while replaying.is_alive():
        ticks += 1
    assert ticks > 100, "this thread ran while the other one replayed"
    assert other.digest() == engine.digest()


def test_the_extension_is_optimised() -> None:
    assert not _core.debug_build, "make install builds it optimised; figures of a debug build mean nothing"


def test_a_debug_build_would_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    import holdfast

    monkeypatch.setattr(_core, "debug_build", True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        importlib.reload(holdfast)
    assert any("debug build" in str(warning.message) for warning in caught)


def test_a_decision_that_appends_nothing_leaves_no_trace_in_what_another_leader_goes_on_from() -> None:
    engine, log = leading()
    held = engine.decide(NOW_MS, 10, [put("r1", 5)], [])
    assert held.message is not None
    engine.commit(3)
    log.append(held.message)
    refused = engine.decide(NOW_MS + 900, 900, [put("r2", 1)], [])
    assert refused.message is None
    other = Engine("main", b"secret")
    other.apply_many(1, log)
    log.append(other.lead_batch("n2", NOW_MS + 500))
    other.apply(4, log[3])
    released = other.decide(NOW_MS + 600, 100, [("release", "r1", b"{}", None, None)], [])
    assert released.message is not None
    other.commit(5)
    assert [engine.apply(4, log[3]), engine.apply(5, released.message)] == [True, True]
    assert (engine.digest(), engine.lead_ms, engine.now_ms) == (other.digest(), other.lead_ms, other.now_ms)
