"""Whether a connection has all that it needs, part by part.

In: its settings, where the gateway and the log are. Out: findings. Always: nothing is changed, and every part is looked
at, whatever the others came to.
"""

import contextlib
from typing import NamedTuple

from holdfast.client import NO_RETRY, Client
from holdfast.client.errors import ClientError, ForbiddenError, InvalidError, NotFoundError
from holdfast.erp.interface import ErpError
from holdfast.erp.made import Place, adapter_of
from holdfast.erp.store import Store, directory_of
from holdfast.errors import LogError, StoreInUseError
from holdfast.nats.connection import Connection
from holdfast.nats.streams import stream_state
from holdfast.settings import ErpSettings, Settings

_PROBE_SKU = "holdfast-check"


class Finding(NamedTuple):
    """What a part is like."""

    part: str
    ok: bool
    what: str


def _right(part: str, what: str) -> Finding:
    return Finding(part, ok=True, what=what)


def _wrong(part: str, what: str) -> Finding:
    return Finding(part, ok=False, what=what)


async def check_connection(name: str, settings: ErpSettings, place: Place, all_settings: Settings) -> list[Finding]:
    """All parts."""
    source = settings.source or name
    found = [await _erp(name, settings, place)]
    found += await _gateway(source, settings, place)
    if settings.orders:
        found.append(await _events(place, all_settings))
    return found


async def _erp(name: str, settings: ErpSettings, place: Place) -> Finding:
    try:
        store = Store(directory_of(place.data, name))
    except StoreInUseError:
        return _right("erp", "the connection runs: `holdfast erp status` says how it goes")
    try:
        erp = adapter_of(name, settings, store)
        await erp.open()
        try:
            said = await erp.describe()
        finally:
            await erp.close()
    except (ErpError, OSError, ValueError) as fault:
        return _wrong("erp", str(fault))
    finally:
        store.close()
    where = f", locations {', '.join(said.locations)}" if said.locations else ""
    return _right("erp", " ".join(part for part in (f"{said.product} {said.version}".strip() + where, *said.remarks)))


async def _gateway(source: str, settings: ErpSettings, place: Place) -> list[Finding]:
    url = settings.gateway or place.gateway
    probe = {"kind": "order.ack", "reservation": _PROBE_SKU, "as_of": 0}
    try:
        async with Client(url, settings.key or None, retry=NO_RETRY) as client:
            with contextlib.suppress(InvalidError):  # it may name the source, and that is the question
                await client.facts(source, [probe], dry_run=True)
            taken = _right("gateway", f"{url} takes facts of {source}")
            return [taken, await _reading(client)] if settings.orders else [taken]
    except ClientError as fault:
        return [_wrong("gateway", str(fault))]


async def _reading(client: Client) -> Finding:
    """Where events are missing, orders are listed. Raises ClientError."""
    try:
        await client.reservation(_PROBE_SKU)
    except NotFoundError:
        pass
    except ForbiddenError as fault:
        return _wrong("orders", f"{fault}; orders that events do not name are read from the gateway")
    return _right("orders", "the key may read them")


async def _events(place: Place, settings: Settings) -> Finding:
    if place.endpoint is None:
        return _wrong("events", "no log runs here")
    connection = Connection(place.endpoint, settings.log, "holdfast erp check")
    try:
        await connection.open()
        state = await stream_state(connection, f"HF_{place.scope}_OUT")
    except LogError as fault:
        return _wrong("events", f"{fault}; `publisher.enabled` makes events")
    finally:
        await connection.close()
    return _right("events", f"{state.messages:,} events, the last is {state.last_sequence}")
