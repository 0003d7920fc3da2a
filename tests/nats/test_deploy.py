"""deploy/nats as it is: three servers, TLS, one user per role with the least that it needs."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme
from nats.aio.client import Client

from holdfast._core import Engine, ScopeKeys
from holdfast.errors import LogError, UnreachableError
from holdfast.gateway.key_exchange import KeyExchange
from holdfast.gateway.key_file import Operation
from holdfast.gateway.key_store import KeyStore
from holdfast.macs import Macs
from holdfast.nats.connection import Connection, Endpoint, Tls
from holdfast.nats.shared_snapshots import SharedSnapshots
from holdfast.nats.streams import Names
from holdfast.node.node import Node
from holdfast.publisher.publisher import Publisher
from holdfast.settings import LogSettings, NodeSettings, PublisherSettings, Settings
from holdfast.tasks import cancel_and_wait
from tests.support.deployed import THREE, Deployed, deployed_cluster
from tests.support.nats_users import STREAMS, asked, serving_views
from tests.support.servers import OWNER_KEY, connected, put, stocked


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployed_cluster(tmp_path_factory.mktemp("deployed")) as found:
        yield found


@asynccontextmanager
async def node_of(deployed: Deployed, settings: Settings = THREE, name: str = "n1") -> AsyncIterator[Node[Engine]]:
    """A node with the node's own rights, on three replicas; the cluster may still be choosing a leader."""
    async with asyncio.timeout(60):
        while True:
            node = Node("main", deployed.endpoint("node"), lambda: Engine("main", OWNER_KEY), settings, name=name)
            try:
                await node.start()
                break
            except LogError:
                await node.stop(drain=False)
                await asyncio.sleep(0.5)
        await node.wait_ready()
    try:
        yield node
    finally:
        await node.stop(drain=False)


async def published(client: Client, subject: str, faults: list[Exception]) -> bool:
    """Whether the server let a message through."""
    before = len(faults)
    await client.publish(subject, b"{}")
    await client.flush()
    await asyncio.sleep(0.1)
    return len(faults) == before


async def next_of(client: Client, stream: str, name: str) -> int:
    """How many messages a view gives at once."""
    inbox = client.new_inbox()
    messages = await client.subscribe(inbox)
    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", b'{"batch":25,"no_wait":true}', reply=inbox)
    for count in range(26):
        message = await messages.next_msg(5)
        if message.headers and message.headers.get("Status"):
            return count
    return 25


async def test_a_publisher_may_do_all_that_it_does_and_readers_see_it(deployed: Deployed, tmp_path: Path) -> None:
    sizes = PublisherSettings(out_bytes_max=64 << 20, available_bytes_max=64 << 20)
    async with node_of(deployed) as node:
        await stocked(node)
        channel = {"kind": "channel", "channel": "web", "locations": "*", "buffer": 1}
        await node.facts("policy", "", [orjson.dumps({"source": "policy", "facts": [channel]})], "log")
        assert (await put(node, "published", ("S1", 2)))[0] == 201
        settings = replace(THREE, publisher=sizes)
        publisher = Publisher(tmp_path, "main", deployed.endpoint("node"), settings, shared=False)
        task = asyncio.create_task(publisher.run())
        async with serving_views(deployed.endpoint("node"), THREE.log):
            reader = await deployed.client("reader", [])
            async with asyncio.timeout(30):
                event = await _last(reader, "hf.main.out.held.web")
                figure = await _last(reader, "hf.main.available.web.S1")
            await reader.close()
        await cancel_and_wait(task)
    assert event["reservation"]["id"] == "published"
    assert figure["published"] == figure["sellable"] - 1
    assert deployed.violations("node") == []


async def test_gateways_exchange_keys_with_the_rights_that_they_have(deployed: Deployed, tmp_path: Path) -> None:
    codes = Macs(ScopeKeys([b"s" * 32]))
    exchanges = []
    for name in ("paris", "lyon"):
        (tmp_path / name).mkdir()
        exchanges.append(KeyExchange(tmp_path / name, "main", deployed.endpoint("node"), THREE.log, codes))
    made, _ = KeyStore(tmp_path / "paris").add("shop", [Operation.READ])
    async with asyncio.timeout(60):
        for one in exchanges:
            while True:  # the cluster may still be choosing leaders
                try:
                    await one.exchange()
                    break
                except LogError:
                    await asyncio.sleep(0.5)
    assert KeyStore(tmp_path / "lyon").stored() == [made]
    for one in exchanges:
        await one.close()
    assert deployed.violations("node") == []


