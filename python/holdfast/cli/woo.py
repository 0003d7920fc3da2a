"""`holdfast woo`: connect WooCommerce shops, see how they fare, run the connector.

In: a data directory with its stores; the NATS and the gateway on it. Out: files in DIR/woo, webhooks in the shop,
tables or JSON; exit status 1 where something is left to do or does not work. Always: nothing is written before all that
was given is known to be right; a connector that runs is asked, and never worked beside.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import uvloop
from cyclopts import App, Parameter

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import (
    DONE,
    FOUND_WRONG,
    PATH,
    CouldNotRunError,
    Json,
    remarks,
    results,
    usable_directory,
    write_json,
)
from holdfast.cli.place import HERE, Place, source_of, with_log
from holdfast.cli.settings_options import Config, Data, settings_from, text_of
from holdfast.cli.stopping import until_stopped
from holdfast.cli.woo_view import show_findings, show_reports
from holdfast.client import NO_RETRY, Client
from holdfast.errors import LogError, UnreachableError
from holdfast.gateway.key_file import KeyringError, Operation
from holdfast.gateway.key_store import KeyStore
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import last_of
from holdfast.recovery.verify import endpoint_at
from holdfast.settings.resolve import Resolved
from holdfast.supervisor.record import gateway_of
from holdfast.woo.connecting import Findings, check
from holdfast.woo.connectors import Asked, Connectors
from holdfast.woo.outlets import WooStreams
from holdfast.woo.report import StoreReport, report_of
from holdfast.woo.rest import Shop, ShopError
from holdfast.woo.stores import SECRETS_MAX, Files, Store, StoreError, names_in, rendered

_ANSWER_MS = 5_000
_TIMEOUT_MS = 30_000

Name = Annotated[str, Parameter(help="The store: letters, digits, `_` and `-`.")]

app = App(name="woo", help="Connect WooCommerce shops: orders in, what can be sold out.")


@app.command
def connect(
    name: Name,
    /,
    *,
    url: Annotated[str | None, Parameter(help="The shop's address, such as https://shop.example.com.")] = None,
    channel: Annotated[str | None, Parameter(help="The channel that the shop is; `web` for a new store.")] = None,
    rest_key: Annotated[
        Path | None, PATH, Parameter(help="A file with the shop's consumer key and consumer secret, a line each.")
    ] = None,
    delivery_url: Annotated[
        str | None, Parameter(help="Where the shop reaches this gateway, such as https://stock.example.com.")
    ] = None,
    ships_from: Annotated[
        str | None, Parameter(help="The location that completed orders leave, where no ERP reports shipments.")
    ] = None,
    rotate: Annotated[bool, Parameter(negative="", help="Give the webhooks a new secret.")] = False,
    data: Data = None,
    config: Config = None,
    json: Json = False,
) -> int:
    r"""Connect a shop, or check one that is connected. May be called again and again.

    ```
    holdfast woo connect shop --url https://shop.example.com --rest-key FILE \
        --delivery-url https://stock.example.com --data DIR
    holdfast woo connect shop --data DIR
    ```
    """
    loaded = settings_from(config, {"serve.data": text_of(data)})
    if not loaded.serve.data:
        raise CouldNotRunError("no data directory", "Give --data DIR, or HOLDFAST_DATA.")
    directory = Path(loaded.serve.data)
    with _store_faults(), could_not_run():
        files = Files(directory, name)
        given = {"url": url, "channel": channel, "delivery_url": delivery_url, "ships_from": ships_from}
        store = _store(files, {key: value for key, value in given.items() if value is not None})
        key = _rest_key(files, rest_key)
        usable_directory(directory)
        _write(directory, files, store, key, rotate=rotate)
        found = uvloop.run(_check(directory, name, files, store, key))
    if json:
        write_json(msgspec.to_builtins(found))
    else:
        show_findings(found)
    return DONE if found.is_complete else FOUND_WRONG


def _store(files: Files, given: dict[str, Any]) -> Store:
    """The settings as they will be. Raises StoreError."""
    before: dict[str, Any] = {"channel": "web"}
    if files.settings.exists():
        before = msgspec.to_builtins(files.load_own())
    elif "url" not in given:
        raise StoreError(f"there is no store {files.name!r}: give --url and --rest-key to make it")
    address = given.get("delivery_url", "")
    if address and not address.startswith(("http://", "https://")):
        raise StoreError(f"--delivery-url {address!r} is no address of a gateway, such as https://stock.example.com")
    try:
        return msgspec.convert(before | given, Store)
    except msgspec.ValidationError as fault:
        raise StoreError(f"the store {files.name!r}: {fault}") from fault


def _rest_key(files: Files, file: Path | None) -> tuple[str, str]:
    """From the file that is given, else the one that is there. Raises StoreError."""
    if file is None:
        return files.rest_key()
    found = Files(files.folder.parent, files.name)
    found.rest = file
    return found.rest_key()


def _write(directory: Path, files: Files, store: Store, key: tuple[str, str], *, rotate: bool) -> None:
    """The files of the store. Raises OSError, StoreError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(files.rest, "\n".join([*key, ""]))
    known = files.webhook_secrets()
    if rotate or not known:
        files.write(files.secrets, "\n".join([secrets.token_urlsafe(32), *known][:SECRETS_MAX]) + "\n")
    if files.api_key() is None and not store.gateway:
        _, token = KeyStore(directory).add(
            f"woo-{files.name}-{secrets.token_hex(3)}",
            [Operation.READ, Operation.RESERVE, Operation.ORDER, Operation.FACTS],
            sources=[files.name],
        )
        files.write(files.key, token + "\n")
    files.write(files.settings, rendered(store))


