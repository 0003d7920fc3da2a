"""The trace that work belongs to (W3C Trace Context), from a shop's checkout through LOG to other systems and back.

In: a header `traceparent`, or the member `trace` of a message. Out: the id for log lines and problems; what is written
into facts; the header for what is sent on. Always: a header of another form is passed over, as the standard asks: it
never costs a checkout. A trace is carried as text, its 32 hexadecimal digits; where its spans are recorded, `-` and
the 16 of the span that caused what follows are behind them.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from structlog.contextvars import bound_contextvars

TRACEPARENT = "traceparent"
CURRENT: ContextVar[str] = ContextVar("trace", default="")
"""The trace of the request that is being answered, or of the order that is being carried on; "": none."""
ID_DIGITS = 32
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})")
_NEWER = re.compile(_FORM.pattern + r"-.{0,200}")
_CARRIED = re.compile(r"(?!0{32})[0-9a-f]{32}(-(?!0{16})[0-9a-f]{16})?")
_RECORDED = 1
# What a gateway writes around facts, and what a sender writes into one.
_AROUND = re.compile(rb'\{(?:"(?:source|by)":"[^"\\]*",)*"trace":"([0-9a-f-]{32,49})"')
_WITHIN = re.compile(rb'"trace":\s*"([0-9a-zA-Z_.:/-]{1,128})"')


def carried(header: str) -> str:
    """A `traceparent` as it is carried on; "" for a header of another form. One of a later version may have more."""
    found = _FORM.fullmatch(header) or (None if header.startswith("00") else _NEWER.fullmatch(header))
    if found is None:
        return ""
    return f"{found[1]}-{found[2]}" if int(found[3], 16) & _RECORDED else found[1]


def is_trace(text: str) -> bool:
    """Whether it is one of W3C Trace Context, and no word that a sender of facts chose."""
    return _CARRIED.fullmatch(text) is not None


def joined(trace: str | None, span: str | None) -> str:
    """As it is carried on, of an event's two members; "" where it has none."""
    return "-".join(filter(None, (trace, span)))


def id_of(trace: str) -> str:
    """What people look for."""
    return trace[:ID_DIGITS]


def header_of(trace: str) -> str:
    """The `traceparent` of a request that follows; "" where the text is no trace."""
    if not is_trace(trace):
        return ""
    span = trace[ID_DIGITS + 1 :]
    return f"00-{id_of(trace)}-{span or secrets.token_hex(8)}-{'01' if span else '00'}"


@contextmanager
def following(trace: str) -> Iterator[None]:
    """Requests that a client sends within the block, and their log lines, belong to it; "": to none."""
    token = CURRENT.set(trace)
    try:
        if trace:
            with bound_contextvars(trace=id_of(trace)):
                yield
        else:
            yield
    finally:
        CURRENT.reset(token)


def trace_of_rejected(message: bytes, raw: bytes) -> str:
    """The id that a fact which IN brought names itself, or the request that brought it; "" for none."""
    found = (_WITHIN.search(raw) if raw != message else None) or _AROUND.match(message)
    return id_of(found[1].decode()) if found is not None else ""
