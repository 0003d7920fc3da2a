"""One connector works for a store.

Role: let a second connector of one store wait, and go on when the first ends. In: the stream of reports. Out: a claim;
the report written under it. Always: each report expects the one before it to be its own, so that of two that work at
once the one that is behind learns it with its next report, and stops.
"""

import asyncio
import time
import uuid

import structlog

from holdfast.errors import LogError
from holdfast.nats.appender import Stored, parse_reply
from holdfast.nats.connection import Connection
from holdfast.nats.outlets import last_of
from holdfast.protocol.log_types import Refusal
from holdfast.settings import Settings
from holdfast.woo.report import StoreReport, report_of

log = structlog.get_logger(__name__)

_SILENCE = 5
"""Reports that a connector leaves out before another takes its place."""
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class OvertakenError(LogError):
    """Another connector of this store works."""


class Lease:
    """Of one run of one store's connector."""

    def __init__(self, connection: Connection, stream: str, subject: str, settings: Settings) -> None:
        self.run = uuid.uuid4().hex
        self._connection = connection
        self._stream = stream
        self._subject = subject
        self._settings = settings
        self._place = 0

    async def claim(self) -> None:
        """Wait until no other connector reports any more. Raises LogError."""
        report_s = self._settings.woo.report_ms / 1000
        seen, since_s, waited = -1, time.monotonic(), False
        while True:
            found = await last_of(self._connection, self._stream, self._subject)
            place, report = (0, None) if found is None else (found[0], report_of(found[1]))
            if place != seen:
                seen, since_s = place, time.monotonic()
            is_old = report is None or report.ended or abs(time.time() - report.at_s) > 60 * report_s
            if is_old or time.monotonic() - since_s > _SILENCE * report_s:
                self._place = place
                return
            if not waited:
                waited = True
                log.info("store-waits", subject=self._subject, why="another connector reports")
            await asyncio.sleep(report_s / 2)

    async def write(self, report: StoreReport, payload: bytes) -> None:
        """Write a report. Raises OvertakenError, LogError."""
        headers = {"Nats-Expected-Stream": self._stream, _EXPECTED: str(self._place)}
        timeout_ms = self._settings.log.request_timeout_ms
        answer = await self._connection.request(self._subject, payload, timeout_ms, headers)
        reply = parse_reply(self._stream, 0, answer.data, answer.headers.get("Status") if answer.headers else None)
        if isinstance(reply, Stored):
            self._place = reply.sequence
            return
        if reply.refusal is not Refusal.WRONG_SEQUENCE:
            raise LogError(f"{self._subject}: {reply.detail}")
        found = await last_of(self._connection, self._stream, self._subject)
        other = None if found is None else report_of(found[1])
        if found is not None and other is not None and other.run != report.run:
            raise OvertakenError(f"another connector of {report.store} works")
        self._place = 0 if found is None else found[0]  # the answer to our own last report was lost, or the stream
