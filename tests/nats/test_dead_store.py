"""Dead letters in the hands of a person: nothing is lost, nothing counts twice, all-or-none stays that."""

import asyncio
import hashlib
import itertools
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from holdfast._core import Engine
from holdfast.client import Client
from holdfast.client.errors import InvalidError
from holdfast.nats.connection import Connection
from holdfast.nats.dead_store import DeadStore, Letter, LetterError, Wanted
from holdfast.nats.streams import Names
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.settings import LogSettings
from tests.support.servers import connected, leading, stocked, until
from tests.support.serving import holdfast, running_gateway

NAMES = Names("main")
moments = itertools.count(10)


def fact(sku: str, location: str, on_hand: int = 5) -> dict[str, object]:
    """A level; rejected where the location is not declared."""
    level = {"kind": "stock.level", "sku": sku, "location": location, "on_hand": on_hand, "basis": "net"}
    return level | {"as_of": next(moments)}


async def declare(node: Node[Engine], location: str) -> None:
    places = [{"kind": "location", "location": location, "type": "warehouse"}]
    await node.facts("policy", "", [orjson.dumps({"facts": places})], "log")


async def on_hand(node: Node[Engine], sku: str) -> int:
    answer = await node.read(lambda engine, as_of: engine.availability(sku, "web", None, None, as_of))
    return int(orjson.loads(answer[1]).get("sellable", 0)) if answer[0] == 200 else 0


@pytest.fixture
async def outside(server: EmbeddedServer) -> AsyncIterator[Connection]:
    async with connected(server.endpoint) as connection:
        yield connection


def store_of(connection: Connection) -> DeadStore:
    """As each call of the command line has it."""
    return DeadStore(connection, NAMES, LogSettings())


async def numbers(connection: Connection, wanted: Wanted | None = None) -> list[int]:
    return [letter.sequence async for letter in store_of(connection).letters(wanted)]


async def taken(node: Node[Engine], count: int) -> None:
    await until(lambda: node.state()["in_upto"] >= count)


async def test_whatever_was_rejected_is_as_if_it_had_come_later_however_often_it_is_sent_again(
    server: EmbeddedServer, outside: Connection
) -> None:
    chosen = random.Random(7)
    async with leading(server.endpoint) as node:
        await stocked(node)
        for turn in range(12):
            skus = [f"T{turn}-{number}" for number in range(chosen.randint(1, 4))]
            place = f"place-{turn}"
            atomic = chosen.random() < 0.5
            where = [chosen.choice([place, "w1"]) for _ in skus[1:]] + [place]
            facts = [fact(sku, location, 7) for sku, location in zip(skus, where, strict=True)]
            body = orjson.dumps({"atomic": atomic, "facts": facts})
            outcome = await node.facts("erp", "acme", [body], "log")
            assert outcome.rejected
            await until(lambda: node.counters()["dead_letters_waiting"] == 0)
            before = await numbers(outside)
            assert len(before) == len(outcome.rejected) == (len(skus) if atomic else where.count(place))
            await declare(node, place)
            last = 0
            for number in chosen.sample(before, len(before)):
                try:
                    last, sent = await store_of(outside).retry(number)
                except LetterError:
                    assert atomic, "gone with the others of its message"
                    continue
                assert len(sent) == (len(before) if atomic else 1)
            await taken(node, last)
            assert await numbers(outside) == []
            assert [await on_hand(node, sku) for sku in skus] == [7] * len(skus)


async def rejected_delta(node: Node[Engine], outside: Connection) -> Letter:
    """The letter of a delta that came before its location was declared."""
    delta = {"kind": "stock.delta", "sku": "S1", "location": "later", "quantity": 3, "reason": "found"}
    await node.facts("erp", "acme", [orjson.dumps({"facts": [delta | {"ref": "A1", "as_of": next(moments)}]})], "log")
    await until(lambda: node.counters()["dead_letters_total"] == 1)
    await declare(node, "later")
    (number,) = await numbers(outside)
    return await store_of(outside).letter(number)


async def store_again(outside: Connection, letter: Letter) -> int:
    """As if the program had been killed before it removed the letter."""
    headers = {
        "Holdfast-Reason": letter.reason,
        "Holdfast-Subject": letter.subject,
        "Holdfast-In-Sequence": str(letter.in_sequence),
        "Holdfast-Index": str(letter.index),
    }
    await outside.request("hf.main.dlq.erp", letter.raw, 1_000, headers)
    (again,) = await numbers(outside)
    return again


async def end_of_in(outside: Connection) -> int:
    return int((await outside.api("STREAM.INFO.HF_main_IN"))["state"]["last_seq"])


async def test_a_letter_whose_message_id_another_source_took_is_sent_all_the_same(
    server: EmbeddedServer, outside: Connection
) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        letter = await rejected_delta(node, outside)
        before = await on_hand(node, "S1")
        # Who knows the fact and its place in IN can foresee what will be sent.
        body = b'{"facts":[' + letter.raw + b'],"atomic":false}'
        name = f"{letter.in_sequence}:{letter.index}:{hashlib.sha256(body).hexdigest()[:32]}"
        headers = {"Nats-Msg-Id": f"letter:{name}", "Holdfast-Letter": name}
        await outside.request("hf.main.in.erp.evil", b'{"facts":[]}', 1_000, headers)
        taken_at = await end_of_in(outside)
        answer = await outside.request(letter.subject, body, 1_000, headers)
        assert orjson.loads(answer.data).get("duplicate"), "it is the id that a retry uses"
        at, _ = await store_of(outside).retry(letter.sequence)
        assert at == taken_at + 1
        await taken(node, at)
        assert (await on_hand(node, "S1"), await numbers(outside)) == (before + 3, [])


