"""Units held in Redis and in PostgreSQL, as a careful shop would: all lines or none, a repeat held once, dues kept.

In: the address of a server. Out: whether a reservation was made; the units left.
Always: a reservation is one step in the database, so that no two of them can both take the last unit.
"""

import time
from abc import ABC, abstractmethod
from typing import Any, Self

import asyncpg
import orjson
import redis.asyncio as redis

# Connections to the database: what was fastest on two cores. With row locks more were slower for the hot SKU.
REDIS_CONNECTIONS, POSTGRES_CONNECTIONS = 64, 16

# KEYS: the reservation, the set of dues, the counters. ARGV: what is kept, the due, the quantities.
RESERVE_LUA = """
local made = redis.call('GET', KEYS[1])
if made then return 1 end
for index = 3, #KEYS do
  if tonumber(redis.call('GET', KEYS[index]) or '0') < tonumber(ARGV[index]) then return 0 end
end
for index = 3, #KEYS do redis.call('DECRBY', KEYS[index], ARGV[index]) end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[2], KEYS[1])
return 1
"""

SCHEMA = """
CREATE TABLE stock (sku text PRIMARY KEY, units integer NOT NULL CHECK (units >= 0)) WITH (fillfactor = 50);
CREATE TABLE reservation (id text PRIMARY KEY, lines jsonb NOT NULL, due timestamptz NOT NULL);
CREATE INDEX ON reservation (due);
CREATE FUNCTION reserve(wanted_id text, skus text[], quantities integer[], ttl_ms bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM reservation WHERE id = wanted_id) THEN RETURN true; END IF;
  -- In one order for everybody: no two wait for each other.
  PERFORM FROM stock WHERE sku = ANY(skus) ORDER BY sku FOR UPDATE;
  IF (SELECT count(*) FROM unnest(skus, quantities) AS line(sku, quantity)
      JOIN stock USING (sku) WHERE stock.units >= line.quantity) < cardinality(skus) THEN RETURN false; END IF;
  UPDATE stock SET units = units - line.quantity
    FROM unnest(skus, quantities) AS line(sku, quantity) WHERE stock.sku = line.sku;
  INSERT INTO reservation VALUES (wanted_id,
    (SELECT jsonb_agg(jsonb_build_object('sku', line.sku, 'quantity', line.quantity))
     FROM unnest(skus, quantities) AS line(sku, quantity)), now() + ttl_ms * interval '1 millisecond');
  RETURN true;
END $$;
"""


class Store(ABC):
    """Units of SKUs, and reservations that took some."""

    @classmethod
    @abstractmethod
    async def connect(cls, address: str) -> Self:
        """Connected to a server that has the stock."""

    @abstractmethod
    async def reserve(self, reservation: str, lines: list[dict[str, Any]], ttl_ms: int) -> bool:
        """Takes all lines, durably, or none; a repeat changes nothing."""

    @abstractmethod
    async def sellable(self, sku: str) -> int | None:
        """The units left."""

    @abstractmethod
    async def close(self) -> None:
        """Ends the connections."""


class RedisStore(Store):
    """One script for a reservation."""

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        self._script = client.register_script(RESERVE_LUA)

    @classmethod
    async def connect(cls, address: str) -> Self:
        pool = redis.BlockingConnectionPool.from_url(address, max_connections=REDIS_CONNECTIONS, timeout=60)
        return cls(redis.Redis(connection_pool=pool))

    async def reserve(self, reservation: str, lines: list[dict[str, Any]], ttl_ms: int) -> bool:
        keys = [f"reservation:{reservation}", "dues", *(f"stock:{line['sku']}" for line in lines)]
        arguments = [orjson.dumps(lines), int(time.time() * 1_000) + ttl_ms, *(line["quantity"] for line in lines)]
        return bool(await self._script(keys=keys, args=arguments))

    async def sellable(self, sku: str) -> int | None:
        units = await self._client.get(f"stock:{sku}")
        return None if units is None else int(units)

    async def close(self) -> None:
        await self._client.aclose()


class PostgresStore(Store):
    """One function for a reservation; it locks the rows of its SKUs."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, address: str) -> Self:
        return cls(await asyncpg.create_pool(address, min_size=POSTGRES_CONNECTIONS, max_size=POSTGRES_CONNECTIONS))

    async def reserve(self, reservation: str, lines: list[dict[str, Any]], ttl_ms: int) -> bool:
        skus, quantities = [line["sku"] for line in lines], [line["quantity"] for line in lines]
        return bool(await self._pool.fetchval("SELECT reserve($1, $2, $3, $4)", reservation, skus, quantities, ttl_ms))

    async def sellable(self, sku: str) -> int | None:
        units: int | None = await self._pool.fetchval("SELECT units FROM stock WHERE sku = $1", sku)
        return units

    async def close(self) -> None:
        await self._pool.close()
