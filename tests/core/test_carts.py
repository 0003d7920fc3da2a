"""Carts of one request, decided together: the same bytes of LOG and the same answers as one by one."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast._core import Carts, CartsBody, Engine

NOW_MS = 1_790_000_000_000
SKUS = ("A", "B", "C")
lines = st.lists(
    st.fixed_dictionaries({"sku": st.sampled_from((*SKUS, "none")), "quantity": st.integers(0, 9)}), max_size=3
)
carts = st.fixed_dictionaries(
    {
        "id": st.sampled_from(("r1", "r2", "r\u00e9", "r3", '"', "")),
        "channel": st.sampled_from(("web", "shop")),
        "ttl_ms": st.sampled_from((60_000, 1)),
        "lines": lines,
    },
    optional={"owner": st.sampled_from(("ann", "bo")), "partial": st.booleans(), "what": st.just(1)},
)


def stocked() -> Engine:
    engine = Engine("main", b"secret")
    engine.apply(1, engine.lead_batch("n1", NOW_MS))
    facts: list[dict[str, Any]] = [{"kind": "location", "location": "paris", "type": "warehouse"}]
    for sku in SKUS:
        level = {"sku": sku, "location": "paris", "on_hand": 12, "basis": "net", "as_of": 1}
        facts.append({"kind": "stock.level"} | level)
    engine.decide(NOW_MS, 0, [], [(1, "hf.main.in.erp.acme", json.dumps({"facts": facts}).encode())])
    engine.commit(2)
    return engine


def body_of(asked: list[dict[str, Any]]) -> CartsBody:
    return CartsBody(json.dumps({"requests": asked}).encode())


@given(st.lists(carts, min_size=1, max_size=12), st.sampled_from((None, ("web",))), st.data())
def test_together_they_come_to_the_same_as_one_by_one(
    asked: list[dict[str, Any]], channels: tuple[str, ...] | None, draw: st.DataObject
) -> None:
    body = body_of(asked)
    requests = body.requests(0, len(body))
    singles = [("put", name, put, channels, "key-1") for name, put in requests]
    alone, together = stocked(), stocked()
    one_by_one = alone.decide(NOW_MS, 5, singles, [])
    # Parts beside single commands, as they may stand in a queue.
    queue: list[Any] = []
    parts: dict[int, tuple[int, int, Carts]] = {}
    start = 0
    while start < len(body):
        end = draw.draw(st.integers(start + 1, len(body)))
        if end == start + 1 and draw.draw(st.booleans()):
            queue.append(singles[start])
        else:
            part = body.part(start, end, channels, "key-1")
            parts[len(queue)] = (start, end, part)
            queue.append(part)
        start = end
    joined = together.decide(NOW_MS, 5, queue, [])
    assert joined.message == one_by_one.message, "the same bytes of LOG"
    assert together.digest() == alone.digest()
    assert joined.commands_taken == len(queue) == len(joined.answers)
    answers = one_by_one.answers
    for at, (first, last, part) in parts.items():
        status, results = joined.answers[at]
        assert (status, results) == (200, body.results(first, answers[first:last]))
        told = json.loads(b"[%b]" % results)
        for (name, _), (one, answer), result in zip(requests[first:last], answers[first:last], told, strict=True):
            what = "reservation" if one < 400 else "problem"
            assert result == {"id": name, "status": one, what: json.loads(answer)}
        refused = [(singles[n][:3], answers[n][1]) for n in range(first, last) if answers[n][0] == 409]
        assert [(request[:3], answer) for request, answer in part.refused()] == refused
        assert part.refused() == [], "told once"


def test_a_part_goes_into_one_batch_however_full_it_is() -> None:
    line = {"sku": "A", "quantity": 1}
    cart = {"channel": "web", "ttl_ms": 60_000, "lines": [line, line | {"sku": "B" * 100}], "partial": True}
    body = body_of([cart | {"id": f"{'x' * 100}{at}", "owner": f"o{at}"} for at in range(500)])
    assert body.end_of(0, 100, 1 << 30) == 100
    assert body.end_of(0, 100, 1) == 1, "one goes in any case"
    assert 1 < body.end_of(0, 500, 20_000) < 100
    assert body.end_of(450, 100, 1 << 30) == 500
    engine = stocked()
    whole = [body.part(start, start + 100, None, None) for start in range(0, 500, 100)]
    decision = engine.decide(NOW_MS, 5, whole * 20, [])
    assert decision.commands_taken == len(decision.answers)
    assert all(len(json.loads(b"[%b]" % answer)) == 100 for _, answer in decision.answers)
