"""`holdfast keys`: make, list, renew and end API keys.

In: a data directory. Out: DIR/keys.json, and a new key's secret on stdout, this once.
Always: a running gateway applies a change within a second, without a restart; what cannot be a key is refused before
anything is written.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from rich.table import Table

from holdfast.cli.console import (
    DONE,
    CouldNotRunError,
    Json,
    existing_directory,
    print_whole,
    remarks,
    results,
    usable_directory,
    write_json,
)
from holdfast.cli.settings_options import Data, settings_from, text_of
from holdfast.gateway.key_file import (
    DURATION_S_MAX,
    OPERATION_MEANINGS,
    RATE_PER_S_MAX,
    RATE_PER_S_MIN,
    KeyringError,
    Operation,
    StoredKey,
)
from holdfast.gateway.key_store import KeyStore, Names, Rights, check_name
from holdfast.gateway.key_use import last_used

_MEANINGS = "; ".join(f"{operation}: {meaning}" for operation, meaning in OPERATION_MEANINGS.items())
SHOP = (Operation.READ, Operation.RESERVE, Operation.ORDER)
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Which = Annotated[str, Parameter(help="The key's id or name.")]
Operations = Annotated[
    list[str] | None,
    Parameter(
        consume_multiple=True,
        negative="",
        help=f"What the key may do; `all` for all; without it what a shop needs ({' '.join(SHOP)}). {_MEANINGS}.",
    ),
]
Channels = Annotated[
    list[str] | None,
    Parameter(consume_multiple=True, negative="", help="The channels that the key is for; without it, all."),
]
Sources = Annotated[
    list[str] | None,
    Parameter(
        name="--source",
        consume_multiple=True,
        negative="",
        help="In whose name the key may send facts, such as `acme`; `*` for every source. A key with `facts` needs it.",
    ),
]
Locations = Annotated[
    list[str] | None,
    Parameter(
        name="--location",
        consume_multiple=True,
        negative="",
        help="The locations that its facts may be about; without it, all. For the key of one store or warehouse.",
    ),
]
Rate = Annotated[
    float | None,
    Parameter(
        help=f"Most requests a second, {RATE_PER_S_MIN} to {RATE_PER_S_MAX:,.0f}; beyond: 429. Each reservation of a "
        "batch, fact of a body and SKU of a list counts. No limit without."
    ),
]
Rates = Annotated[
    list[str] | None,
    Parameter(
        name="--rate",
        consume_multiple=True,
        negative="",
        help="The same for single operations, within --rate-per-s: `read=100 order=5`.",
    ),
]
Expires = Annotated[
    str | None, Parameter(help="When it ends: a time such as 2027-01-31T00:00:00Z, or a duration such as 90d.")
]

app = App(name="keys", help="Make, list, renew and end API keys. A running gateway applies changes within a second.")


@app.command
def add(
    name: Annotated[str, Parameter(help="Who will use it, such as `shop-fr`.")],
    /,
    *,
    data: Data = None,
    operations: Operations = None,
    channels: Channels = None,
    source: Sources = None,
    location: Locations = None,
    expires: Expires = None,
    rate_per_s: Rate = None,
    rate: Rates = None,
    json: Json = False,
) -> int:
    """Make a key and print its secret, which is not shown again.

    ```
    holdfast keys add shop-fr --operations read reserve order --channels web --data DIR
    holdfast keys add erp --operations facts --source acme --expires 365d --data DIR
    holdfast keys add store-7 --operations facts --source pos --location store-7 --data DIR
    ```
    """
    ends = _moment(expires) if expires is not None else None
    chosen = _operations(operations or list(SHOP))
    if source is None and Operation.FACTS in chosen and "all" not in (operations or ()):
        raise CouldNotRunError(
            "a key that sends facts needs the sources in whose name it sends",
            "Name them with --source, as in its bodies and subjects; --source '*' allows every source.",
        )
    rights = Rights(chosen, _names(channels), _names(source), _names(location), ends, rate_per_s, _rates(rate))
    directory = _directory(data)
    with _could_not_run():
        check_name(name)
        rights = rights.checked()
        usable_directory(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, token = KeyStore(directory).add(name, **rights.stored())
    return _show_new(key, token, as_json=json)


@app.command
def change(
    which: Which,
    /,
    *,
    data: Data = None,
    operations: Operations = None,
    channels: Channels = None,
    source: Sources = None,
    location: Locations = None,
    expires: Expires = None,
    rate_per_s: Rate = None,
    rate: Rates = None,
    json: Json = False,
) -> int:
    """Give a key other rights. Its secret stays; what no option names stays, too.

    ```
    holdfast keys change erp --source acme --data DIR
    holdfast keys change erp --operations facts policies --source acme --data DIR
    ```
    """
    given: dict[str, Any] = {
        "operations": None if operations is None else _operations(operations),
        "channels": None if channels is None else _names(channels),
        "sources": None if source is None else _names(source),
        "locations": None if location is None else _names(location),
        "expires": None if expires is None else _moment(expires),
        "rate_per_s": rate_per_s,
        "rates": None if rate is None else _rates(rate),
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise CouldNotRunError("nothing to change", "Name what the key may do from now on; see --help.")
    with _could_not_run():
        key = KeyStore(existing_directory(_directory(data))).change(which, changes)
    if json:
        write_json(_described(key, datetime.now(UTC)))
    else:
        results.print(f"{key.id} {key.name}: {_rights_of(key)}", markup=False)
    return DONE


@app.command(name="list")
def list_keys(*, data: Data = None, json: Json = False) -> int:
    """Show the keys, without their secrets."""
    now = datetime.now(UTC)
    directory = existing_directory(_directory(data))
    with _could_not_run():
        keys = KeyStore(directory).stored()
    used = last_used(directory)
    if json:
        write_json([_described(key, now) | {"last_used": used.get(key.id)} for key in keys])
        return DONE
    table = Table(
        "id", "name", "state", "operations", "channels", "sources", "locations", "rate", "made", "used", "ends"
    )
    for key in keys:
        ends = key.revoked or key.expires
        table.add_row(
            key.id,
            key.name,
            key.state(now),
            " ".join(key.operations),
            _listed(key.channels),
            *((_listed(key.sources), _listed(key.locations)) if Operation.FACTS in key.operations else ("", "")),
            _rates_of(key),
            f"{key.created:%Y-%m-%d %H:%M}",
            f"{used[key.id]:%Y-%m-%d %H:%M}" if key.id in used else "",
            f"{ends:%Y-%m-%d %H:%M}" if ends is not None else "",
        )
    print_whole(table)
    if not keys:
        remarks.print(
            f"No keys yet. Make one: holdfast keys add NAME --operations all --data {directory}", markup=False
        )
    return DONE


@app.command
def revoke(which: Which, /, *, data: Data = None, json: Json = False) -> int:
    """End a key now."""
    now = datetime.now(UTC)
    with _could_not_run():
        ended = KeyStore(existing_directory(_directory(data))).revoke(which)
    if json:
        write_json([_described(key, now) for key in ended])
    else:
        for key in ended:
            results.print(f"{key.id} {key.name}: revoked", markup=False)
    return DONE


@app.command
def rotate(
    which: Which,
    /,
    *,
    data: Data = None,
    overlap: Annotated[
        str, Parameter(help="How long the old secret still works, such as 24h; 0s ends it now.")
    ] = "24h",
    json: Json = False,
) -> int:
    """Make a new secret for a key and print it; the old one works for a while longer."""
    duration = _duration(overlap)
    if duration is None:
        raise CouldNotRunError(f"--overlap {overlap!r} is not a duration; write 30m, 24h or 7d")
    with _could_not_run():
        key, token = KeyStore(existing_directory(_directory(data))).rotate(which, overlap_s=duration.total_seconds())
    return _show_new(key, token, as_json=json)


def _directory(data: Path | None) -> Path:
    """As the other verbs find it. Raises CouldNotRunError."""
    named = settings_from(None, {"serve.data": text_of(data)}).serve.data
    if not named:
        raise CouldNotRunError("no data directory", "Give --data DIR or HOLDFAST_DATA.")
    return Path(named)


@contextmanager
def _could_not_run() -> Iterator[None]:
    try:
        yield
    except KeyringError as error:
        raise CouldNotRunError(str(error)) from error


def _operations(given: Sequence[str]) -> list[Operation]:
    names = [name for part in given for name in part.split(",") if name]
    if "all" in names:
        return list(Operation)
    try:
        return [Operation(name) for name in names]
    except ValueError as error:
        raise CouldNotRunError(f"{error}", f"The operations are: {', '.join(Operation)}, or all.") from error


def _rates(given: Sequence[str] | None) -> dict[Operation, float]:
    found = {}
    for part in given or ():
        name, _, rate = part.partition("=")
        try:
            found[_operations([name])[0]] = float(rate)
        except (ValueError, IndexError) as error:
            raise CouldNotRunError(f"--rate {part!r} is no rate of an operation", "Write read=100.") from error
    return found


def _rates_of(key: StoredKey) -> str:
    of_key = [f"{key.rate_per_s:g}/s"] if key.rate_per_s is not None else []
    return " ".join(of_key + [f"{operation} {rate:g}/s" for operation, rate in key.rates.items()])


def _listed(names: Names) -> str:
    return names if isinstance(names, str) else " ".join(names)


def _rights_of(key: StoredKey) -> str:
    said = f"{' '.join(key.operations)}; channels {_listed(key.channels)}"
    if Operation.FACTS in key.operations:
        said += f"; sources {_listed(key.sources)}; locations {_listed(key.locations)}"
    return said


def _names(given: list[str] | None) -> Names:
    names = [name for part in given or ["*"] for name in part.split(",") if name]
    return "*" if "*" in names else names


def _moment(text: str) -> datetime:
    duration = _duration(text)
    if duration is not None:
        return datetime.now(UTC) + duration
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CouldNotRunError(
            f"--expires {text!r} is neither a time nor a duration", "Write 2027-01-31T00:00:00Z, or 90d, 12h, 30m."
        ) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _duration(text: str) -> timedelta | None:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in _UNITS):
        return None
    seconds = int(number) * _UNITS[unit] if len(number) <= 12 else DURATION_S_MAX + 1
    if seconds > DURATION_S_MAX:
        raise CouldNotRunError(f"{text} is too long", "Write at most 36525d.")
    return timedelta(seconds=seconds)


def _described(key: StoredKey, now: datetime) -> dict[str, object]:
    shown: dict[str, object] = msgspec.to_builtins(key)
    del shown["secret_sha256"]
    bounds = {"channels": key.channels, "sources": key.sources, "locations": key.locations}
    return {**shown, **bounds, "state": key.state(now)}


def _show_new(key: StoredKey, token: str, *, as_json: bool) -> int:
    if as_json:
        write_json({**_described(key, datetime.now(UTC)), "key": token})
        return DONE
    results.print(token, markup=False)
    remarks.print(
        f"Key {key.id} for {key.name!r}. This is the only time that its secret is shown; send it as\n"
        f"  Authorization: Bearer {token[: token.index('_') + 4]}...",
        markup=False,
    )
    return DONE
