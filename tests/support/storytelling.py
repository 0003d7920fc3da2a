"""Plays the story of examples on a gateway, and makes its answers comparable.

In: the port of an empty gateway. Out: the status and the body of each example's answer.
Always: what differs from run to run (times, sequences, digests, process ids) is replaced by what stands in the
document; all else is as it came.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

from holdfast.contracts.examples import DAY, DUE, Example, Recorded
from tests.support.gateway import ask

FIXED: dict[str, Any] = {
    "sequence": 1234,
    "owed_sequence": 1234,
    "age_ms": 2,
    "expires_at": f"{DAY}T10:10:00Z",
    "digest": "8aa6512a710cfb2e50c4f01be8ef5c70",
    "epoch": 1,
    "pid": 4242,
    "answered_bytes": 0,
    "at": f"{DAY}T10:00:00Z",
    "place": "1234.0",
    "stored_at": f"{DAY}T10:00:00Z",
    "kept_since": f"{DAY}T10:00:00Z",
}
OWNER = re.compile(r'"owner":"[A-Za-z0-9_+/=-]{16,}"')
BUILD = re.compile(r"^(?:# (?:HELP|TYPE) )?holdfast_build_info.*\n", re.MULTILINE)


async def played(port: int, story: Iterable[Example]) -> dict[str, Recorded]:
    """Each example's answer, by its key."""
    today = datetime.now(UTC).date()
    found = {}
    for example in story:
        body = b"" if example.body is None else dated(orjson.dumps(example.body).decode(), today).encode()
        # Refusals are written a moment after the answer, and what is that young is not in a report.
        await asyncio.sleep({"list_refusals": 1.0, "report": 3.0}.get(example.route, 0.0))
        answer = await ask(port, example.method, example.target, body)
        text = undated(answer.body.decode(), today)
        if "json" in answer.headers["content-type"]:
            body = orjson.loads(text)
            found[example.key] = Recorded(answer.status, fixed(STILL.get(example.route, dict)(body)))
        else:
            version = re.sub(r'version="[^"]+"', 'version="0.1.0"', "".join(BUILD.findall(text)))
            found[example.key] = Recorded(answer.status, version)
    return found


def still(overview: dict[str, Any]) -> dict[str, Any]:
    """Figures without what depends on how fast the machine was: a few that the story decides."""
    call = overview["calls"]["reserve"]
    took = [0] * len(call["within"])
    took[3] = sum(call["within"])
    refusals = {name: overview["refusals"][name] for name in ("insufficient-stock",)}
    figures = {"leading": 1, "commands_waiting": 0, "append_waiting_ms": 0, "dead_letters": 0}
    return overview | {
        "version": "0.1.0",
        "uptime_s": 61.204,
        "calls": {"reserve": call | {"seconds": 0.031, "within": took}},
        "refusals": refusals,
        "alarms": {},
        "events": False,
        "gateway": dict.fromkeys(overview["gateway"], 0) | {"connections": 1, "requests_in_flight": 1},
        "figures": figures,
        "disk": {"free_bytes": 53_687_091_200, "bytes": 107_374_182_400, "wanted_bytes": 268_435_456},
        "tallies": {name: overview["tallies"][name] for name in ("reservations", "units")},
    }


def still_report(report: dict[str, Any]) -> dict[str, Any]:
    """The same of a report."""
    times = [one | {name: 240_000 for name in one if name.endswith("_ms") and one["count"]} for one in report["times"]]
    return report | {
        "times": times,
        "counted_since": f"{DAY}T09:59:00Z",
        "counted_upto": f"{DAY}T10:00:00Z",
        "open_orders": report["open_orders"] | {"oldest": f"{DAY}T09:59:30Z"},
    }


STILL: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"overview": still, "report": still_report}


def dated(text: str, today: date) -> str:
    """With the days of this run."""
    return text.replace(DUE, (today + timedelta(days=14)).isoformat()).replace(DAY, today.isoformat())


def undated(text: str, today: date) -> str:
    """With the days of the story."""
    text = text.replace((today + timedelta(days=14)).isoformat(), DUE).replace(today.isoformat(), DAY)
    return OWNER.sub('"owner":"6f0d3c1be6a94c6f8d21a0b1c8e7f354"', text)


def fixed(value: Any) -> Any:
    """With what differs from run to run replaced."""
    if isinstance(value, dict):
        return {
            name: FIXED[name] if name in FIXED and part is not None and not isinstance(part, dict) else fixed(part)
            for name, part in value.items()
        }
    return [fixed(part) for part in value] if isinstance(value, list) else value
