"""Heartbeats: each process compares its digests with the others' at the same sequence; a difference raises an alarm."""

import asyncio
from typing import Any

import pytest

from holdfast._core import Engine
from holdfast.nats_server.server import EmbeddedServer
from holdfast.node.node import Node
from holdfast.peers.heartbeat import Heartbeats
from holdfast.peers.wire import decode_peer_state, encode_peer_state
from holdfast.protocol.errors import Unavailable
from holdfast.protocol.membership import Lifted, PeerState, Quarantined
from holdfast.settings import NodeSettings
from tests.support.servers import OWNER_KEY, put, quick_settings, stocked, together, until

QUICK = {"heartbeat_ms": 100, "digest_every": 8}


class Tampered:
    """A core whose memory was damaged: once `damaged`, its digest is not what LOG makes of it."""

    def __init__(self) -> None:
        self._engine = Engine("main", OWNER_KEY)
        self.damaged = False

    def digest(self) -> str:
        digest = self._engine.digest()
        return digest[::-1] if self.damaged else digest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


async def test_processes_that_hold_the_same_agree_at_every_comparable_sequence(server: EmbeddedServer) -> None:
    async with together(server.endpoint, quick_settings(**QUICK), ("n1", "n2", "n3")) as nodes:
        leader = nodes[0]
        await stocked(leader)
        for at in range(60):
            await put(nodes[at % 3], f"r{at}", ("S1", 1))
        reached = leader.state()["sequence"] // 8 * 8
        assert reached >= 56
        for node in nodes:
            peers = node.cluster.heartbeats.peers
            await until(
                lambda peers=peers: (  # type: ignore[misc]
                    len(peers) == 2 and all(peer.compared_upto >= reached for peer in peers.values())
                )
            )
            counters = node.counters()
            assert counters["digest_comparisons_total"] >= 2 * (reached // 8 - 1)
            assert counters["digest_differences_total"] == 0
            told = node.state()["peers"]
            assert {peer["digest"] for peer in told} == {"same"}
            assert {peer["node"] for peer in told} == {other.state()["node"] for other in nodes if other is not node}
            assert node.ready() == []


async def test_a_tampered_follower_is_alarmed_on_both_sides_and_takes_no_writes(server: EmbeddedServer) -> None:
    cores: list[tuple[str, Tampered]] = []

    def made(name: str) -> Tampered:
        core = Tampered()
        cores.append((name, core))
        return core

    async with together(
        server.endpoint,
        quick_settings(**QUICK),
        cores={"n1": lambda: made("n1"), "n2": lambda: made("n2")},
    ) as (leader, follower):
        await stocked(leader)
        follows = follower.state()["node"]
        [core for name, core in cores if name == follows][-1].damaged = True
        for at in range(20):
            await put(leader, f"r{at}", ("S1", 1))
        await until(lambda: "digest-differs" in follower.state()["quarantine"])
        for node in (leader, follower):
            await until(lambda node=node: node.counters().get("alarm_digest_differs_total", 0) > 0)  # type: ignore[misc]
            assert node.counters()["digest_differences_total"] > 0
        assert any("digest-differs" in reason for reason in follower.ready())
        with pytest.raises(Unavailable) as told:
            await put(follower, "r99", ("S1", 1))
        assert (told.value.problem, told.value.outcome) == ("log-unavailable", "not-done")
        answer = follower.read_now(lambda _, as_of: (200, as_of))
        assert answer is not None
        assert b'"stale"' in answer[1], "reads go on, marked"
        assert leader.ready() == [], "one that differs does not stop a leader"
        assert (await put(leader, "r99", ("S1", 1)))[0] == 201
        alarms = leader.counters()["alarm_digest_differs_total"]
        await asyncio.sleep(0.5)
        assert leader.counters()["alarm_digest_differs_total"] == alarms, "alarmed once, not at each heartbeat"


class Settled:
    """A core at some sequence, with some digest."""

    def __init__(self) -> None:
        self.sequence = 0
        self.epoch = 1
        self.node = "n-b2"
        self.value = "own"

    def digest(self) -> str:
        return f"{self.value}-{self.sequence}"


class Listener:
    """Heartbeats of one process, with what it raised."""

    def __init__(self, **settings: int) -> None:
        self.alarms: list[tuple[str, str]] = []
        self.verdicts: list[Quarantined | Lifted] = []
        self.heartbeats = Heartbeats(
            "n1", "b1", NodeSettings(**settings), lambda *told: self.alarms.append(told), self.verdicts.append
        )
        self.core: Any = Settled()
        self.now_s = 0.0

    def go_to(self, sequence: int) -> None:
        while self.core.sequence < sequence:
            self.core.sequence += 1
            self.heartbeats.reached(self.core)

    def hear(
        self, boot: str, role: str, *digests: tuple[int, str], settled: bool = True, epoch: int = 1, clock_ms: int = 0
    ) -> None:
        sequence = digests[-1][0] if digests else 0
        state = PeerState(f"n-{boot}", boot, role, epoch, sequence, digests=digests, clock_ms=clock_ms)
        self.heartbeats.receive(encode_peer_state(state), self.now_s, self.core, settled=settled)


def test_a_digest_is_compared_once_this_process_has_come_so_far() -> None:
    one = Listener()
    one.go_to(100)
    one.hear("b2", "leading", (64, "own-64"), (128, "own-128"), (150, "own-150"))
    assert one.heartbeats.comparisons_total == 1
    one.go_to(128)
    assert one.heartbeats.comparisons_total == 2, "compared as it gets there"
    one.hear("b2", "leading", (64, "other"), (128, "own-128"))
    assert one.heartbeats.comparisons_total == 2, "each sequence once"
    one.go_to(150)
    one.hear("b2", "leading", (128, "own-128"), (150, "own-150"))
    assert one.heartbeats.comparisons_total == 3, "and at the sequence at which both stand still"
    one.hear("b2", "leading", (151, "own-151"), settled=False)
    assert (one.alarms, one.verdicts) == ([], [])


def test_who_differs_from_the_leader_counts_itself_wrong_until_it_agrees_again() -> None:
    one = Listener()
    one.go_to(64)
    one.hear("b2", "leading", (64, "other-64"))
    assert [name for name, _ in one.alarms] == ["digest-differs"]
    assert len(one.verdicts) == 1
    assert "at 64" in str(one.verdicts[0])
    one.go_to(128)
    one.hear("b2", "leading", (128, "other-128"))
    assert len(one.alarms) == len(one.verdicts) == 1, "said once while it lasts"
    one.go_to(192)
    one.hear("b3", "following", (192, "own-192"))
    assert len(one.verdicts) == 1, "another that follows is no proof"
    one.hear("b2", "leading", (192, "own-192"))
    assert one.verdicts[1:] == [Lifted("digest-differs")]


def test_a_leader_counts_itself_wrong_only_when_two_others_agree_against_it() -> None:
    one = Listener()
    one.go_to(64)
    one.hear("b2", "following", (64, "other"))
    one.hear("b3", "following", (64, "third"))
    assert (len(one.alarms), one.verdicts) == (2, [])
    one.go_to(128)
    one.hear("b2", "following", (128, "other"))
    one.hear("b3", "following", (128, "other"))
    assert len(one.verdicts) == 1


def test_only_the_node_and_the_epoch_that_the_log_names_are_believed_to_lead() -> None:
    one = Listener()
    one.go_to(64)
    one.hear("b3", "leading", (64, "other"))
    assert (len(one.alarms), one.verdicts) == (1, []), "alarmed, but the log names another"
    one.hear("b2", "leading", (64, "third"), epoch=2)
    assert (len(one.alarms), one.verdicts) == (2, [])
    one.go_to(128)
    one.hear("b2", "leading", (128, "third"))
    assert len(one.verdicts) == 1
    alone = Listener()
    alone.core.node = "n1"  # this process leads
    alone.go_to(64)
    alone.hear("b9", "leading", (64, "other"))
    assert (len(alone.alarms), alone.verdicts) == (1, [])


def test_a_doubt_ends_with_a_replay_once_nobody_is_left_who_could_confirm_it() -> None:
    one = Listener(heartbeat_silent_ms=2_000)
    one.go_to(64)
    one.hear("b2", "leading", (64, "other"), clock_ms=10)
    assert one.verdicts == [Quarantined("digest-differs", one.heartbeats.differs)]
    one.heartbeats.sweep(1.9)
    assert len(one.verdicts) == 1
    one.heartbeats.sweep(2.1)
    assert one.verdicts[1:] == [Lifted("digest-differs", replay=True)]
    one.now_s = 3.0
    one.hear("b2", "leading", (64, "other"), clock_ms=10)
    assert len(one.verdicts) == 2, "what is sent again does not begin it anew"
    assert one.heartbeats.peers == {}


def test_a_heartbeat_that_is_not_newer_counts_for_nothing() -> None:
    one = Listener()
    one.go_to(64)
    for at in range(1, 20):
        one.now_s = float(at)
        one.hear("b2", "leading", clock_ms=50_000 + 1_000 * at)
        for old in range(1, at):
            one.hear("b2", "following", clock_ms=50_000 + 1_000 * old)
        assert one.heartbeats.clock_of("n-b2", 1, one.now_s) == 50_000 + 1_000 * at
    assert one.heartbeats.clock_of("n-b2", 2, one.now_s) == 0, "another epoch may be another run, with another clock"
    assert one.heartbeats.peers["b2"].state.role == "leading"


def test_what_is_kept_of_others_is_bounded_and_forgotten() -> None:
    one = Listener(heartbeat_peers_max=3, digests_kept_max=4, digests_sent_max=2)
    for at in range(2, 9):
        one.hear(f"b{at}", "following", *((64 * n, "x") for n in range(1, 30)))
    assert len(one.heartbeats.peers) == len(one.heartbeats._clocks) == 3
    assert all(len(peer.open) <= 4 for peer in one.heartbeats.peers.values())
    one.go_to(64 * 20)
    assert len(one.heartbeats.digests.newest(100)) == 4
    own = PeerState("n1", "b1", "following", 1, one.core.sequence)
    told = decode_peer_state(one.heartbeats.encode(own, one.core, 1.0, settled=True))
    assert len(told.digests) == 2
    one.now_s = 100.0
    assert one.heartbeats.seen(one.now_s) == []
    one.hear("b9", "following")
    assert [peer["node"] for peer in one.heartbeats.seen(one.now_s)] == ["n-b9"]
    one.hear("b9", "halted")
    assert one.heartbeats.seen(one.now_s) == [], "a process that goes says so"


def test_an_unreadable_heartbeat_and_an_own_one_are_passed_over() -> None:
    one = Listener()
    for payload in (
        b"",
        b"{}",
        b"[1]",
        b'{"node":1}',
        b'{"node":"\xee"}',
        encode_peer_state(PeerState("n1", "b1", "leading", 1, 5)),
    ):
        assert one.heartbeats.receive(payload, 0.0, one.core, settled=True) is None
    assert one.heartbeats.peers == {}


async def test_a_core_ahead_of_the_log_is_never_told(server: EmbeddedServer) -> None:
    seen: list[tuple[bool, int]] = []

    class Watched:
        def __init__(self) -> None:
            self._engine = Engine("main", OWNER_KEY)

        def digest(self) -> str:
            seen.append((self._engine.pending, self._engine.sequence))
            return self._engine.digest()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._engine, name)

    node: Node[Any] = Node("main", server.endpoint, Watched, quick_settings(heartbeat_ms=25, digest_every=2))
    await node.start()
    try:
        await node.wait_ready()
        await stocked(node)
        await asyncio.gather(*(put(node, f"r{at}", ("S1", 1)) for at in range(5)))
        for at in range(60):
            await put(node, f"q{at}", ("S1", 1))
        assert len({sequence for _, sequence in seen}) > 20
        assert not any(pending for pending, _ in seen)
    finally:
        await node.stop(drain=False)
