"""The protocol's rules, one sentence each, with a log that does what a test says."""

from holdfast.protocol import messages as e
from holdfast.protocol.log_types import Refusal
from tests.support.driver import Driver
from tests.support.fake_core import FakeCore, replayed


def test_it_leads_only_after_its_lead_batch_is_stored() -> None:
    driver = Driver()
    assert driver.ask("r1") == (e.Problem.NO_LEADER, e.Outcome.NOT_DONE)
    driver.caught_up()
    assert driver.role == "claiming"
    driver.store()
    assert driver.role == "leading"
    assert driver.core.epoch == 1
    assert driver.ask("r1") is None


def test_commands_of_one_turn_share_one_batch_and_are_answered_after_the_acknowledgement(leader: Driver) -> None:
    for name in ("r1", "r2"):
        leader.ask(name)
    leader.turn()
    assert leader.all_of(e.Answer) == []
    leader.store()
    answer = leader.one(e.Answer)
    assert [command.waiter for command in answer.commands] == ["r1", "r2"]
    assert answer.sequence == 2


def test_one_append_is_in_flight_and_what_comes_meanwhile_waits_for_the_next(leader: Driver) -> None:
    leader.ask("r1")
    first = leader.turn().one(e.Append)
    leader.ask("r2")
    assert leader.turn().all_of(e.Append) == []
    leader.log.append(first.message)
    leader.handle(e.AppendStored(first.append_id, 2))
    assert leader.all_of(e.Append) == [], "reads go first: nothing is decided before the next turn"
    assert leader.turn().one(e.Append).expected == 2


