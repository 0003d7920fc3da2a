"""Full and broken disks under a gateway: writes are refused truthfully, reads go on, and it recovers by itself.

Real servers, a real file system, real system calls that fail. What a kernel or a sandbox does not allow is skipped, and
says so.
"""

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.demonstration.checkpoints import checkpoints
from holdfast.nats_server.server import runtime_of
from holdfast.nats_server.store import Runtime
from holdfast.supervisor.record import gateway_of
from tests.support.gateway import Response, ask
from tests.support.served import Api, Served, cart, level, places, serving
from tests.support.servers import connected, is_alive, stop_process, until

QUICK = {
    "log": {
        "server_health_ms": 200,
        "server_health_failures_max": 3,
        "request_timeout_ms": 500,
        "server_stop_timeout_ms": 1_000,
        "in_publish_deadline_ms": 1_000,
    },
    "node": {
        "command_deadline_ms": 500,
        "facts_deadline_ms": 1_000,
        "append_timeout_ms": 500,
        "append_deadline_ms": 2_500,
    },
}
MENDED_WITHIN_S = 40.0  # the machine may be busy; alone it is some seconds


class Shop:
    """Puts reservations one after the other and keeps the answers."""

    def __init__(self, served: Served, sku: str) -> None:
        self.api = Api(served.port)
        self.sku = sku
        self.acknowledged: list[str] = []
        self.unknown: list[str] = []
        self.not_done: list[str] = []
        self._number = 0

    async def put(self, *also: str) -> Response:
        """One reservation: made, or refused as log-unavailable; or with a problem that is expected here `also`."""
        self._number += 1
        name = f"order-{self._number}"
        answer = await self.api.reserve((self.sku, 1), reservation=name)
        if answer.status == 201:
            self.acknowledged.append(name)
        else:
            assert answer.problem in {"log-unavailable", *also}, answer.body
            outcomes = {"unknown": self.unknown, "not-done": self.not_done}
            outcomes[answer.json["outcome"]].append(name)
        return answer

    async def until_refused(self) -> None:
        """Until a write is refused as certainly not done: one before it is still under way."""
        deadline = time.monotonic() + 30
        while not self.not_done:
            assert time.monotonic() < deadline, "the log still takes everything"
            await self.put()

    async def until_mended(self) -> float:
        began = time.monotonic()
        while True:
            with contextlib.suppress(ConnectionRefusedError):  # a worker that was killed is on its way back
                if (await self.put("no-leader")).status == 201:  # the log is back before somebody leads on it
                    break
            assert time.monotonic() - began < MENDED_WITHIN_S, "it did not mend itself"
            await asyncio.sleep(0.1)
        while (await ask(self.api.port, "GET", "/readyz")).status != 200:
            assert time.monotonic() - began < MENDED_WITHIN_S, "it is not ready"
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def check(self) -> None:
        """The answers are true: done is there, not-done is not, and unknown gets its one answer."""
        for name in self.acknowledged:
            assert (await self.api("GET", f"/v1/reservations/{name}")).status == 200, name
        for name in self.not_done:
            assert (await self.api("GET", f"/v1/reservations/{name}")).status == 404, name
        for name in self.unknown:
            assert (await self.api.reserve((self.sku, 1), reservation=name)).status in {200, 201}


async def opened(served: Served) -> Shop:
    api = Api(served.port)
    await api.policies(*places("W1"))
    shop = Shop(served, await api.stocked(1_000_000))
    for _ in range(10):
        assert (await shop.put()).status == 201
    return shop


async def unready(served: Served) -> str:
    answer = await ask(served.port, "GET", "/readyz")
    assert (answer.status, answer.problem) == (503, "log-unavailable"), answer.body
    return "; ".join(answer.json["reasons"])


async def reads_go_on(shop: Shop) -> None:
    answer = await shop.api("GET", f"/v1/availability/{shop.sku}?channel=web")
    assert answer.status == 200
    assert answer.json["sellable"] <= 1_000_000 - len(shop.acknowledged)


def log_of(served: Served) -> Runtime:
    runtime = runtime_of(served.directory / "store")
    assert runtime is not None
    return runtime


