"""Questions about the past, put to a process beside the gateway.

In: questions of requests. Out: answers, or refusals. Always: one question at a time for each gateway process, a few
wait, all others get 503; the process starts with the first question, has low priority, ends with this one, and is
killed when an answer takes too long; nothing of it runs on this event loop but the waiting.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import structlog

from holdfast.gateway.refusals import Refusal, overloaded
from holdfast.guarded import bare_environment
from holdfast.hindsight.frames import BYTES_MAX, LENGTH_BYTES, Place, Question, Reply, framed
from holdfast.nats_server.store import die_with_parent
from holdfast.settings import GatewaySettings, Settings

log = structlog.get_logger(__name__)

_NICENESS = 10


class LookBack:
    """The process, and the questions that wait for it."""

    def __init__(self, directory: Path, scope: str, nats: str, settings: Settings) -> None:
        self._place = Place(str(directory), scope, nats, settings)
        self._bounds = settings.gateway
        self._one = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self.asked_total = 0
        self.refused_total = 0

    async def ask(self, what: str, sequence: int, **needs: Any) -> tuple[int, bytes, int]:
        """The answer, with the LOG sequence that it reflects. `sequence`: what the files must have by then.

        Raises Refusal.
        """
        if self._waiting >= self._bounds.past_waiting_max:
            self.refused_total += 1
            raise overloaded(
                "Too many questions about the past wait.", retry_after_s=self._bounds.retry_after_s, queue="past"
            )
        self._waiting += 1
        self.asked_total += 1
        try:
            async with asyncio.timeout(self._bounds.past_timeout_ms / 1000):
                async with self._one:
                    reply = await self._answer(Question(what, _raw(needs), sequence))
        except TimeoutError:
            raise overloaded(
                "The answer takes too long: ask for less, or later.", retry_after_s=self._bounds.retry_after_s
            ) from None
        finally:
            self._waiting -= 1
        if not reply.problem:
            return 200, bytes(reply.body), reply.sequence
        if reply.status == 503:
            raise Refusal(
                reply.problem,
                reply.detail,
                headers=b"Retry-After: %d\r\n" % self._bounds.retry_after_s,
                outcome="not-done" if reply.problem == "overloaded" else "unknown",
            )
        if reply.path:
            raise Refusal(reply.problem, errors=[{"path": reply.path, "reason": reply.detail}])
        raise Refusal(reply.problem, reply.detail)

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _answer(self, question: Question) -> Reply:
        try:
            process = await self._running()
            assert process.stdin is not None, "Invariant: started with pipes"
            assert process.stdout is not None, "Invariant: started with pipes"
            process.stdin.write(framed(question))
            await process.stdin.drain()
            size = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES))
            if size > BYTES_MAX:
                raise ConnectionError(f"an answer of {size} bytes")
            return msgspec.json.decode(await process.stdout.readexactly(size), type=Reply)
        except (OSError, EOFError, msgspec.DecodeError) as fault:
            log.error("past-process-lost", why=str(fault) or type(fault).__name__, asked=question.what)
            await self.close()
            raise overloaded(
                "The process that looks into the past was lost; it is started again.",
                retry_after_s=self._bounds.retry_after_s,
            ) from fault
        except BaseException:  # cancelled, or too slow: what comes later would answer another question
            await self.close()
            raise

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            die = die_with_parent()

            def before() -> None:
                if die is not None:
                    die()
                os.nice(_NICENESS)

            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "holdfast.hindsight.process"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=bare_environment(),
                start_new_session=True,
                preexec_fn=before,
                limit=1 << 20,
            )
            assert self._process.stdin is not None, "Invariant: started with pipes"
            self._process.stdin.write(framed(self._place))
        return self._process


class NoPast:
    """Where no directory keeps a past: every question gets 503."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings

    async def ask(self, what: str, sequence: int, **needs: Any) -> tuple[int, bytes, int]:  # noqa: ARG002
        """See LookBack."""
        raise overloaded("This gateway keeps no past.", retry_after_s=self._settings.retry_after_s)


def _raw(needs: dict[str, Any]) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in needs.items() if value is not None}
