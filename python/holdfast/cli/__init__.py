"""The command line: one file per verb. In: arguments. Out: results on stdout, all else on stderr, an exit status.

Always: exit status 0 done, 1 found something wrong, 2 could not run, with one line that says why and what to do; a
verb's module is loaded when the verb is used.
"""

import io
import os
import sys
from collections.abc import Sequence

import structlog
from cyclopts import App, CycloptsError, Group, UnknownCommandError
from rich.console import Console

from holdfast import __version__
from holdfast.cli.console import COULD_NOT_RUN, DONE, INTERRUPTED, CouldNotRunError, reason_of, remarks
from holdfast.guarded import make_private

HELP = """Answers how much shops can sell, and holds it, at checkout speed.

```
holdfast demo                           # a flash sale, a kill -9, a rebuild
holdfast serve --data DIR --auth off    # a gateway on http://127.0.0.1:8080
holdfast state                          # its sequence, digest and totals
holdfast get skus                       # what it has stored, list by list
holdfast explain SKU --channel web      # why that much can be sold
```
"""
EPILOGUE = (
    "Results go to stdout (`--json` for machines), everything else to stderr. "
    "Exit status: 0 done, 1 found something wrong, 2 could not run."
)
VERBS = {
    "demo": ("holdfast.cli.demo:demo", "A flash sale with a kill -9 in the middle, then the sums."),
    "serve": ("holdfast.cli.serve:serve", "Serve the HTTP API until SIGTERM or Ctrl-C."),
    "keys": ("holdfast.cli.keys:app", "Make, list, renew and end API keys."),
    "import": ("holdfast.cli.import_csv:import_csv", "Import stock, items, locations and rules from a CSV file."),
    "state": ("holdfast.cli.state:state", "Show sequence, digest and totals of a running gateway."),
    "get": ("holdfast.cli.get:app", "List what a running gateway has stored: SKUs, rules, reservations and more."),
    "explain": ("holdfast.cli.explain:explain", "Show term by term how many units of a SKU can be sold, and why."),
    "events": ("holdfast.cli.events:events", "Show what happens, as it is published: reservations, figures at zero."),
    "trace": ("holdfast.cli.trace:trace", "Show the life of one order across systems, with times."),
    "diff": ("holdfast.cli.diff:diff", "Show what happened to a SKU between two moments."),
    "audit": ("holdfast.cli.audit:audit", "Show who changed which rule, from what to what, and when."),
    "refusals": ("holdfast.cli.refusals:refusals", "Show what was asked for and refused: by SKU, channel or reason."),
    "report": ("holdfast.cli.report:report", "Show what a time came to: orders, units, times, what was lost."),
    "export": ("holdfast.cli.export:export", "Write the facts of the log as Parquet files, for a warehouse."),
    "handover": (
        "holdfast.cli.handover:handover",
        "Show what is open at a location; hand its levels to another source.",
    ),
    "rehearse": ("holdfast.cli.rehearse:rehearse", "Replay real orders as checkouts, and account for every unit."),
    "verify": ("holdfast.cli.verify:verify", "Rebuild the state from the log, and compare."),
    "replay": (
        "holdfast.cli.replay:replay",
        "Replay what is kept: into a fresh core, under other rules, or onto another scope.",
    ),
    "repair": ("holdfast.cli.repair:repair", "Compare the log with the journals, and put back what it lost."),
    "backup": (
        "holdfast.cli.backup:backup",
        "Copy everything that a fresh machine needs, while it runs, and prove it.",
    ),
    "restore": ("holdfast.cli.backup:restore", "Make a data directory of a backup, and prove it."),
    "snapshots": ("holdfast.cli.snapshots:snapshots", "List the snapshots of a data directory, prove them, take one."),
    "publish": ("holdfast.cli.publish:publish", "Publish events and figures, from where the last publisher stopped."),
    "woo": ("holdfast.cli.woo:app", "Connect WooCommerce shops: orders in, what can be sold out."),
    "webhooks": ("holdfast.cli.webhooks:app", "Events sent to endpoints: run, list, see what is parked, send again."),
    "dlq": ("holdfast.cli.dlq:app", "Rejected facts: see why, correct them, send them again, remove them."),
    "erp": ("holdfast.cli.erp:app", "Connections to ERPs: run one, see how it goes, give parked orders back."),
    "api": ("holdfast.cli.api:app", "Name what changed between two versions of the HTTP contract, and what breaks."),
    "master": ("holdfast.cli.master:app", "Master data: check it, show it, have holdfast know it."),
    "reconcile": (
        "holdfast.cli.reconcile:reconcile",
        "Compare ERPs, shops and holdfast; say what differs, and why; put it right.",
    ),
    "config": ("holdfast.cli.config:app", "Show which settings are in force and where each comes from; check them."),
    "nats-context": ("holdfast.cli.nats_context:nats_context", "Write a context for the official nats CLI."),
    "nats-user": ("holdfast.cli.nats_user:app", "Make, list and end users of the own nats-server."),
    "cluster": ("holdfast.cli.cluster:cluster", "Run three nats-servers on this machine as one log, to rehearse with."),
}
"""Where each verb is, and what the first screen says of it."""
GROUPS = {
    "Begin": "demo serve keys config import",
    "See": "state get explain events diff audit refusals trace report export",
    "Connect": "woo erp webhooks publish reconcile master dlq handover",
    "Rehearse": "rehearse replay",
    "Keep": "verify repair backup restore snapshots",
    "Build on it": "api cluster nats-context nats-user",
}
"""How the first screen orders them."""


