"""Shoppers who browse, have their cart checked, reserve, think, and confirm, release or abandon.

In: --host (default http://127.0.0.1:8080), and the options of loadtests/options.py. Out: locust's table, and accounts.
Always: running out of stock is an outcome, not a failure; a request without a clear answer is sent again unchanged, and
what a shopper waited is counted from the first time.

    .venv/bin/locust -f loadtests/locustfile.py --headless -u 64 -r 64 -t 30s   # for what make demo left up
    make rehearsal ARGS='--shape flash --kill-leader'                           # opens stock, and accounts for it
"""

import random
import time
import uuid
from typing import Any

import gevent
from locust import FastHttpUser, constant, events, task

from loadtests.options import HEADERS, accounts, chosen

TTL_MS = 60_000
PATIENCE_S = 60.0
UNCLEAR = {0, 429, 500, 502, 503, 504}
BROWSES = (1, 6)
LEAVES_AFTER_LOOKING, CONFIRMS, RELEASES = 0.5, 0.85, 0.07  # of all; of those who hold
HOT_SHARE = 0.8


class Patient(FastHttpUser):
    """Asks until there is a clear answer, or the patience ends."""

    abstract = True
    host = "http://127.0.0.1:8080"
    connection_timeout = 5.0
    network_timeout = 10.0

    def ask(self, call: str, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Status and content; status 0 where the patience ended."""
        began = time.time()
        while True:
            with self.client.request(
                method, path, name=call, json=body, headers=HEADERS, catch_response=True
            ) as answer:
                status = answer.status_code
                if status not in UNCLEAR:
                    answer.success()
                    accounts.wait(call, began)
                    if status >= 400 and status != 409:
                        accounts.count("unexpected", f"{call} {status}")
                    return status, answer.json() if answer.content else None
                answer.failure(f"{status}: sent again")
            if time.time() - began > PATIENCE_S:
                accounts.count("gave_up", call)
                return 0, None
            accounts.count("repeated", call)
            gevent.sleep(random.uniform(0.05, 0.3))


class Shopper(Patient):
    """Looks far more often than it buys, and leaves some carts behind."""

    wait_time = constant(0)

    @task
    def visit(self) -> None:
        """One visit to the shop."""
        cart = self._cart()
        for sku in [*cart, *random.choices(chosen.skus, k=random.randrange(*BROWSES))]:
            self.ask("browse", "GET", f"/v1/availability/{sku}?channel={chosen.channel}")
        if random.random() < LEAVES_AFTER_LOOKING:
            return
        lines = [{"sku": sku, "quantity": quantity} for sku, quantity in cart.items()]
        self.ask("validate", "POST", "/v1/carts/validate", {"channel": chosen.channel, "lines": lines})
        reservation = uuid.uuid4().hex
        accounts.opened[reservation] = cart
        body = {"channel": chosen.channel, "ttl_ms": TTL_MS, "lines": lines}
        status, content = self.ask("reserve", "PUT", f"/v1/reservations/{reservation}", body)
        if status == 409:
            accounts.closed[reservation] = "refused"
            for reason in refusal(content):
                accounts.count("refused", reason)
        elif status in {200, 201}:
            self._decide(reservation, time.time())

    def _decide(self, reservation: str, held: float) -> None:
        gevent.sleep(random.uniform(0, chosen.think_s))
        dice = random.random()
        path = f"/v1/reservations/{reservation}"
        if dice < CONFIRMS:
            status, _ = self.ask("confirm", "POST", f"{path}/confirm", {"order_ref": reservation})
            if status == 200:
                accounts.closed[reservation] = "confirmed"
                accounts.purchase(held)
            elif status == 409:
                accounts.closed[reservation] = "late"
        elif dice < CONFIRMS + RELEASES and self.ask("release", "POST", f"{path}/release")[0] == 200:
            accounts.closed[reservation] = "released"

    @staticmethod
    def _cart() -> dict[str, int]:
        cart = {sku: random.randint(1, 2) for sku in random.sample(chosen.skus, k=random.randint(1, 2))}
        if chosen.hot and random.random() < HOT_SHARE:
            cart[random.choice(chosen.hot)] = 1
        return cart


def refusal(content: Any) -> list[str]:
    """Why a cart was refused: the reasons of its lines, or the problem."""
    if not isinstance(content, dict):
        return ["unknown"]
    lines = content.get("lines") or []
    return [line["reason"] for line in lines if line.get("reason")] or [str(content.get("type", "unknown"))]


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def say_what_409_means(**_: Any) -> None:
    """A word under the table."""
    print("409 (not enough can be sold) is an outcome here; a failure is an answer that had to be asked for again.")
