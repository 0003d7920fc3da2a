"""The trace that a request belongs to, as its client names it (W3C Trace Context).

In: the header `traceparent`. Out: the trace's id, for log lines and problems.
Always: a header of another form is passed over, as the standard asks: it never costs a checkout.
"""

import re

from multidict import istr

TRACEPARENT = istr("traceparent")
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_NEWER = re.compile(_FORM.pattern + r"-.{0,200}")


def trace_id(header: str) -> str:
    """32 hex digits; "" for a header of another form. One of a later version may have more parts."""
    found = _FORM.fullmatch(header) or (None if header.startswith("00") else _NEWER.fullmatch(header))
    return found[1] if found is not None else ""
