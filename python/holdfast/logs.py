"""Logs: one JSON object per line on stderr.

In: events of structlog and the standard library. Out: lines.
Always: no secret is logged: what looks like a key, a password or an Authorization header is replaced.
"""

import contextlib
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import orjson
import structlog

_SECRET = re.compile(r"(hf_[a-z2-9]{10}_)[A-Za-z0-9_-]+|((?:nats|tls)://[^:@/\s]*:)[^@/\s]+(?=@)")
_SECRET_NAMES = frozenset({"authorization", "password", "secret", "token"})


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
    """From now on everything logs as JSON to stderr, at `level` and above; `always` is in each line."""

    def sign(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in always.items():
            event.setdefault(name, value)
        return event

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
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dump)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lines())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Lines())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dump),
            ],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)


def _dump(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if name.lower() in _SECRET_NAMES:
            event[name] = "(not shown)"
        elif isinstance(value, str):
            event[name] = _SECRET.sub(lambda found: f"{found[1] or found[2]}...", value)
    return event
