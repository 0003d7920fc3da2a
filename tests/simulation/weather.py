"""How bad things are: the chances that one history is played with.

Role: draw, from the seed, which faults a history has and how often, and how the processes are set. In: the seed's
random source. Out: `Weather` (chances of each single mishap; the
defaults are calm) and `NodeSettings`.
Always: each fault is switched off in about half of the histories, so that the others are not hidden behind it; times
are those of the real settings, made about ten times shorter.
"""

from dataclasses import dataclass
from random import Random

from holdfast.settings import NodeSettings


@dataclass(slots=True)
class Weather:
    """Chances from 0 to 1, of one message, read or delivery, unless a unit says otherwise."""

    slow_ms: int = 4  # how long a message is on its way, at most, when nothing is wrong
    late: float = 0.0  # ... and when something is: up to late_ms
    late_ms: int = 3_000
    append_lost: float = 0.0
    append_twice: float = 0.0
    append_raced: float = 0.0  # a message that no leader sent is stored just before
    ack_lost: float = 0.0
    ack_replaced: float = 0.0  # an error comes instead of a success
    read_lost: float = 0.0
    read_stale: float = 0.0  # not found, although it is there
    end_stale: float = 0.0  # LOG is said to end before its end
    delivery_twice: float = 0.0
    delivery_gap: float = 0.0
    rebuild_fails: float = 0.0
    fetch_twice: float = 0.0
    lease_lost: float = 0.0
    lease_late_ms: int = 10  # how late the bucket is with ending what is too old, at most
    peer_silent: float = 0.0
    peer_replayed: float = 0.0  # among the answers of peers is one that a process once gave
    peer_forged: float = 0.0  # ... or one that no process gave
    message_lost: float = 0.0  # between processes
    message_twice: float = 0.0
    snapshot_damaged: float = 0.0  # torn, or a bit of it flipped
    request_lost: float = 0.0
    request_twice: float = 0.0
    answer_lost: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a history is played with."""

    processes: int
    shoppers: int
    units: int  # of each SKU: few, so that overselling is easy to provoke
    settings: NodeSettings
    weather: Weather
    faults: dict[str, int]  # what happens to processes and servers: mean time between two of a kind, in ms
    journals: bool  # whether processes keep one
    forwards: bool  # whether a process that follows hands commands to the one that leads
    storm_ms: int  # when the faults end
    calm_ms: int  # by when everything must work again


# What happens now and then: see faults.py. The figure is the shortest mean time between two, in ms.
FAULTS = {
    "kill": 1_500,
    "pause": 1_200,
    "stop": 4_000,
    "server_restart": 3_000,
    "server_stuck": 4_000,
    "log_full": 4_000,
    "deposed": 1_500,
    "lease_lost": 3_000,
    "disconnect": 1_500,
    "wall_jump": 1_500,
    "slow_spell": 2_500,
    "erp_burst": 3_000,
    "snapshot": 1_000,
}
# What somebody does who may publish between the processes, but has no seal.
ATTACKS = {
    "forge_pulse": 1_000,
    "replay_pulse": 600,
    "forge_question": 2_000,
    "replay_question": 500,
    "forge_reply": 600,
    "foreign_snapshot": 1_500,
}
# These make void batches, so they are rare.
CUT = {"cut": 3_000, "cut_to_slot": 60}
IN_CUT = {"in_cut": 2_000}
FOREIGN = {
    "foreign_garbage": 2_000,
    "foreign_replay": 2_000,
    "foreign_batch": 2_000,
    "foreign_lead": 2_000,
    "foreign_code": 2_000,
}


def plan(random: Random) -> Plan:
    """One history's conditions."""

    def chance(most: float) -> float:
        return random.random() * most if random.random() < 0.5 else 0.0

    weather = Weather(
        slow_ms=random.choice((2, 4, 15, 40)),
        late=chance(0.06),
        late_ms=random.choice((500, 3_000, 8_000)),
        append_lost=chance(0.15),
        append_twice=chance(0.2),
        append_raced=chance(0.2),
        ack_lost=chance(0.2),
        ack_replaced=chance(0.2),
        read_lost=chance(0.3),
        read_stale=chance(0.4),
        end_stale=chance(0.4),
        delivery_twice=chance(0.2),
        delivery_gap=chance(0.1),
        rebuild_fails=chance(0.3),
        fetch_twice=chance(0.3),
        lease_lost=chance(0.4),
        lease_late_ms=random.choice((10, 10, 500)),
        peer_silent=chance(0.3),
        peer_replayed=chance(0.5),
        peer_forged=chance(0.5),
        message_lost=chance(0.15),
        message_twice=chance(0.2),
        snapshot_damaged=chance(0.3),
        request_lost=chance(0.1),
        request_twice=chance(0.15),
        answer_lost=chance(0.1),
    )
    faults = _faults(random)
    if (
        "cut" in faults
    ):  # a process that holds what was lost must be reachable, or nothing can be required of the others
        weather.late = weather.peer_silent = 0.0
        weather.slow_ms = 4
    return Plan(
        processes=random.choice((2, 2, 3)),
        shoppers=random.choice((2, 4, 6)),
        units=random.randint(2, 6),
        settings=_settings(random),
        weather=weather,
        faults=faults,
        journals="cut" in faults or random.random() < 0.7,
        forwards=random.random() < 0.7,
        storm_ms=random.choice((3_000, 5_000, 8_000)),
        calm_ms=20_000,
    )


