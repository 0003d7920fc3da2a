"""The books of a real Tryton for interleaved histories, and the people at work in it.

In: a server, a product. Out: what lies there and what is owed, counted by SQL beside the adapter; shipments step by
step and in part, returns, cancellations. Always: see Keeps.
"""

import random

from holdfast.erp.tryton.rest import Record
from tests.support.tryton import People, TrytonServer

_INSIDE = """WITH RECURSIVE inside(id) AS (
  SELECT storage_location FROM stock_location WHERE id IN ({0})
  UNION SELECT output_location FROM stock_location WHERE id IN ({0})
  UNION SELECT one.id FROM stock_location one JOIN inside ON one.parent = inside.id)
"""
_OUT = "JOIN stock_location AS target ON target.id = move.to_location AND target.type = 'customer'"
_OF_SALE = (
    "JOIN sale_line AS line ON move.origin = 'sale.line,' || line.id JOIN sale_sale AS sale ON sale.id = line.sale"
)
_STEPS = {"waiting": "assign", "assigned": "pick", "picked": "pack", "packed": "do"}


class TrytonBooks:
    """Of one product; see Keeps."""

    def __init__(self, server: TrytonServer, people: People, sku: str, choose: random.Random) -> None:
        self._server, self._people, self._choose, self._sku = server, people, choose, sku
        self._product = server.known["products"][sku]
        self.parts: dict[str, int] = {}
        self._back: dict[str, int] = {}
        self.answers = False

    async def begin(self, each: int) -> None:
        """Nothing is open any more, and so many lie at each place."""
        [(output, lyon_output)] = self._server.by_sql(
            "SELECT one.output_location, two.output_location FROM stock_location one, stock_location two "
            f"WHERE one.id = {self._server.known['paris']} AND two.id = {self._server.known['lyon']}"
        )
        for (shipment,) in self._server.by_sql(
            "SELECT DISTINCT substr(shipment, 20) FROM stock_move WHERE shipment LIKE 'stock.shipment.out,%' "
            f"AND state IN ('draft', 'assigned', 'staging') AND product = {self._product}"
        ):
            await self._people.rest.act("stock.shipment.out", int(shipment), "cancel")
        for place in ("storage", "lyon_storage"):
            await self._people.count(self._sku, each, self._server.known[place])
        for zone in (output, lyon_output):
            await self._people.count(self._sku, 0, zone)
        assert (self.lies("paris"), self.lies("lyon"), self.owed()) == (each, each, 0)

    # ---- what is there, by SQL

    def _one(self, statement: str) -> int:
        [(found,)] = self._server.by_sql(statement)
        return int(found or 0)

    def has(self, key: str) -> bool:
        live = self._one(
            f"SELECT count(*) FROM sale_sale WHERE description LIKE 'holdfast:{key}@%' "
            "AND state IN ('processing', 'done')"
        )
        return key in self.parts and live == self.parts[key]

    def _inside(self, *places: str) -> str:
        return _INSIDE.format(", ".join(str(self._server.known[place]) for place in places))

    def lies(self, place: str) -> int:
        return self._one(
            f"{self._inside(place)} SELECT sum(internal_quantity * (CASE WHEN to_location IN (SELECT id FROM inside) "
            "THEN 1 ELSE 0 END - CASE WHEN from_location IN (SELECT id FROM inside) THEN 1 ELSE 0 END)) "
            f"FROM stock_move WHERE product = {self._product} AND state = 'done'"
        )

    def owed(self, key: str | None = None, place: str | None = None) -> int:
        places = ("paris", "lyon") if place is None else (place,)
        of_key = "" if key is None else f"AND sale.description LIKE 'holdfast:{key}@%'"
        return self._one(
            f"{self._inside(*places)} SELECT sum(move.internal_quantity) FROM stock_move AS move {_OUT} {_OF_SALE} "
            f"WHERE move.product = {self._product} AND move.state IN ('draft', 'assigned') {of_key} "
            "AND move.from_location IN (SELECT id FROM inside)"
        )

    def left(self, key: str) -> int:
        return self._one(
            f"SELECT sum(move.internal_quantity) FROM stock_move AS move {_OUT} {_OF_SALE} "
            f"WHERE move.state = 'done' AND sale.description LIKE 'holdfast:{key}@%'"
        )

    def returned(self, key: str) -> int:
        return self._back.get(key, 0)

    def orders_in_it(self) -> list[str]:
        return [key for key in self.parts if self.has(key)]

    # ---- what people do

    async def ship(self, key: str) -> None:
        """A step or several of one of its shipments; sometimes fewer are picked than were wanted."""
        [*open_ones] = [one for one in await self._people.shipments(key) if one["state"] in _STEPS]
        if not open_ones:
            return
        shipment = self._choose.choice(open_ones)
        if shipment["state"] == "waiting" and self._choose.randrange(2):
            await self._pick_fewer(shipment)
        state = shipment["state"]
        while state in _STEPS:
            await self._act(shipment["id"], _STEPS[state])
            state = {"assign": "assigned", "pick": "picked", "pack": "packed", "do": "done"}[_STEPS[state]]
            if self._choose.randrange(4) == 0:
                return

    async def _act(self, shipment: int, step: str) -> None:
        if step == "assign":
            await self._people.rest.act("stock.shipment.out", shipment, "assign_try")
            [found] = await self._people.rest.search("stock.shipment.out", [["id", "=", shipment]], ("state",))
            if found["state"] == "assigned":
                return
            step = "assign_force"
        await self._people.rest.act("stock.shipment.out", shipment, step)

    async def _pick_fewer(self, shipment: Record) -> None:
        domain = [["shipment", "=", f"stock.shipment.out,{shipment['id']}"], ["to_location.type", "=", "storage"]]
        for move in await self._people.rest.search("stock.move", domain, ("quantity", "state")):
            if move["quantity"] > 1 and move["state"] == "draft":
                fewer = float(self._choose.randint(1, int(move["quantity"]) - 1))
                await self._people.rest.write("stock.move", move["id"], {"quantity": fewer})

    async def take_back(self, key: str) -> None:
        left = self.left(key) - self.returned(key)
        if left > 0:
            units = self._choose.randint(1, left)
            await self._people.take_back(key, self._sku, units)
            self._back[key] = self.returned(key) + units

    async def end(self, key: str) -> None:
        for one in await self._people.shipments(key):
            if one["state"] in _STEPS:
                await self._people.rest.act("stock.shipment.out", one["id"], "cancel")
