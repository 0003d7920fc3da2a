"""`holdfast repair`: restores from the journals what a log lost, and proves it.

In: a data directory, and consent. Out: what is wrong and what would be done, as text; then what was done.
Always: nothing is changed without --yes or a yes on a terminal; exit status 0 sound (or restored and proven), 1 not.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import uvloop
from cyclopts import Parameter

from holdfast.cli.connection import could_not_run
from holdfast.cli.console import DONE, FOUND_WRONG, Json, number, remarks, results, write_json
from holdfast.cli.live import LiveWatcher
from holdfast.cli.settings_options import Config, Data, Nats, Scope, TlsOptions, settings_of_data, text_of
from holdfast.nats.connection import Connection, endpoint_of
from holdfast.nats.streams import Names, ensure_streams
from holdfast.recovery.repair import Proof, Repairer
from holdfast.recovery.repair_plan import Examination, Plan, examine, plan
from holdfast.recovery.verify import endpoint_at
from holdfast.settings import Settings

if TYPE_CHECKING:
    from holdfast.recovery.repair_plan import ReportPhase

Consent = Callable[[Examination, Plan], bool]


def repair(
    *,
    data: Data = None,
    nats: Nats = None,
    scope: Scope = None,
    yes: Annotated[bool, Parameter(negative="", help="Do it without asking.")] = False,
    recreate: Annotated[
        bool, Parameter(negative="", help="Allow the stream to be deleted and written again, after a copy to a file.")
    ] = False,
    trust: Annotated[
        str | None,
        Parameter(help="Where two histories differ: `log`, or the node whose journal is right."),
    ] = None,
    tls: TlsOptions | None = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Compare the log with the nodes' journals, and put back what it lost.

    Without --yes it reports what is wrong and what it would do, and on a terminal asks. What it puts back is the same
    bytes, under the same sequences, each fenced; then it reads everything back and replays it. It works with the
    gateway stopped, or running in quarantine; with --recreate or --trust, stop it first.

    ```
    holdfast repair --data DIR
    holdfast repair --data DIR --yes
    ```
    """
    options = {"serve.data": text_of(data), "serve.nats": nats, "serve.scope": scope}
    directory, loaded = settings_of_data(config, options | (tls or TlsOptions()).options())
    serve, settings = loaded.serve, loaded.settings
    run = _run(directory, serve.nats or None, serve.scope, settings, trust, _consent(yes, recreate, json))
    with could_not_run():
        found, made, proof, backup = uvloop.run(run)
    if json:
        write_json(_document(found, made, proof, backup))
    elif proof is not None:
        _show_proof(proof, backup)
    return DONE if made.sound or proof is not None else FOUND_WRONG


def _consent(yes: bool, recreate: bool, json: bool) -> Consent:
    def ask(found: Examination, made: Plan) -> bool:
        if not json:
            _show(found, made)
        if made.sound or made.undecided or not made.steps:
            return False
        if made.recreate_from is not None and not recreate:
            remarks.print("Nothing was changed: to write the log again needs --recreate.")
            return False
        if yes:
            return True
        if not sys.stdin.isatty() or json:
            remarks.print("Nothing was changed: --yes does it.")
            return False
        return input("Do it? [y/N] ").strip().lower() in {"y", "yes"}

    return ask


async def _run(
    data: Path, nats: str | None, scope: str, settings: Settings, trust: str | None, consent: Consent
) -> tuple[Examination, Plan, Proof | None, Path | None]:
    async with endpoint_at(endpoint_of(nats, settings.log) if nats else data, settings) as endpoint:
        connection = Connection(endpoint, settings.log, f"holdfast {scope} repair")
        await connection.open()
        try:
            await ensure_streams(connection, Names(scope), settings.log, create=_has_journal(data, scope))
            with LiveWatcher("messages") as watcher:
                found = await examine(connection, data, scope, settings, _reporter(watcher))
                made = await asyncio.to_thread(plan, found, trust)
            if not await asyncio.to_thread(consent, found, made):
                return found, made, None, None
            repairer = Repairer(connection, data, scope, settings)
            with LiveWatcher("messages") as watcher:
                repairer.report_phase = _reporter(watcher)
                proof = await repairer.carry_out(made)
            return found, made, proof, repairer.backup
        finally:
            await connection.close()


def _has_journal(data: Path, scope: str) -> bool:
    return any((data / "journal").glob(f"*/{scope}-*"))


def _reporter(watcher: LiveWatcher) -> "ReportPhase":
    phases: dict[str, Callable[[int], None]] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in phases:
            phases[what] = watcher.phase(what, total)
        phases[what](done)

    return report


def _show(found: Examination, made: Plan) -> None:
    ends = f"{number(found.log.first_sequence)} to {number(found.log.last_sequence)}"
    results.print(f"The log of scope {found.scope} has messages {ends}.", markup=False)
    if not found.comparisons:
        results.print("No node has a journal here: there is nothing to compare the log with.")
    for one in found.comparisons:
        journal = one.journal
        ends = f"{number(journal.first)} to {number(journal.end.sequence)}"
        results.print(f"  journal of {journal.node}: {ends}", markup=False)
    for finding in made.findings:
        results.print(f"WRONG: {finding}", style="bold red", markup=False)
    if made.sound:
        results.print("Sound: the log has all that the journals have, byte by byte.", style="bold green")
    for step in made.steps:
        results.print(f"TO DO: {step}", markup=False)
    if made.undecided:
        results.print(f"FOR YOU TO DECIDE: {made.undecided}", style="bold", markup=False)


def _show_proof(proof: Proof, backup: Path | None) -> None:
    results.print(
        f"Restored and proven: the log ends at {number(proof.sequence)}, "
        f"chain {proof.chain}, digest {proof.digest or '-'}.",
        style="bold green",
        markup=False,
    )
    if backup is not None:
        results.print(f"A copy of the log as it was is in {backup}. Start the gateway again.", markup=False)


def _document(found: Examination, made: Plan, proof: Proof | None, backup: Path | None) -> dict[str, Any]:
    return {
        "ok": made.sound or proof is not None,
        "scope": found.scope,
        "log": asdict(found.log),
        "journals": [
            {
                "node": one.journal.node,
                "first": one.journal.first,
                "end": one.journal.end.sequence,
                "chain": one.journal.end.chain,
                "damage": one.journal.damage,
                "differs_at": one.differs_at,
            }
            for one in found.comparisons
        ],
        "findings": made.findings,
        "steps": made.steps,
        "undecided": made.undecided,
        "proof": asdict(proof) if proof is not None else None,
        "backup": str(backup) if backup is not None else None,
    }