def _faults(random: Random) -> dict[str, int]:
    """What happens in one history, and how often."""
    faults = {name: _mean_ms(random, least_ms) for name, least_ms in FAULTS.items() if random.random() < 0.5}
    faults |= {name: _mean_ms(random, least_ms) for name, least_ms in ATTACKS.items() if random.random() < 0.2}
    if random.random() < 0.3:
        for name in random.sample(sorted(FOREIGN), 2):
            faults[name] = _mean_ms(random, FOREIGN[name])
    elif random.random() < 0.2:
        faults = {name: mean_ms for name, mean_ms in faults.items() if name != "slow_spell"}
        faults["cut"] = _mean_ms(random, CUT["cut"])
        if random.random() < 0.5:
            faults["cut_to_slot"] = _mean_ms(random, CUT["cut_to_slot"])
    elif random.random() < 0.15:
        faults["in_cut"] = _mean_ms(random, IN_CUT["in_cut"])
    return faults


def _mean_ms(random: Random, least_ms: int) -> int:
    return int(least_ms * (1 + 3 * random.random()))


def _settings(random: Random) -> NodeSettings:
    append_timeout_ms = random.choice((100, 200, 400))
    lease_ttl_ms = random.choice((400, 800))
    return NodeSettings(
        tick_ms=random.choice((25, 50)),
        decide_commands_max=random.choice((1, 3, 1_000)),
        decide_incoming_max=random.choice((1, 4)),
        incoming_queued_max=random.choice((2, 8)),
        commands_queued_max=random.choice((3, 20)),
        append_deadline_ms=random.choice((600, 1_500, 3_000)),
        append_timeout_ms=append_timeout_ms,
        append_retry_ms=random.choice((10, 50)),
        append_full_retry_ms=random.choice((100, 300)),
        read_back_retry_ms=random.choice((10, 40)),
        command_deadline_ms=random.choice((150, 400, 1_000)),
        forward_queued_max=random.choice((3, 20)),
        forward_commands_max=random.choice((1, 3, 500)),
        forwards_in_flight_max=random.choice((1, 4)),
        forward_margin_ms=random.choice((10, 50)),
        heartbeat_ms=random.choice((200, 400)),
        heartbeat_silent_ms=2_000,
        digest_every=random.choice((2, 8)),
        digests_sent_max=4,
        lead_step_ms_max=random.choice((200, 1_000)),
        wall_jump_ms=1_000,
        lead_retry_first_ms=random.choice((10, 50)),
        lead_retry_ms_max=random.choice((200, 800)),
        lease_ttl_ms=lease_ttl_ms,
        lease_margin_ms=lease_ttl_ms // 6,
        lease_call_ms=200,
        lease_retry_ms=50,
        lease_poll_ms=100,
        lease_poll_late_ms=25,
        lease_jitter_ms_max=50,
        lease_unused_ms=2_000,
        peers_gather_ms=random.choice((25, 60)),
        evidence_fresh_ms=400,
        evidence_every_ms=1_000,
        evidence_again_ms=500,
        evidence_retry_ms=100,
        evidence_call_ms=300,
        tail_check_retry_ms=50,
        evidence_patience_ms=random.choice((400, 800)),
        rebuild_retry_ms=random.choice((50, 200)),
    )
