"""The lists of what a gateway has stored, as calls of the client.

In: filters. Out: entries one by one, or whole pages. Always: the next page is asked for when the one before is used
up; data may change meanwhile, and an entry that stood all the time is given once.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from holdfast.client.parts import query_of, reader, segment
from holdfast.client.transport import Transport
from holdfast.contracts import listings
from holdfast.contracts.answers import Reservation

EntryT = TypeVar("EntryT")
Send = Callable[[str, str], Awaitable[tuple[int, bytes]]]

LIMIT = 1_000
"""Entries of a page where the caller names no number: as many as there may be."""


class Entries(Generic[EntryT]):
    """A list: `async for entry in client.skus()` gives all entries, `pages()` whole pages, `page(after)` one."""

    def __init__(
        self, send: Send, name: str, read: Callable[[bytes], listings.Page[EntryT]], **filters: str | None
    ) -> None:
        self._send = send
        self._name = name
        self._read = read
        self._filters = filters

    async def page(self, after: str | None = None, limit: int = LIMIT) -> listings.Page[EntryT]:
        """One page. `after`: `next` of the page before; `limit`: 1 to 1,000."""
        query = query_of(after=after, limit=limit, **self._filters)
        return self._read((await self._send("GET", f"/v1/{self._name}{query}"))[1])

    async def pages(self, limit: int = LIMIT) -> AsyncIterator[listings.Page[EntryT]]:
        """All pages, each of at most `limit` entries; one may be empty and not the last."""
        after: str | None = None
        while True:
            page = await self.page(after, limit)
            yield page
            after = page.next
            if after is None:
                return

    async def __aiter__(self) -> AsyncIterator[EntryT]:
        async for page in self.pages():
            for entry in page.items:
                yield entry


_skus = reader(listings.Skus)
_locations = reader(listings.Locations)
_channels = reader(listings.Channels)
_policies = reader(listings.Policies)
_supplies = reader(listings.Supplies)
_demands = reader(listings.Demands)
_reservations = reader(listings.Reservations)
_sources = reader(listings.Sources)
_deficits = reader(listings.Deficits)
_anomalies = reader(listings.Anomalies)
_sku = reader(listings.SkuRecord)


class Lists:
    """What a Client can read back. Each list is an `Entries`."""

    transport: Transport

    def skus(self) -> Entries[listings.SkuEntry]:
        """SKUs, in the order in which they were first named."""
        return Entries(self.transport.send, "skus", _skus)

    async def sku(self, sku: str) -> listings.SkuRecord:
        """One SKU, by its name or an alias: its item, what each location has of it, the rules that apply."""
        return _sku((await self.transport.send("GET", f"/v1/skus/{segment(sku)}"))[1])

    def locations(self) -> Entries[listings.LocationEntry]:
        """Locations, and who owns their levels."""
        return Entries(self.transport.send, "locations", _locations)

    def channels(self) -> Entries[listings.ChannelEntry]:
        """Channels that the key may see."""
        return Entries(self.transport.send, "channels", _channels)

    def rules(
        self, *, kind: str | None = None, sku: str | None = None, channel: str | None = None
    ) -> Entries[listings.PolicyEntry]:
        """Rules in force (`policies` sends some). With a SKU or channel: those that apply to it."""
        return Entries(self.transport.send, "policies", _policies, kind=kind, sku=sku, channel=channel)

    def supplies(
        self, *, sku: str | None = None, location: str | None = None, status: str | None = None
    ) -> Entries[listings.SupplyEntry]:
        """Lines of incoming stock."""
        return Entries(self.transport.send, "supplies", _supplies, sku=sku, location=location, status=status)

    def demands(self, *, sku: str | None = None) -> Entries[listings.DemandEntry]:
        """What is owed outside of reservations."""
        return Entries(self.transport.send, "demands", _demands, sku=sku)

    def reservations(
        self,
        *,
        order_ref: str | None = None,
        owner: str | None = None,
        sku: str | None = None,
        channel: str | None = None,
        state: str | None = None,
    ) -> Entries[Reservation]:
        """Reservations of the channels that the key may see; closed ones while they are remembered."""
        given = {"order_ref": order_ref, "owner": owner, "sku": sku, "channel": channel, "state": state}
        return Entries(self.transport.send, "reservations", _reservations, **given)

    def deficits(self, *, sku: str | None = None, channel: str | None = None) -> Entries[listings.DeficitEntry]:
        """Live reservations of which no stock, supply or policy covers some units any more."""
        return Entries(self.transport.send, "deficits", _deficits, sku=sku, channel=channel)

    def anomalies(self, *, sku: str | None = None, kind: str | None = None) -> Entries[listings.AnomalyEntry]:
        """Facts that came to nothing, or to something unexpected: the newest of each kind, in the order of LOG."""
        return Entries(self.transport.send, "anomalies", _anomalies, sku=sku, kind=kind)

    def sources(self) -> Entries[listings.SourceEntry]:
        """Sources of facts: the locations that they own, and how old their newest fact is."""
        return Entries(self.transport.send, "sources", _sources)
