"""Accounts of the embedded nats-server: each user does its work, and nothing that it sends reaches LOG."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import nats.errors
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from holdfast.nats.connection import Connection
from holdfast.nats_server.accounts import User, accounts_config, inbox_of, role_of
from holdfast.nats_server.server import EmbeddedServer
from holdfast.nats_server.users import new_seed, public_key, users_of
from holdfast.settings import LogSettings
from tests.support.nats_users import STREAMS, asked, serving_views, user, was_let_through
from tests.support.servers import connected, leading, stocked, until

LEVEL = {"kind": "stock.level", "sku": "S1", "location": "w1", "on_hand": 7, "basis": "net", "as_of": 2}
USERS = ("erp.acme", "woo.shop", "operator", "reader")


@pytest.fixture
async def gateways(server: EmbeddedServer) -> AsyncIterator[Connection]:
    """A log with something in it, seen by a gateway; views are served."""
    async with leading(server.endpoint) as node, connected(server.endpoint) as connection:
        await stocked(node)
        async with serving_views(server.endpoint):
            yield connection


async def kept(gateways: Connection) -> dict[str, Any]:
    """What LOG and the streams' shapes are: what no user may change. Heartbeats and renewals of the lease go on."""
    found = {name: await gateways.api(f"STREAM.INFO.{name}") for name in STREAMS}
    shapes = {name: one["config"] for name, one in found.items()}
    log = found["HF_main_LOG"]["state"]
    return {"shapes": shapes, "log": (log["first_seq"], log["last_seq"], log["bytes"])}


async def test_a_source_sends_its_own_facts_and_nothing_else(
    server: EmbeddedServer, tmp_path: Path, gateways: Connection
) -> None:
    faults: list[Exception] = []
    async with user(server.url, tmp_path, "erp.acme", faults) as acme:
        ack = await acme.request("hf.main.in.erp.acme", orjson.dumps({"facts": [LEVEL]}), timeout=5)
        assert orjson.loads(ack.data)["stream"] == "HF_main_IN"
        for subject in (
            *("hf.main.in.erp.other", "hf.main.in.woo.acme", "hf.main.in.policy", "hf.main.in.erp.acme.more"),
            *("hf.main.log", "hf.main.pulse", "hf.main.peers", "$KV.HF_main_LEASE.leader", "$O.HF_main_SNAP.M.x"),
            *("$JS.API.INFO", "$JS.API.STREAM.MSG.GET.HF_main_LOG", "$JS.API.STREAM.PURGE.HF_main_IN", "_INBOX.x"),
        ):
            assert not await was_let_through(acme, subject, faults), subject
        for subject in ("_INBOX.>", ">", "hf.main.in.>", "hf.main.pulse", "_INBOX_reader.>", "_R_.>"):
            before = len(faults)
            await acme.subscribe(subject)
            await acme.flush()
            await until(lambda before=before: len(faults) > before, 2)  # type: ignore[misc]


async def test_people_view_every_stream_and_an_operator_sends_policies_and_clears_dead_letters(
    server: EmbeddedServer, tmp_path: Path, gateways: Connection
) -> None:
    before = await kept(gateways)
    faults: list[Exception] = []
    async with (
        user(server.url, tmp_path, "operator", faults) as operator,
        user(server.url, tmp_path, "reader", faults) as reader,
    ):
        for client in (operator, reader):
            assert set(STREAMS) <= set((await asked(client, "STREAM.NAMES"))["streams"])
            assert (await asked(client, "INFO"))["streams"] >= len(STREAMS)
            assert len((await asked(client, "STREAM.LIST"))["streams"]) >= len(STREAMS)
            for name in STREAMS:
                assert (await asked(client, f"STREAM.INFO.{name}"))["config"]["name"] == name
            message = (await asked(client, "STREAM.MSG.GET.HF_main_LOG", {"seq": 1}))["message"]
            assert message["subject"] == "hf.main.log"
            assert await viewed(client, "HF_main_LOG", faults) == before["log"][1]
            assert await viewed(client, "HF_main_IN", faults, "hf.main.in.woo.none") == 0
            pulses = await client.subscribe("hf.main.pulse")
            assert orjson.loads((await pulses.next_msg(5)).data)["role"] == "leading"
        assert not faults
        assert "success" in await asked(operator, "STREAM.PURGE.HF_main_DLQ")
        assert await kept(gateways) == before
        policy = {"facts": [{"kind": "location", "location": "w2", "type": "warehouse"}]}
        ack = await operator.request("hf.main.in.policy", orjson.dumps(policy), timeout=5)
        assert orjson.loads(ack.data)["stream"] == "HF_main_IN"
        for subject in (
            "hf.main.in.policy",
            "$JS.API.STREAM.PURGE.HF_main_DLQ",
            "$JS.API.STREAM.MSG.DELETE.HF_main_DLQ",
        ):
            assert not await was_let_through(reader, subject, faults), subject


