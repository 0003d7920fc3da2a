"""Connecting a shop: what must be right on both sides, one check after another.

Role: `holdfast woo connect`. In: a store's files; the shop; the gateway. Out: what is right, what was done, and what is
left to do. Always: a check that cannot be made says so and stops no other; nothing of the shop's products is changed.
"""

from dataclasses import dataclass, field
from typing import Literal

from yarl import URL

from holdfast.client import Client, ClientError
from holdfast.woo.about import describe
from holdfast.woo.connector import delivery_url
from holdfast.woo.guardian import TOPICS, Guardian
from holdfast.woo.mapping import ASKED_MAX, Found, Mapping
from holdfast.woo.rest import Shop, ShopError
from holdfast.woo.stores import Store

Outcome = Literal["right", "done", "left"]

OLDEST = (7, 9)
_CALLED_PORTS = (80, 443, 8080)
_SKUS_MAX = 20_000
_LISTED = 10


@dataclass(slots=True)
class Findings:
    """`lines`: outcome and text, in the order in which they were found."""

    lines: list[tuple[Outcome, str]] = field(default_factory=list)
    mapped: Found = field(default_factory=Found)

    def right(self, text: str) -> None:
        """As it must be."""
        self.lines.append(("right", text))

    def done(self, text: str) -> None:
        """It was put right."""
        self.lines.append(("done", text))

    def left(self, text: str) -> None:
        """Somebody has to do this."""
        self.lines.append(("left", text))

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return all(outcome != "left" for outcome, _ in self.lines)


async def check(name: str, store: Store, shop: Shop, client: Client, secret: str) -> Findings:
    """All checks. Raises ShopError where the shop does not answer at all as a shop."""
    found = Findings()
    await _reach(store, shop, found)
    await _webhooks(name, store, shop, found, secret)
    skus = await _gateway(store, client, found)
    if skus:
        await _map(shop, found, skus)
    return found


async def _reach(store: Store, shop: Shop, found: Findings) -> None:
    """Address, permalinks, key, version."""
    try:
        await shop.get("orders", per_page=1, _fields="id")
    except ShopError as fault:
        raise ShopError(f"{fault}. {_advice(fault)}", status=fault.status or 502, code=fault.code) from fault
    if store.url.startswith("https://"):
        found.right("the shop answers over HTTPS, and the key may read its orders")
    else:
        found.right("the shop answers, and the key may read its orders; over plain HTTP each request is signed")
        found.left("orders and stock go over plain HTTP: give the shop HTTPS, unless it is on this machine or network")
    about = await describe(shop)
    version = str(about.get("woocommerce") or "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if not numbers:
        found.left("the version of WooCommerce is not known: the key must be one of a shop manager")
    elif numbers < OLDEST:
        found.left(
            f"WooCommerce {version} is older than {OLDEST[0]}.{OLDEST[1]}, the oldest that is supported: update it"
        )
    else:
        found.right(f"WooCommerce {version}, WordPress {about.get('wordpress') or 'of unknown version'}")
    if about.get("plugin_version"):
        found.right(f"the plugin is there, version {about['plugin_version']}")
        if not about.get("writes_stock"):
            found.left("WooCommerce moves its own stock beside holdfast: let the plugin end that in its settings")
    else:
        found.left("the plugin is not there: checkouts do not reserve, and WooCommerce moves its own stock, too")


def _advice(fault: ShopError) -> str:
    if fault.status == 404:
        return "Set permalinks to anything but Plain (Settings, Permalinks), and check the address"
    if fault.status in {401, 403}:
        return (
            "Make a key with the permission Read/Write for a shop manager (WooCommerce, Settings, Advanced, REST API)"
        )
    if 300 <= fault.status < 400:
        return "Give the address to which it redirects"
    return "Check that the address is the shop's, and that this machine reaches it"


async def _webhooks(name: str, store: Store, shop: Shop, found: Findings, secret: str) -> None:
    url = delivery_url(store, name)
    if not url:
        found.left("no --delivery-url: orders are found by reading the shop alone, every few minutes")
        return
    port, own = URL(url).port, URL(store.url).port
    if port not in {*_CALLED_PORTS, own}:
        found.left(f"WordPress calls ports 80, 443 and 8080 alone, and never {port}: put a proxy before the gateway")
    guardian = Guardian(shop, name, url)
    try:
        changed = await guardian.watch(secret)
    except ShopError as fault:
        found.left(f"webhooks cannot be made ({fault}): the key needs the permission Read/Write")
        return
    if guardian.health.wrong:
        found.left(f"webhooks: {'; '.join(guardian.health.wrong)}")
    elif changed:
        found.done(f"{changed} webhooks were made or corrected, to {url}")
    else:
        found.right(f"{len(TOPICS)} webhooks deliver to {url}")


async def _gateway(store: Store, client: Client, found: Findings) -> list[str]:
    """What holdfast knows of the channel, and the SKUs that it has."""
    try:
        channels = {one.channel: one async for one in client.channels()}
        skus = [one.sku async for one in client.skus()]
    except ClientError as fault:
        found.left(f"the gateway was not asked ({fault}): connect again while `holdfast serve` runs")
        return []
    channel = channels.get(store.channel)
    if channel is None or not channel.declared:
        found.left(f"the channel {store.channel!r} is not declared: send a `channel` fact with a `buffer` (0 is one)")
    elif channel.buffer is None:
        found.left(f"the channel {store.channel!r} states no `buffer`, so no figure of it is published (0 is one)")
    else:
        found.right(f"the channel {store.channel!r} publishes its figures")
    if not skus:
        found.left("holdfast knows no SKU yet: import levels, or connect the ERP")
    return skus


async def _map(shop: Shop, found: Findings, skus: list[str]) -> None:
    """Which product each SKU is."""
    mapping = Mapping(shop)
    whole = found.mapped
    for at in range(0, min(len(skus), _SKUS_MAX), ASKED_MAX):
        try:
            part = await mapping.find(skus[at : at + ASKED_MAX])
        except ShopError as fault:
            found.left(f"the products were not read to the end ({fault})")
            break
        whole.places |= part.places
        whole.missing |= part.missing
        whole.double |= part.double
        whole.unaskable |= part.unaskable
        whole.at_parent |= part.at_parent
    found.right(f"{len(whole.places):,} of {len(skus):,} SKUs are products or variations of the shop")
    if len(skus) > _SKUS_MAX:
        found.right(f"the first {_SKUS_MAX:,} SKUs were looked up; `holdfast woo status` shows what cannot be written")
    if whole.missing:
        found.left(f"{len(whole.missing):,} SKUs are no product of the shop: {_some(whole.missing)}")
    if whole.double:
        found.left(f"{len(whole.double):,} SKUs are several products, and are not written: {_some(whole.double)}")
    if whole.unaskable:
        found.left(f"{len(whole.unaskable):,} SKUs cannot be looked up without the plugin: {_some(whole.unaskable)}")
    if whole.at_parent:
        found.right(
            f"{len(whole.at_parent):,} variations have their stock at the parent, which gets the sum: "
            f"{_some(whole.at_parent)}"
        )


def _some(names: object) -> str:
    listed = sorted(str(one) for one in names)  # type: ignore[attr-defined]
    more = f" and {len(listed) - _LISTED:,} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more
