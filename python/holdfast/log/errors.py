"""What can go wrong with the log.

Role: the one exception tree of `holdfast.log`. Always: each says what happened and what to do next, in one line.
"""


class LogFault(Exception):  # noqa: N818 - the root; what is raised is a leaf
    """Anything that the log, or the way to it, got wrong."""


class UnreachableError(LogFault):
    """No answer from NATS: not connected, timed out, or nobody answers. It proves nothing about what is stored."""


class NotDeliveredError(UnreachableError):
    """Certainly nobody received it: it was not sent, or nobody listens there."""


class ApiError(LogFault):
    """The JetStream API answered with an error."""

    def __init__(self, call: str, status: int, code: int, description: str) -> None:
        super().__init__(f"{call}: {description} (status {status}, code {code})")
        self.status = status
        self.code = code
        self.description = description


class GapError(LogFault):
    """A message that must be there cannot be read. Never skipped: restore the stream, or rebuild from a snapshot."""

    def __init__(self, stream: str, wanted: int, found: int) -> None:
        super().__init__(
            f"{stream}: message {wanted} is missing, the next one is {found}; "
            "the stream was purged or lost messages: restore it from a backup before going on"
        )
        self.stream = stream
        self.wanted = wanted
        self.found = found


class StreamMismatchError(LogFault):
    """A stream of that name exists and is not what the log needs."""


class ServerUnfitError(LogFault):
    """The NATS server is too old, or has no JetStream."""


class StoreInUseError(LogFault):
    """Another process owns the store directory. Two servers on one store lose data, so this one does not start."""


class ServerStartError(LogFault):
    """The embedded nats-server did not come up."""
