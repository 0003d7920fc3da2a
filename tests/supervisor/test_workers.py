"""`holdfast serve`: a supervisor, its nats-server, its workers. What dies is back; nothing outlives the supervisor."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from holdfast.errors import StoreInUseError
from holdfast.nats_server.server import runtime_of
from holdfast.settings import SupervisorSettings
from holdfast.supervisor import record
from holdfast.supervisor.address import reserve
from holdfast.supervisor.child import AUTOGROUP
from holdfast.supervisor.children import Child, ChildSpec
from holdfast.supervisor.control_pipe import Assignment, Listening, LogState, encoded
from holdfast.supervisor.record import GatewayRecord, WorkerRecord, gateway_of
from tests.support.gateway import ask
from tests.support.ports import free_port
from tests.support.served import Api, Served, places, serving
from tests.support.servers import embedded, is_alive, stop_process, until


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("alone")) as found:
        yield found


def running(served: Served) -> GatewayRecord:
    found = gateway_of(served.directory / "store")
    assert found is not None
    return found


def api_of(worker: WorkerRecord) -> Api:
    return Api(int(worker.url.rpartition(":")[2]))


def lines(served: Served) -> list[dict[str, object]]:
    return [json.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{")]


async def test_the_record_says_where_it_listens_and_who_its_processes_are(alone: Served) -> None:
    found = running(alone)
    assert (found.url, found.pid, found.scope) == (f"http://127.0.0.1:{alone.port}", alone.child.pid, "main")
    assert [worker.node for worker in found.workers] == ["n1"]
    assert stat.S_IMODE((alone.directory / "store" / "gateway.json").stat().st_mode) == 0o600
    state = (await api_of(found.workers[0])("GET", "/v1/state")).json
    assert state["pid"] == found.workers[0].pid, "each worker has an address of its own"
    runtime = runtime_of(alone.directory / "store")
    assert runtime is not None
    assert runtime.owner_pid == found.pid, "the nats-server belongs to no worker that can die"


async def test_figures_and_log_lines_carry_the_workers_name(alone: Served) -> None:
    text = (await ask(alone.port, "GET", "/metrics")).body.decode()
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert samples
    assert all('node="n1"' in line for line in samples)
    by_event = {str(line["event"]): line for line in lines(alone)}
    assert by_event["ready"]["node"] == "n1"
    assert by_event["nats-server-up"]["process"] == "supervisor"
    assert by_event["listening"]["workers"] == {"n1": running(alone).workers[0].pid}
    assert by_event["listening"]["url"] == running(alone).url
    assert len(lines(alone)) == len(alone.log.read_text().splitlines()), "on no terminal, nothing but JSON"


def test_no_secret_is_in_an_argument_list_or_in_the_record(alone: Served) -> None:
    runtime = runtime_of(alone.directory / "store")
    assert runtime is not None
    for pid in (alone.child.pid, running(alone).workers[0].pid, runtime.server_pid):
        for place in ("cmdline", "environ"):
            assert runtime.seed not in Path(f"/proc/{pid}/{place}").read_text()
    assert runtime.seed not in (alone.directory / "store" / "gateway.json").read_text()
    assert runtime.seed not in alone.log.read_text()


async def test_a_killed_worker_is_back_and_nothing_acknowledged_is_missing(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    with serving(tmp_path) as served:
        api = Api(served.port)
        await api.policies(*places("W1"))
        sku = await api.stocked(10_000_000)
        runtime = runtime_of(tmp_path / "store")
        assert runtime is not None
        for life in range(3):

            async def shop(number: int, life: int = life) -> None:
                mine = Api(served.port)
                for turn in range(10_000):
                    name = f"shop-{life}-{number}-{turn}"
                    try:
                        answer = await mine.reserve((sku, 1), reservation=name)
                    except (OSError, asyncio.IncompleteReadError):
                        return
                    if answer.status == 201:
                        acknowledged.append(name)

            shops = [asyncio.create_task(shop(number)) for number in range(8)]
            await asyncio.sleep(0.4)
            pid = running(served).workers[0].pid
            os.kill(pid, signal.SIGKILL)
            await asyncio.gather(*shops)
            await until(lambda pid=pid: [w for w in running(served).workers if w.url and w.pid != pid] != [])  # type: ignore[misc]
            await ready(served.port)
        after = runtime_of(tmp_path / "store")
        assert after is not None
        assert after.server_pid == runtime.server_pid, "the log went on"
        assert len(acknowledged) > 60
        for name in acknowledged:
            assert (await Api(served.port)("GET", f"/v1/reservations/{name}")).status == 200
        assert [line["why"] for line in lines(served) if line["event"] == "child-lost"] == ["ended by SIGKILL"] * 2
        assert served.stop() == 0
    assert not (tmp_path / "store" / "gateway.json").exists()


async def ready(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            if (await ask(port, "GET", "/readyz")).status == 200:
                return
        except (OSError, asyncio.IncompleteReadError):
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_kill_9_of_the_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    port = free_port()
    with serving(tmp_path, port=port) as served:
        api = Api(port)
        await api.policies(*places("W1"))
        held = await api.held((await api.stocked(10), 3))
        workers = running(served).workers
        runtime = runtime_of(tmp_path / "store")
        assert runtime is not None
        await stop_process(workers[0].pid)  # it cannot react to its supervisor's end
        served.child.kill()
        await asyncio.to_thread(served.child.wait)
        await until(lambda: not is_alive(workers[0].pid), 5)
        await until(lambda: not is_alive(runtime.server_pid), 10)
        assert gateway_of(tmp_path / "store") is None, "what a killed supervisor left is not believed"
    with serving(tmp_path, port=port):
        assert (await Api(port)("GET", f"/v1/reservations/{held}")).json["state"] == "held"


def test_a_worker_without_a_supervisor_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", record.WORKER_MODULE, "n1", str(tmp_path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "holdfast serve" in done.stderr
    ours, theirs = socket.socketpair()
    with subprocess.Popen(command, stdin=theirs.fileno(), stderr=subprocess.PIPE, text=True) as worker:
        theirs.close()
        ours.close()
        assert worker.wait(30) == 3


def test_an_orphan_of_this_directory_is_ended_and_nobody_else(tmp_path: Path) -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    ours = subprocess.Popen([*sleeping, record.WORKER_MODULE, "n1-1", str(tmp_path.resolve()), ""])
    other = subprocess.Popen([*sleeping, record.WORKER_MODULE, "n1-2", str(tmp_path.resolve() / "other"), ""])
    try:
        workers = (WorkerRecord("n1-1", ours.pid), WorkerRecord("n1-2", other.pid))
        GatewayRecord("http://127.0.0.1:1", 1, "main", workers).write(tmp_path)
        time.sleep(0.2)
        assert [orphan.node for orphan in record.end_orphans(tmp_path)] == ["n1-1"]
        assert ours.wait(5) == -signal.SIGKILL
        assert other.poll() is None
        assert record.end_orphans(tmp_path) == [], "the record is gone"
    finally:
        for child in (ours, other):
            child.kill()
            child.wait()


def test_one_supervisor_owns_a_directory(tmp_path: Path) -> None:
    lock = record.own(tmp_path)
    with pytest.raises(StoreInUseError, match=str(os.getpid())):
        record.own(tmp_path)
    os.close(lock)
    os.close(record.own(tmp_path))


def test_the_port_stays_ours_while_nobody_listens() -> None:
    kept = reserve("127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match="in use"):
            reserve("127.0.0.1", kept.port)
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", kept.port))
        with socket.socket() as worker:
            for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
                worker.setsockopt(socket.SOL_SOCKET, option, 1)
            worker.bind(("127.0.0.1", kept.port))
            worker.listen()
            for _ in range(20):  # none of them goes to the one that does not listen
                with socket.create_connection(("127.0.0.1", kept.port), timeout=1):
                    worker.accept()[0].close()
    finally:
        kept.release()
    reserve("127.0.0.1", kept.port).release()


def test_every_address_of_a_name_gets_the_port() -> None:
    kept = reserve("localhost", 0)
    try:
        bound = {one.getsockname()[1] for one in kept.sockets if one.family != socket.AF_UNIX}
        assert bound == {kept.port}
    finally:
        kept.release()


QUICK = SupervisorSettings(restart_first_ms=20, restart_wait_ms_max=80, lasting_ms=60_000, watch_ms=10)


async def test_one_that_dies_again_and_again_is_said_loudly_and_others_go_on() -> None:
    with structlog.testing.capture_logs() as told:
        dying = Child(ChildSpec("dying", (sys.executable, "-S", "-c", "raise SystemExit(7)")), QUICK)
        going = Child(ChildSpec("going", (sys.executable, "-S", "-c", "import time; time.sleep(60)")), QUICK)
        for child in (dying, going):
            child.start()
        pid = going.pid
        await until(lambda: dying.deaths_total >= 7)
        assert going.pid == pid
        await asyncio.gather(dying.kill(), going.kill())
    assert (going.pid, going.deaths_total) == (None, 0)
    waits = [line["again_in_ms"] for line in told if line["event"] in {"child-lost", "child-keeps-dying"}]
    assert waits[:7] == [0, 20, 40, 80, 80, 80, 80], "at once, then longer, up to a bound"
    loud = [line for line in told if line["log_level"] == "critical"]
    assert loud[0]["deaths_in_a_row"] == 3
    assert loud[0]["why"] == "exit status 7"


async def test_one_that_is_done_is_not_started_again() -> None:
    child = Child(ChildSpec("done", (sys.executable, "-S", "-c", ""), restart="on-failure"), QUICK)
    child.start()
    await until(lambda: child.pid is None)
    await asyncio.sleep(0.1)
    assert (child.pid, child.deaths_total) == (None, 0)
    await child.stop()


CHATTY = """
import asyncio, sys
from holdfast.supervisor.control_pipe import Listening, inherited
assignment, pipe = inherited(65536)
async def main():
    await pipe.open()
    pipe.send(Listening("of " + assignment.node))
    async for message in pipe.received():
        pipe.send(Listening(message.fault or "well"))
