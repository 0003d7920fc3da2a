"""`holdfast nats-user`: make, list and end users of the embedded nats-server.

In: a data directory. Out: DIR/nats/users/NAME.nk, which holds the user's secret. Always: no secret is shown; a running
server applies a change within a second, and disconnects who was removed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from holdfast.cli.console import (
    DONE,
    CouldNotRunError,
    Json,
    existing_directory,
    print_whole,
    reason_of,
    remarks,
    results,
    usable_directory,
    write_json,
)
from holdfast.cli.settings_options import Config, Data, Nats, settings_from, text_of
from holdfast.nats_server.accounts import inbox_of, role_of
from holdfast.nats_server.users import LASTING, Users, users_of

Name = Annotated[
    str,
    Parameter(help="A source like `erp.acme` or `woo.shop`; a person: `operator`, `reader`, or like `operator-anna`."),
]

app = App(
    name="nats-user",
    help="Make, list and end users of the own nats-server. A running server applies changes within a second.",
)


@app.command
def add(name: Name, /, *, data: Data = None, nats: Nats = None, config: Config = None) -> int:
    """Make a user. Its secret is the seed of an nkey, in a file that every NATS client takes.

    ```
    holdfast nats-user add erp.acme --data DIR
    holdfast nats-context --user erp.acme --name acme --data DIR
    ```
    """
    with _could_not_run():
        role_of(name)
        users = _users(data, nats, config, new=True)
        file = users.file(name)
        if not users.add(name):
            raise CouldNotRunError(f"there is a user {name}", "Remove it first: its secret changes then.")
    results.print(str(file), markup=False)
    remarks.print(
        f"The file holds the secret of {name} (an nkey): its client signs with it, and answers come on "
        f"{inbox_of(name)}.>",
        markup=False,
    )
    return DONE


@app.command(name="list")
def list_users(*, data: Data = None, nats: Nats = None, config: Config = None, json: Json = False) -> int:
    """Show the users, without their secrets."""
    users = _users(data, nats, config)
    with _could_not_run():
        found = users.all()
    if json:
        rows = [{"name": one.name, "role": one.role, "public_key": one.public_key} for one in found]
        write_json(rows)
        return DONE
    table = Table("name", "role", "public key")
    for one in found:
        table.add_row(one.name, one.role, one.public_key)
    print_whole(table)
    return DONE


@app.command
def remove(name: Name, /, *, data: Data = None, nats: Nats = None, config: Config = None) -> int:
    """End a user: it is disconnected, and its secret is worth nothing any more."""
    users = _users(data, nats, config)
    with _could_not_run():
        if not users.remove(name):
            raise CouldNotRunError(f"there is no user {name}", "`holdfast nats-user list` shows them.")
    again = " Every server has one: the next start makes it again, with another secret." if name in LASTING else ""
    remarks.print(f"Removed {name}.{again}", markup=False)
    return DONE


def _users(data: Path | None, nats: str | None, config: Path | None, *, new: bool = False) -> Users:
    found = settings_from(config, {"serve.data": text_of(data), "serve.nats": nats})
    if not found.serve.data:
        raise CouldNotRunError(
            "no data directory", "Give --data DIR, HOLDFAST_DATA, or a file whose section [serve] has `data`."
        )
    if found.serve.nats:
        raise CouldNotRunError(
            "the users of servers that run elsewhere are in their own configuration", "See deploy/nats/users.conf."
        )
    directory = Path(found.serve.data)
    if new:
        usable_directory(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        existing_directory(directory)
    return users_of(directory)


@contextmanager
def _could_not_run() -> Iterator[None]:
    try:
        yield
    except ValueError as fault:
        raise CouldNotRunError(str(fault), "") from fault
    except OSError as fault:
        raise CouldNotRunError(reason_of(fault), "") from fault
