"""Who may lead, one sentence each: the lease, with a log that does what a test says."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocol import messages as e
from holdfast.protocol.log_types import Refusal
from holdfast.settings import NodeSettings
from tests.support.driver import BOUNDS, Driver, appended, holder, passing, peer
from tests.support.fake_core import replayed
from tests.support.neighbours import LeaseStore

TTL_MS = NodeSettings().lease_ttl_ms
MARGIN_MS = NodeSettings().lease_margin_ms


def someone_else_leads(driver: Driver, holds: bool = True) -> None:
    """b takes the lease and the lead."""
    other = replayed(driver.log)
    driver.log.append(other.lead_batch("b", 0))
    if holds:
        driver.neighbours.key.force("b", "boot of b", driver.mono_ms)


def test_it_takes_the_lease_before_it_claims() -> None:
    driver = Driver()
    driver.silent = True
    driver.handle(e.Rebuilt(replayed([])))
    assert driver.handle(e.CaughtUp(0)).one(e.PutLease).expected == 0
    assert driver.role == "following"
    driver.silent = False
    driver.answer_all(driver.effects)
    passing(driver, 3_000)
    assert (driver.role, holder(driver)) == ("claiming", "a")


def test_while_another_holds_the_lease_it_follows() -> None:
    key = LeaseStore()
    key.force("b", "boot of b", 1_000)
    driver = Driver(key=key).caught_up()
    for _ in range(10):
        assert appended(passing(driver, 1_000)) == []
        key.force("b", "boot of b", driver.mono_ms)
    assert (driver.role, holder(driver)) == ("following", "b")


def test_when_its_holder_is_silent_the_lease_is_taken_within_its_time_and_half_a_second() -> None:
    key = LeaseStore()
    key.force("b", "boot of b", 1_000)
    driver = Driver(key=key).caught_up()
    put_ms = driver.mono_ms
    while not driver.all_of(e.Append):
        driver.pass_ms(25)
        assert driver.mono_ms <= put_ms + TTL_MS + 500
    assert driver.mono_ms >= put_ms + TTL_MS


def test_a_server_that_is_late_with_the_end_of_a_lease_delays_nobody() -> None:
    key = LeaseStore(ttl_ms=3_600_000)
    key.force("b", "boot of b", 1_000)
    driver = Driver(key=key).caught_up()
    put_ms = driver.mono_ms
    while not driver.all_of(e.Append):
        driver.pass_ms(25)
        assert driver.mono_ms <= put_ms + TTL_MS + 500


def test_candidates_wait_a_random_while_so_that_they_do_not_collide() -> None:
    taken = set()
    for name in "acdefgh":
        key = LeaseStore()
        key.force("b", "boot of b", 1_000)
        driver = Driver(key=key, name=name).caught_up()
        while not driver.all_of(e.Append):
            driver.pass_ms(5)
        taken.add(driver.mono_ms)
    assert len(taken) > 3


def test_a_lease_of_an_earlier_life_of_its_own_is_taken_at_once() -> None:
    key = LeaseStore()
    key.force("a", "an earlier boot", 1_000)
    driver = Driver(key=key).caught_up()
    assert driver.role == "claiming"
    value = key.value(driver.mono_ms)
    assert value is not None
    assert (value.boot, value.revision) == ("boot of a", 2)


def test_a_holder_renews_it_three_times_in_its_time(leader: Driver) -> None:
    before = leader.neighbours.key.revision
    passing(leader, 3 * TTL_MS)
    assert leader.neighbours.key.revision - before in {8, 9}
    assert (leader.role, leader.core.epoch) == ("leading", 1)


def test_a_leader_whose_lease_may_be_over_decides_nothing_and_its_commands_wait_for_their_deadline(
    leader: Driver,
) -> None:
    leader.silent = True
    passing(leader, TTL_MS - MARGIN_MS + TTL_MS // 3)
    before_ms = leader.protocol.clocks.lead_ms
    assert leader.ask("r1") is None
    assert leader.turn().effects == []
    effects = passing(leader, 2_100)
    assert appended(effects) == []
    (reject,) = [effect for effect in effects if isinstance(effect, e.Reject)]
    assert (reject.problem, reject.outcome) == (e.Problem.NO_LEADER, e.Outcome.NOT_DONE)
    assert leader.protocol.clocks.lead_ms == before_ms, "lead time stands still while nobody leads for certain"


def test_what_is_held_counts_from_before_the_put_was_sent(leader: Driver) -> None:
    leader.silent = True
    while not leader.all_of(e.PutLease):
        leader.pass_ms(25)
    put, sent_ms = leader.one(e.PutLease), leader.mono_ms
    leader.pass_ms(900)
    leader.handle(e.LeasePut(put.call_id, 99))
    leader.silent = False
    assert leader.protocol.state.election.good(sent_ms + TTL_MS - MARGIN_MS - 1)
    assert not leader.protocol.state.election.good(sent_ms + TTL_MS - MARGIN_MS)


def test_an_append_in_flight_is_resolved_by_evidence_though_the_lease_is_over(leader: Driver) -> None:
    leader.silent = True
    leader.ask("r1")
    append = leader.turn().one(e.Append)
    repeats = appended(passing(leader, 2 * TTL_MS))
    assert repeats
    assert set(repeats) == {append}
    leader.log.append(append.message)
    leader.handle(e.AppendStored(append.append_id, 2))
    assert leader.protocol.stored_upto == 2
    leader.ask("r2")
    assert leader.turn().all_of(e.Append) == []


def test_a_paused_leader_that_wakes_up_decides_nothing_and_goes_on_when_its_lease_is_still_there(
    leader: Driver,
) -> None:
    leader.ask("r1", patience_ms=60_000)
    leader.mono_ms += TTL_MS - 100
    leader.silent = True
    leader.turn()
    assert leader.all_of(e.Append) == []
    leader.silent = False
    leader.pass_ms(50)
    assert leader.turn().one(e.Append).expected == 1
    assert leader.core.epoch == 1


def test_a_paused_leader_that_was_followed_by_another_steps_down_with_its_core_and_follows(leader: Driver) -> None:
    core = leader.core
    leader.ask("r1")
    leader.mono_ms += 2 * TTL_MS
    someone_else_leads(leader)
    leader.turn()
    assert leader.all_of(e.Append) == []
    leader.pass_ms(25)
    assert (leader.role, leader.core is core) == ("following", True)
    reject = leader.one(e.Reject)
    assert (reject.problem, reject.outcome) == (e.Problem.NO_LEADER, e.Outcome.NOT_DONE)
    assert leader.one(e.Follow).after == 1
    leader.handle(e.Followed(2, leader.log[1:]))
    assert (leader.core.node, leader.core.epoch) == ("b", 2)


def test_a_paused_leader_whose_append_was_under_way_is_fenced_and_says_so(leader: Driver) -> None:
    leader.ask("r1", patience_ms=60_000)
    append = leader.turn().one(e.Append)
    leader.mono_ms += 2 * TTL_MS
    someone_else_leads(leader)
    read = leader.pass_ms(25).one(e.ReadMessage)
    assert (read.sequence, leader.all_of(e.Append)) == (append.expected + 1, []), "it looks first"
    leader.handle(e.MessageRead(2, leader.log[1]))
    told = {command.waiter: reject.outcome for reject in leader.all_of(e.Reject) for command in reject.commands}
    assert told["r1"] is e.Outcome.NOT_DONE
    assert leader.protocol.core is None
    leader.one(e.Rebuild)


def test_an_append_is_sent_again_after_a_break_of_the_lease_only_once_the_others_were_asked(leader: Driver) -> None:
    """LOG lost all that a later leader wrote, and the place of this append is free again; b still holds it."""
    leader.ask("r1", patience_ms=60_000)
    append = leader.turn().one(e.Append)
    leader.mono_ms += 2 * TTL_MS
    leader.neighbours.peers = [peer(append.expected + 1, "c" * 64)]
    assert appended(passing(leader, NodeSettings().append_deadline_ms)) == []
    assert leader.role == "rebuilding", "without evidence it gives up at the deadline, as ever"


def test_an_append_is_sent_again_after_a_break_of_the_lease_when_nobody_knows_better(leader: Driver) -> None:
    leader.ask("r1", patience_ms=60_000)
    append = leader.turn().one(e.Append)
    leader.mono_ms += 2 * TTL_MS
    assert appended(passing(leader, 2_000))[0] == append


def test_a_leader_whose_lease_vanished_proves_by_a_new_epoch_that_nobody_led(leader: Driver) -> None:
    leader.neighbours.key.vanish()
    passing(leader, TTL_MS)
    assert leader.role == "following"
    assert leader.ask("r2") is None, "it returns soon"
    leader.handle(e.CaughtUp(leader.core.sequence)).store()
    assert (leader.role, leader.core.epoch) == ("leading", 2)


def test_a_put_whose_answer_was_lost_is_found_to_be_stored(leader: Driver) -> None:
    leader.silent = True
    while not leader.all_of(e.PutLease):
        leader.pass_ms(25)
    put = leader.one(e.PutLease)
    assert leader.neighbours.key.put("a", "boot of a", put.expected, leader.mono_ms)
    leader.silent = False
    passing(leader, 2_000)
    assert (leader.role, leader.core.epoch) == ("leading", 1)
    assert leader.protocol.lease_good


def test_a_process_that_stops_finishes_and_gives_the_lease_back(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn()
    leader.effects = [*leader.effects, *leader.protocol.handle(e.Stop())]
    passing(leader, 200)
    assert holder(leader) == "a"
    leader.log.append(leader.protocol.state.pending.message)  # type: ignore[union-attr]
    leader.handle(e.AppendStored(leader.protocol.leader.append_id, 2))
    leader.answer_all(leader.protocol.leave())
    assert leader.protocol.left
    assert holder(leader) is None
    other = Driver(leader.log, leader.neighbours.key, "b").caught_up()
    assert other.role == "claiming"


def test_who_holds_the_lease_and_cannot_lead_lets_another_try() -> None:
    driver = Driver().caught_up()
    append = driver.one(e.Append)
    driver.handle(e.AppendRefused(append.append_id, Refusal.WRONG_SEQUENCE, ""))
    driver.handle(e.MessageRead(1, b"garbage"))
    released = False
    for _ in range(600):
        driver.pass_ms(25)
        released = released or holder(driver) is None
    assert released


def test_an_idle_leader_that_hears_of_messages_not_its_own_follows_them_before_it_leads_on(leader: Driver) -> None:
    """The simulation found it: after the lease itself was lost two held one, and the idle one never looked at LOG."""
    leader.log.append(b"another one's")
    effects = passing(leader, BOUNDS.evidence_every_ms)
    assert appended(effects) == []
    assert e.ReadMessage(2) in effects, "what stands there may be nobody's"
    leader.handle(e.MessageRead(2, leader.log[1]))
    assert leader.role == "following"
    leader.handle(e.Followed(2, leader.log[1:])).handle(e.CaughtUp(2))
    passing(leader, BOUNDS.evidence_every_ms)
    assert leader.role == "claiming"


def test_a_void_lease_moves_nobody() -> None:
    """Written by a client that cannot sign: the holder puts its own over it, and leads on in the same term."""
    driver = Driver().caught_up().store()
    epoch = driver.core.epoch
    for _ in range(8):
        driver.neighbours.key.force(None, "", driver.mono_ms, void=True)
        passing(driver, TTL_MS // 2)
        assert (driver.role, driver.core.epoch, holder(driver)) == ("leading", epoch, "a")


def test_a_void_lease_does_not_end_the_time_of_its_holder_for_others() -> None:
    key = LeaseStore()
    key.force("b", "boot of b", 1_000)
    driver = Driver(key=key).caught_up()
    passing(driver, 1_000)
    key.force(None, "", driver.mono_ms, void=True)
    assert appended(passing(driver, TTL_MS - 1_500)) == []
    passing(driver, 2 * TTL_MS)
    assert driver.role == "claiming", "b did not come back"


@given(st.lists(st.tuples(st.integers(1, 900), st.booleans()), max_size=30))
def test_while_the_holder_gets_a_put_through_no_pattern_of_void_values_ends_its_term(
    values: list[tuple[int, bool]],
) -> None:
    driver = Driver().caught_up().store()
    for wait_ms, again in values:
        passing(driver, wait_ms)
        for _ in range(1 + again):
            driver.neighbours.key.force(None, "", driver.mono_ms, void=True)
    passing(driver, TTL_MS)
    assert (driver.role, driver.core.epoch, holder(driver)) == ("leading", 1, "a")
