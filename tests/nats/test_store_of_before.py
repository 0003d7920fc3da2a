"""A store that a version without accounts wrote: its streams go over to the gateways' account, whole, once."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.errors import ServerStartError
from holdfast.nats.connection import Endpoint
from holdfast.nats_server.cluster import LocalCluster
from holdfast.nats_server.server import EmbeddedServer
from holdfast.nats_server.store import server_binary
from holdfast.settings import LogSettings
from tests.support.ports import free_port
from tests.support.servers import embedded, leading, put, stocked

# As that version wrote it.
BEFORE = """\
server_name: "holdfast-0badcafe"
listen: "127.0.0.1:{port}"
max_payload: 1048576
jetstream {{ store_dir: "{store}", sync_interval: always, max_memory_store: 67108864, max_file_store: 173946175488 }}
authorization {{ users: [ {{ user: "holdfast", password: "secret" }} ] }}
accounts {{ SYS: {{ users: [ {{ user: "holdfast-health", password: "secret" }} ] }} }}
system_account: SYS
"""


@contextmanager
def server_of_before(directory: Path) -> Iterator[Endpoint]:
    """A nats-server on DIR/nats/store without accounts."""
    store, port = directory / "nats" / "store", free_port()
    store.mkdir(parents=True, exist_ok=True)
    config = directory / "before.conf"
    config.write_text(BEFORE.format(port=port, store=store))
    with subprocess.Popen([str(server_binary()), "--config", str(config)], stderr=subprocess.DEVNULL) as server:
        try:
            yield Endpoint((f"nats://127.0.0.1:{port}",), "holdfast", "secret")
        finally:
            server.terminate()
            server.wait(20)


async def sold_before(directory: Path) -> None:
    with server_of_before(directory) as endpoint:
        async with leading(endpoint) as node:
            await stocked(node)
            assert (await put(node, "a", ("S1", 1)))[0] == 201


async def test_what_was_sold_is_there_under_accounts_at_every_start(tmp_path: Path) -> None:
    await sold_before(tmp_path)
    for name in ("b", "c"):
        async with embedded(tmp_path) as server, leading(server.endpoint) as node:
            assert (await put(node, "a", ("S1", 1)))[0] == 200, "the reservation of before"
            assert (await put(node, name, ("S1", 1)))[0] == 201
    jetstream = tmp_path / "nats" / "store" / "jetstream"
    assert not (jetstream / "$G" / "streams").exists()
    assert {path.name for path in (jetstream / "HOLDFAST" / "streams").iterdir()} >= {"HF_main_LOG", "HF_main_IN"}


async def test_a_move_that_was_cut_off_before_or_after_its_one_step_is_as_if_it_were_not(tmp_path: Path) -> None:
    await sold_before(tmp_path)
    jetstream = tmp_path / "nats" / "store" / "jetstream"
    (jetstream / "HOLDFAST" / "streams").mkdir(parents=True)  # left by a start that stored nothing
    async with embedded(tmp_path) as server, leading(server.endpoint) as node:
        assert (await put(node, "a", ("S1", 1)))[0] == 200
    (jetstream / "$G" / "streams").mkdir(parents=True, exist_ok=True)
    async with embedded(tmp_path) as server, leading(server.endpoint) as node:
        assert (await put(node, "a", ("S1", 1)))[0] == 200


async def test_two_stores_are_never_mixed(tmp_path: Path) -> None:
    await sold_before(tmp_path)
    async with embedded(tmp_path) as server, leading(server.endpoint) as node:
        assert (await put(node, "b", ("S1", 1)))[0] == 201
    await sold_before(tmp_path)  # the earlier version ran here again, and began with nothing
    jetstream = tmp_path / "nats" / "store" / "jetstream"
    with pytest.raises(ServerStartError, match="an earlier version ran here after a later one"):
        await EmbeddedServer(tmp_path, LogSettings()).start()
    (jetstream / "$G").rename(tmp_path / "aside")
    async with embedded(tmp_path) as server, leading(server.endpoint) as node:
        assert (await put(node, "b", ("S1", 1)))[0] == 200


async def test_a_cluster_of_before_is_told_and_left_alone(tmp_path: Path) -> None:
    await sold_before(tmp_path / "s1")
    with pytest.raises(ServerStartError, match="no accounts"):
        await LocalCluster(tmp_path, LogSettings(replicas=3)).start()
    assert (tmp_path / "s1" / "nats" / "store" / "jetstream" / "$G" / "streams" / "HF_main_LOG").is_dir()
