"""What can be chosen of a rehearsal; locust gives the options of the process that leads to all the others.

In: locust's command line; HOLDFAST_CHANNEL, HOLDFAST_SKUS and HOLDFAST_KEY where there is no --run. Out: names.
Always: with --run all names are those of `holdfast.rehearsal.stage`, so that two rehearsals on one gateway do not meet.
"""

import os
from pathlib import Path
from typing import Any

from locust import events

from holdfast.demonstration import catalogue
from holdfast.rehearsal.stage import Stage
from loadtests.accounts import Accounts
from loadtests.names import PLACES, hot_skus, plain_skus

KEY = os.environ.get("HOLDFAST_KEY", "")
HEADERS = {"Authorization": f"Bearer {KEY}"} if KEY else {}
accounts = Accounts()


class Chosen:
    """The options of this process, once locust has them."""

    run = ""
    shape = "soak"
    seconds = 60.0
    peak = 64
    think_s = 0.0
    erp_per_s = 0
    skus: list[str] = [  # noqa: RUF012 - until the options are known
        *(product.sku for product in catalogue.PRODUCTS),
        catalogue.KIT,
    ]
    hot: list[str] = []  # noqa: RUF012
    channel = "web"

    @property
    def stage(self) -> Stage:
        """The names of locations, channel and source."""
        return Stage(self.run, PLACES)


chosen = Chosen()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def declare(parser: Any) -> None:
    """The options, for locust's own command line."""
    group = parser.add_argument_group("Rehearsal")
    group.add_argument("--run", default="", help="name of the run whose stock is sold")
    group.add_argument("--shape", default="soak", choices=["ramp", "flash", "soak"])
    group.add_argument("--seconds", type=float, default=60.0, help="how long the shape lasts")
    group.add_argument("--peak", type=int, default=64, help="shoppers at the height of it")
    group.add_argument("--think", type=float, default=0.0, help="seconds before a shopper confirms, at most")
    group.add_argument("--skus", type=int, default=200, help="SKUs besides the hot ones")
    group.add_argument("--hot", type=int, default=3, help="SKUs that most carts have at a flash sale")
    group.add_argument("--erp", type=int, default=0, help="facts a second beside the shoppers")
    group.add_argument("--accounts", default="", help="file for what was acknowledged, as JSON")


@events.init.add_listener  # type: ignore[untyped-decorator]
def choose(environment: Any, **_: Any) -> None:
    """Takes the options over; on workers they are those of the process that leads."""
    given = environment.parsed_options
    chosen.run, chosen.shape, chosen.seconds, chosen.peak = given.run, given.shape, given.seconds, given.peak
    chosen.think_s, chosen.erp_per_s = given.think, given.erp
    if chosen.run:
        chosen.skus, chosen.hot = plain_skus(chosen.run, given.skus), hot_skus(chosen.run, given.hot)
        chosen.channel = chosen.stage.channel
        return
    chosen.channel = os.environ.get("HOLDFAST_CHANNEL", "web")
    chosen.skus = [sku for sku in os.environ.get("HOLDFAST_SKUS", "").split(",") if sku] or chosen.skus


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]
def send(data: dict[str, Any], **_: Any) -> None:
    """A worker's accounts go where its statistics go."""
    data["accounts"] = accounts.take().decode()


@events.worker_report.add_listener  # type: ignore[untyped-decorator]
def receive(data: dict[str, Any], **_: Any) -> None:
    """And are added up there."""
    accounts.add(data.get("accounts", "{}"))


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def begin(environment: Any, **_: Any) -> None:
    """An empty file says that the shoppers begin now; starting processes takes seconds on a busy machine."""
    if environment.parsed_options.accounts and "Worker" not in type(environment.runner).__name__:
        Path(environment.parsed_options.accounts).touch()


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write(environment: Any, **_: Any) -> None:
    """Written by the process that leads, where it was asked for."""
    if environment.parsed_options.accounts and "Worker" not in type(environment.runner).__name__:
        with open(environment.parsed_options.accounts, "wb") as file:  # noqa: PTH123 - gevent's open
            file.write(accounts.take())
