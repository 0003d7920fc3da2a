"""Writes python/holdfast/_core.pyi from the extension ("write"), or checks that it is what the extension says
("check").

maturin reads classes and functions off the binary; exceptions it does not see, so they are read off the imported
module. Always: run by make, which has installed everything and says in VIRTUAL_ENV for which Python.
"""

import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

from holdfast import _core

STUBS = Path("python/holdfast/_core.pyi")
UNSEEN = "def __getattr__(name: str) -> Incomplete: ..."


def generated() -> str:
    with tempfile.TemporaryDirectory() as directory:
        # The profile of the extension that is installed: nothing has to be compiled again.
        profile = ["--profile", _core.build_profile]
        command = ["maturin", "generate-stubs", "--quiet", *profile, "--locked", "--out", directory]
        program = Path(sys.executable).parent / command[0]
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        text = (Path(directory) / "holdfast" / "_core.pyi").read_text()
    text = text.replace("from _typeshed import Incomplete\n", "from collections.abc import Sequence\n")
    names = sorted(name for name in vars(_core) if not name.startswith("_"))
    return text.replace(UNSEEN, f"{exceptions()}\n__all__ = {names}\n")


def exceptions() -> str:
    found = [kind for kind in vars(_core).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    found.sort(key=lambda kind: (len(kind.__mro__), kind.__name__))
    return "\n".join(
        f'class {kind.__name__}({kind.__bases__[0].__name__}):\n    """\n    {kind.__doc__}\n    """\n'
        for kind in found
    )


def main() -> int:
    match sys.argv[1:]:
        case ["write"]:
            STUBS.write_text(generated())
            print(f"wrote {STUBS}")
            return 0
        case ["check"]:
            committed, now = STUBS.read_text().splitlines(), generated().splitlines()
            difference = list(difflib.unified_diff(committed, now, str(STUBS), "what the extension says", lineterm=""))
            if difference:
                print("\n".join(difference), "\nmake stubs", sep="\n", file=sys.stderr)
            return 1 if difference else 0
        case _:
            print("usage: stubs.py write | check", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
