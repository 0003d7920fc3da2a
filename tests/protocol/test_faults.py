"""The protocol against a log that misbehaves in every way that real ones were seen to.

Appends arrive late, twice or never; acknowledgements are lost; reads come back empty although the message is there;
others append garbage or take the lead; LOG is reported shorter than it is; the lease is lost, taken by another, or not
received; the process dies. Whatever happens, in any order: what was answered as done is in LOG for ever, what was
answered as not done never is, IN is taken once and in order.
"""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.protocol import messages as e
from holdfast.protocol.core import Request
from holdfast.protocol.log_types import Refusal
from holdfast.protocol.machine import Protocol
from holdfast.settings import NodeSettings
from tests.support.fake_core import replayed
from tests.support.neighbours import LeaseStore, Neighbours

BOUNDS = NodeSettings(
    append_deadline_ms=1_000,
    lease_ttl_ms=1_500,
    lease_margin_ms=100,
    lease_poll_ms=100,
    lease_call_ms=300,
    evidence_patience_ms=300,
    evidence_every_ms=500,
    command_deadline_ms=400,
    decide_commands_max=3,
    incoming_queued_max=5,
)


class MisbehavingLog(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log: list[bytes] = []  # what is stored: message n at n - 1
        self.incoming: list[bytes] = []
        self.copies: list[e.Append] = []  # appends on their way, of any process that ever was
        self.acks: list[e.Event] = []  # answers on their way to the process that lives
        self.reads: list[int] = []
        self.fetch: e.FetchIn | None = None
        self.follow: int | None = None
        self.rebuilding = False
        self.calls: list[e.Effect] = []  # of the lease's key, the peers and the streams' ends, not answered yet
        self.key = LeaseStore(BOUNDS.lease_ttl_ms)
        self.lives = 0
        self.mono_ms = 0
        self.named = 0
        self.done: dict[str, tuple[int, int, bytes]] = {}
        self.not_done: set[str] = set()
        self.unknown: set[str] = set()
        self.waiting: Counter[str] = Counter()
        self.appended: dict[int, tuple[bytes, int]] = {}
        self.dead: set[int] = set()
        self.kept: list[bytes] = []

    # ---- doing what the protocol wants done

    @initialize()
    def start(self) -> None:
        self.lives += 1
        boot = f"boot {self.lives}"
        self.neighbours = Neighbours(self.key, "a", boot, lambda: len(self.log))
        self.protocol = Protocol("a", b"{}", BOUNDS, boot=boot)
        self.run(self.protocol.start())

    def drive(self, event: e.Event) -> None:
        self.run(self.protocol.handle(event))

    def run(self, effects: list[e.Effect]) -> None:
        for effect in effects:
            getattr(self, f"do_{type(effect).__name__.lower()}")(effect)

    def do_append(self, effect: Any) -> None:
        core = self.protocol.core
        assert core is not None
        assert effect.expected == core.sequence, "an append must expect the end of what was applied"
        known = self.appended.setdefault(effect.append_id, (effect.message, effect.expected))
        assert known == (effect.message, effect.expected), "other bytes were sent under the same expectation"
        self.copies.append(effect)

    def do_readmessage(self, effect: Any) -> None:
        self.reads.append(effect.sequence)

    def do_fetchin(self, effect: Any) -> None:
        assert self.fetch is None, "two fetches at once"
        self.fetch = effect

    def do_follow(self, effect: Any) -> None:
        self.follow = effect.after

    def do_stopfollowing(self, _effect: Any) -> None:
        self.follow = None
        self.fetch = None

    def do_rebuild(self, _effect: Any) -> None:
        assert self.protocol.core is None
        self.rebuilding = True

    def do_answer(self, effect: Any) -> None:
        assert effect.sequence <= len(self.log), "answered before LOG had it"
        for command, (status, body) in zip(effect.commands, effect.answers, strict=True):
            self.answered(command.waiter)
            self.done[command.waiter] = (status, effect.sequence, body)

    def do_reject(self, effect: Any) -> None:
        for command in effect.commands:
            self.answered(command.waiter)
            (self.unknown if effect.outcome is e.Outcome.UNKNOWN else self.not_done).add(command.waiter)

    def answered(self, waiter: str) -> None:
        self.waiting[waiter] -= 1
        assert self.waiting[waiter] == 0, f"{waiter} was answered twice"

    def do_publishdead(self, effect: Any) -> None:
        self.dead.update(letter.in_sequence for letter in effect.letters)

    def do_received(self, effect: Any) -> None:
        assert effect.sequence <= len(self.log)

    def do_committed(self, effect: Any) -> None:
        core = self.protocol.core
        assert core is not None
        assert effect.sequence == core.sequence <= len(self.log)

    def do_keep(self, effect: Any) -> None:
        first = effect.first_sequence
        assert list(effect.messages) == self.log[first - 1 : first - 1 + len(effect.messages)], "LOG has other bytes"
        assert first <= len(self.kept) + 1, "a message was applied and not kept"
        self.kept[first - 1 :] = effect.messages

    def do_rolechanged(self, effect: Any) -> None:
        pass

    def do_alarm(self, effect: Any) -> None:
        pass

    def do_halt(self, effect: Any) -> None:
        raise AssertionError(f"halted: {effect.reason}")

    def do_readlease(self, effect: Any) -> None:
        self.calls.append(effect)

    do_putlease = do_releaselease = do_askpeers = do_readends = do_readlease

    # ---- what the world does

    @rule(ttls=st.lists(st.one_of(st.none(), st.integers(50, 3_000)), max_size=3))
    def clients_ask(self, ttls: list[int | None]) -> None:
        for ttl in ttls:
            self.named += 1
            name = f"r{self.named}"
            body = f"ttl:{ttl}" if ttl else f"body {name}"
            command = e.Command(
                ("put", name, body.encode(), None, None), name, self.mono_ms + BOUNDS.command_deadline_ms
            )
            if self.protocol.submit(command) is None:
                self.waiting[name] += 1
            else:
                self.not_done.add(name)
        self.drive(e.Turn(self.mono_ms, self.mono_ms))

    @rule(payload=st.sampled_from([b"good", b"good", b"bad"]))
    def a_fact_arrives(self, payload: bytes) -> None:
        self.incoming.append(payload)

    @rule(step_ms=st.sampled_from([1, 20, 100, 600, 1_500]))
    def time_passes(self, step_ms: int) -> None:
        self.mono_ms += step_ms
        self.drive(e.Tick(self.mono_ms, self.mono_ms))

    @precondition(lambda self: self.copies)
    @rule(pick=st.integers(0, 50), keep=st.booleans(), ack=st.booleans())
    def an_append_arrives(self, pick: int, keep: bool, ack: bool) -> None:
        """Maybe late, maybe again, maybe with its acknowledgement lost."""
        copy = self.copies[pick % len(self.copies)]
        if not keep:
            self.copies.remove(copy)
        answer = self.store(copy)
        if ack and copy.append_id in self.appended:
            self.acks.append(answer)

    def store(self, copy: e.Append) -> e.AppendStored | e.AppendRefused:
        if copy.expected == len(self.log):
            self.log.append(copy.message)
            return e.AppendStored(copy.append_id, len(self.log))
        return e.AppendRefused(copy.append_id, Refusal.WRONG_SEQUENCE, "wrong last sequence")

    @precondition(lambda self: self.copies)
    @rule(pick=st.integers(0, 50))
    def an_append_is_lost(self, pick: int) -> None:
        self.copies.pop(pick % len(self.copies))

    @precondition(lambda self: self.acks)
    @rule(pick=st.integers(0, 50))
    def an_answer_arrives(self, pick: int) -> None:
        self.drive(self.acks.pop(pick % len(self.acks)))

    @precondition(lambda self: self.appended)
    @rule(refusal=st.sampled_from(list(Refusal)))
    def a_server_answers_anything_but_success(self, refusal: Refusal) -> None:
        """A deposed server may say whatever it likes, about whatever it has or has not stored."""
        self.drive(e.AppendRefused(max(self.appended), refusal, "said so"))

    @precondition(lambda self: self.reads)
    @rule(stale=st.booleans())
    def a_read_comes_back(self, stale: bool) -> None:
        sequence = self.reads.pop(0)
        there = sequence <= len(self.log) and not stale
        self.drive(e.MessageRead(sequence, self.log[sequence - 1] if there else None))

    @precondition(lambda self: self.rebuilding)
    @rule(missing=st.sampled_from([0, 0, 0, 1, 3, None]))
    def a_rebuild_ends(self, missing: int | None) -> None:
        """Perhaps from a server that does not know the newest messages; perhaps without any."""
        self.rebuilding = False
        if missing is None:
            self.drive(e.RebuildFailed("no answer"))
        else:
            found = self.log[: max(0, len(self.log) - missing)]
            self.kept = found + self.kept[len(found) :]
            self.drive(e.Rebuilt(replayed(found)))

    @rule(many=st.integers(0, 4), end=st.booleans())
    def stream_messages_come(self, many: int, end: bool) -> None:
        if self.fetch is not None and len(self.incoming) > self.fetch.after and many:
            fetch, self.fetch = self.fetch, None
            upto = min(len(self.incoming), fetch.after + min(many, fetch.messages_max))
            self.drive(
                e.Fetched([(at + 1, "hf.main.in.erp.acme", self.incoming[at]) for at in range(fetch.after, upto)])
            )
        if self.follow is not None:
            upto = min(len(self.log), self.follow + many)
            if upto > self.follow:
                first, self.follow = self.follow, upto
                self.drive(e.Followed(first + 1, self.log[first:upto]))
        if self.follow is not None and end:
            self.drive(e.CaughtUp(self.follow))

    @precondition(lambda self: self.calls)
    @rule(how=st.sampled_from(["truly", "truly", "truly", "stored, not heard", "failed", "never", "another's end"]))
    def the_others_answer(self, how: str) -> None:
        call = self.calls.pop(0)
        if how == "never":
            return
        if how == "failed" and isinstance(call, e.ReadLease | e.PutLease | e.ReleaseLease):
            self.drive(e.LeaseFailed(call.call_id, conflict=False, detail="no answer"))
            return
        answer = self.neighbours.answer(call, self.mono_ms)
        if how == "another's end" and isinstance(answer, e.EndsRead):
            answer = e.EndsRead(answer.call_id, max(0, len(self.log) - 1), None if len(self.log) % 2 else 0)
        if how != "stored, not heard":
            self.drive(answer)

    @rule(what=st.sampled_from(["vanishes", "another's", "nobody's"]))
    def the_lease_changes(self, what: str) -> None:
        if what == "vanishes":
            self.key.vanish()
        else:
            self.key.force("b" if what == "another's" else None, "boot of b", self.mono_ms)

    @rule(turns=st.integers(1, 4))
    def all_goes_well_for_a_while(self, turns: int) -> None:
        for _ in range(turns):
            self.mono_ms += 50
            self.settle_everything()
            self.drive(e.Tick(self.mono_ms, self.mono_ms))

    @rule(what=st.sampled_from(["garbage", "garbage", "lead", "lead and facts", "death", "reconnected", "reconnected"]))
    def something_happens(self, what: str) -> None:
        if what == "garbage":
            self.log.append(b'{"kind":"facts","facts":[]}')
        elif what == "death":
            self.the_process_dies_and_starts_again()
        elif what == "reconnected":
            self.drive(e.Connected())
        else:
            self.another_process_takes_the_lead(facts="facts" in what)

    def another_process_takes_the_lead(self, *, facts: bool) -> None:
        core = replayed(self.log)
        self.log.append(core.lead_batch("b", self.mono_ms))
        if facts:
            core.apply(len(self.log), self.log[-1])
            asked: Request = ("put", f"b{len(self.log)}", b"x", None, None)
            decided = core.decide(self.mono_ms, core.lead_ms, [asked], [])
            assert decided.message is not None
            self.log.append(decided.message)

    def the_process_dies_and_starts_again(self) -> None:
        self.waiting.clear()
        self.appended.clear()
        self.acks.clear()
        self.reads.clear()
        self.calls.clear()
        self.follow = self.fetch = None
        self.rebuilding = False
        self.start()

    # ---- what must hold, always

    @invariant()
    def what_was_answered_is_in_log_and_what_was_refused_is_not(self) -> None:
        core = replayed(self.log)
        for name, (status, sequence, body) in self.done.items():
            assert status == 201
            assert core.held.get(name) == body.decode(), f"{name} was answered and is not in LOG"
            assert name in replayed(self.log[:sequence]).held, f"{name} was not in LOG at the sequence it was told"
        for name in self.not_done:
            assert name not in core.held, f"{name} was told not-done and was done"
        assert core.taken == sorted(set(core.taken))

    @invariant()
    def a_settled_core_is_what_log_says(self) -> None:
        core = self.protocol.core
        if core is not None and not core.pending:
            assert core.digest() == replayed(self.log[: core.sequence]).digest()

    def teardown(self) -> None:
        """The faults are over: it leads again, and nobody is left waiting."""
        self.copies.clear()
        self.neighbours.in_end = len(self.incoming)
        for _ in range(400):
            self.mono_ms += 50
            self.settle_everything()
            self.drive(e.Tick(self.mono_ms, self.mono_ms))
        assert self.protocol.role is e.Role.LEADING, self.protocol.role
        assert not +self.waiting
        core = replayed(self.log)
        bad = {at + 1 for at, payload in enumerate(self.incoming) if payload == b"bad"}
        assert core.in_upto == len(self.incoming)
        assert bad <= self.dead
        assert core.taken == [at + 1 for at, payload in enumerate(self.incoming) if payload != b"bad"]

    def settle_everything(self) -> None:
        if self.rebuilding:
            self.a_rebuild_ends(0)
        while self.calls:
            self.drive(self.neighbours.answer(self.calls.pop(0), self.mono_ms))
        while self.copies:
            self.acks.append(self.store(self.copies.pop(0)))
        while self.acks:
            self.drive(self.acks.pop(0))
        while self.reads:
            self.a_read_comes_back(stale=False)
        self.stream_messages_come(100, end=True)


TestMisbehavingLog = pytest.mark.slow(MisbehavingLog.TestCase)
TestMisbehavingLog.settings = settings(
    max_examples=max(400, settings.default.max_examples),  # type: ignore[union-attr] # conftest sets it
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
