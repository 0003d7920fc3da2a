"""What keeps a process from leading, one sentence each: peers, journals, the streams' ends, what others find."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocol import messages as e
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.quarantine import Quarantine
from holdfast.settings import NodeSettings
from tests.support.driver import Driver, appended, holder, passing, peer
from tests.support.fake_core import replayed

PATIENCE_MS = NodeSettings().evidence_patience_ms


def test_a_quarantined_leader_steps_down_with_its_core_and_does_not_claim_again() -> None:
    driver = Driver().caught_up().store()
    core = driver.core
    driver.ask("r1")
    driver.handle(e.Quarantined("digest-differs", "n2 has another digest at 1"))
    assert (driver.role, driver.core is core) == ("following", True)
    assert driver.one(e.Alarm).name == "quarantine"
    reject = driver.one(e.Reject)
    assert (reject.problem, reject.outcome) == (e.Problem.LOG_UNAVAILABLE, e.Outcome.NOT_DONE)
    assert driver.one(e.Follow).after == 1
    assert driver.ask("r2") == (e.Problem.LOG_UNAVAILABLE, e.Outcome.NOT_DONE)
    driver.handle(e.CaughtUp(1))
    assert driver.pass_ms(60_000).all_of(e.Append) == []
    driver.handle(e.Lifted("digest-differs")).store()
    assert (driver.role, driver.core.epoch) == ("leading", 2)


def test_an_append_in_flight_is_resolved_before_a_quarantine_takes_the_lead_away() -> None:
    driver = Driver().caught_up().store()
    driver.ask("r1")
    append = driver.turn().one(e.Append)
    driver.handle(e.Quarantined("in-shorter", "IN ends at 3, LOG has taken 9"))
    assert (driver.role, driver.all_of(e.Follow)) == ("leading", [])
    driver.log.append(append.message)
    driver.handle(e.AppendStored(append.append_id, 2))
    assert [command.waiter for command in driver.one(e.Answer).commands] == ["r1"]
    assert (driver.role, driver.one(e.Follow).after) == ("following", 2)


def test_each_cause_of_a_quarantine_is_lifted_on_its_own() -> None:
    driver = Driver()
    driver.handle(e.Quarantined("digest-differs", "a"))
    driver.handle(e.Quarantined("log-altered", "b"))
    driver.caught_up()
    driver.handle(e.Lifted("digest-differs"))
    assert (driver.role, driver.protocol.quarantine) == ("following", {"log-altered": "b"})
    driver.handle(e.Lifted("log-altered"))
    assert driver.role == "claiming"


def test_a_candidate_that_hears_of_a_longer_log_waits_for_it_and_then_claims() -> None:
    log = [replayed([]).lead_batch("b", 0)]
    driver = Driver(list(log))
    core = replayed(log)
    log.append(core.decide(0, 0, [("put", "r1", b"x", None, None)], []).message or b"")
    driver.neighbours.peers = [peer(2, replayed(log).chain)]
    driver.caught_up()
    assert appended(passing(driver, 1_000)) == []
    driver.log.append(log[1])
    driver.handle(e.Followed(2, [log[1]]))
    assert driver.pass_ms(25).one(e.Append).expected == 2
    assert driver.protocol.quarantine == {}


def test_a_log_that_stays_shorter_than_a_peer_is_quarantined_until_it_is_whole() -> None:
    log = [replayed([]).lead_batch("b", 0)]
    driver = Driver(list(log))
    core = replayed(log)
    log.append(core.decide(0, 0, [("put", "r1", b"x", None, None)], []).message or b"")
    driver.neighbours.peers = [peer(2, replayed(log).chain)]
    driver.caught_up()
    effects = passing(driver, PATIENCE_MS + 100)
    assert list(driver.protocol.quarantine) == ["log-shorter"]
    assert [effect.name for effect in effects if isinstance(effect, e.Alarm)] == ["quarantine"]
    driver.neighbours.peers = []
    assert appended(passing(driver, 60_000)) == [], "that peer is gone; what it said stands"
    assert (driver.role, holder(driver)) == ("following", None)
    driver.log.append(log[1])
    driver.handle(e.Followed(2, [log[1]]))
    assert appended(passing(driver, 1_000))[0].expected == 2


def test_a_peers_journal_counts_as_much_as_its_core() -> None:
    driver = Driver([replayed([]).lead_batch("b", 0)])
    driver.neighbours.peers = [peer(1, "", journal_sequence=9, journal_chain="f" * 64)]
    driver.caught_up()
    passing(driver, PATIENCE_MS + 100)
    assert "journal of b holds 9" in driver.protocol.quarantine["log-shorter"]


def test_another_chain_hash_at_a_sequence_that_it_knows_is_quarantined_until_that_peer_agrees() -> None:
    driver = Driver([replayed([]).lead_batch("b", 0)])
    driver.neighbours.peers = [peer(1, "f" * 64)]
    driver.caught_up()
    assert list(driver.protocol.quarantine) == ["log-altered"]
    assert appended(passing(driver, 20_000)) == []
    driver.neighbours.peers = [peer(1, driver.core.chain)]
    assert appended(passing(driver, 5_000))[0].expected == 1


def test_its_own_journal_beyond_the_end_of_log_is_quarantined_until_log_is_whole() -> None:
    log = [replayed([]).lead_batch("a", 0)]
    chain = replayed(log).chain
    driver = Driver()
    driver.handle(e.Rebuilt(replayed([]), journal_end=(1, chain)))
    driver.handle(e.CaughtUp(0))
    assert appended(passing(driver, 30_000)) == []
    assert "journal holds 1" in driver.protocol.quarantine["log-shorter"]
    driver.log.extend(log)
    driver.handle(e.Followed(1, log))
    assert appended(passing(driver, 1_000))[0].expected == 1


def test_an_in_that_ends_before_what_log_has_taken_is_quarantined_when_it_stays_so() -> None:
    core = replayed([])
    log = [core.lead_batch("a", 0)]
    core = replayed(log)
    log.append(core.decide(0, 0, [], [(7, "hf.main.in.erp.acme", b"good")]).message or b"")
    driver = Driver(log)
    driver.neighbours.in_end = 3
    driver.caught_up()
    assert appended(passing(driver, 1_000)) == []
    assert driver.protocol.quarantine == {}, "a figure may be stale"
    passing(driver, PATIENCE_MS)
    assert list(driver.protocol.quarantine) == ["in-shorter"]
    driver.neighbours.in_end = 7
    assert appended(passing(driver, 5_000))[0].expected == 2


def test_an_in_that_was_shorter_and_has_grown_again_is_told_once(leader: Driver) -> None:
    """What it has in the place of what LOG took in is never taken in, and nobody else would say so."""
    leader.handle(e.Fetched([(1, "hf.main.in.erp.acme", b"good")]))
    leader.turn().store()
    leader.neighbours.in_end = 0
    leader.handle(e.Connected())
    told = passing(leader, 100)
    leader.neighbours.in_end = 1
    told += passing(leader, 12_000)
    assert [effect.name for effect in told if isinstance(effect, e.Alarm)] == ["in-regrown"]
    assert leader.role == "leading"


def test_a_leader_under_which_in_lost_its_end_steps_down(leader: Driver) -> None:
    leader.handle(e.Fetched([(1, "hf.main.in.erp.acme", b"good")]))
    leader.turn().store()
    leader.neighbours.in_end = 0
    passing(leader, 12_000)
    assert (leader.role, list(leader.protocol.quarantine)) == ("following", ["in-shorter"])
    assert leader.ask("r1") == (e.Problem.LOG_UNAVAILABLE, e.Outcome.NOT_DONE)


def test_a_log_that_is_said_to_be_shorter_is_believed_only_when_it_stays_so_and_nothing_is_stored(
    leader: Driver,
) -> None:
    leader.neighbours.log_end = lambda: 0
    for _ in range(40):
        leader.ask(f"r{leader.mono_ms}")
        leader.turn()
        append = leader.one(e.Append)
        leader.log.append(append.message)
        leader.handle(e.AppendStored(append.append_id, len(leader.log)))
        leader.pass_ms(500)
    assert leader.role == "leading"
    passing(leader, 12_000)
    assert list(leader.protocol.quarantine) == ["log-shorter"]


def test_a_log_that_lost_what_was_acknowledged_is_read_stale_and_never_led(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn().store()
    leader.ask("r2")
    append = leader.turn().one(e.Append)
    leader.handle(e.AppendRefused(append.append_id, Refusal.WRONG_SEQUENCE, ""))
    leader.handle(e.MessageRead(3, b"garbage"))
    short = leader.log[:1]
    for _ in range(20):
        leader.handle(e.Rebuilt(replayed(short)))
        if leader.role == "following":
            break
        assert leader.protocol.core is None
        leader.pass_ms(600).one(e.Rebuild)
    leader.handle(e.CaughtUp(1))
    assert appended(passing(leader, 20_000)) == []
    assert "acknowledged" in leader.protocol.quarantine["log-shorter"]
    assert leader.core.sequence == 1


def test_a_doubt_that_nobody_is_left_to_confirm_ends_with_a_replay() -> None:
    driver = Driver().caught_up().store()
    driver.handle(e.Quarantined("digest-differs", "n2 has another digest at 1"))
    assert driver.role == "following"
    driver.handle(e.Lifted("digest-differs", replay=True))
    assert (driver.role, driver.one(e.Rebuild).reason) == ("rebuilding", "doubted")
    assert driver.protocol.quarantine == {}


@given(st.integers(0, 60_000), st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_streams_that_do_not_answer_are_asked_again_later_each_time(span_ms: int, turns: list[int]) -> None:
    """However many events there are in a millisecond: what is asked depends on the time that has passed alone."""
    settings = NodeSettings()
    quarantine = Quarantine("boot of a", settings)
    core = replayed([])
    asked = 0
    for at, turn in enumerate(turns):
        mono_ms = span_ms * at // len(turns)
        for _ in range(turn * 10):
            effects: list[e.Effect] = []
            quarantine.pursue(mono_ms, core, candidate=True, effects=effects)
            for effect in effects:
                if isinstance(effect, e.ReadEnds):
                    asked += 1
                    quarantine.on_ends(e.EndsRead(effect.call_id, None, None), mono_ms)
    doublings = (settings.evidence_retry_ms // settings.lead_retry_first_ms).bit_length()
    assert asked <= 1 + doublings + span_ms // settings.evidence_retry_ms
