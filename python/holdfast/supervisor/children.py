"""A child process that is kept running.

In: what to start, and an assignment that may come later than the start. Out: its messages, and its deaths. Always: it
ends when its parent ends (PR_SET_PDEATHSIG, and the end of its pipe); it is started again at once when it dies, and
after a wait that doubles up to a bound when it dies again too soon; one child's deaths do not affect another.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import structlog

from holdfast.guarded import bare_environment
from holdfast.nats_server.store import die_with_parent
from holdfast.settings import SupervisorSettings
from holdfast.supervisor.control_pipe import (
    Assignment,
    ControlPipe,
    Failed,
    Listening,
    LogState,
    Outcome,
    Retained,
    SnapshotCounts,
    SnapshotTried,
    WorkerDied,
)
from holdfast.tasks import cancel_and_wait

log = structlog.get_logger(__name__)

_REAP_S = 0.005


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to keep running. `argv` holds no secret: that comes with the assignment, on stdin.

    `restart`: "always", or "on-failure" (exit status 0 means that it is done). `niceness` is added to ours.
    `rest_factor`: after a death it rests at least this many times as long as it lived, at most `rest_ms_max`; 0: no
    rest.
    """

    name: str
    argv: tuple[str, ...]
    restart: Literal["always", "on-failure"] = "always"
    niceness: int = 0
    rest_factor: int = 0
    rest_ms_max: int = 0


