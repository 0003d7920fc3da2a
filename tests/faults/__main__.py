"""`make faults`: real processes under load, broken over and over; the log and every answer are judged.

In: how much. Out: the table on stdout (and in a file), progress on stderr, exit status 1 when anything did not hold.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from tests.faults.checker import Verdict
from tests.faults.report import complaints, table
from tests.faults.rounds import Result, Round, rounds, run_round


def main() -> int:
    """Run the rounds that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full counts; each fault at least once")
    parser.add_argument("--only", default="", help="names of rounds, with commas")
    parser.add_argument("--seed", type=int, default=1, help="chooses carts, victims and waits")
    parser.add_argument("--report", type=Path, help="write the table to this file, between its markers if it has them")
    parser.add_argument("--data", type=Path, help="keep the directories here, to look at")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    chosen = [one for one in rounds(options.scale) if not options.only or one.name in options.only.split(",")]
    if not chosen:
        parser.error(f"no round of that name; there are {', '.join(one.name for one in rounds(1))}")
    results = []
    for at, one in enumerate(chosen, 1):
        _say(f"[{at}/{len(chosen)}] {one.name}: {one.what}, {one.count} times")
        results.append(_run(one, options.seed, options.data))
        _say("\n".join(f"    {text}" for text in (_in_short(results[-1]), *results[-1].verdict.complaints)))
        if options.report is not None:
            _write(options.report, table(results))
    print(table(results))
    for text in complaints(results):
        print(f"DOES NOT HOLD  {text}")
    return 0 if all(result.ok for result in results) else 1


def _run(one: Round, seed: int, data: Path | None) -> Result:
    began = time.monotonic()

    def tell(text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r    {text}, {time.monotonic() - began:.0f} s   ")

    if data is not None:
        return _judged(one, data / one.name, seed, tell)
    with tempfile.TemporaryDirectory(prefix=f"holdfast-{one.name}-", ignore_cleanup_errors=True) as directory:
        return _judged(one, Path(directory), seed, tell)


def _judged(one: Round, directory: Path, seed: int, tell: Callable[[str], None]) -> Result:
    """A round that does not come to its end has not held either."""
    try:
        return asyncio.run(run_round(one, directory, seed, tell))
    except Exception as fault:  # noqa: BLE001 - the other rounds are run all the same
        result = Result(one, Verdict())
        result.verdict.complain("broke off", f"{type(fault).__name__}: {fault}")
        return result


def _in_short(result: Result) -> str:
    if result.skipped:
        return f"not run: {result.skipped}"
    verdict = result.verdict
    gap = max(result.gaps_s, default=0.0)
    return (
        f"{result.done} times in {result.orders_s:.0f} s: acknowledged {verdict.acknowledged:,}, lost {verdict.lost}, "
        f"oversold {verdict.oversold}, longest gap {gap:.1f} s, {'all held' if result.ok else 'BROKEN'}"
    )


def _say(text: str) -> None:
    sys.stderr.write(f"\r{text}\n")
    sys.stderr.flush()


def _write(file: Path, text: str) -> None:
    before, begin, rest = file.read_text().partition("<!-- faults -->\n") if file.exists() else ("", "", "")
    _, end, after = rest.partition("<!-- end of faults -->")
    file.write_text(f"{before}{begin}{text}{end}{after}" if begin else text)


if __name__ == "__main__":
    sys.exit(main())
