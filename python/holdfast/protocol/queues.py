"""What waits to be decided.

Role: two bounded queues, commands and IN messages, and how much of each goes into one decide. In: commands in order of
arrival, IN messages in order of sequence. Out: groups to decide. Always: both are bounded; order is kept; the core
decides commands before IN messages, and these get every other decide to themselves while commands leave them no room.
"""

from collections import deque
from itertools import islice

from holdfast.protocol.core import Incoming, Request, Together
from holdfast.protocol.messages import Command, FetchIn
from holdfast.settings import NodeSettings


class Queues:
    """Commands and IN messages of one leader."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self.commands: deque[Command] = deque()
        self._incoming: deque[Incoming] = deque()
        self._incoming_bytes = 0
        self._fetched_upto = 0
        self._fetching = False
        self._incoming_alone = False

    def __bool__(self) -> bool:
        return bool(self.commands or self._incoming)

    @property
    def full(self) -> bool:
        """No room for another command."""
        return len(self.commands) >= self._settings.commands_queued_max

    @property
    def room(self) -> int:
        """For how many more commands."""
        return max(0, self._settings.commands_queued_max - len(self.commands))

    @property
    def incoming_waiting(self) -> int:
        """IN messages that are here and not yet taken in."""
        return len(self._incoming)

    def restart_incoming(self, in_upto: int) -> None:
        """Forget IN messages that are here; go on after `in_upto`."""
        self._incoming.clear()
        self._incoming_bytes = 0
        self._fetched_upto = in_upto
        self._fetching = False

    def add_incoming(self, messages: list[Incoming]) -> None:
        """Add what was fetched; messages that are already here, or of an earlier fetch, are ignored."""
        self._fetching = False
        for message in messages:
            if message[0] > self._fetched_upto:
                self._fetched_upto = message[0]
                self._incoming.append(message)
                self._incoming_bytes += len(message[2])

    def fetch(self) -> FetchIn | None:
        """What to fetch next: nothing while a fetch is under way, or without room."""
        messages_max = self._settings.incoming_queued_max - len(self._incoming)
        bytes_max = self._settings.incoming_queued_bytes_max - self._incoming_bytes
        if self._fetching or messages_max <= 0 or bytes_max <= 0:
            return None
        self._fetching = True
        return FetchIn(self._fetched_upto, messages_max, bytes_max)

    def group(self) -> tuple[list[Request | Together], list[Incoming]]:
        """The group for the next decide."""
        requests = [command.request for command in islice(self.commands, self._settings.decide_commands_max)]
        incoming = list(islice(self._incoming, self._settings.decide_incoming_max))
        return ([] if self._incoming_alone and incoming else requests), incoming

    def taken(self, commands: int, incoming: int, offered_incoming: int) -> tuple[list[Command], list[Incoming]]:
        """Remove what a decide took in."""
        self._incoming_alone = incoming == 0 < offered_incoming
        taken_commands = [self.commands.popleft() for _ in range(commands)]
        taken_incoming = [self._incoming.popleft() for _ in range(incoming)]
        self._incoming_bytes -= sum(len(message[2]) for message in taken_incoming)
        return taken_commands, taken_incoming

    def expired(self, mono_ms: int) -> list[Command]:
        """Remove the commands whose deadline has passed; they were not decided."""
        late: list[Command] = []
        while self.commands and self.commands[0].deadline_ms <= mono_ms:
            late.append(self.commands.popleft())
        return late

    def drop_commands(self) -> list[Command]:
        """Remove all commands."""
        dropped = list(self.commands)
        self.commands.clear()
        return dropped