async def test_a_letter_that_two_people_send_at_once_is_in_in_once(server: EmbeddedServer, outside: Connection) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        letter = await rejected_delta(node, outside)
        first, second = store_of(outside), store_of(outside)
        await second._sent_before(letter.subject, letter.in_sequence)  # it looks before the first one sends
        at, _ = await first.retry(letter.sequence)
        assert (await second.retry(await store_again(outside, letter)))[0] == at
        assert await end_of_in(outside) == at


async def test_a_letter_goes_back_to_a_source_whose_name_is_not_ascii(
    server: EmbeddedServer, outside: Connection
) -> None:
    subject = "hf.main.in.erp.\u00e9t\u00e9"
    async with leading(server.endpoint) as node:
        await stocked(node)
        await outside.request(subject, orjson.dumps({"facts": [fact("CUP", "later", 6)]}), 1_000)
        await until(lambda: node.counters()["dead_letters_total"] == 1)
        await declare(node, "later")
        (number,) = await numbers(outside)
        assert (await store_of(outside).letter(number)).subject == subject
        at, _ = await store_of(outside).retry(number)
        await taken(node, at)
        assert await on_hand(node, "CUP") == 6


async def test_one_that_was_sent_and_not_removed_is_not_sent_twice(server: EmbeddedServer, outside: Connection) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        letter = await rejected_delta(node, outside)
        at, _ = await store_of(outside).retry(letter.sequence)
        again = await store_again(outside, letter)
        assert again > letter.sequence
        assert (await store_of(outside).retry(again))[0] == at
        assert await end_of_in(outside) == at, "nothing more was sent"
        assert await numbers(outside) == []


async def test_a_correction_stands_beside_its_original_and_both_go_together(
    server: EmbeddedServer, outside: Connection
) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        await outside.request("hf.main.in.erp.acme", b'{"facts": [', 1_000)
        bad = orjson.dumps({"facts": [fact("CUP", "nowhere")]})
        await node.facts("erp", "acme", [bad], "log")
        await until(lambda: node.counters()["dead_letters_total"] == 2)
        store = store_of(outside)
        whole, single = [letter async for letter in store.letters()]
        assert (whole.source, whole.index, single.source, single.index) == ("acme", -1, "acme", 0)
        assert await numbers(outside, Wanted(reason="unknown-location")) == [single.sequence]
        assert await numbers(outside, Wanted(source="other")) == []
        assert await numbers(outside, Wanted(since=single.at)) == [single.sequence]
        assert await numbers(outside, Wanted(until=whole.at)) == [whole.sequence]
        with pytest.raises(LetterError, match="correct it first"):
            await store.retry(whole.sequence)
        with pytest.raises(LetterError, match="is not a fact"):
            await store.correct(single.sequence, b"[1")
        good = orjson.dumps(fact("CUP", "w1", 4))
        corrected = await store.correct(single.sequence, good)
        assert await store.correct(single.sequence, good) == corrected
        assert await numbers(outside) == [whole.sequence, corrected]
        with pytest.raises(LetterError, match="was corrected"):
            await store_of(outside).retry(single.sequence)
        at, _ = await store_of(outside).retry(corrected)
        await taken(node, at)
        assert await on_hand(node, "CUP") == 4
        assert await numbers(outside) == [whole.sequence]
        with pytest.raises(LetterError, match="there is no letter"):
            await store.letter(single.sequence)


async def test_of_facts_that_belong_together_none_is_sent_when_one_is_gone(
    server: EmbeddedServer, outside: Connection
) -> None:
    async with leading(server.endpoint) as node:
        await stocked(node)
        body = orjson.dumps({"atomic": True, "facts": [fact("A1", "w1"), fact("B1", "nowhere")]})
        await node.facts("erp", "acme", [body], "log")
        await until(lambda: node.counters()["dead_letters_total"] == 2)
        first, second = await numbers(outside)
        await store_of(outside).discard(await store_of(outside).letter(first))
        with pytest.raises(LetterError, match="all or none"):
            await store_of(outside).retry(second)
        assert await numbers(outside) == [second]


async def reject(url: str) -> None:
    async with Client(url) as client:
        with pytest.raises(InvalidError):
            await client.facts("acme", [fact("MUG", "nowhere")])


def test_from_the_command_line_with_the_gateway_running_and_stopped(tmp_path: Path) -> None:
    at = ("--data", str(tmp_path))
    with running_gateway(tmp_path) as gateway:
        assert json.loads(holdfast("dlq", "list", *at, "--json").stdout) == []
        asyncio.run(reject(gateway.url))
        rows = json.loads(holdfast("dlq", "list", *at, "--reason", "unknown-location", "--json").stdout)
        assert [(row["source"], row["index"]) for row in rows] == [("acme", 0)]
        number = str(rows[0]["letter"])
        shown = holdfast("dlq", "show", number, *at)
        assert "unknown-location" in shown.stderr
        corrected = json.loads(shown.stdout) | {"on_hand": -1}
        (tmp_path / "fact.json").write_text(json.dumps(corrected))
        stored = holdfast("dlq", "edit", number, "--file", str(tmp_path / "fact.json"), *at).stdout.strip()
    sent = holdfast("dlq", "retry", stored, *at, "--json")  # by a server that is started for this alone
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)[0]["fault"] is None
    done = holdfast("dlq", "show", "3", *at)
    assert done.returncode == 2
    assert "there is no letter 3" in done.stderr
    assert holdfast("dlq", "retry", *at).returncode == 2
    assert "not a time" in holdfast("dlq", "list", "--since", "soon", *at).stderr
    assert holdfast("dlq", "discard", "--reason", "unknown-location", *at).returncode == 0
