"""`Idempotency-Key`: the client's name for a request, so that sending it again does not do it twice.

In: the header of a POST. Out: the key as the node takes it, or a refusal.
Always: `"abc"` (a string of RFC 8941) and `abc` are the same key; an invalid key is refused, never ignored: the
client relies on it.
"""

import re
from hashlib import blake2b

from multidict import istr

from holdfast.gateway.refusals import Refusal, invalid

HEADER = istr("Idempotency-Key")
KEY_CHARS_MAX = 255
CONFLICT = b'{"type":"urn:holdfast:problem:idempotency-conflict"'
"""How the core's refusal begins."""
CONFLICT_REASON = "idempotency-conflict"
"""How the core begins the reason when it rejects a message of facts because of its key."""

_BARE = re.compile(r"[!#-+\--\[\]-~]{1,255}")  # visible ASCII without the quote, the comma and the backslash
_QUOTED = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])+)"')


def parse_key(given: list[str]) -> str:
    """The key that the header's values give. Raises Refusal 422."""
    if len(given) != 1:
        raise _refused("must be given once")
    text = given[0].strip(" \t")
    if _BARE.fullmatch(text):
        return text
    quoted = _QUOTED.fullmatch(text)
    if quoted is None:
        raise _refused(f"must be 1 to {KEY_CHARS_MAX} visible ASCII characters, bare or as a quoted string")
    key = re.sub(r'\\(["\\])', r"\1", quoted[1])
    if len(key) > KEY_CHARS_MAX:
        raise _refused(f"must have at most {KEY_CHARS_MAX} characters")
    return key


def part_of(key: str, body: bytes, count: int) -> list[str]:
    """What names each of the `count` commands that the request with this `body` became.

    The key, the command's number and a hash of the whole, each behind a line feed, which no key holds: the core knows
    each part by itself and the whole by its hash (rust/core/src/engine/keyed.rs).
    """
    whole = blake2b(body, digest_size=16, person=b"holdfast batch").hexdigest()
    return [f"{key}\n{number}\n{whole}" for number in range(count)]


def _refused(reason: str) -> Refusal:
    return invalid(str(HEADER), reason)