async def _check(directory: Path, name: str, files: Files, store: Store, key: tuple[str, str]) -> Findings:
    running = gateway_of(directory)
    gateway = store.gateway or (running.url if running is not None else "http://127.0.0.1:8080")
    async with (
        Shop(store.url, key, _TIMEOUT_MS) as shop,
        Client(gateway, files.api_key(), retry=NO_RETRY, timeout_s=10) as client,
    ):
        return await check(name, store, shop, client, files.webhook_secrets()[0])


@app.command
def run(
    *,
    store: Annotated[
        list[str] | None, Parameter(consume_multiple=True, negative="", help="These stores alone; without it, all.")
    ] = None,
    place: Place = HERE,
) -> int:
    """Run the connector until it is stopped. `serve --woo` does the same beside the gateway.

    ```
    holdfast woo run --data DIR
    ```
    """
    directory, loaded = place.settings()
    for name in store or names_in(directory):
        with _store_faults():
            Files(directory, name).load()

    async def work() -> None:
        async with endpoint_at(source_of(directory, loaded), loaded.settings) as endpoint:
            connectors = Connectors(directory, loaded.serve.scope, endpoint, loaded.settings, only=tuple(store or ()))
            await until_stopped(connectors.run())

    with could_not_run():
        uvloop.run(work())
    return DONE


@app.command
def status(
    name: Annotated[str | None, Parameter(help="Only this store.")] = None,
    /,
    *,
    place: Place = HERE,
    json: Json = False,
) -> int:
    """Show how the stores fare: lag, backlog, webhooks, the last write, errors.

    ```
    holdfast woo status --data DIR
    ```
    """

    async def read(connection: Connection, found: Resolved, directory: Path) -> list[StoreReport]:
        streams = WooStreams(found.serve.scope)
        reports = []
        for one in [name] if name is not None else names_in(directory):
            try:
                message = await last_of(connection, streams.reports, streams.report(one))
            except LogError:
                message = None  # nothing ever ran
            reports.append((None if message is None else report_of(message[1])) or StoreReport(one, state="never ran"))
        return reports

    if name is not None:
        with _store_faults():
            Files(Path(), name)
    reports = with_log(place, "woo", read)
    late_s = 30.0
    now_s = datetime.now(UTC).timestamp()
    for one in reports:
        if one.state != "never ran" and (one.ended or now_s - one.at_s > late_s):
            one.state = "stopped"
    if json:
        write_json([msgspec.structs.asdict(one) for one in reports])
    elif reports:
        show_reports(reports, now_s)
    else:
        remarks.print("No store is connected. `holdfast woo connect` connects one.")
    return DONE if all(one.state == "working" and not one.webhooks_wrong for one in reports) else FOUND_WRONG


@app.command
def push(
    name: Name,
    /,
    *,
    all_skus: Annotated[
        bool, Parameter(name="--all", negative="", help="Every SKU; needed, for it is a lot of work.")
    ] = False,
    place: Place = HERE,
) -> int:
    """Have the connector compare every figure with the shop, and write what differs.

    ```
    holdfast woo push shop --all --data DIR
    ```
    """
    if not all_skus:
        raise CouldNotRunError("changed figures are written by themselves", "Give --all to compare every SKU.")
    answer = _ask(name, Asked("push-all"), place)
    results.print(f"{answer.get('figures', 0):,} SKUs are compared; `holdfast woo status` shows how far it is.")
    return DONE


@app.command
def backfill(
    name: Name,
    /,
    *,
    since: Annotated[
        str | None,
        Parameter(help="Orders changed at or after this time (ISO 8601); without it, since the last reading."),
    ] = None,
    place: Place = HERE,
) -> int:
    """Have the connector read the shop's orders now.

    ```
    holdfast woo backfill shop --since 2026-11-01T00:00:00Z --data DIR
    ```
    """
    since_s = None if since is None else _seconds(since)
    _ask(name, Asked("backfill", since_s), place)
    results.print("The orders are read; `holdfast woo status` shows up to when.")
    return DONE


def _seconds(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CouldNotRunError(f"--since cannot be {text[:80]!r}", "Write it like 2026-11-27T10:00:00Z.") from error
    return int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp())


def _ask(name: str, asked: Asked, place: Place) -> dict[str, Any]:
    """Ask the connector that runs. Raises CouldNotRunError where none does."""

    async def ask(connection: Connection, found: Resolved, _: Path) -> dict[str, Any]:
        subject = f"hf.{found.serve.scope}.woo.do.{name}"
        try:
            answer = await connection.request(subject, msgspec.json.encode(asked), _ANSWER_MS)
        except UnreachableError as fault:
            raise CouldNotRunError(
                f"no connector of {name!r} runs", "Start it with `holdfast serve --woo` or `holdfast woo run`."
            ) from fault
        value: dict[str, Any] = msgspec.json.decode(answer.data, type=dict[str, Any])
        if "error" in value:
            raise CouldNotRunError(str(value["error"]))
        return value

    with _store_faults():
        Files(Path(), name)
    return with_log(place, "woo", ask)


@contextmanager
def _store_faults() -> Iterator[None]:
    """Turns what is wrong with a store or its shop into a CouldNotRunError."""
    try:
        yield
    except (StoreError, KeyringError) as fault:
        raise CouldNotRunError(str(fault), "docs/woocommerce.md shows how a shop is connected.") from fault
    except ShopError as fault:
        raise CouldNotRunError(str(fault)) from fault