def made(*, overview: bool) -> App:
    """The program. `overview`: with what each verb does; without it a verb's own help stands, which is longer."""
    app = App(
        name="holdfast",
        help=HELP,
        help_epilogue=EPILOGUE,
        version=__version__,
        help_format="markdown",
        console=Console(),
        error_console=Console(stderr=True),
        result_action="return_value",
        exit_on_error=False,
        print_error=False,
    )
    for at, (title, names) in enumerate(GROUPS.items()):
        group = Group(title, sort_key=at)
        for order, name in enumerate(names.split()):
            where, does = VERBS[name]
            app.command(where, name=name, group=group, sort_key=order, **({"help": does} if overview else {}))
    options = Group("Options", sort_key=len(GROUPS))
    for flag in ("--help", "--version"):
        app[flag].group = options
    return app


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit status."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        status = made(overview=not any(name in VERBS for name in arguments))(list(arguments))
    except CouldNotRunError as error:
        return _could_not_run(str(error), error.advice)
    except CycloptsError as error:
        return _could_not_run(*_wrong_line(error, arguments))
    except KeyboardInterrupt:
        remarks.print("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has gone (`holdfast ... | head`); what is still to be flushed goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        return _could_not_run(reason_of(error), "")
    return status if isinstance(status, int) else DONE


def _wrong_line(error: CycloptsError, arguments: Sequence[str]) -> tuple[str, str]:
    verb = next((name for name in arguments if name in VERBS), "")
    if isinstance(error, UnknownCommandError) and not verb:
        return str(error).partition(" Available commands")[0], f"The verbs are: {', '.join(VERBS)}."
    help_of = f"holdfast {verb} --help" if verb else "holdfast --help"
    return " ".join(str(error).split()), f"`{help_of}` lists what can be given."


def _could_not_run(message: str, advice: str) -> int:
    """One line."""
    end = "" if message.endswith((".", "?", "!")) else "."
    said = f"{message}{end} {advice}" if advice else message
    remarks.print(f"holdfast: {said}", style="bold red", markup=False)
    return COULD_NOT_RUN


def _write_whole() -> None:
    """Have an unbuffered stdout (PYTHONUNBUFFERED, as in containers) write all of a long text to a slow pipe.

    Unbuffered, Python writes once and drops what the pipe did not take; a buffered writer goes on with the rest.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), sys.stdout.encoding, "backslashreplace", line_buffering=True
        )


def main() -> None:
    """The program `holdfast`."""
    _write_whole()
    make_private()
    sys.exit(run(sys.argv[1:]))
