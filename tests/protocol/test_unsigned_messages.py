"""A message in LOG that no process of the scope can have written: its leader steps over it, and goes on leading."""

import pytest

from holdfast.protocol import messages as e
from holdfast.protocol.log_types import Refusal
from tests.support.driver import Driver, appended


def refused(leader: Driver) -> e.ReadMessage:
    """The append under way is refused, because LOG has something in its place: what is read then."""
    append = appended(leader.effects)[-1]
    leader.handle(e.AppendRefused(append.append_id, Refusal.WRONG_SEQUENCE, "wrong last sequence"))
    return leader.one(e.ReadMessage)


def gives(leader: Driver, read: e.ReadMessage) -> Driver:
    """What LOG has there."""
    return leader.handle(e.MessageRead(read.sequence, leader.log[read.sequence - 1]))


def steps_over(leader: Driver) -> e.Append:
    """Read what is there, prove that the message before it is still there, read it again: what is sent then."""
    gives(leader, refused(leader))
    assert leader.one(e.ReadMessage).sequence == leader.core.sequence, "the tail is proven first"
    gives(leader, leader.one(e.ReadMessage))
    gives(leader, refused(leader))
    return leader.one(e.Append)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_same_batch_follows_behind_what_has_no_code(leader: Driver, count: int) -> None:
    epoch = leader.core.epoch
    leader.ask("r1")
    first = leader.turn().one(e.Append)
    leader.log += [b"unsigned %d" % number for number in range(count)]
    append = steps_over(leader)
    for _ in range(count - 1):
        append = steps_over(leader)
    assert (append.message, append.expected) == (first.message, first.expected + count)
    leader.store()
    answer = leader.one(e.Answer)
    assert (answer.sequence, answer.answers) == (len(leader.log), [(201, b"x")])
    assert (leader.role, leader.core.epoch, leader.core.void_total) == ("leading", epoch, count)
    assert leader.all_of(e.Rebuild) == []


def test_what_is_read_a_second_time_while_the_tail_is_being_proven_fences_nobody(leader: Driver) -> None:
    """The simulation found it: the second answer was taken for another leader's batch."""
    leader.ask("r1")
    leader.turn()
    leader.log.append(b"unsigned")
    read = refused(leader)
    gives(leader, read)
    gives(leader, read)
    assert (leader.role, leader.all_of(e.Rebuild), leader.all_of(e.Reject)) == ("leading", [], [])


def test_each_message_stepped_over_is_kept_in_the_journal_and_alarmed(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn()
    leader.log.append(b"unsigned")
    steps_over(leader)
    assert leader.one(e.Keep) == e.Keep(2, (b"unsigned",))
    assert leader.one(e.Alarm).name == "unproven-batch"


def test_a_log_that_lost_its_tail_is_not_stepped_into(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn().store()
    leader.ask("r2")
    leader.turn()
    leader.log[1:] = [b"unsigned", b"unsigned too"]  # our newest batch is not there any more
    gives(leader, refused(leader))
    gives(leader, leader.one(e.ReadMessage))
    assert leader.one(e.Alarm).name == "log-altered"
    assert leader.role != "leading"


def test_a_batch_of_the_scope_in_its_place_ends_the_lead(leader: Driver) -> None:
    leader.ask("r1")
    leader.turn()
    leader.log.append(b'{"of": "another history"}')
    gives(leader, refused(leader))
    assert leader.role != "leading"


def test_a_leader_with_nothing_under_way_looks_at_what_stands_behind_its_batch(leader: Driver) -> None:
    leader.log += [b"unsigned", b"unsigned again"]
    leader.protocol.leader.note_log_end(3, leader.effects)
    for _ in range(2):
        gives(leader, leader.one(e.ReadMessage))
        assert leader.one(e.ReadMessage).sequence == leader.core.sequence
        gives(leader, leader.one(e.ReadMessage))
        gives(leader, leader.one(e.ReadMessage))
    assert (leader.role, leader.core.sequence, leader.core.void_total) == ("leading", 3, 2)
    leader.log.append(b'{"of": "another leader"}')
    leader.protocol.leader.note_log_end(4, leader.effects)
    gives(leader, leader.all_of(e.ReadMessage)[-1])
    assert leader.role == "following"


def test_a_late_acknowledgement_of_the_first_place_is_not_believed_for_the_second(leader: Driver) -> None:
    leader.ask("r1")
    first = leader.turn().one(e.Append)
    leader.log.append(b"unsigned")
    second = steps_over(leader)
    assert second.append_id != first.append_id
    assert leader.handle(e.AppendStored(first.append_id, 2)).all_of(e.Answer) == []


def test_an_older_batch_in_the_place_of_ours_does_not_prove_that_ours_is_not_done(leader: Driver) -> None:
    """The simulation found it: ours still fits behind that one, and takes effect when somebody sends it again."""
    leader.ask("r1")
    append = leader.turn().one(e.Append)
    leader.log.append(leader.log[0])
    leader.handle(e.AppendRefused(append.append_id, Refusal.WRONG_SEQUENCE, ""))
    leader.handle(e.MessageRead(append.expected + 1, leader.log[0]))
    (reject,) = [one for one in leader.all_of(e.Reject) if one.commands]
    assert reject.outcome is e.Outcome.UNKNOWN
