"""The command line: one file per verb. In: arguments. Out: results on stdout, all else on stderr, an exit status.

Always: exit status 0 done, 1 found something wrong, 2 could not run; a verb's module is loaded when the verb is used.
"""

import os
import sys
from collections.abc import Sequence

import structlog
from cyclopts import App
from rich.console import Console

from holdfast import __version__
from holdfast.cli.console import COULD_NOT_RUN, DONE, INTERRUPTED, CouldNotRunError, remarks

HELP = """Answers how much shops can sell, and holds it, at checkout speed.

```
holdfast demo                           # a flash sale, a kill -9, a rebuild
holdfast serve --data DIR --auth off    # a gateway on http://127.0.0.1:8080
holdfast state                          # its sequence, digest and totals
holdfast explain SKU --channel web      # why that much can be sold
```
"""
EPILOGUE = (
    "Results go to stdout (`--json` for machines), everything else to stderr. "
    "Exit status: 0 done, 1 found something wrong, 2 could not run."
)
VERBS = {
    "serve": "holdfast.cli.serve:serve",
    "cluster": "holdfast.cli.cluster:cluster",
    "demo": "holdfast.cli.demo:demo",
    "rehearse": "holdfast.cli.rehearse:rehearse",
    "state": "holdfast.cli.state:state",
    "verify": "holdfast.cli.verify:verify",
    "repair": "holdfast.cli.repair:repair",
    "snapshots": "holdfast.cli.snapshots:snapshots",
    "explain": "holdfast.cli.explain:explain",
    "import": "holdfast.cli.import_csv:import_csv",
    "keys": "holdfast.cli.keys:app",
    "config": "holdfast.cli.config:app",
}

app = App(
    name="holdfast",
    help=HELP,
    help_epilogue=EPILOGUE,
    version=__version__,
    help_format="markdown",
    console=Console(),
    error_console=Console(stderr=True),
    result_action="return_value",
)
for _name, _where in VERBS.items():
    app.command(_where, name=_name)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit status."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        status = app(list(arguments))
    except CouldNotRunError as error:
        remarks.print(f"holdfast: {error}", style="bold red", markup=False)
        if error.advice:
            remarks.print(error.advice, markup=False)
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        remarks.print("Stopped.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has closed it (`holdfast ... | head`); discard what is still to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return status if isinstance(status, int) else DONE


def main() -> None:
    """The program `holdfast`."""
    sys.exit(run(sys.argv[1:]))