asyncio.run(main())
"""


async def test_a_child_hears_its_assignment_and_how_the_log_is_in_every_life() -> None:
    heard: list[str] = []

    def note(child: Child) -> None:
        if child.listening is not None:
            heard.append(child.listening.url)

    child = Child(ChildSpec("chatty", (sys.executable, "-c", CHATTY), niceness=5), QUICK, note)
    child.start()
    first = child.pid
    assert first is not None
    child.assign(Assignment(node="n7", directory="d", nats="nats://h:4222"))
    await until(lambda: heard == ["of n7", "well"])
    child.tell_log_state(LogState("the log's disk is full"))
    await until(lambda: heard[2:] == ["the log's disk is full"])
    assert os.getpriority(os.PRIO_PROCESS, first) == os.getpriority(os.PRIO_PROCESS, 0) + 5
    os.kill(first, signal.SIGKILL)
    await until(lambda: heard[3:] == ["of n7", "the log's disk is full"])
    await child.stop()
    assert not is_alive(first)


async def test_a_child_that_says_nonsense_is_ended() -> None:
    nonsense = "import os, time; os.write(0, b'GET / HTTP/1.1'); time.sleep(60)"
    with structlog.testing.capture_logs() as told:
        child = Child(ChildSpec("odd", (sys.executable, "-S", "-c", nonsense)), QUICK)
        child.start()
        await until(lambda: child.deaths_total > 0)
        await child.kill()
    assert "child-not-understood" in {line["event"] for line in told}


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel has no autogroup: niceness counts as it is")
async def test_the_niceness_of_a_child_counts_between_sessions(tmp_path: Path) -> None:
    nice = "import time; from holdfast.supervisor.child import let_niceness_count; let_niceness_count(); time.sleep(60)"
    child = Child(ChildSpec("nice", (sys.executable, "-c", nice), niceness=7), QUICK, lambda _: None)
    child.start()
    try:
        group = Path(f"/proc/{child.pid}/autogroup")
        await until(lambda: group.read_text().endswith(" nice 7\n"))
    finally:
        await child.kill()
    assert not AUTOGROUP.read_text().endswith(" nice 7\n"), "that of the child alone"


def test_secrets_of_an_assignment_are_not_shown() -> None:
    assignment = Assignment(node="n1", directory="d", nats="nats://user:secret@h:4222")
    assert "secret" not in repr(assignment)
    assert b"secret" in encoded(assignment)
    assert encoded(Listening("u"))[:4] == (len(encoded(Listening("u"))) - 4).to_bytes(4)


async def test_workers_share_a_nats_that_runs_already(tmp_path: Path) -> None:
    async with embedded(tmp_path / "elsewhere") as server:
        address = tmp_path / "nats-address"
        address.touch(mode=0o600)
        address.write_text(server.url)
        with serving(tmp_path, "--nats", f"@{address}", "--workers", "2", "--node", "shop") as served:
            await until(lambda: all(worker.url for worker in running(served).workers))
            found = running(served)
            assert [worker.node for worker in found.workers] == ["shop-1", "shop-2"]
            assert not (tmp_path / "store" / "nats").exists()
            for worker in found.workers:
                await ready(int(worker.url.rpartition(":")[2]))
            pids = {(await api_of(worker)("GET", "/v1/state")).json["pid"] for worker in found.workers}
            assert pids == {worker.pid for worker in found.workers}
            shared = {(await Api(served.port)("GET", "/v1/state")).json["pid"] for _ in range(60)}
            assert shared == pids, "the kernel spreads connections over them"
            assert await asyncio.to_thread(served.stop) == 0


async def test_one_with_a_rest_factor_rests_longer_than_it_lived_but_not_for_ever() -> None:
    with structlog.testing.capture_logs() as told:
        argv = (sys.executable, "-S", "-c", "import time; time.sleep(0.1); raise SystemExit(9)")
        child = Child(ChildSpec("snapshots", argv, rest_factor=3, rest_ms_max=350), QUICK)
        child.start()
        await until(lambda: child.deaths_total >= 2)
        await child.kill()
    waits = [line["again_in_ms"] for line in told if line["event"] == "child-lost"]
    assert all(300 <= wait <= 350 for wait in waits[:2]), waits
