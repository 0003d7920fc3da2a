"""Shoppers, as their browsers talk to the shop: each with its own cart and cookies, on either checkout.

In: a shop's URL. Out: what the shop answered to a checkout.
Always: plain HTTP requests that WooCommerce's own pages would send, no shortcut.
"""

import re
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import aiohttp

ADDRESS = {
    "first_name": "Ada",
    "last_name": "Shopper",
    "address_1": "1 Main Street",
    "city": "Lyon",
    "postcode": "69001",
    "country": "FR",
    "email": "ada@example.com",
    "phone": "0400000000",
}
TIMEOUT = aiohttp.ClientTimeout(total=120)


@dataclass
class Placed:
    """What became of a checkout."""

    ok: bool
    order: int
    words: str
    status: int
    redirect: str = ""


class Shopper:
    """One browser."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.CookieJar(unsafe=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def get(self, path: str) -> str:
        """A page."""
        async with self.http.get(self.url + path) as answer:
            return await answer.text()

    async def add(self, product: int, quantity: int = 1) -> str:
        """Put into the cart from the shop's pages; the page that came."""
        return await self.get(f"/?add-to-cart={product}&quantity={quantity}")

    async def open_classic(self, page: str = "/classic-checkout/") -> str:
        """The checkout's page; its nonce."""
        text = await self.get(page)
        found = re.search(r'name="woocommerce-process-checkout-nonce" value="(\w+)"', text)
        assert found, words_of(text)[-1500:]
        return found[1]

    async def pay_classic(self, nonce: str, method: str = "cod", **more: str) -> Placed:
        """`Place order` of the classic checkout."""
        form = {f"billing_{name}": value for name, value in ADDRESS.items()}
        form |= {
            "payment_method": method,
            "woocommerce-process-checkout-nonce": nonce,
            "_wp_http_referer": "/classic-checkout/",
        }
        async with self.http.post(self.url + "/?wc-ajax=checkout", data=form | more) as answer:
            text = await answer.text()
            assert answer.status == 200, text[:2000]
            found: dict[str, Any] = await answer.json(content_type=None)
        redirect = str(found.get("redirect", ""))
        return Placed(
            found["result"] == "success", _order_of(redirect), words_of(found.get("messages", "")), 200, redirect
        )

    async def classic(self, product: int, quantity: int = 1, method: str = "cod") -> Placed:
        """From the product to the order."""
        await self.add(product, quantity)
        return await self.pay_classic(await self.open_classic(), method)

    async def store(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """A request to the Store API, with the nonce of the last answer."""
        if not hasattr(self, "nonce"):
            async with self.http.get(self.url + "/wp-json/wc/store/v1/cart") as answer:
                self.nonce = answer.headers["Nonce"]
        headers = {"Nonce": self.nonce}
        async with self.http.request(
            method, f"{self.url}/wp-json/wc/store/v1{path}", json=body, headers=headers
        ) as answer:
            self.nonce = answer.headers.get("Nonce", self.nonce)
            return answer.status, await answer.json(content_type=None)

    async def add_block(self, product: int, quantity: int = 1) -> Any:
        """Put into the cart as blocks do."""
        status, cart = await self.store("POST", "/cart/add-item", {"id": product, "quantity": quantity})
        assert status == 201, cart
        return cart

    async def pay_block(self, method: str = "cod") -> Placed:
        """`Place order` of the block checkout."""
        status, found = await self.store("POST", "/checkout", {"billing_address": ADDRESS, "payment_method": method})
        return _placed_block(status, found)

    async def block(self, product: int, quantity: int = 1, method: str = "cod") -> Placed:
        """From the product to the order."""
        await self.add_block(product, quantity)
        await self.store("GET", "/checkout")
        return await self.pay_block(method)

    async def pay_order(self, order: int, key: str, method: str = "cod") -> str:
        """The classic pay page of an order: where the shop led to, or its page with what it said."""
        path = f"/classic-checkout/order-pay/{order}/?pay_for_order=true&key={key}"
        text = await self.get(path)
        found = re.search(r'name="woocommerce-pay-nonce" value="(\w+)"', text)
        if not found:
            return words_of(text)
        form = {
            "woocommerce_pay": "1",
            "payment_method": method,
            "woocommerce-pay-nonce": found[1],
            "_wp_http_referer": path,
        }
        async with self.http.post(self.url + path, data=form, allow_redirects=False) as answer:
            return answer.headers.get("Location") or words_of(await answer.text())

    async def pay_order_block(self, order: int, key: str, method: str = "cod") -> Placed:
        """The pay page of blocks."""
        body = {"key": key, "billing_email": ADDRESS["email"], "billing_address": ADDRESS, "payment_method": method}
        status, found = await self.store("POST", f"/checkout/{order}", body | {"shipping_address": ADDRESS})
        return _placed_block(status, found)


def _placed_block(status: int, found: Any) -> Placed:
    ok = status == 200 and found.get("payment_result", {}).get("payment_status") == "success"
    redirect = found.get("payment_result", {}).get("redirect_url", "") if status == 200 else ""
    return Placed(ok, int(found.get("order_id") or 0), str(found.get("message", "")), status, redirect)


def _order_of(redirect: str) -> int:
    parts = urlsplit(redirect)
    paying = parse_qs(parts.query).get("paying")
    received = re.search(r"order-received[/=](\d+)", redirect)
    return int(paying[0]) if paying else int(received[1]) if received else 0


def words_of(page: str) -> str:
    """The text of a page or of notices."""
    without = re.sub(r"(?s)<(script|style)\b.*?</\1>", " ", page)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without)).strip()
