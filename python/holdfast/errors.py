"""What can go wrong with the log.

Role: the one exception tree of the log, its server and the files beside it. Always: each says what happened and what to
do next, in one line.
"""


class LogError(Exception):
    """Any failure of the log or of the connection to it."""


class UnreachableError(LogError):
    """No answer from NATS: not connected, timed out, or nothing answers. It proves nothing about what is stored."""


class NotDeliveredError(UnreachableError):
    """Certainly not received: it was not sent, or nothing listens there."""


class ApiError(LogError):
    """The JetStream API answered with an error."""

    def __init__(self, call: str, status: int, code: int, description: str) -> None:
        super().__init__(f"{call}: {description} (status {status}, code {code})")
        self.status = status
        self.code = code
        self.description = description


class ConflictError(LogError):
    """A value has another revision than the one that was to be replaced: read it, then decide again."""


class GapError(LogError):
    """A message that must be there cannot be read. Never skipped: restore the stream, or rebuild from a snapshot."""

    def __init__(self, stream: str, wanted: int, found: int) -> None:
        super().__init__(
            f"{stream}: message {wanted} is missing, the next one is {found}; "
            "the stream was purged or lost messages: restore it from a backup before going on"
        )
        self.stream = stream
        self.wanted = wanted
        self.found = found


class KeyMissingError(LogError):
    """The scope key file lacks a key that batches of this log are signed with."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"batches of this log are signed with the scope key {key}, which the scope key file does not hold: copy "
            "the file `scope.key` from the data directory of a gateway of this scope"
        )


class StreamMismatchError(LogError):
    """A stream of that name exists and is not what the log needs."""


class ServerUnfitError(LogError):
    """The NATS server is too old, or has no JetStream."""


class StoreInUseError(LogError):
    """Another process owns the store directory. Two servers on one store lose data, so this one does not start."""


class ServerStartError(LogError):
    """The embedded nats-server did not come up."""


class JournalError(LogError):
    """Anything about a node's journal."""


class JournalInUseError(JournalError):
    """Another process writes this journal."""


class JournalDamagedError(JournalError):
    """Bytes of the journal are not as they were written, and it is not a torn tail."""

    def __init__(self, segment: str, offset: int, why: str) -> None:
        super().__init__(
            f"the journal is damaged: {segment} at byte {offset}: {why}; stop the gateway and run "
            "`holdfast repair --data DIR`, which checks it against the log and rewrites it"
        )
        self.segment = segment
        self.offset = offset
        self.why = why


class JournalDiffersError(JournalError):
    """LOG has other bytes at a sequence than the journal: one of the two was altered."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"the log has other bytes at {sequence} than this node's journal")
        self.sequence = sequence


class JournalGapError(JournalError):
    """A message to be appended does not follow the journal's end."""

    def __init__(self, wanted: int, found: int) -> None:
        super().__init__(f"the journal wants message {wanted} next, not {found}")
        self.wanted = wanted
        self.found = found


class JournalFullError(JournalError):
    """The journal has reached `journal.bytes_max`; older segments can be removed once they are archived."""


class SnapshotStoreError(LogError):
    """Anything about a snapshot: use an older one, or replay LOG."""


class SnapshotUnreadableError(SnapshotStoreError):
    """A file is not a snapshot, or its header is damaged."""


class SnapshotTooNewError(SnapshotStoreError):
    """A newer holdfast wrote it. It is not damaged: leave it there."""


class SnapshotsInUseError(SnapshotStoreError):
    """Another process takes a snapshot in this directory right now; it will be done soon."""


class ArchiveError(LogError):
    """The archive lacks something, or a file of it is not what was written."""


class NotPublishedError(LogError):
    """There is no stream of events: no publisher ever ran for this scope."""


class BeyondEndError(LogError):
    """An event is named that is not published yet: perhaps the log was begun again."""
