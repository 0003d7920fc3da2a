"""`make attacks`: every attack at full size, and the table.

In: which (`--only`, `--family`), where (`--cluster`: on the three servers of deploy/nats alone; `--own`: on the
gateway's nats-server alone), how large (`--short`). Out: the table on stdout, progress on stderr, exit status 1 when
one broke something.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from tests.attacks.attack import Arena, Attack, Seen, every_attack

PATIENCE_S = 900.0
HEAD = "| attack | what is done | on | what is right | | seen | figure |\n|---|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    attack: Attack
    cluster: bool
    seen: Seen

    def __str__(self) -> str:
        place = "cluster" if self.cluster else "own"
        cells = [
            f"{self.attack.family}: {self.attack.name}",
            self.attack.done,
            place,
            self.attack.right,
            "held" if self.seen.held else "**BROKEN**",
            self.seen.what.replace("|", "\\|").replace("\n", " ")[:300],
            self.seen.figure,
        ]
        return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Perform those that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    parser.add_argument("--only", default="", help="names of attacks, with commas")
    parser.add_argument("--family", default="", help="names of families, with commas")
    parser.add_argument("--short", action="store_true", help="the sizes that `make test` has")
    parser.add_argument("--cluster", action="store_true", help="only on the three servers of deploy/nats")
    parser.add_argument("--own", action="store_true", help="only on the gateway's own nats-server")
    parser.add_argument("--beside", action="store_true", help="one hostile client of each kind beside checkouts")
    parser.add_argument("--minutes", type=float, default=1.0, help="with --beside: how long each kind attacks")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    if options.beside:
        from tests.attacks.beside import compare

        return asyncio.run(compare(options.only, options.minutes * 60))
    chosen = [
        one
        for one in every_attack()
        if (not options.only or one.name in options.only.split(","))
        and (not options.family or one.family in options.family.split(","))
    ]
    if not chosen:
        parser.error(f"no such attack; there are {', '.join(one.name for one in every_attack())}")
    lines: list[Line] = []
    for one in chosen:
        for cluster in [False, True]:
            if (cluster and (options.own or not one.on_cluster)) or (not cluster and options.cluster):
                continue
            began = time.monotonic()
            lines.append(Line(one, cluster, perform(one, full=not options.short, cluster=cluster)))
            result = lines[-1].seen
            sys.stderr.write(
                f"{one.family}: {one.name}{' (cluster)' if cluster else ''}: {'held' if result.held else 'BROKEN'} "
                f"in {time.monotonic() - began:.0f} s; {result.what}; {result.figure}\n"
            )
    print(HEAD)
    print("\n".join(str(line) for line in lines))
    broken = [line for line in lines if not line.seen.held]
    print(f"\n{len(lines)} attacks, {len(lines) - len(broken)} held, {len(broken)} broke something")
    return 1 if broken else 0


def perform(one: Attack, *, full: bool, cluster: bool) -> Seen:
    """One attack in a new directory. An attack that does not come to its end has not been held."""

    async def within(directory: Path) -> Seen:
        async with asyncio.timeout(PATIENCE_S):
            return await one.perform(Arena(directory, full, cluster))

    with tempfile.TemporaryDirectory(prefix=f"holdfast-{one.name}-", ignore_cleanup_errors=True) as directory:
        try:
            return asyncio.run(within(Path(directory)))
        except Exception as fault:  # noqa: BLE001 - the other attacks are performed all the same
            return Seen(False, f"broke off: {type(fault).__name__}: {fault}")


if __name__ == "__main__":
    sys.exit(main())
