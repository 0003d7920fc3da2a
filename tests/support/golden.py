"""Writes the golden snapshots of the format version that the engine writes now: `python -m tests.support.golden`.

Only for a new version, and until a version was released: files of released versions stay as they are, for ever.
"""

from __future__ import annotations

import json
from pathlib import Path

from holdfast._core import Engine
from holdfast.protocol.core import Incoming, Request
from holdfast.storage.snapshot_files import FORMAT_MAX
from tests.support.histories import PickBySeed
from tests.support.playing import History

PLACE = Path(__file__).parent.parent / "data" / "snapshots"
SEED, STEPS = 2_026, 250
DAY_MS = 86_400_000


def engines() -> dict[str, Engine]:
    """By name: nothing but a leader, and a history with every kind of fact."""
    empty = Engine("main")
    empty.apply(1, empty.lead_batch("n1", 1_790_000_000_000))
    history, pick = History(), PickBySeed(SEED)
    history.opening(pick)
    for _ in range(STEPS):
        pick.one(history.moves(pick))()
    beside = history.beside
    assert beside.engine is not None
    tell(beside.engine, 3 * DAY_MS, [], [])  # reservations that were closed are forgotten: free slots
    rules = json.dumps({"presume_receipts": True}).encode()
    assert beside.engine.apply(beside.engine.sequence + 1, beside.engine.lead_batch("n1", beside.engine.now_ms, rules))
    early = {"kind": "order.ack", "order_ref": "not yet known", "as_of": 10_000}
    level = {"kind": "stock.level", "sku": "NEW", "location": "here", "basis": "net", "as_of": 1}
    facts = [
        early,
        {"kind": "location", "location": "here", "type": "store"},
        level | {"on_hand": 3},
        level | {"on_hand": 9, "as_of": 2, "unsellable": {"damaged": 1}},
        {"kind": "location", "location": "there", "type": "store"},
        level | {"location": "there", "on_hand": 3},
        level | {"location": "there", "on_hand": 9, "as_of": 2},
        {"kind": "ownership", "location": "here", "source": "tills"},
    ]
    message = (beside.in_sequence + 1, "hf.main.in.erp.erp", json.dumps({"facts": facts}).encode())
    body = json.dumps({"channel": "shop", "ttl_ms": 60_000, "lines": [{"sku": "NEW", "quantity": 1}]}).encode()
    keyed: Request = ("put", "keyed", body, None, "key", "idempotency-key")
    closed: list[Request] = [("put", "closed", body, None, None), ("release", "closed", b"{}", None, None)]
    tell(beside.engine, 1, [], [message])
    tell(beside.engine, 1, [keyed, *closed], [])
    return {"empty": empty, "history": beside.engine}


def tell(engine: Engine, ms: int, commands: list[Request], incoming: list[Incoming]) -> None:
    """One batch, some time later."""
    decision = engine.decide(engine.now_ms + ms, engine.lead_ms + ms, commands, incoming)
    assert not decision.dead, decision.dead
    assert decision.message is not None
    engine.commit(engine.sequence + 1)


def main() -> None:
    PLACE.mkdir(parents=True, exist_ok=True)
    for name, engine in engines().items():
        path = PLACE / f"v{FORMAT_MAX}-{name}.hfsnap"
        path.unlink(missing_ok=True)
        header = json.loads(engine.snapshot(str(path)))
        expected = {key: header[key] for key in ("sequence", "digest", "chain", "tables")}
        expected["totals"] = json.loads(engine.totals())
        path.with_suffix(".json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