@pytest.mark.parametrize("part_bytes", [NodeSettings().answer_part_bytes_max, 100], ids=["whole", "in parts"])
async def test_gateways_answer_each_other(deployed: Deployed, part_bytes: int) -> None:
    settings = replace(THREE, node=NodeSettings(answer_part_bytes_max=part_bytes))
    async with node_of(deployed, settings, "n1") as one, node_of(deployed, settings, "n2") as other:
        async with asyncio.timeout(40):
            for node in (one, other):  # a command and facts of the one that follows go to the other one
                await stocked(node)
                assert (await put(node, f"by-{node.state()['node']}-{part_bytes}", ("S1", 2)))[0] == 201
    assert deployed.violations("node") == []


async def _last(client: Client, subject: str) -> Any:
    """The newest message of a subject, once there is one."""
    stream = "HF_main_OUT" if ".out." in subject else "HF_main_AVAILABLE"
    while True:
        found = await asked(client, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
        if "message" in found:
            return orjson.loads(base64.b64decode(found["message"]["data"]))
        await asyncio.sleep(0.1)


async def test_each_role_can_do_its_work_and_no_more(deployed: Deployed, tmp_path: Path) -> None:
    async with node_of(deployed) as node:
        await stocked(node)
        assert (await put(node, "r1", ("S1", 2)))[0] == 201

        faults: list[Exception] = []
        erp = await deployed.client("erp", faults)
        level = {"kind": "stock.level", "sku": "S1", "location": "w1", "on_hand": 7, "basis": "net", "as_of": 2}
        ack = await erp.request("hf.main.in.erp.erp", orjson.dumps({"source": "erp", "facts": [level]}), timeout=5)
        assert orjson.loads(ack.data)["stream"] == "HF_main_IN"
        for forbidden in (
            "hf.main.log",
            "hf.main.in.erp.other",
            "hf.main.in.policy",
            "$JS.API.STREAM.PURGE.HF_main_LOG",
        ):
            assert not await published(erp, forbidden, faults), forbidden
        before = len(faults)
        await erp.subscribe("_INBOX.>")
        await erp.flush()
        await asyncio.sleep(0.1)
        assert len(faults) == before + 1, "nobody listens to another role's answers"
        await erp.close()

        async with serving_views(deployed.endpoint("node"), THREE.log):
            for role in ("operator", "reader"):
                faults = []
                person = await deployed.client(role, faults)
                message = await person.jetstream().get_last_msg("HF_main_LOG", "hf.main.log")
                assert message.data is not None
                assert orjson.loads(message.data)["scope"] == "main"
                for stream in STREAMS:
                    view = await asked(person, f"CONSUMER.CREATE.{stream}.pager.>", {"config": {"filter_subject": ">"}})
                    may_be_empty = stream in {
                        "HF_main_DLQ",
                        "HF_main_ASK",
                        "KV_HF_main_LEASE",
                    }  # a lease can have run out
                    assert await next_of(person, stream, view["name"]) >= (not may_be_empty), stream
                hostile = {"config": {"deliver_subject": "hf.main.log"}}
                assert (await asked(person, "CONSUMER.CREATE.HF_main_IN.x", hostile))["error"]["code"] == 403
                for forbidden in (
                    *("hf.main.log", "$JS.API.STREAM.DELETE.HF_main_LOG", "$JS.API.STREAM.PURGE.HF_main_LOG"),
                    *("hf.main.in.erp.erp", "hf.main.pulse", "hf.main.peers", "$KV.HF_main_LEASE.leader"),
                ):
                    assert not await published(person, forbidden, faults), forbidden
                await person.close()
    async with connected(deployed.endpoint("node")) as connection:  # as a gateway on this cluster shares its snapshots
        shared = SharedSnapshots(connection, Names("main"), THREE.snapshots, THREE.log)
        for at in range(THREE.snapshots.shared_retained + 1):
            (tmp_path / f"main-{at}.hfsnap").write_bytes(os.urandom(300_000))
            await shared.put(tmp_path / f"main-{at}.hfsnap")
        newest, *others = await shared.names()
        assert len(others) == THREE.snapshots.shared_retained - 1, "the oldest was let go"
        await shared.fetch(newest, tmp_path / "fetched")
        assert (tmp_path / "fetched").read_bytes() == (tmp_path / newest).read_bytes()
    assert deployed.violations("erp"), "the servers write violations down"
    assert deployed.violations("node") == [], "a node may do all that it does"


@pytest.mark.alone
async def test_without_the_right_authority_or_secret_there_is_no_way_in(deployed: Deployed, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    quick = LogSettings(connect_deadline_ms=1_500)
    for endpoint in (
        Endpoint(deployed.urls, "node", "node-secret", tls=Tls(tmp_path / "other.pem")),
        Endpoint(deployed.urls, "node", "wrong", tls=deployed.tls),
        Endpoint(deployed.urls, tls=deployed.tls),
        Endpoint(tuple(url.replace("tls://", "nats://") for url in deployed.urls), "node", "node-secret"),
    ):
        connection = Connection(endpoint, quick, "test")
        with pytest.raises(UnreachableError):
            await connection.open()
