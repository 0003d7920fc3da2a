"""`holdfast serve` as a child, with its own log, and a way to ask it things that checks what every answer must have.

In: a directory. Out: a port that is ready, and JSON calls on it.
Always: the whole product is under test: uvloop, the node, the core, a real nats-server with fsync.
"""

import contextlib
import itertools
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

from tests.support.gateway import Response, ask
from tests.support.ports import free_port

START_S = 60.0
STOP_S = 20.0


@dataclass
class Served:
    """A gateway that runs. `log` is what it wrote to stderr."""

    port: int
    directory: Path
    child: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(STOP_S)


@contextmanager
def serving(
    directory: Path,
    *arguments: str,
    auth: str = "off",
    port: int | None = None,
    changes: Mapping[str, Any] | None = None,
    log: Path | None = None,
) -> Iterator[Served]:
    """Until the end of the block. `changes`: of settings that no option reaches (see supervised.py)."""
    port = port or free_port()
    log = log or directory / "serve.log"
    store = str(directory / "store")
    command = [sys.executable, "-m", "holdfast", "serve", "--data", store, "--port", str(port), "--auth", auth]
    if changes is not None:
        command = [sys.executable, str(Path(__file__).with_name("supervised.py")), store, str(port)]
        arguments = (orjson.dumps(changes).decode(),)
    with log.open("ab") as output:
        child = subprocess.Popen([*command, *arguments], stdout=output, stderr=output)
    served = Served(port, directory, child, log)
    try:
        _until_ready(served)
        yield served
    finally:
        if child.poll() is None:
            try:
                served.stop()
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _until_ready(served: Served) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/readyz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            pass
        assert served.child.poll() is None, served.log.read_text()
        assert time.monotonic() < deadline, served.log.read_text()
        time.sleep(0.05)


_names = itertools.count(1)


def fresh(kind: str) -> str:
    """A name that no other test uses."""
    return f"{kind}-{next(_names)}"


class Api:
    """JSON calls. Every answer must name a sequence that does not fall, and every refusal must be a problem."""

    def __init__(self, port: int, key: str | None = None) -> None:
        self.port = port
        self.sequence = 0
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    async def __call__(self, method: str, target: str, body: Any = None, **headers: str) -> Response:
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        answer = await ask(self.port, method, target, content, **self._headers, **headers)
        sequence = int(answer.headers["holdfast-sequence"])
        assert sequence >= self.sequence, "never smaller than what was told before"
        self.sequence = sequence
        if answer.status >= 400:
            assert answer.problem
            if answer.status == 503:
                assert {"outcome"} <= answer.json.keys()
                assert "retry-after" in answer.headers
        else:
            assert answer.headers["content-type"] == "application/json"
        return answer

    async def facts(self, *facts: dict[str, Any], source: str = "acme") -> dict[str, Any]:
        """Send facts that must all be accepted."""
        answer = await self("POST", "/v1/facts", {"source": source, "facts": facts})
        assert answer.status == 202, answer.body
        assert answer.json["rejected"] == []
        assert answer.json["accepted"] == len(facts)
        found: dict[str, Any] = answer.json
        return found

    async def policies(self, *facts: dict[str, Any]) -> None:
        """Send policy facts that must all be accepted."""
        answer = await self("POST", "/v1/policies", {"facts": facts})
        assert answer.status == 202, answer.body
        assert answer.json["rejected"] == []

    async def stocked(self, quantity: int, *, location: str = "W1", sku: str | None = None) -> str:
        """A SKU with so many units on hand; its name."""
        sku = sku or fresh("sku")
        await self.facts(level(sku, quantity, location))
        return sku

    async def sellable(self, sku: str, channel: str = "web") -> int:
        answer = await self("GET", f"/v1/availability/{sku}?channel={channel}")
        assert answer.status == 200, answer.body
        return int(answer.json["sellable"])

    async def reserve(self, *lines: tuple[str, int], reservation: str | None = None, **fields: Any) -> Response:
        """PUT a reservation of (sku, quantity) lines."""
        return await self("PUT", f"/v1/reservations/{reservation or fresh('cart')}", cart(*lines, **fields))

    async def held(self, *lines: tuple[str, int], **fields: Any) -> str:
        """A reservation that must be made; its id."""
        answer = await self.reserve(*lines, **fields)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])


def cart(*lines: tuple[str, int], **fields: Any) -> dict[str, Any]:
    """A PUT body."""
    given = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
    return {"channel": "web", "ttl_ms": 600_000, "lines": given, **fields}


def level(sku: str, quantity: int, location: str = "W1", as_of: int | str = 1, **fields: Any) -> dict[str, Any]:
    """A stock.level."""
    return {
        "kind": "stock.level",
        "sku": sku,
        "location": location,
        "on_hand": quantity,
        "basis": "net",
        "as_of": as_of,
        **fields,
    }


def pids(served: Served, module: str) -> list[int]:
    """The processes of a module below it; one that just ended is none."""
    found = []
    for one in psutil.Process(served.child.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if module in " ".join(one.cmdline()):
                found.append(one.pid)
    return found


def places(*names: str) -> Sequence[dict[str, Any]]:
    """Location facts."""
    return [{"kind": "location", "location": name, "type": "warehouse"} for name in names]
