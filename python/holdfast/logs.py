"""Logs: one JSON object per line on stderr; on a terminal, a plain line for a person instead.

In: events of structlog and the standard library. Out: lines.
Always: no secret is logged: what looks like a key, a password or an Authorization header is replaced. Lines of one kind
are bounded in rate; the next one that is written says how many were left out.
"""

import contextlib
import logging
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO, cast

import orjson
import structlog

from holdfast.visible import visible

_SECRET = re.compile(
    r"(hf_[a-z2-9]{10}_)[A-Za-z0-9_-]+|(://[^:@/\s]*:)[^@/\s]+(?=@)|(SU)[A-Z2-7]{56}"
    r"|(eyJ)[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+|(cs_)[0-9a-f]{40}"
)
_BARE = re.compile(r"[!#-<>-~]+")
_SECRET_NAMES = frozenset({"authorization", "password", "secret", "token"})


_KIND_FIELDS = ("alarm", "stream", "child")
_LINES_AT_ONCE, _LINES_PER_S, _KINDS_MAX = 50, 1.0, 512


class LineRate:
    """How many lines of each kind are written: `at_once`, then `per_s`. Kinds beyond `kinds_max` share one rate."""

    def __init__(
        self,
        at_once: int = _LINES_AT_ONCE,
        per_s: float = _LINES_PER_S,
        kinds_max: int = _KINDS_MAX,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._per_s = per_s
        self._kinds_max = kinds_max
        self._clock_s = clock_s
        self._room: dict[tuple[str, ...], tuple[float, float, int]] = {}  # lines there is room for, when, left out

    def take(self, kind: tuple[str, ...]) -> int | None:
        """Room for one more line: how many of its kind were left out before it. None: leave this one out."""
        now_s = self._clock_s()
        if kind not in self._room and len(self._room) >= self._kinds_max:
            kind = ()
        room, at_s, left_out = self._room.get(kind, (float(self._at_once), now_s, 0))
        room = min(self._at_once, room + max(0.0, now_s - at_s) * self._per_s)
        if room < 1:
            self._room[kind] = (room, now_s, left_out + 1)
            return None
        self._room[kind] = (room - 1, now_s, 0)
        return left_out


class _Lines:
    """stderr, where a line that cannot be written (a full disk, a closed reader) is lost without further effect."""

    def write(self, text: str) -> int:
        """The whole line in one call: other processes write there too."""
        with contextlib.suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        """Write what is still buffered."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logs(level: str = "info", **always: str) -> None:
    """From now on everything logs to stderr, at `level` and above; `always` is in each line."""

    def sign(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in always.items():
            event.setdefault(name, value)
        return event

    rate = LineRate()

    def bound(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        kind = (str(event.get("event")), *(str(event[name]) for name in _KIND_FIELDS if name in event))
        left_out = rate.take(kind)
        if left_out is None:
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = left_out
        return event

    last: structlog.types.Processor = _plain if sys.stderr.isatty() else structlog.processors.JSONRenderer(_dump)
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        sign,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    structlog.configure(
        processors=[bound, *shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lines())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Lines())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    handler.addFilter(lambda record: rate.take((record.name, str(record.msg))) is not None)
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _dump(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if name.lower() in _SECRET_NAMES:
            event[name] = "(not shown)"
        else:
            event[name] = _shown(value)
    return event


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET.sub(lambda found: f"{next(filter(None, found.groups()))}...", value)
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    return value


def _plain(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """`16:02:11Z warning child-lost child=n1 why="ended by SIGKILL"`, and a traceback below it where there is one."""
    moment, level, name = (str(event.pop(key, "")) for key in ("timestamp", "level", "event"))
    trace = event.pop("exception", "")
    bare = {key: isinstance(value, str) and _BARE.fullmatch(value) for key, value in event.items()}
    fields = " ".join(f"{key}={value if bare[key] else _dump(value)}" for key, value in event.items())
    name = name if name.isprintable() else _dump(name)
    return visible(f"{moment[11:19]}Z {level} {name} {fields}".rstrip() + (f"\n{trace}" if trace else ""))
