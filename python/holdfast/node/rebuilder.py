"""A new core from LOG, in the background of a node.

In: why a rebuild is due. Out: Rebuilt, RebuildFailed or Broken, and the progress of the replay. Always: a core is
handed over only when it holds all that LOG holds as reported; a fault in the core ends the node and is not tried again.
"""

import asyncio
from collections.abc import Callable
from typing import Generic

import structlog

from holdfast.errors import LogError
from holdfast.nats.connection import Connection
from holdfast.node.bootstrap import Bootstrap, prove
from holdfast.node.journal_writer import JournalWriter
from holdfast.node.reads import CoreT
from holdfast.node.replay import Progress, ReplayProgress
from holdfast.protocol.messages import Alarm, Broken, Event, RebuildFailed, Rebuilt

log = structlog.get_logger(__name__)


class Rebuilder(Generic[CoreT]):
    """Starts from a snapshot where `bootstrap` finds one, else from an empty core; then replays."""

    def __init__(
        self,
        connection: Connection,
        journal_writer: JournalWriter,
        new_core: Callable[[], CoreT],
        bootstrap: Bootstrap[CoreT] | None,
        on_progress: Progress | None,
        drive: Callable[[Event], None],
        alarm: Callable[[Alarm], None],
    ) -> None:
        self.progress: ReplayProgress | None = None
        self._connection = connection
        self._journal_writer = journal_writer
        self._new_core = new_core
        self._bootstrap = bootstrap
        self._on_progress = on_progress
        self._drive = drive
        self._alarm = alarm

    async def rebuild(self, reason: str) -> bool:
        """One rebuild; whether there is a new core."""
        log.info("rebuild", why=reason)
        try:
            bootstrap = self._bootstrap
            core = await bootstrap.core(self._connection, self._alarm) if bootstrap else self._new_core()
            progress = await self._journal_writer.rebuild(core, self._note_progress)
            await prove(core, self._alarm)
        except LogError as fault:
            self._drive(RebuildFailed(str(fault)))
        except asyncio.CancelledError:
            raise
        except BaseException as fault:  # noqa: BLE001 - fail-stop; a panic in the core is no Exception
            self._drive(Broken(f"replay: {type(fault).__name__}: {fault}"))
        else:
            log.info("rebuilt", sequence=progress.sequence, facts_per_s=int(progress.facts_per_s))
            self._drive(Rebuilt(core, self._journal_writer.end))
            return True
        return False

    def _note_progress(self, progress: ReplayProgress) -> None:
        self.progress = progress
        if self._on_progress is not None:
            self._on_progress(progress)
