"""Commands that are forwarded: what travels together, what each end means, what a leader takes; and never a guess."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocol.errors import Unavailable
from holdfast.protocol.forwarding import (
    Admission,
    CommandAnswer,
    Group,
    NotTaken,
    Outgoing,
    answers_to,
    refusal,
    unanswered,
)
from holdfast.protocol.messages import Command, Outcome, Problem
from holdfast.settings import NodeSettings

LARGEST = 1 << 20


def command(name: str, deadline_ms: int = 1_000, body: bytes = b"{}") -> Command:
    return Command(("put", name, body, None, None), name, deadline_ms)


def outgoing(*commands: Command, **settings: int) -> Outgoing:
    made = Outgoing(NodeSettings(**settings))
    for one in commands:
        made.take(one, leader=True, payload_bytes_max=LARGEST)
    return made


def names(commands: Sequence[Command]) -> list[str]:
    return [one.waiter for one in commands]


def test_what_gathered_travels_in_one_message_and_says_how_long_its_sender_waits() -> None:
    queue = outgoing(command("r1", 1_000), command("r2", 1_200))
    question = queue.question(now_ms=400, leader_clock_ms=77)
    assert (question.number, names(question.commands), question.asked_ms) == (1, ["r1", "r2"], 77)
    assert question.left_ms == 1_000 - 400 - NodeSettings().forward_margin_ms
    assert (len(queue), queue.in_flight, queue.sendable) == (0, 1, False)


def test_messages_in_flight_and_their_size_are_bounded() -> None:
    queue = outgoing(*(command(f"r{at}", body=b"x" * 100) for at in range(6)), forward_bytes_max=700)
    sizes = []
    while queue.sendable:
        sizes.append(len(queue.question(0, 0).commands))
    assert sum(sizes) == 6
    assert max(sizes) < 6
    narrow = outgoing(command("r1"), command("r2"), forward_commands_max=1, forwards_in_flight_max=1)
    narrow.question(0, 0)
    assert not narrow.sendable
    narrow.ended()
    assert names(narrow.question(0, 0).commands) == ["r2"]


def test_what_cannot_be_sent_is_not_done() -> None:
    queue = outgoing(command("r1", 100), command("r2", 900), forward_queued_max=2)
    for leader, name, body, problem in (
        (False, "r3", b"{}", "no-leader"),
        (True, "r3", b"{}", "overloaded"),
        (True, "r3", b" " * LARGEST, "too-large"),
    ):
        with pytest.raises(Unavailable) as told:
            queue.take(command(name, body=body), leader=leader, payload_bytes_max=LARGEST)
        assert (told.value.problem, told.value.outcome) == (problem, "not-done")
    assert names(queue.expired(100)) == ["r1"]
    assert names(queue.drop()) == ["r2"]
    assert len(queue) == 0


def test_only_what_nothing_received_is_not_done_without_an_answer() -> None:
    assert unanswered(received=False, connected=True) == refusal(Problem.NO_LEADER, Outcome.NOT_DONE)
    assert unanswered(received=True, connected=True) == refusal(Problem.NO_LEADER, Outcome.UNKNOWN)
    assert unanswered(received=True, connected=False) == refusal(Problem.LOG_UNAVAILABLE, Outcome.UNKNOWN)


def test_a_reply_that_does_not_fit_the_question_proves_nothing() -> None:
    one = CommandAnswer(201, b"{}", 7)
    assert answers_to(1, "", "", [one]) == [one]
    assert answers_to(2, "", "", [one]) == [refusal(Problem.NO_LEADER, Outcome.UNKNOWN)] * 2
    assert answers_to(2, "no-leader", "not-done", []) == [refusal(Problem.NO_LEADER, Outcome.NOT_DONE)] * 2


def test_a_question_that_was_longer_on_its_way_than_its_sender_waits_is_not_taken() -> None:
    admission = Admission(NodeSettings(command_deadline_ms=2_000))
    assert admission.deadline_ms("n2.1", 1, left_ms=900, asked_ms=10_000, now_ms=10_300) == 10_900
    assert admission.deadline_ms("n2.1", 2, left_ms=900, asked_ms=10_000, now_ms=10_900) is NotTaken.LATE
    assert admission.deadline_ms("n2.1", 3, left_ms=90_000, asked_ms=0, now_ms=10_000) == 12_000
    assert admission.deadline_ms("", 0, left_ms=900, asked_ms=0, now_ms=10_000) == 10_900, "from an older version"


def test_a_question_that_comes_again_is_not_taken_in_whatever_order() -> None:
    admission = Admission(NodeSettings())
    for number, again in ((1, False), (3, False), (2, False), (3, True), (1, True), (2_000, False), (4, True)):
        taken = admission.deadline_ms("n2.1", number, 900, 0, 0)
        assert (taken is NotTaken.AGAIN) == again, number
    assert admission.deadline_ms("n2.2", 1, 900, 0, 0) == 900, "another run of that process counts anew"


@given(
    st.lists(st.tuples(st.sampled_from(["n2.1", "n3.1"]), st.integers(1, 1_500)), max_size=200),
    st.integers(1, 900),
    st.integers(0, 3_000),
)
def test_each_question_is_taken_at_most_once_and_never_after_its_sender_gave_up(
    questions: list[tuple[str, int]], left_ms: int, waited_ms: int
) -> None:
    admission = Admission(NodeSettings())
    taken: list[tuple[str, int]] = []
    for sender, number in questions:
        deadline_ms = admission.deadline_ms(sender, number, left_ms, 50_000, 50_000 + waited_ms)
        if not isinstance(deadline_ms, NotTaken):
            assert 50_000 + waited_ms < deadline_ms <= 50_000 + left_ms
            taken.append((sender, number))
    assert len(taken) == len(set(taken))
    if waited_ms < left_ms:
        assert {one for one in questions if one[1] > 500} <= set(taken), "those near the newest are told apart"


def test_what_is_remembered_of_senders_is_bounded() -> None:
    admission = Admission(NodeSettings(peers_max=3))
    for sender in range(50):
        for number in range(1, 40):
            admission.deadline_ms(f"n{sender}", number, 900, 0, 0)
    assert len(admission._seen) == 3
    for number in range(1, 9_000):
        admission.deadline_ms("n49", number, 900, 0, 0)
    assert len(admission._seen["n49"][1]) <= 2_048


def test_a_group_is_answered_when_each_of_it_is() -> None:
    told: list[list[CommandAnswer]] = []
    group = Group(2, told.append)
    group.answer(1, CommandAnswer(409, b"{}", 3))
    assert told == []
    group.answer(0, CommandAnswer(201, b"{}", 3))
    assert [one.status for one in told[0]] == [201, 409]
