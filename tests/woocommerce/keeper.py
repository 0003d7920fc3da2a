"""A real gateway for the shop, that can be killed and started again in the same place.

In: a directory. Out: stock set, questions answered, keys.
Always: the same port and the same log over a restart; keys in force, as on a server.
"""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import orjson

from tests.support.ports import free_port
from tests.support.serving import holdfast

START_S = 60.0


class Keeper:
    """One gateway with its own nats-server."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.child: subprocess.Popen[bytes] | None = None
        self._as_of = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """Its data directory."""
        return self.directory / "store"

    def start(self, *options: str) -> None:
        """Until it is ready."""
        with (self.directory / "gateway.log").open("ab") as log:
            self.child = subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "holdfast", "serve", "--data", str(self.store), "--port", str(self.port)),
                    *options,
                ],
                stdout=log,
                stderr=log,
            )
        if not hasattr(self, "key"):
            self.key = self._key("shop", "--channels", "web")
            self.owner_key = self._key("owner", "--operations", "all", "--source", "erp")
        deadline = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                    return
            except OSError:
                assert self.child.poll() is None, (self.directory / "gateway.log").read_text()
                assert time.monotonic() < deadline, (self.directory / "gateway.log").read_text()
                time.sleep(0.05)

    def _key(self, name: str, *options: str) -> str:
        made = holdfast("keys", "add", name, *options, "--data", str(self.store), "--json")
        assert made.returncode == 0, made.stderr
        found: str = orjson.loads(made.stdout)["key"]
        return found

    def kill(self) -> None:
        """As a power cut does."""
        assert self.child
        self.child.kill()
        self.child.wait()

    def stop(self) -> None:
        if self.child and self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(20)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """An answer that must not be a refusal."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else orjson.dumps(body),
            headers={"authorization": f"Bearer {self.owner_key}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found: dict[str, Any] = orjson.loads(answer.read())
                return found
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def stock(self, sku: str, quantity: int) -> None:
        """The ERP counts so many of it."""
        self._as_of += 1
        level = {
            "kind": "stock.level",
            "sku": sku,
            "location": "W1",
            "on_hand": quantity,
            "basis": "net",
            "as_of": self._as_of,
        }
        place = {"kind": "location", "location": "W1", "type": "warehouse"}
        answer = self.ask("POST", "/v1/facts", {"source": "erp", "facts": [place, level]})
        assert answer["rejected"] == []

    def facts(self, *facts: dict[str, Any]) -> None:
        answer = self.ask("POST", "/v1/facts", {"source": "erp", "facts": facts})
        assert answer["rejected"] == []

    def sellable(self, sku: str) -> int:
        found: int = self.ask("GET", f"/v1/availability/{sku}?channel=web")["sellable"]
        return found

    def explained(self, sku: str) -> dict[str, Any]:
        """Why so many can be sold: the terms, and what nothing covers."""
        return self.ask("GET", f"/v1/availability/{sku}/explain?channel=web")

    def reservations(self, **filters: str) -> list[dict[str, Any]]:
        """Of one SKU, state and so on, oldest first."""
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        found: list[dict[str, Any]] = self.ask("GET", f"/v1/reservations?limit=1000&{query}")["items"]
        return found