async def viewed(client: Client, stream: str, faults: list[Exception], of: str = ">") -> int:
    """How many messages `nats stream view` shows: the calls of the tool's pager."""
    config = {"durable_name": "pager", "ack_policy": "explicit", "deliver_policy": "all", "filter_subject": of}
    body = {"stream_name": stream, "config": config | {"inactive_threshold": 3_600 * 10**9}}
    made = await asked(client, f"CONSUMER.CREATE.{stream}.pager.{of}", body)
    assert made["config"]["ack_policy"] == "none"
    assert made["config"]["inactive_threshold"] <= 300 * 10**9
    inbox = client.new_inbox()
    messages = await client.subscribe(inbox)
    seen = 0
    while True:
        await client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{made['name']}", b'{"batch":25,"no_wait":true}', reply=inbox
        )
        while True:
            message = await messages.next_msg(5)
            if message.headers and message.headers.get("Status"):
                break
            seen += 1
            await client.publish(message.reply)  # as the tool does; nobody may get it
        if message.headers["Status"] in {"404", "408"}:
            break
    assert (await asked(client, f"CONSUMER.DELETE.{stream}.{made['name']}"))["success"]
    return seen


HOSTILE = [
    {"deliver_subject": "hf.main.log"},
    {"deliver_subject": "$JS.API.STREAM.PURGE.HF_main_LOG", "deliver_policy": "all", "ack_policy": "none"},
    {"durable_name": "x", "name": "x", "deliver_subject": "hf.main.peers", "deliver_group": "g"},
    {"deliver_subject": "hf.main.log", "flow_control": True, "idle_heartbeat": 10**9},
]


@pytest.mark.parametrize("who", ["operator", "reader"])
async def test_no_consumer_delivers_to_a_subject(
    server: EmbeddedServer, tmp_path: Path, gateways: Connection, who: str
) -> None:
    async with user(server.url, tmp_path, who) as client:
        policy = orjson.dumps({"version": 1, "scope": "main", "kind": "facts"})
        await gateways.request("hf.main.in.policy", policy, 2_000)
        await asyncio.sleep(0.3)
        before = await kept(gateways)
        for config in HOSTILE:
            for call in (
                "CONSUMER.CREATE.HF_main_IN",
                "CONSUMER.CREATE.HF_main_IN.x",
                "CONSUMER.CREATE.HF_main_IN.x.>",
            ):
                answer = await asked(client, call, {"stream_name": "HF_main_IN", "config": config})
                assert answer["error"]["code"] == 403, (call, answer)
        for body in (b"", b"null", b"[]", b"{}", b'{"config":7}', b"\xff", b'{"config":{"filter_subjects":[7]}}'):
            answer = orjson.loads((await client.request("$JS.API.CONSUMER.CREATE.HF_main_IN.x", body, timeout=5)).data)
            assert answer["error"]["code"] == 400, body
        elsewhere = await asked(client, "CONSUMER.CREATE.OTHER.x", {"config": {}})
        assert elsewhere["error"]["code"] == 403
        assert await kept(gateways) == before
        assert "x" not in ((await gateways.api("CONSUMER.NAMES.HF_main_IN")).get("consumers") or [])