async def same_after_a_restart(served: Served, shop: Shop, *arguments: Any) -> None:
    before = (await shop.api("GET", "/v1/state")).json
    assert await asyncio.to_thread(served.stop) == 0
    with serving(served.directory, port=served.port, changes=QUICK):
        # What waited in IN may be taken in meanwhile, so the state is compared where it was.
        rebuilt = await checkpoints(served.directory / "store", {before["sequence"]})
        assert rebuilt[before["sequence"]] == before["digest"]
        await shop.check()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], check=False)
    if not done or done.returncode:
        pytest.skip("this needs the right to mount a small file system")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No byte is left on it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    yield
    filler.unlink()


@pytest.mark.slow
async def test_a_full_disk_refuses_writes_until_there_is_room_and_loses_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    with serving(small_disk, changes=QUICK, log=tmp_path / "serve.log") as served:
        shop = await opened(served)
        with filled(small_disk):
            await shop.until_refused()
            why = await unready(served)
            assert "full" in why
            assert "free some space" in why
            await reads_go_on(shop)
            facts = await shop.api("POST", "/v1/facts", {"source": "acme", "facts": [level("other", 1)]})
            assert (facts.status, facts.problem) == (503, "log-unavailable")
            server = log_of(served).server_pid
            await asyncio.sleep(3)  # longer than the leader holds on to its batch: it rebuilds from what the log has
            refused = await shop.put()
            assert refused.status == 503
            await reads_go_on(shop)
            assert is_alive(server), "a server that could not write either does not take its place"
            os.kill(gateway_of(served.directory / "store").workers[0].pid, signal.SIGKILL)  # type: ignore[union-attr]
            shop.api = Api(served.port)  # what the next one tells may be older, until it has read the log
            await asyncio.sleep(1)
        await shop.until_mended()
        await shop.check()
        await same_after_a_restart(served, shop)


async def test_a_nats_server_that_cannot_write_any_more_is_replaced(tmp_path: Path) -> None:
    with serving(tmp_path, changes=QUICK) as served:
        shop = await opened(served)
        pid = log_of(served).server_pid
        biggest = max(file.stat().st_size for file in (tmp_path / "store" / "nats" / "store").rglob("*.blk"))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (biggest + 2_000, biggest + 2_000))
        await until_status(shop, 503)
        assert "nats-server.log" in await unready_or_mended(served)
        await shop.until_mended()
        assert log_of(served).server_pid != pid
        await shop.check()
        await same_after_a_restart(served, shop)


async def until_status(shop: Shop, status: int) -> None:
    deadline = time.monotonic() + 30
    while (await shop.put()).status != status:
        assert time.monotonic() < deadline


async def unready_or_mended(served: Served) -> str:
    """Why it was not ready; it may be again by now, so what it logged counts too."""
    answer = await ask(served.port, "GET", "/readyz")
    told = "; ".join(answer.json["reasons"])
    faults = [line for line in served.log.read_text().splitlines() if '"nats-server-fault"' in line]
    return told + " ".join(str(json.loads(line)["fault"]) for line in faults)


