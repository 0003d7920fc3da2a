"""Writes random histories as stories that the fuzzer of rust/fuzz begins with.

`python -m tests.support.fuzz_seeds DIRECTORY [--seeds 40]`. In: a directory. Out: in DIRECTORY/story a file a history,
in DIRECTORY/batch a file a batch, in DIRECTORY/snapshot one of a small state. Always: the same files for the same code.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.many_histories import play

if TYPE_CHECKING:
    from tests.support.oracle.beside import Beside


def story_of(beside: Beside) -> bytes:
    """One line a message, a command, or a while that passes: rust/fuzz/src/lib.rs says how they are read."""
    lines, before = [], None
    for now_ms, _, commands, incoming in beside.told:
        if before is not None and now_ms > before:
            lines.append(b"@%d" % (now_ms - before))
        before = now_ms
        lines += [b">%s %s %s" % (verb.encode(), name.encode(), body) for verb, name, body, *_ in commands]
        lines += [b"<%s %s" % (subject.rsplit(".", 1)[-1].encode(), payload) for _, subject, payload in incoming]
    return b"\n".join(lines) + b"\n"


def main() -> int:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.fuzz_seeds", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seeds", type=int, default=40)
    options = parser.parse_args()
    for target in ("story", "batch", "snapshot"):
        (options.directory / target).mkdir(parents=True, exist_ok=True)
    for seed in range(1, options.seeds + 1):
        beside = play(seed, 12, compare=False).beside
        for forgetful in (b"", b"forgetful\n"):
            name = f"{seed}{'-forgetful' if forgetful else ''}"
            (options.directory / "story" / name).write_bytes(forgetful + story_of(beside))
        for number, batch in enumerate(beside.batches[:4]):
            (options.directory / "batch" / f"{seed}-{number}").write_bytes(batch)
        if beside.engine is not None and seed <= 8:
            path = options.directory / "snapshot" / str(seed)
            path.unlink(missing_ok=True)
            beside.engine.snapshot(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
