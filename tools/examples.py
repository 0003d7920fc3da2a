"""Plays the examples on a real gateway and writes down its answers, for the OpenAPI document.

In: python/holdfast/contracts/examples.py. Out: examples.json beside it.
Always: tests/documents/test_examples.py says when it has to be run; look at the difference before it is committed.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec
import orjson

ROOT = Path(__file__).parent.parent
ANSWERS = ROOT / "python" / "holdfast" / "contracts" / "examples.json"

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from holdfast.contracts.examples import STORY
    from tests.support.served import serving
    from tests.support.storytelling import played

    with tempfile.TemporaryDirectory() as directory, serving(Path(directory)) as served:
        found = asyncio.run(played(served.port, STORY))
    ANSWERS.write_bytes(
        orjson.dumps(msgspec.to_builtins(found), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    print(f"wrote {ANSWERS.name}: {len(found)} answers")