def test_what_changes_nothing_is_answered_at_once(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn().store()
    leader.ask("r1")
    leader.turn()
    assert leader.one(e.Answer).answers == [(200, b"x")]
    assert leader.all_of(e.Append) == []


def test_an_append_without_an_answer_is_repeated_with_identical_bytes(leader: Driver) -> None:
    leader.ask("r1")
    first = leader.turn().one(e.Append)
    assert leader.pass_ms(1_000).all_of(e.Append) == []
    assert leader.pass_ms(600).one(e.Append) == first


def test_a_reconnect_repeats_the_append_at_once(leader: Driver) -> None:
    leader.ask("r1")
    first = leader.turn().one(e.Append)
    assert leader.handle(e.Connected()).one(e.ReadMessage).sequence == first.expected, "first: what is it to follow?"
    assert leader.all_of(e.Append) == []
    assert leader.handle(e.MessageRead(first.expected, leader.log[-1])).one(e.Append) == first


def test_after_a_reconnect_nothing_is_appended_after_a_message_that_is_not_what_it_was(leader: Driver) -> None:
    """The simulation found it: a server lost its tail, another one's late batch took the place, the count was right."""
    leader.ask("r1")
    first = leader.turn().one(e.Append)
    leader.handle(e.Connected())
    assert leader.handle(e.MessageRead(first.expected, None)).pass_ms(1_000).all_of(e.Append) == [], "proves nothing"
    assert leader.one(e.ReadMessage).sequence == first.expected
    leader.handle(e.MessageRead(first.expected, b"another one's"))
    assert (leader.role, leader.one(e.Alarm).name) == ("rebuilding", "log-altered")
    assert leader.one(e.Reject).outcome is e.Outcome.UNKNOWN


def test_a_message_that_does_not_fit_after_a_reconnect_is_no_ground_to_stand_on() -> None:
    log = [replayed([]).lead_batch("b", 1_000)]
    follower = Driver(list(log)).caught_up()
    second = replayed(log).lead_batch("b", 1_000)
    follower.handle(e.Followed(2, [second])).handle(e.Connected())
    follower.handle(e.Followed(3, [b"of another history"]))
    assert follower.one(e.Alarm).name == "void-batch"
    assert follower.handle(e.MessageRead(2, b"another one's")).role == "rebuilding"


def test_an_idle_leader_looks_at_what_it_stands_on_before_it_decides_again(leader: Driver) -> None:
    leader.handle(e.Connected())
    leader.ask("r1")
    assert leader.turn().all_of(e.Append) == []
    leader.handle(e.MessageRead(1, leader.log[0]))
    assert leader.turn().one(e.Append).expected == 1


def test_wrong_last_sequence_is_settled_by_reading_the_message_not_by_believing_the_error(leader: Driver) -> None:
    leader.ask("r1")
    append = leader.turn().one(e.Append)
    leader.handle(e.AppendRefused(append.append_id, Refusal.WRONG_SEQUENCE, "wrong last sequence: 99"))
    assert leader.one(e.ReadMessage).sequence == 2
    leader.handle(e.MessageRead(2, None))
    assert leader.effects == [], "absence proves nothing"
    assert leader.pass_ms(100).one(e.Append) == append
    leader.handle(e.AppendRefused(append.append_id, Refusal.WRONG_SEQUENCE, ""))
    leader.handle(e.MessageRead(2, append.message))
    assert leader.one(e.Answer).sequence == 2


def test_other_bytes_at_the_place_throw_the_core_away_and_what_is_no_batch_proves_nothing(leader: Driver) -> None:
    leader.ask("r1")
    append = leader.turn().one(e.Append)
    leader.ask("r2")
    leader.log.append(b"garbage")
    leader.handle(e.AppendRefused(append.append_id, Refusal.WRONG_SEQUENCE, ""))
    leader.handle(e.MessageRead(2, b"garbage"))
    reject = leader.one(e.Reject)
    assert [command.waiter for command in reject.commands] == ["r1"]
    assert reject.outcome is e.Outcome.UNKNOWN
    assert leader.protocol.core is None
    leader.one(e.Rebuild)
    leader.caught_up()
    leader.pass_ms(100).store()
    assert leader.core.void_total == 1
    leader.turn().store()
    assert [command.waiter for command in leader.one(e.Answer).commands] == ["r2"], "r2 waited through it"


def test_no_evidence_within_the_deadline_means_step_down_with_unknown_outcome(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn()
    rejects: list[e.Reject] = []
    while leader.role == "leading":
        rejects += leader.pass_ms(500).all_of(e.Reject)
    assert [reject.outcome for reject in rejects] == [e.Outcome.UNKNOWN]
    assert leader.mono_ms >= 31_000
    leader.one(e.Rebuild)


def test_a_late_acknowledgement_of_an_earlier_append_is_nobody_elses(leader: Driver) -> None:
    leader.ask("r1")
    stale = leader.turn().one(e.Append)
    while leader.role == "leading":
        leader.pass_ms(500)
    leader.caught_up()
    claim = leader.pass_ms(1_000).one(e.Append)
    assert claim.expected == stale.expected
    leader.handle(e.AppendStored(stale.append_id, 2))
    assert leader.role == "claiming"


def test_a_waiter_is_told_after_its_deadline_and_the_batch_goes_on_being_resolved(leader: Driver) -> None:
    leader.ask("r1")
    append = leader.turn().one(e.Append)
    leader.ask("r2")
    leader.pass_ms(2_100)
    told = {reject.commands[0].waiter: reject.outcome for reject in leader.all_of(e.Reject)}
    assert told == {"r1": e.Outcome.UNKNOWN, "r2": e.Outcome.NOT_DONE}
    leader.log.append(append.message)
    leader.handle(e.AppendStored(append.append_id, 2))
    assert list(leader.one(e.Answer).commands) == []
    assert "r1" in leader.core.held


def test_a_full_queue_refuses(leader: Driver) -> None:
    leader.ask("r0")
    leader.turn()
    assert [leader.ask(f"r{at}") for at in range(1, 7)] == [None] * 5 + [(e.Problem.OVERLOADED, e.Outcome.NOT_DONE)]


def test_a_full_log_is_told_and_tried_again_slowly(leader: Driver) -> None:
    leader.ask("r1")
    append = leader.turn().one(e.Append)
    leader.handle(e.AppendRefused(append.append_id, Refusal.FULL, "10077: maximum bytes exceeded"))
    assert leader.one(e.Alarm).name == "log-full"
    assert leader.protocol.log_refusal is Refusal.FULL
    assert leader.pass_ms(500).all_of(e.Append) == []
    assert leader.pass_ms(600).one(e.Append) == append


def test_lead_time_moves_by_at_most_a_second_for_one_look_and_stands_still_without_an_answer(leader: Driver) -> None:
    before = leader.pass_ms(25).protocol.clocks.lead_ms
    leader.pass_ms(60_000)
    assert leader.protocol.clocks.lead_ms <= before + 1_000, "a frozen leader expires nothing"
    assert leader.handle(e.CaughtUp(1)).store().role == "leading", (
        "its lease was over: it had to prove that nobody led meanwhile"
    )
    before = leader.protocol.clocks.lead_ms
    leader.ask("r1")
    leader.turn()
    for _ in range(10):
        leader.pass_ms(500)
    assert leader.protocol.clocks.lead_ms == before + 1_000, "nor does a log that is away"


def test_wall_time_never_goes_back_and_a_jump_alarms(leader: Driver) -> None:
    leader.pass_ms(100, wall_ms=10_000_000)
    assert leader.one(e.Alarm).name == "clock-jump"
    leader.pass_ms(100, wall_ms=50)
    assert leader.protocol.clocks.now_ms == 10_000_000


def test_holds_that_are_due_make_a_batch_when_nothing_else_comes(leader: Driver) -> None:
    leader.ask("r1", b"ttl:700")
    leader.turn().store()
    assert leader.pass_ms(500).all_of(e.Append) == []
    leader.pass_ms(300).store()
    assert leader.core.due == []


def test_in_is_fetched_after_what_was_taken_and_dead_letters_go_before_the_append(leader: Driver) -> None:
    driver = Driver(leader.log).caught_up().store()
    assert driver.one(e.FetchIn).after == 0
    driver.handle(e.Fetched([(1, "hf.main.in.erp.acme", b"good"), (2, "hf.main.in.erp.acme", b"bad")]))
    driver.turn()
    kinds = [type(effect) for effect in driver.effects]
    assert kinds.index(e.PublishDead) < kinds.index(e.Append)
    assert driver.one(e.PublishDead).letters[0].in_sequence == 2
    driver.store()
    assert driver.one(e.Received).sequence == len(driver.log)
    again = Driver(driver.log).caught_up().store()
    assert again.one(e.FetchIn).after == 2


def test_a_flood_of_facts_leaves_every_other_batch_to_commands(leader: Driver) -> None:
    leader.handle(e.Fetched([(at, "hf.main.in.erp.acme", b"good") for at in range(1, 13)]))
    leader.core.batch_max = 3
    for at in range(4):
        leader.ask(f"r{at}")
    leader.turn()
    taken = [len(leader.protocol.queues.commands)]
    for _ in range(3):
        leader.store()
        leader.turn()
        taken.append(len(leader.protocol.queues.commands))
    assert taken[-1] == 0


def test_it_does_not_lead_on_a_log_that_is_shorter_than_what_it_acknowledged(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn().store()
    leader.ask("r2")
    append = leader.turn().one(e.Append)
    leader.handle(e.AppendRefused(append.append_id, Refusal.WRONG_SEQUENCE, ""))
    leader.handle(e.MessageRead(3, b"garbage"))
    leader.handle(e.Rebuilt(replayed(leader.log[:1])))
    assert leader.one(e.Alarm).name == "log-regressed"
    assert leader.protocol.core is None
    leader.pass_ms(600).one(e.Rebuild)


def test_a_gap_is_read_again() -> None:
    driver = Driver()
    driver.handle(e.Rebuilt(FakeCore()))
    driver.handle(e.Followed(3, [b"x"]))
    assert driver.one(e.Follow).after == 0


def test_an_exception_in_the_core_halts_and_tells_everyone(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn()
    leader.ask("r2")
    leader.core.commit = None
    leader.store()
    leader.one(e.Halt)
    outcomes = {command.waiter: reject.outcome for reject in leader.all_of(e.Reject) for command in reject.commands}
    assert outcomes == {"r1": e.Outcome.UNKNOWN, "r2": e.Outcome.NOT_DONE}
    assert leader.pass_ms(1_000).effects == []


def test_an_acknowledgement_for_another_place_halts(leader: Driver) -> None:
    leader.ask("r1")
    append = leader.turn().one(e.Append)
    leader.handle(e.AppendStored(append.append_id, 7))
    assert "fence" in leader.one(e.Halt).reason
