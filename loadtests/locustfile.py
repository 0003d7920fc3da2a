"""Shoppers who browse, reserve, confirm and abandon, for a gateway that `make demo` or `holdfast serve` left up.

In: --host (default http://127.0.0.1:8080), HOLDFAST_CHANNEL (web), HOLDFAST_SKUS (comma-separated; the demo's
catalogue), and HOLDFAST_KEY where the gateway asks for one. Out: locust's table.
Always: running out of stock is an outcome, not a failure.

    .venv/bin/locust -f loadtests/locustfile.py --headless -u 64 -r 64 -t 30s --host http://127.0.0.1:8080
"""

import os
import random
import uuid
from typing import Any

from locust import FastHttpUser, constant, events, task

from holdfast.demonstration import catalogue

CHANNEL = os.environ.get("HOLDFAST_CHANNEL", "web")
SKUS = [sku for sku in os.environ.get("HOLDFAST_SKUS", "").split(",") if sku] or [
    *(product.sku for product in catalogue.PRODUCTS),
    catalogue.KIT,
]
KEY = os.environ.get("HOLDFAST_KEY", "")
TTL_MS = 60_000


class Shopper(FastHttpUser):
    """Looks far more often than it buys, and leaves some carts behind."""

    host = "http://127.0.0.1:8080"
    wait_time = constant(0)

    def on_start(self) -> None:
        """A key, where one is needed."""
        self.shop_headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}

    @task(6)
    def browse(self) -> None:
        """How many of this are there?"""
        sku = random.choice(SKUS)
        self.client.get(f"/v1/availability/{sku}?channel={CHANNEL}", name="browse", headers=self.shop_headers)

    @task(3)
    def buy(self) -> None:
        """Reserve a cart and confirm it."""
        reservation = self._reserve()
        if reservation:
            self._send("POST", f"/v1/reservations/{reservation}/confirm", "confirm", {"order_ref": reservation})

    @task(1)
    def abandon(self) -> None:
        """Reserve a cart and let it go."""
        reservation = self._reserve()
        if reservation:
            self._send("POST", f"/v1/reservations/{reservation}/release", "release", None)

    def _reserve(self) -> str | None:
        reservation = uuid.uuid4().hex
        lines = [{"sku": sku, "quantity": 1} for sku in random.sample(SKUS, k=min(2, len(SKUS)))]
        body = {"channel": CHANNEL, "ttl_ms": TTL_MS, "lines": lines}
        held = self._send("PUT", f"/v1/reservations/{reservation}", "reserve", body)
        return reservation if held else None

    def _send(self, method: str, path: str, name: str, body: dict[str, Any] | None) -> bool:
        with self.client.request(
            method, path, name=name, json=body, headers=self.shop_headers, catch_response=True
        ) as answer:
            if answer.status_code == 409:
                answer.success()
                return False
            return bool(answer.status_code < 400)


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def say_what_409_means(**_: Any) -> None:
    """A word under the table."""
    print("409 (not enough can be sold) is an outcome here, not a failure.")  # noqa: T201
