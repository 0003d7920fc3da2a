"""Webhooks with WooCommerce's timing.

In: the model's events. Out: deliveries over HTTP/1.0-like POSTs, signed. Always: one action waits for each webhook and
order; the payload is built when it is delivered; a failure is not tried again, and the seventh in a row ends the
webhook; while it is ended nothing is collected.
"""

import asyncio
import hashlib
import json
import random
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp

from holdfast.woo.intake import signature_of
from tests.support.woo_store.model import Model

FAILURES_MAX = 5  # more than so many count up; the next one ends it
SUCCESS = {*range(200, 300), 301, 302}


@dataclass
class Webhook:
    id: int
    topic: str
    url: str
    secret: str
    name: str = ""
    status: str = "active"
    failures: int = 0

    def payload(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "topic": self.topic, "delivery_url": self.url, "status": self.status}


@dataclass
class Weather:
    """How deliveries fare, as shares from 0 to 1."""

    lost: float = 0.0
    doubled: float = 0.0
    shuffled: bool = False
    delay_s: float = 0.0


@dataclass
class Webhooks:
    model: Model
    weather: Weather = field(default_factory=Weather)
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    all: dict[int, Webhook] = field(default_factory=dict)
    pending: dict[tuple[int, int], None] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    _ids: Any = field(default_factory=lambda: count(1))

    def make(self, topic: str, url: str, secret: str, name: str = "") -> Webhook:
        made = Webhook(next(self._ids), topic, url, secret, name)
        self.all[made.id] = made
        return made

    async def ping(self, webhook: Webhook) -> int:
        """Unsigned, as a form."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.post(webhook.url, data=f"webhook_id={webhook.id}".encode()) as answer:
                    return answer.status
            except aiohttp.ClientError:
                return 0

    def collect(self) -> None:
        """At the end of a request of PHP: what happened becomes actions, unless the same action waits already."""
        for topic, order in self.model.events:
            for webhook in self.all.values():
                if webhook.topic == topic and webhook.status == "active":
                    self.pending.setdefault((webhook.id, order), None)
        self.model.events.clear()

    async def run_queue(self) -> int:
        """One run of the action scheduler: all that waits, in batches. How many were delivered."""
        self.collect()
        waiting, self.pending = list(self.pending), {}
        if self.weather.shuffled:
            self.chance.shuffle(waiting)
        if self.weather.delay_s:
            await asyncio.sleep(self.weather.delay_s)
        done = 0
        async with aiohttp.ClientSession() as session:
            for number, order in waiting:
                webhook = self.all.get(number)
                if webhook is None or webhook.status != "active" or self.chance.random() < self.weather.lost:
                    continue
                for _ in range(2 if self.chance.random() < self.weather.doubled else 1):
                    done += await self._deliver(session, webhook, order)
        return done

    def body(self, webhook: Webhook, order: int) -> bytes:
        found = self.model.orders.get(order)
        if webhook.topic == "order.deleted" or found is None:
            return json.dumps({"id": order}).encode()
        return json.dumps(self.model.payload(found)).encode()

    async def _deliver(self, session: aiohttp.ClientSession, webhook: Webhook, order: int) -> int:
        body = self.body(webhook, order)
        delivery = hashlib.md5(f"{webhook.id}{int(self.model.clock())}".encode()).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-WC-Webhook-Topic": webhook.topic,
            "X-WC-Webhook-Signature": signature_of(body, webhook.secret),
            "X-WC-Webhook-ID": str(webhook.id),
            "X-WC-Webhook-Delivery-ID": delivery,
        }
        try:
            async with session.post(webhook.url, data=body, headers=headers, allow_redirects=False) as answer:
                status = answer.status
        except aiohttp.ClientError:
            status = 0
        self.statuses.append(status)
        if status in SUCCESS:
            webhook.failures = 0
            return 1
        webhook.failures += 1
        if webhook.failures > FAILURES_MAX + 1:  # the seventh
            webhook.status = "disabled"
        return 0
