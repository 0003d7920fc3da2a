"""The budget of what is kept on a disk, and streams that fit into it.

In: settings, and the directory. Out: bytes; settings whose streams are bounded by them. Always: without a set budget it
is half of what the disk has for it, so it does not move while what is kept grows.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from holdfast.settings import Settings

_LOG_BYTES_MIN, _IN_BYTES_MIN = 64 << 20, 16 << 20


def budget_bytes(keep_bytes: int, free_bytes: int, used_bytes: int) -> int:
    """The budget: as it was set, else half of what the disk has for it."""
    return keep_bytes or (free_bytes + used_bytes) // 2


def within_budget(settings: Settings, data: Path) -> Settings:
    """Settings under which streams that are made on this disk fit into the budget, with room for the rest."""
    there = next(path for path in (data, *data.absolute().parents) if path.is_dir())
    bounds = settings.retention
    budget = budget_bytes(bounds.keep_bytes, shutil.disk_usage(there).free, 0)
    log_bytes = max(_LOG_BYTES_MIN, min(settings.log.log_bytes_max, budget // bounds.log_part))
    in_bytes = max(_IN_BYTES_MIN, min(settings.log.in_bytes_max, budget // bounds.in_part))
    # Streams that are there already keep what they reserved, however small the budget is now.
    room = max(settings.log.server_room_bytes, settings.log.streams_bytes)
    fitting = replace(settings.log, log_bytes_max=log_bytes, in_bytes_max=in_bytes, server_room_bytes=room)
    return replace(settings, log=fitting)
