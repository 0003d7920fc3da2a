"""Which sources are silent, for the answers of this process.

In: the file in which the process that carries `freshness` rules out says so. Out: names for every `as_of`, a figure.
Always: what cannot be read changes nothing; a file that is not there means that nothing is silent.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.settings.degraded import STATUS_FILE

_POLL_S = 1.0


class _Silent(msgspec.Struct):
    silent_ms: int = 0


class _Status(msgspec.Struct):
    silent: dict[str, _Silent] = {}


async def watch_silence(note: Callable[[dict[str, float]], None], directory: Path) -> None:
    """Until it is cancelled."""
    file = directory / STATUS_FILE
    while True:
        try:
            found = msgspec.json.decode(await asyncio.to_thread(file.read_bytes), type=_Status)
        except FileNotFoundError:
            note({})
        except (OSError, msgspec.MsgspecError):
            pass  # it is being replaced, or is not ours: what was known stays
        else:
            note({source: one.silent_ms / 1000 for source, one in found.silent.items()})
        await asyncio.sleep(_POLL_S)
