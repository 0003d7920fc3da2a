"""What calls are made of: paths and queries out of names, answers out of bytes.

In: names as people write them; bodies. Out: percent-encoded text; Structs. Always: nothing is sent from here.
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from holdfast.client.errors import unreadable

T = TypeVar("T")


def reader(shape: type[T]) -> Callable[[bytes], T]:
    """Bytes into an answer. Raises ProblemError where they come from something else than holdfast."""
    decode = msgspec.json.Decoder(shape).decode

    def read(body: bytes) -> T:
        try:
            return decode(body)
        except msgspec.DecodeError as error:
            raise unreadable(200, body) from error

    return read


def segment(text: str) -> str:
    """A name as one step of a path."""
    # A lone dot or two would be treated as a step of the path by proxies.
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def query_of(**fields: str | int | None) -> str:
    """The parameters that are given, with their question mark."""
    given = {name: value for name, value in fields.items() if value is not None}
    return f"?{urlencode(given, quote_via=quote)}" if given else ""
