"""The types of fields that every contract is made of: bounded strings, quantities and times, and the two bases of all
messages.

In: nothing. Out: annotated types whose bounds land in the OpenAPI document, and the Structs' bases.
Always: each bound is written once, here, and is the one of docs/http.md, "Bounds".
"""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

ID_LENGTH_MAX = 128
REASON_LENGTH_MAX = 512
LINE_LENGTH_MAX = 64
LINES_MAX = 2_000
ENTRIES_MAX = 1_000
UNITS_MAX = 100
HORIZON_DAYS_MAX = 3_650
STALE_AFTER_MS_MAX = 3_155_760_000_000
SKUS_MAX = 1_000
BATCH_REQUESTS_MAX = 500
QUANTITY_MAX = 10**9
ON_HAND_MAX = 10**12
TTL_MS_MAX = 14_400_000
# Control characters are those of Unicode's category Cc.
NO_CONTROL = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX, pattern=NO_CONTROL)]
"""An id, SKU, channel, location, region, owner, unit or reference: compared byte by byte."""

# What shows nothing: Unicode's Default_Ignorable_Code_Point, separators of lines and paragraphs, marks of annotations,
# the empty Braille pattern; as in rust/core/src/wire/facts/names.rs.
_INVISIBLE = (
    "\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028\\u2029"
    "\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
VISIBLE = f"^(?!\\s)(?!.*\\s$)[^{_INVISIBLE}]*$"

VisibleName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX, pattern=VISIBLE)]
"""A name as facts give it: no white space at its ends, and nothing that nobody sees."""

Quantity: TypeAlias = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]
"""Units, at least one: the SKU's base unit, or the `unit` of a request line."""

QuantityOrZero: TypeAlias = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]
"""As a quantity; 0 withdraws what an earlier version of the document stated."""

Amount: TypeAlias = Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]
"""Units that a policy or a document states; 0 ends or closes something."""

SignedQuantity: TypeAlias = Annotated[int, Meta(ge=-ON_HAND_MAX, le=ON_HAND_MAX)]
"""Units of a movement: negative takes away."""

OnHand: TypeAlias = Annotated[int, Meta(ge=-ON_HAND_MAX, le=ON_HAND_MAX)]
"""Units at a location; an ERP may report less than nothing."""

TtlMs: TypeAlias = Annotated[int, Meta(ge=1, le=TTL_MS_MAX)]
"""How long a hold lasts, in milliseconds of the leader's clock."""

Revision: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
"""Orders the bodies of one reservation: higher is newer."""

Integer: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""Any 64-bit integer: a document's version, a source's running number."""

Time: TypeAlias = Annotated[datetime, Meta(tz=True, description="RFC 3339; answers are in UTC.")]
AsOf: TypeAlias = Integer | Time
"""When the source's statement was true, on its own clock: a running number, or a time; never mixed in a source."""

LineName: TypeAlias = Integer | VisibleName
"""Which line of a document: its number or its name; 1 and "1" are one line."""

DocumentLine: TypeAlias = Integer | Annotated[str, Meta(min_length=1, max_length=LINE_LENGTH_MAX, pattern=VISIBLE)]
"""Which line of a movement, a shipment, a return or an update; part of its identity."""

Period: TypeAlias = Annotated[str, Meta(max_length=ID_LENGTH_MAX, pattern=NO_CONTROL)]
"""What an allocation or cap is for: a day, a campaign; may be empty."""

Why: TypeAlias = Annotated[str, Meta(max_length=REASON_LENGTH_MAX, pattern=NO_CONTROL)]
"""A reason, as text for people; may be empty."""

Priority: TypeAlias = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
"""The lower number goes first."""

Mode: TypeAlias = Literal["live", "stale", "degraded"]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a client sends: an unknown field is refused (docs/http.md, "Form"), a field with its default is left out."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holdfast answers: fields may be added to it within version 1, so that readers ignore unknown ones."""
