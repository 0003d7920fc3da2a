"""The past and the dead letters, as calls of the client.

In: filters, moments (a LOG sequence, or a time with its zone), numbers of letters. Out: pages and entries. Always: a
page names where the next one begins.
"""

from datetime import datetime

import msgspec

from holdfast.client.parts import query_of, reader, segment
from holdfast.client.transport import Transport
from holdfast.contracts import past
from holdfast.contracts.business import Report

Moment = int | datetime

_changes = reader(past.SkuChanges)
_audit = reader(past.AuditPage)
_refusals = reader(past.RefusalsPage)
_report = reader(Report)
_letters = reader(past.DeadLettersPage)
_letter = reader(past.DeadLetter)
_stored = reader(past.CorrectionStored)
_sent = reader(past.DeadLetterSent)
_removed = reader(past.DeadLetterRemoved)


class PastCalls:
    """What a Client can ask of the past. These calls take longer than others: a process beside the gateway answers."""

    transport: Transport

    async def sku_changes(
        self,
        sku: str,
        *,
        begin: Moment | None = None,
        upto: Moment | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> past.SkuChanges:
        """A SKU between two moments: its figures before and after, and the facts that touched it."""
        query = query_of(**{"from": moment_text(begin)}, upto=moment_text(upto), after=after, limit=limit)
        return _changes((await self.transport.send("GET", f"/v1/skus/{segment(sku)}/changes{query}"))[1])

    async def audit(
        self,
        *,
        kind: str | None = None,
        sku: str | None = None,
        channel: str | None = None,
        by: str | None = None,
        begin: datetime | None = None,
        upto: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> past.AuditPage:
        """Who changed which rule, in the order of LOG."""
        query = query_of(
            kind=kind,
            sku=sku,
            channel=channel,
            by=by,
            **{"from": moment_text(begin)},
            upto=moment_text(upto),
            after=after,
            limit=limit,
        )
        return _audit((await self.transport.send("GET", f"/v1/audit{query}"))[1])

    async def refusals(
        self,
        *,
        sku: str | None = None,
        channel: str | None = None,
        reason: str | None = None,
        begin: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> past.RefusalsPage:
        """What was asked for and refused, the newest first."""
        query = query_of(
            sku=sku, channel=channel, reason=reason, **{"from": moment_text(begin)}, after=after, limit=limit
        )
        return _refusals((await self.transport.send("GET", f"/v1/refusals{query}"))[1])

    async def report(self, begin: datetime, upto: datetime) -> Report:
        """Business figures from one whole minute until before another."""
        query = query_of(**{"from": moment_text(begin)}, upto=moment_text(upto))
        return _report((await self.transport.send("GET", f"/v1/report{query}"))[1])

    async def dead_letters(
        self,
        *,
        reason: str | None = None,
        source: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> past.DeadLettersPage:
        """Rejected facts, the oldest first."""
        query = query_of(
            reason=reason,
            source=source,
            since=moment_text(since),
            until=moment_text(until),
            after=after,
            limit=limit,
        )
        return _letters((await self.transport.send("GET", f"/v1/dead-letters{query}"))[1])

    async def dead_letter(self, letter: int) -> past.DeadLetter:
        """One of them."""
        return _letter((await self.transport.send("GET", f"/v1/dead-letters/{letter}"))[1])

    async def correct_dead_letter(self, letter: int, raw: str) -> past.CorrectionStored:
        """Store a correction beside it; the same one again is the same letter."""
        body = msgspec.json.encode(past.CorrectionRequest(raw=raw))
        return _stored((await self.transport.send("PUT", f"/v1/dead-letters/{letter}/correction", body))[1])

    async def retry_dead_letter(self, letter: int) -> past.DeadLetterSent:
        """Send it to IN again. A letter that is not there any more was sent, or removed: NotFoundError."""
        return _sent((await self.transport.send("POST", f"/v1/dead-letters/{letter}/retry"))[1])

    async def discard_dead_letter(self, letter: int) -> past.DeadLetterRemoved:
        """Remove it for good, with what it corrects."""
        return _removed((await self.transport.send("DELETE", f"/v1/dead-letters/{letter}"))[1])


def moment_text(moment: Moment | None) -> str | None:
    """As a query has it."""
    return moment.isoformat() if isinstance(moment, datetime) else None if moment is None else str(moment)
