"""A problem names its cause: what a key lacks, the other order, the sequence that is waited for."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from holdfast.gateway.keyring import KeyStore, Operation
from tests.support.gateway import ask
from tests.support.served import Api, Served, cart, fresh, level, places, serving

CALLS: dict[Operation, tuple[str, str]] = {
    Operation.READ: ("GET", "/v1/availability/MUG?channel=web"),
    Operation.RESERVE: ("PUT", "/v1/reservations/a"),
    Operation.ORDER: ("POST", "/v1/reservations/a/confirm"),
    Operation.FACTS: ("POST", "/v1/facts"),
    Operation.POLICIES: ("POST", "/v1/policies"),
    Operation.STATE: ("GET", "/v1/state"),
    Operation.METRICS: ("GET", "/metrics"),
    Operation.EVENTS: ("GET", "/v1/events?after=0&follow=false"),
    Operation.AUDIT: ("GET", "/v1/audit"),
    Operation.REFUSALS: ("GET", "/v1/refusals"),
    Operation.DEAD_LETTERS: ("GET", "/v1/dead-letters"),
}
KEYS: dict[frozenset[Operation], str] = {}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("causes")
    (directory / "store").mkdir(mode=0o700)
    store = KeyStore(directory / "store")
    for allowed in [frozenset(Operation), *(frozenset({one}) for one in Operation)]:
        KEYS[allowed] = store.add("-".join(sorted(allowed))[:100], sorted(allowed))[1]
    KEYS[frozenset()] = store.add("web", [Operation.READ, Operation.RESERVE, Operation.ORDER], ["web"])[1]
    with serving(directory, auth="on") as served:
        yield served


def lacking(operation: Operation, token: str) -> tuple[str, str, bytes, dict[str, str]]:
    method, target = CALLS[operation]
    return method, target, b"{}" if method != "GET" else b"", {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("asked", list(Operation))
async def test_a_403_names_the_operation_that_the_key_lacks(keyed: Served, asked: Operation) -> None:
    for allowed in Operation:
        if allowed is asked:
            continue
        method, target, body, headers = lacking(asked, KEYS[frozenset({allowed})])
        answer = await ask(keyed.port, method, target, body, **headers)
        assert (answer.status, answer.problem) == (403, "forbidden")
        assert answer.json["operation"] == asked
        assert f"`{asked}`; this one has: {allowed}." in answer.json["detail"]


@pytest.mark.parametrize("channel", ["pos", "wbe", "Web", "marché", "a'b", '"'])
async def test_a_403_names_the_channel_that_the_key_lacks(keyed: Served, channel: str) -> None:
    everything = Api(keyed.port, KEYS[frozenset(Operation)])
    await everything.facts(*places("W1"), level("MUG", 100, as_of="2026-01-01T00:00:00Z"))
    api = Api(keyed.port, KEYS[frozenset()])
    lines = [{"sku": "MUG", "quantity": 1}]
    answers = [
        await api("GET", f"/v1/availability/MUG?channel={quote(channel)}"),
        await api("GET", f"/v1/availability/MUG/explain?channel={quote(channel)}"),
        await api("POST", "/v1/availability", {"channel": channel, "skus": ["MUG"]}),
        await api("POST", "/v1/carts/validate", {"channel": channel, "lines": lines}),
        await api("PUT", "/v1/reservations/mine", cart(("MUG", 1), channel=channel)),
        await api("GET", f"/v1/reservations?channel={quote(channel)}"),
    ]
    for answer in answers:
        assert (answer.status, answer.problem) == (403, "forbidden"), answer.body
        assert answer.json["channel"] == channel
        assert f"'{channel}'" in answer.json["detail"]
    others = f"/v1/reservations/{fresh('others')}"
    held = await everything("PUT", others, cart(("MUG", 1), channel=channel))
    assert held.status in {200, 201}
    hidden = await api("PUT", others, cart(("MUG", 1)))
    assert (hidden.status, hidden.problem) == (403, "forbidden")
    assert channel not in hidden.json["detail"], "what lies outside the key's channels is not shown"
    assert "channel" not in hidden.json
    assert (await everything("POST", f"{others}/release")).status == 200


async def test_a_confirm_of_another_order_names_the_one_that_it_is(keyed: Served) -> None:
    api = Api(keyed.port, KEYS[frozenset(Operation)])
    await api.facts(*places("W1"), level("CUP", 10, as_of="2026-01-01T00:00:00Z"))
    held = await api.held(("CUP", 1))
    assert (await api("POST", f"/v1/reservations/{held}/confirm", {"order_ref": "1001"})).status == 200
    answer = await api("POST", f"/v1/reservations/{held}/confirm", {"order_ref": "1002"})
    assert (answer.status, answer.problem) == (409, "reservation-closed")
    assert (answer.json["state"], answer.json["order_ref"]) == ("committed", "1001")
    assert "as order '1001'" in answer.json["detail"]


async def test_a_wait_that_ends_names_what_was_asked_and_what_is_reached(tmp_path: Path) -> None:
    with serving(tmp_path, changes={"node": {"read_deadline_ms": 50}}) as served:
        api = Api(served.port)
        await api.facts(*places("W1"), level("MUG", 1))
        reached = (await api("GET", "/v1/availability/MUG?channel=web")).json["as_of"]["sequence"]
        answer = await api("GET", f"/v1/availability/MUG?channel=web&min_sequence={reached + 41}")
        assert (answer.status, answer.problem) == (503, "overloaded")
        assert f"min_sequence={reached + 41}; this process holds LOG up to {reached}." in answer.json["detail"]