class Child:
    """One spec, and the process that runs for it now."""

    def __init__(
        self,
        spec: ChildSpec,
        settings: SupervisorSettings,
        changed: Callable[["Child"], None] | None = None,
        snapshot_tried: Callable[[Outcome], None] | None = None,
        retained: Callable[[Retained], None] | None = None,
    ) -> None:
        self.spec = spec
        self.deaths_total = 0
        self.listening: Listening | None = None
        self.failed_first: str | None = None
        self._settings = settings
        self._changed = changed or (lambda _: None)
        self._snapshot_tried = snapshot_tried or (lambda _: None)
        self._snapshot_counts = SnapshotCounts()
        self._note_retained = retained or (lambda _: None)
        self._retained: Retained | None = None
        self._assignment: asyncio.Future[Assignment] = asyncio.get_running_loop().create_future()
        self._log_state = LogState("")
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: ControlPipe | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._deaths = 0  # in a row, each too soon
        self._why = ""
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def start(self) -> None:
        """Start it, and keep it running. Raises OSError when it cannot even be started."""
        self._spawn()
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    def assign(self, assignment: Assignment) -> None:
        """Send the assignment, to this process and to each successor."""
        self._assignment.set_result(assignment)

    def tell_log_state(self, state: LogState) -> None:
        """Send the state of the log, likewise."""
        self._log_state = state
        if self._pipe is not None and self._assignment.done():
            self._pipe.send(state)

    def tell_snapshot_counts(self, counts: SnapshotCounts) -> None:
        """Send the snapshots' counts, likewise."""
        self._snapshot_counts = counts
        if self._pipe is not None and self._assignment.done():
            self._pipe.send(counts)

    def tell_retained(self, retained: Retained) -> None:
        """Send what is kept on the disk, likewise."""
        self._retained = retained
        if self._pipe is not None and self._assignment.done():
            self._pipe.send(retained)

    def tell_death(self, death: WorkerDied) -> None:
        """Send that another one died. A process that starts later does not need it."""
        if self._pipe is not None and self.listening is not None:
            self._pipe.send(death)

    async def stop(self) -> None:
        """Ask it to finish requests under way and end; kill it when it does not."""
        self._stopping = True
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.stop_ms / 1000
        while self.pid is not None and time.monotonic() < deadline:  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(_REAP_S)
        if self.pid is not None:
            log.error(
                "child-killed", child=self.spec.name, pid=self.pid, why="it did not stop within `supervisor.stop_ms`"
            )
        await self.kill()

    async def kill(self) -> None:
        """End it now."""
        self._stopping = True
        self._signal(signal.SIGKILL)
        while self._process is not None and self._process.poll() is None:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(_REAP_S)
        await cancel_and_wait(self._keeping)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    # ---- one run of the process

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        ask = die_with_parent(signal.SIGKILL)
        niceness = self.spec.niceness

        def before() -> None:
            if ask is not None:
                ask()
            if niceness:
                os.nice(niceness)

        self._why = ""
        with theirs:
            # From the event loop's thread: the death signal is tied to the thread that forks. Its own session:
            # Ctrl-C is handled here, and passed on.
            self._process = subprocess.Popen(
                self.spec.argv,
                stdin=theirs.fileno(),
                env=bare_environment(),
                start_new_session=True,
                preexec_fn=before,  # noqa: PLW1509 - two system calls, and nothing else
            )
        self._pipe = ControlPipe(ours, self._settings.message_bytes_max)

    async def _keep(self) -> None:
        while True:
            began = time.monotonic()
            await self._live()
            self.listening = None
            assert self._process is not None, "Invariant: started"
            status = self._process.returncode
            if self._stopping or (self.spec.restart == "on-failure" and status == 0):
                self._changed(self)
                return
            wait_ms = self._note_death(status, lasted_ms=(time.monotonic() - began) * 1000)
            self._changed(self)
            while True:
                await asyncio.sleep(wait_ms / 1000)
                try:
                    self._spawn()
                    break
                except OSError as fault:
                    self._why = f"it could not be started: {fault}"
                    wait_ms = self._note_death(0, lasted_ms=0)

    async def _live(self) -> None:
        """From its start to its end."""
        assert self._process is not None, "Invariant: started"
        assert self._pipe is not None, "Invariant: started"
        pipe = self._pipe
        await pipe.open()
        talking = asyncio.create_task(self._talk(pipe))
        try:
            while self._process.poll() is None:
                if talking.done():
                    await asyncio.sleep(_REAP_S)
                else:
                    await asyncio.wait({talking}, timeout=self._settings.watch_ms / 1000)
            # Its last messages may still be on their way.
            await asyncio.wait({talking}, timeout=self._settings.watch_ms / 1000)
        finally:
            await cancel_and_wait(talking)
            self._pipe = None
            await pipe.close()

    async def _talk(self, pipe: ControlPipe) -> None:
        receiving = asyncio.create_task(self._receive(pipe))
        try:
            waited: set[asyncio.Future[Any]] = {self._assignment, receiving}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._assignment.done():
                pipe.send(self._assignment.result())
                pipe.send(self._log_state)
                if self._snapshot_counts != SnapshotCounts():
                    pipe.send(self._snapshot_counts)
                if self._retained is not None:
                    pipe.send(self._retained)
            await receiving
        finally:
            await cancel_and_wait(receiving)

    async def _receive(self, pipe: ControlPipe) -> None:
        try:
            async for message in pipe.received():
                if isinstance(message, Failed):
                    self._why = message.why
                elif isinstance(message, Listening):
                    self.listening = message
                    self._changed(self)
                elif isinstance(message, SnapshotTried):
                    self._snapshot_tried(message.outcome)
                elif isinstance(message, Retained):
                    self._note_retained(message)
        except msgspec.DecodeError as fault:
            log.error("child-not-understood", child=self.spec.name, why=str(fault))
            self._signal(signal.SIGKILL)

    def _note_death(self, status: int, lasted_ms: float) -> float:
        """Log it; returns how long to wait before the next start, in ms."""
        settings = self._settings
        self.deaths_total += 1
        self._deaths = 1 if lasted_ms >= settings.lasting_ms else self._deaths + 1
        shift = min(self._deaths - 2, 16)
        wait_ms = min(settings.restart_first_ms << shift, settings.restart_wait_ms_max) if shift >= 0 else 0
        wait_ms = max(wait_ms, min(int(lasted_ms * self.spec.rest_factor), self.spec.rest_ms_max))
        why = self._why or _ending(status)
        if self.failed_first is None:
            self.failed_first = why
        report = {"child": self.spec.name, "why": why, "lasted_ms": int(lasted_ms), "again_in_ms": wait_ms}
        if self._deaths >= settings.deaths_until_loud:
            log.critical(
                "child-keeps-dying", **report, deaths_in_a_row=self._deaths, advice="its own log lines above say why"
            )
        else:
            log.error("child-lost", **report, deaths_total=self.deaths_total)
        return wait_ms


def _ending(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-status).name}"
    return f"exit status {status}"
