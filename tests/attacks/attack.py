"""What an attack is: a name, what is right, and a function that performs it and says what it saw.

In: functions marked with `attack`. Out: all of them, in order, for the table of `make attacks` and for the tests.
Always: an attack holds only what its attacker would have (a key, a NATS user, a place on the network, an account on
the machine), works on separate servers, and is judged by one criterion: *held*, or what broke.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it. `figure` is the measure that tells, with its unit."""

    held: bool
    what: str
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Arena:
    """Where an attack is performed: an empty directory, and at which size.

    `cluster`: over the three servers of deploy/nats with TLS, instead of the gateway's own nats-server.
    """

    directory: Path
    full: bool
    cluster: bool = False

    def size(self, full: int, short: int) -> int:
        """How many, at full size and in the short form."""
        return full if self.full else short


Perform: TypeAlias = Callable[[Arena], Awaitable[Seen]]


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. `alone`: it measures time, or takes the whole machine."""

    name: str
    family: str
    done: str
    right: str
    perform: Perform
    on_cluster: bool
    short: bool
    alone: bool


ATTACKS: list[Attack] = []


def attack(
    *, done: str, right: str, on_cluster: bool = False, short: bool = True, alone: bool = False
) -> Callable[[Perform], Perform]:
    """Mark a function as an attack; its name is the attack's. `short`: `make test` performs its short form."""

    def mark(perform: Perform) -> Perform:
        name = perform.__name__.replace("_", "-")
        family = perform.__module__.rpartition(".")[2].replace("_", " ")
        ATTACKS.append(Attack(name, family, done, right, perform, on_cluster, short, alone))
        return perform

    return mark


def every_attack() -> list[Attack]:
    """All of them, family by family."""
    from tests.attacks import files, floods, http, memory, nats_boundary, peers, secrets, sources, terminal

    assert all((files, floods, http, memory, nats_boundary, peers, secrets, sources, terminal))
    return ATTACKS
