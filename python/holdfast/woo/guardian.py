"""The webhooks of a shop, kept as they must be.

Role: see that each topic has its webhook, active, at the right address and with the secret in force. In: the shop. Out:
webhooks made, activated, corrected; what is wrong. Always: webhooks of others are left alone; a shop that ends one is
noticed within a minute, and what was lost meanwhile is found by reading the orders.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import structlog

from holdfast.woo.rest import Shop, ShopError

log = structlog.get_logger(__name__)

TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")
_PAGES_MAX = 50


@dataclass(slots=True)
class WebhookHealth:
    """What was found last. `repaired`: since the process began."""

    active: int = 0
    wrong: list[str] = field(default_factory=list)
    repaired: int = 0
    ended_by_shop: int = 0
    history: deque[str] = field(default_factory=lambda: deque(maxlen=20))


class Guardian:
    """Of one store."""

    def __init__(self, shop: Shop, name: str, delivery_url: str) -> None:
        self._shop = shop
        self._name = f"holdfast {name}"
        self._url = delivery_url
        self._applied = ""
        self.health = WebhookHealth()

    async def watch(self, secret: str) -> int:
        """Look, and correct. How many webhooks were made or changed. Raises ShopError."""
        health = self.health
        if not self._url or not secret:
            health.wrong = [
                "no delivery_url: orders are found by reading the shop alone" if not self._url else "no secret"
            ]
            return 0
        found = [one for one in await self._webhooks() if one.get("delivery_url") == self._url]
        changed = 0
        wrong: list[str] = []
        for topic in TOPICS:
            ours = sorted((one for one in found if one.get("topic") == topic), key=lambda one: str(one.get("status")))
            if not ours:
                await self._make(topic, secret)
                changed += 1
                continue
            for spare in ours[1:]:
                await self._shop.send("DELETE", f"webhooks/{spare['id']}", {"force": "true"})
                changed += 1
            changed += await self._correct(ours[0], secret, wrong)
        health.active = len(TOPICS) - len(wrong)
        health.wrong = wrong
        health.repaired += changed
        self._applied = secret
        return changed

    async def _correct(self, webhook: dict[str, Any], secret: str, wrong: list[str]) -> int:
        number, topic, status = webhook.get("id"), webhook.get("topic"), webhook.get("status")
        change: dict[str, Any] = {}
        if status != "active":
            self.health.ended_by_shop += 1
            self._note(f"{topic}: it was {status}, and is active again")
            change["status"] = "active"
        if secret != self._applied:
            change["secret"] = secret
        if not change:
            return 0
        answer = await self._shop.send("PUT", f"webhooks/{number}", None, change)
        if isinstance(answer.value, dict) and answer.value.get("status") != "active":
            wrong.append(f"{topic}: {answer.value.get('status')}")
        return int("status" in change)

    async def _make(self, topic: str, secret: str) -> None:
        body = {"name": f"{self._name} {topic}", "topic": topic, "delivery_url": self._url, "secret": secret}
        await self._shop.send("POST", "webhooks", None, body | {"status": "active"})
        self._note(f"{topic}: made")

    def _note(self, what: str) -> None:
        self.health.history.append(what)
        log.warning("webhook-corrected", store=self._name, what=what)

    async def _webhooks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for number in range(1, _PAGES_MAX):
            answer = await self._shop.get("webhooks", per_page=100, page=number)
            if not isinstance(answer.value, list):
                raise ShopError("GET webhooks: no list", status=502)
            found += [one for one in answer.value if isinstance(one, dict)]
            if len(answer.value) < 100:
                break
        return found

    async def remove(self) -> int:
        """All that this store has. Raises ShopError."""
        found = [one for one in await self._webhooks() if one.get("delivery_url") == self._url]
        for one in found:
            await self._shop.send("DELETE", f"webhooks/{one['id']}", {"force": "true"})
        return len(found)
