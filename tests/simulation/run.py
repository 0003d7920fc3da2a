"""Many histories, or one in full.

Role: play seeds over all processors and say how fast; stop at the first finding, and print it so that it can be
repeated again. In: --seeds N [--from M], or --seed n. Out: lines on stdout; exit status 1 when there is a finding.
Always: one seed is one history; the order in which workers finish changes nothing but the order of the lines.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.world import Cast, FindingError, World

CHUNK = 25


@dataclass(slots=True)
class Result:
    """What some histories came to."""

    seeds: int = 0
    steps: int = 0
    met: Counter[str] = field(default_factory=Counter)
    seed: int | None = None  # the first that found something
    invariant: str = ""
    what: str = ""
    story: list[str] = field(default_factory=list)

    def add(self, other: Result) -> None:
        """Together."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.met += other.met
        if other.seed is not None and (self.seed is None or other.seed < self.seed):
            self.seed, self.invariant, self.what, self.story = other.seed, other.invariant, other.what, other.story


def play(seed: int, cast: Cast | None = None, *, trace_all: bool = False) -> Result:
    """One history."""
    world = World(seed, cast, trace_all=trace_all)
    result = Result(seeds=1)
    try:
        world.run()
    except FindingError as finding:
        result.seed, result.invariant, result.what = seed, finding.invariant, finding.what
    except Exception as fault:  # noqa: BLE001 - the simulator itself, or a mutant, broke: that is a finding too
        where = traceback.format_exc(limit=-4)
        result.seed, result.invariant, result.what = seed, type(fault).__name__, f"{fault}\n{where}"
    result.steps = world.steps
    result.met = world.met
    if result.seed is not None or trace_all:
        result.story = world.story()
    return result


def play_some(seeds: range) -> Result:
    """Several, one after the other, up to the first finding."""
    total = Result()
    for seed in seeds:
        total.add(play(seed))
        if total.seed is not None:
            break
    return total


def play_many(seeds: range, workers: int) -> Iterator[Result]:
    """All of them on a pool; a result for each chunk, in order. Ends after the first finding."""
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            for result in pool.map(play_some, chunks):
                yield result
                if result.seed is not None:
                    return
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def tell(result: Result) -> None:
    """A finding, for the person who has to understand it."""
    print(f"\nthe last steps of seed {result.seed}:")
    print("\n".join(f"  {line}" for line in result.story))
    print(f"\nseed {result.seed} found: {result.invariant}: {result.what}")
    print(f"again, with every step:  make simulate SEED={result.seed}")


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Play simulated histories.")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many histories")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one alone and tell every step")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        result = play(asked.seed, trace_all=True)
        print("\n".join(result.story))
        print(f"seed {asked.seed}: {result.steps} steps, {result.invariant or 'nothing found'} {result.what}")
        return int(result.seed is not None)
    total, began_s, told_s = Result(), time.monotonic(), 0.0
    for result in play_many(range(asked.first, asked.first + asked.seeds), asked.workers):
        total.add(result)
        elapsed_s = time.monotonic() - began_s
        if elapsed_s - told_s >= 5 or total.seeds == asked.seeds:
            told_s = elapsed_s
            rate = total.seeds / elapsed_s
            left_s = (asked.seeds - total.seeds) / rate
            print(f"{total.seeds:>7} of {asked.seeds} histories, {rate:.1f}/s, {left_s:.0f} s to go", flush=True)
    if total.seed is not None:
        tell(total)
        return 1
    print(f"{total.seeds} histories, {total.steps} steps, nothing found; they met:")
    print("  " + ", ".join(f"{name} {count}" for name, count in sorted(total.met.items())))
    sys.stdout.flush()
    return 0