async def test_views_are_bounded_and_end_only_by_their_own_names(
    server: EmbeddedServer, tmp_path: Path, gateways: Connection
) -> None:
    async with user(server.url, tmp_path, "reader") as reader:
        made = [await asked(reader, "CONSUMER.CREATE.HF_main_LOG.x", {"config": {}}) for _ in range(17)]
        assert [("error" in one) for one in made] == [False] * 16 + [True]
        names = (await gateways.api("CONSUMER.NAMES.HF_main_LOG"))["consumers"]
        for name in names:
            gone = await asked(reader, f"CONSUMER.DELETE.HF_main_LOG.{name}")
            assert ("error" in gone) == (not name.startswith("view-")), "a gateway's own consumer stays"
        assert "error" not in await asked(reader, "CONSUMER.CREATE.HF_main_LOG.x", {"config": {}})


CALLS = [
    *("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.DELETE", "STREAM.SNAPSHOT"),
    *("STREAM.RESTORE", "STREAM.PEER.REMOVE", "STREAM.LEADER.STEPDOWN", "STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET"),
    *("CONSUMER.CREATE", "CONSUMER.DURABLE.CREATE", "CONSUMER.NAMES", "CONSUMER.LIST", "CONSUMER.DELETE"),
    *("CONSUMER.INFO", "CONSUMER.PAUSE", "CONSUMER.RESET", "CONSUMER.UNPIN", "CONSUMER.MSG.NEXT"),
]
SUBJECTS = st.one_of(
    st.builds(
        lambda call, stream, more: f"$JS.API.{call}.{stream}{more}",
        st.sampled_from(CALLS),
        st.sampled_from([*STREAMS, "OBJ_HF_main_SNAP"]),
        st.sampled_from(["", ".x", ".x.hf.main.log", ".x.>"]),
    ),
    st.sampled_from(
        [
            *("hf.main.log", "hf.main.peers", "hf.main.pulse", "hf.main.lead.n1.1", "hf.main.in.erp.acme"),
            *("hf.main.in.policy", "hf.main.in.x", "hf.main.dlq.erp", "hf.main.view.create.HF_main_LOG.x"),
            *("$KV.HF_main_LEASE.leader", "$O.HF_main_SNAP.M.x", "$JS.ACK.HF_main_LOG.c.1.1.1.1.1", "$JS.FC.x"),
            *("$JS.API.META.LEADER.STEPDOWN", "$JS.API.ACCOUNT.PURGE.HOLDFAST", "$SYS.REQ.SERVER.PING", "_INBOX.x.y"),
        ]
    ),
)
BODIES = st.sampled_from(
    [
        *(b"", b"{}", b'{"seq":1}', b'{"filter":"hf.main.log"}', b'{"batch":100,"no_wait":true}'),
        b'{"config":{"deliver_subject":"hf.main.log","ack_policy":"none"}}',
        b'{"name":"HF_main_LOG","subjects":["hf.main.log","x"]}',
        orjson.dumps({"version": 1, "scope": "main", "kind": "lead", "epoch": 9, "node": "evil", "batch": 9}),
    ]
)
REPLIES = SUBJECTS | st.sampled_from(["", "_R_.x.y", "_INBOX_reader.x", "hf.main.log"])


async def test_whatever_a_user_sends_with_whatever_reply_subject_log_stays_as_it_is(
    server: EmbeddedServer, tmp_path: Path, gateways: Connection
) -> None:
    """Facts that a user may send come to LOG in batches of the leader, and in no other way."""
    messages: list[tuple[str, str, bytes, str]] = []

    @settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(USERS), SUBJECTS, BODIES, REPLIES)
    def drawn(who: str, subject: str, body: bytes, reply: str) -> None:
        messages.append((who, subject, body, reply))

    await asyncio.to_thread(drawn)
    before = await kept(gateways)
    heard: list[Msg] = []

    async def note(message: Msg) -> None:
        heard.append(message)

    await gateways.listen("hf.main.peers", note)
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(user(server.url, tmp_path, name)) for name in USERS}
        for who, subject, body, reply in messages:
            await clients[who].publish(subject, body, reply=reply)
        for client in clients.values():
            await client.flush()
    await asyncio.sleep(2)  # what may come to LOG has come
    after = await kept(gateways)
    assert after["shapes"] == before["shapes"]
    first, last, _ = after["log"]
    assert first == before["log"][0], "nothing was cut"
    batches = [
        await gateways.api("STREAM.MSG.GET.HF_main_LOG", {"seq": at}) for at in range(before["log"][1] + 1, last + 1)
    ]
    assert all("Nats-Expected-Last-Sequence" in bytes_of(batch) for batch in batches), "only the leader appended"
    assert heard == [], "nobody but processes speaks there"