async def test_an_fsync_that_fails_is_no_acknowledgement_and_the_server_is_replaced(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("this needs strace, to make fsync fail")
    with serving(tmp_path, changes=QUICK) as served:
        shop = await opened(served)
        pid = log_of(served).server_pid
        inject = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"]
        command = [strace, "-f", "-o", "/dev/null", *inject, "-p", str(pid)]
        tracer = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
        assert tracer.stderr is not None
        told = (await tracer.stderr.readline()).decode()
        if "attached" not in told:
            await tracer.wait()
            pytest.skip(f"strace may not attach here: {told.strip()}")
        await until_status(shop, 503)
        assert shop.unknown, "what met the error is unknown, not refused: it may be stored"
        assert "input/output error" in await unready_or_mended(served)
        await shop.until_mended()
        assert log_of(served).server_pid != pid
        with contextlib.suppress(ProcessLookupError):  # it goes with what it traced
            tracer.terminate()
        await tracer.communicate()
        await shop.check()
        await same_after_a_restart(served, shop)


async def test_a_nats_server_that_stands_still_is_replaced_and_memory_stays_bounded(tmp_path: Path) -> None:
    with serving(tmp_path, changes=QUICK) as served:
        shop = await opened(served)
        worker = gateway_of(tmp_path / "store").workers[0].pid  # type: ignore[union-attr]
        before = resident_bytes(worker)
        pid = log_of(served).server_pid
        await stop_process(pid)
        over = asyncio.Event()

        async def crowd(number: int) -> None:
            api = Api(served.port)
            turn = 0
            while not over.is_set():
                turn += 1
                body = cart(*[(shop.sku, 1)] * 200)
                await api("PUT", f"/v1/reservations/crowd-{number}-{turn}", body)

        crowds = [asyncio.create_task(crowd(number)) for number in range(100)]
        await shop.until_refused()
        assert "the log" in await unready(served)
        await reads_go_on(shop)
        assert resident_bytes(worker) - before < 100 * 1024 * 1024
        over.set()
        await asyncio.gather(*crowds)
        await shop.until_mended()
        assert not is_alive(pid)
        await shop.check()


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def change_stream(runtime: Runtime, stream: str, change: Callable[[dict[str, Any]], None]) -> None:
    endpoint = runtime.endpoint
    async with connected(endpoint) as connection:
        found = await connection.api(f"STREAM.INFO.{stream}")
        change(found)
        await connection.api(f"STREAM.UPDATE.{stream}", found["config"])


def no_room(found: dict[str, Any]) -> None:
    found["config"]["max_bytes"] = found["state"]["bytes"] + 1_500


def much_room(found: dict[str, Any]) -> None:
    found["config"]["max_bytes"] = 1 << 30


async def test_a_full_log_is_held_on_to_until_it_is_given_room(tmp_path: Path) -> None:
    with serving(tmp_path, changes=QUICK) as served:
        shop = await opened(served)
        await change_stream(log_of(served), "HF_main_LOG", no_room)
        await shop.until_refused()
        assert "max_bytes" in await unready(served)
        await asyncio.sleep(3)  # longer than an append that gets no answer is waited for
        assert (await shop.put()).status == 503
        await reads_go_on(shop)
        await change_stream(log_of(served), "HF_main_LOG", much_room)
        await shop.until_mended()
        rebuilds = [line for line in served.log.read_text().splitlines() if '"event":"rebuild"' in line]
        assert len(rebuilds) == 1, "at its start; nothing was thrown away meanwhile"
        await shop.check()
        await same_after_a_restart(served, shop)


async def test_a_full_in_refuses_facts_and_checkout_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path, changes=QUICK) as served:
        shop = await opened(served)
        await change_stream(log_of(served), "HF_main_IN", no_room)
        facts = [level(f"more-{number}", 1) for number in range(40)]
        refused = await shop.api("POST", "/v1/facts", {"source": "acme", "facts": facts})
        assert (refused.status, refused.problem, refused.json["outcome"]) == (503, "log-unavailable", "not-done")
        assert (await shop.put()).status == 201
        await change_stream(log_of(served), "HF_main_IN", much_room)
        await shop.api.facts(*facts)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this needs /dev/full")
async def test_log_lines_that_cannot_be_written_harm_nobody(tmp_path: Path) -> None:
    with serving(tmp_path, log=Path("/dev/full")) as served:
        api = Api(served.port)
        await api.policies(*places("W1"))
        await api.held((await api.stocked(3), 1))
        pid = gateway_of(tmp_path / "store").workers[0].pid  # type: ignore[union-attr]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: [w.pid for w in gateway_of(tmp_path / "store").workers if w.url] not in ([], [pid]))  # type: ignore[union-attr]
        assert served.stop() == 0


def test_the_settings_of_the_tests_are_those_of_the_supervisor(tmp_path: Path) -> None:
    script = Path(__file__).parent.parent / "support" / "supervised.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path, "0", '{"log": {"bogus": 1}}'], capture_output=True, text=True, check=False
    )
    assert "bogus" in done.stderr