def bytes_of(answer: dict[str, Any]) -> str:
    return base64.b64decode(answer["message"].get("hdrs", "")).decode()


async def test_users_are_added_and_removed_while_it_runs(server: EmbeddedServer, tmp_path: Path) -> None:
    users = users_of(tmp_path)
    assert [one.name for one in users.all()] == ["operator", "reader"]
    async with connected(server.endpoint) as gateway:
        async with user(server.url, tmp_path, "woo.shop") as shop:
            assert users.remove("woo.shop")
            assert not users.remove("woo.shop")
            await until(lambda: not shop.is_connected, 5)
        assert gateway.connected, "others stay"
        with pytest.raises(nats.errors.Error):
            await refused(server.url, new_seed())
        for name in (
            "",
            "erp",
            "erp.",
            "erp.a.b",
            "policy",
            "../operator",
            "operator.x",
            "erp.a b",
            'erp."',
            "gateway",
        ):
            with pytest.raises(ValueError, match="is no user"):
                users.add(name)


async def test_a_source_that_opens_many_connections_takes_none_from_another(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    async with user(server.url, tmp_path, "erp.other"), AsyncExitStack() as stack:
        opened = 0
        await stack.enter_async_context(user(server.url, tmp_path, "erp.acme"))
        with contextlib.suppress(nats.errors.Error, OSError):
            for _ in range(70):
                client = await connected_as(server.url, str(users_of(tmp_path).file("erp.acme")))
                stack.push_async_callback(client.close)
                opened += 1
        assert opened == 63, "and the first one"
        async with user(server.url, tmp_path, "erp.other") as other, user(server.url, tmp_path, "operator") as operator:
            assert other.is_connected
            assert operator.is_connected


async def connected_as(url: str, seed_file: str) -> Client:
    return await nats.connect(url, nkeys_seed=seed_file, inbox_prefix="_INBOX_erp-acme", allow_reconnect=False)


async def refused(url: str, seed: str) -> None:
    client = await nats.connect(url.rpartition("@")[2], nkeys_seed_str=seed, allow_reconnect=False)
    await client.close()


async def test_secrets_of_people_last_and_those_of_gateways_do_not(tmp_path: Path) -> None:
    seeds = []
    for _ in range(2):
        one = EmbeddedServer(tmp_path, LogSettings())
        await one.start()
        try:
            seeds.append((one.endpoint.seed, (tmp_path / "nats" / "users" / "operator.nk").read_text()))
        finally:
            await one.stop()
    assert seeds[0][0] != seeds[1][0]
    assert seeds[0][1] == seeds[1][1]


NAMES = st.from_regex(r"(erp|woo)\.[A-Za-z0-9_-]{1,64}|(operator|reader)(-[A-Za-z0-9_-]{1,48})?", fullmatch=True)


@given(NAMES, NAMES)
def test_no_two_users_share_an_inbox_and_none_covers_another(one: str, other: str) -> None:
    assert (inbox_of(one) == inbox_of(other)) == (one == other)
    if role_of(one) == "source":
        assert (User(one, "").account == User(other, "").account) == (one == other)
    assert "." not in inbox_of(one)
    assert role_of(one)


def test_the_deployed_accounts_share_what_the_embedded_ones_do() -> None:
    deployed = (Path(__file__).parents[2] / "deploy" / "nats" / "users.conf").read_text()
    key = public_key(new_seed())
    embedded = accounts_config("main", key, key, [User("erp.erp", key), User("woo.shop", key)])
    shared = [line.strip() for line in embedded.splitlines() if line.strip().startswith(("{ service:", "{ stream:"))]
    assert shared == [
        line.strip() for line in deployed.splitlines() if line.strip().startswith(("{ service:", "{ stream:"))
    ]
