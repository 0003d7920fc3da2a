"""What a leader does: take the lead by a lead batch, decide and append one batch at a time, give the lead up.

Role: decide, send, repeat, and resolve what is ambiguous by evidence alone. In: time, replies to appends, LOG messages
that were read back, IN messages. Out: effects. Always: one append under way; an answer goes out only when LOG has what
it reflects; the fenced append alone proves who leads; a core with nothing under way stays valid when the lead is given
up, any other is thrown away; IN is taken exactly once, because `in_upto` is in the state.
"""

from holdfast.protocol import messages as e
from holdfast.protocol.core import Core, Decision, Incoming
from holdfast.protocol.log_types import DeadLetter, Refusal
from holdfast.protocol.messages import Effect, Outcome, Problem, Role
from holdfast.protocol.pending_append import PendingAppend, Verdict
from holdfast.protocol.state import ProcessState
from holdfast.protocol.tail_check import TailReading


class Leader:
    """Claims, decides and appends, for one process."""

    def __init__(self, state: ProcessState) -> None:
        self.state = state
        self.append_id = 0
        self._overtaken = False  # another process has appended, though our lease seems valid
        self._end = 0  # LOG's, as last reported
        # The sequence of our newest message whose presence was asked for, and proven, because of what stands behind it.
        self._tail_asked = 0
        self._tail_proven = 0

    # ---- queries

    @property
    def may_decide(self) -> bool:
        """Whether this process leads, and no other process can have been given the lead meanwhile."""
        state = self.state
        sound = not state.quarantined and not state.tail_check.doubtful
        return state.role is Role.LEADING and sound and state.lease_good

    @property
    def speculating(self) -> bool:
        """Whether the core is ahead of LOG: a batch that it has decided is not yet acknowledged."""
        pending = self.state.pending
        return pending is not None and not pending.claim

    @property
    def wants_turn(self) -> bool:
        """Whether a Turn would decide something now."""
        return self.state.pending is None and bool(self.state.queues) and self.may_decide

    # ---- taking the lead, and giving it up

    def claim_if_due(self, effects: list[Effect]) -> None:
        """Send a lead batch, when the lease is ours, LOG's end is known, and no quarantine forbids it."""
        state = self.state
        if state.role is not Role.FOLLOWING or state.core is None or state.stopping or state.quarantined:
            return
        mono_ms = state.clocks.mono_ms
        if not state.election.may_claim(mono_ms) or not state.election.good(mono_ms):
            return
        if state.tail_check.doubtful or not state.quarantine.clear(mono_ms):
            return
        now_ms = max(state.clocks.now_ms, state.core.now_ms)
        message = state.core.lead_batch(state.node, now_ms, state.rules)
        state.become(Role.CLAIMING, f"epoch {state.core.epoch + 1}", effects)
        self.begin(message, state.core.sequence, effects, claim=True)

    def lead(self, core: Core, effects: list[Effect]) -> None:
        """Our lead batch is stored."""
        state = self.state
        state.election.leads()
        state.clocks.lead_from(core.lead_ms, core.now_ms)
        state.queues.restart_incoming(core.in_upto)
        state.become(Role.LEADING, f"epoch {core.epoch}", effects)
        effects.append(e.StopFollowing())

    def note_log_end(self, log_end: int | None, effects: list[Effect]) -> None:
        """LOG's end as reported: perhaps old, but never ahead. Messages there are another process's, or void."""
        state = self.state
        if state.role is Role.LEADING and state.pending is None and state.core is not None:
            self._end = log_end or 0
            self._overtaken = self._end > state.core.sequence and not state.core.signed
            self._look_behind(state.core, effects)

    def _look_behind(self, core: Core, effects: list[Effect]) -> None:
        """With nothing under way: read what LOG has behind our newest batch, where it is said to have something."""
        if core.signed and self._end > core.sequence:
            effects.append(e.ReadMessage(core.sequence + 1))

    def yield_if_due(self, effects: list[Effect]) -> None:
        """Give up the lead, once nothing is under way: the core is what LOG holds, and follows."""
        state, election = self.state, self.state.election
        core = state.core
        if state.role is not Role.LEADING or state.pending is not None or core is None:
            return
        if election.held and not state.quarantined and not self._overtaken:
            return
        reason = f"{election.holder} holds the lease" if election.holder else "the lease was lost, or given back"
        if state.quarantined:
            reason = f"quarantined: {', '.join(sorted(state.quarantined))}"
        elif self._overtaken:
            reason = f"LOG continues after {core.sequence} with messages of another process"
        self._overtaken = False
        election.caught_up = False
        state.become(Role.FOLLOWING, reason, effects)
        if state.queues.commands and not election.returns_soon:
            effects.append(e.Reject(state.queues.drop_commands(), Problem.NO_LEADER, Outcome.NOT_DONE))
        effects.append(e.StopFollowing())
        effects.append(e.Follow(core.sequence))

    def step_down(self, pending: PendingAppend, verdict: Verdict, effects: list[Effect]) -> None:
        """The core's speculation is wrong, or may be: throw it away."""
        fenced = verdict is Verdict.FENCED
        if waiting := pending.waiting:
            problem = Problem.NO_LEADER if fenced else Problem.LOG_UNAVAILABLE
            effects.append(e.Reject(waiting, problem, Outcome.NOT_DONE if fenced else Outcome.UNKNOWN))
        self.state.start_anew(f"append {verdict.value} at {pending.expected + 1}", verdict.value, effects)

    # ---- deciding

    def decide(self, effects: list[Effect]) -> None:
        """Decide what has gathered, until a batch is under way or nothing is left."""
        state, clocks, queues = self.state, self.state.clocks, self.state.queues
        core = state.core
        if core is None or not self.may_decide:
            return
        while state.pending is None and (queues or self._is_due(core)):
            requests, incoming = queues.group()
            decision = core.decide(clocks.now_ms, clocks.lead_ms, requests, incoming)
            commands, taken = queues.taken(decision.commands_taken, decision.incoming_taken, len(incoming))
            if decision.message is None:
                effects.append(e.Answer(commands, decision.answers, core.sequence))
                if decision.received:
                    effects.append(e.Received(decision.received, core.sequence))
                if not commands and not taken:
                    break  # a hold that is due by our clock may not be due by the core's
                continue
            _send_dead(decision, taken, effects)
            pending = self.begin(decision.message, core.sequence, effects, claim=False)
            pending.commands = commands
            pending.answers = decision.answers
            pending.receipts = decision.received
        self._fetch(effects)

    def _is_due(self, core: Core) -> bool:
        clocks = self.state.clocks
        due_ms = core.next_due_lead_ms()
        return (due_ms is not None and due_ms <= clocks.lead_ms) or core.wants_tick(clocks.now_ms)

    def _fetch(self, effects: list[Effect]) -> None:
        if self.state.role is Role.LEADING and not self.state.stopping:
            fetch = self.state.queues.fetch()
            if fetch is not None:
                effects.append(fetch)

    def on_fetched(self, event: e.Fetched, effects: list[Effect]) -> None:
        """IN messages came."""
        if self.state.role is Role.LEADING:
            self.state.quarantine.fetched()
            self.state.queues.add_incoming(list(event.messages))
            self._fetch(effects)

    def sweep(self, effects: list[Effect]) -> None:
        """Reject the commands whose deadline has passed, in the queue and in the append under way."""
        state, mono_ms = self.state, self.state.clocks.mono_ms
        late = state.queues.expired(mono_ms)
        if late:
            log_is_away = state.role is Role.LEADING and (state.pending is not None or state.lease_good)
            problem = Problem.LOG_UNAVAILABLE if log_is_away else Problem.NO_LEADER
            effects.append(e.Reject(late, problem, Outcome.NOT_DONE))
        if state.pending is not None:
            unanswered = state.pending.expired(mono_ms)
            if unanswered:
                effects.append(e.Reject(unanswered, Problem.LOG_UNAVAILABLE, Outcome.UNKNOWN))

    # ---- the append under way

    def begin(self, message: bytes, expected: int, effects: list[Effect], *, claim: bool) -> PendingAppend:
        """Send an append."""
        state, settings = self.state, self.state.settings
        self.append_id += 1
        now_ms = state.clocks.mono_ms
        state.pending = PendingAppend(
            append_id=self.append_id,
            message=message,
            expected=expected,
            claim=claim,
            began_ms=now_ms,
            deadline_ms=now_ms + settings.append_deadline_ms,
            lead_limit_ms=state.clocks.lead_ms + settings.lead_step_ms_max,
            tenure=state.election.tenure,
            resend_ms=now_ms + settings.append_timeout_ms,
        )
        effects.append(e.Append(self.append_id, message, expected))
        return state.pending

    def on_append_stored(self, event: e.AppendStored, effects: list[Effect]) -> None:
        """A success acknowledgement."""
        pending = self.state.pending
        if pending is not None and pending.append_id == event.append_id:
            self.judge(pending, pending.on_stored(event.sequence), effects)

    def on_append_refused(self, event: e.AppendRefused, effects: list[Effect]) -> None:
        """A failure; it proves nothing."""
        state = self.state
        pending = state.pending
        if pending is None or pending.append_id != event.append_id:
            return
        state.log_refusal = event.refusal
        read = pending.on_refused(event.refusal, state.clocks.mono_ms, state.settings)
        if read is not None:
            effects.append(read)
        elif event.refusal in {Refusal.FULL, Refusal.STRANGE}:
            effects.append(e.Alarm(f"log-{event.refusal.value}", event.detail))

    def on_message_read(self, event: e.MessageRead, effects: list[Effect]) -> None:
        """A LOG message was read back, or could not be."""
        state = self.state
        pending = state.pending
        reading = state.tail_check.on_read(event)
        if reading is TailReading.OTHER:
            self._lose_tail(event.sequence, effects)
        elif reading is TailReading.SAME:
            self._tail_is_there(effects)
        if pending is None:
            self._judge_behind(event, effects)
        elif event.sequence == pending.expected + 1:
            if event.message is None:
                pending.on_unread(state.clocks.mono_ms, state.settings)
            elif event.message == pending.message or not self._step_over(event.message, effects):
                self.judge(pending, self._verdict(pending, event.message), effects)

    def _verdict(self, pending: PendingAppend, message: bytes) -> Verdict:
        core = self.state.core
        assert core is not None, "Invariant: a batch is under way only with a core"
        verdict = pending.on_bytes(message, core.chain)
        signed = pending.claim or verdict is not Verdict.FENCED or not core.signed or not core.lacks_code(message)
        return verdict if signed else Verdict.UNKNOWN

    def _judge_behind(self, event: e.MessageRead, effects: list[Effect]) -> None:
        """With nothing under way: a message behind our newest batch."""
        state, core = self.state, self.state.core
        if state.role is not Role.LEADING or core is None or event.message is None:
            return
        if event.sequence == core.sequence + 1 and not self._step_over(event.message, effects):
            self._overtaken = True
            self.yield_if_due(effects)

    def _step_over(self, message: bytes, effects: list[Effect]) -> bool:
        """A message without a right code stands behind our newest batch: it is void, and our next one follows it.

        First our newest one is read back: had LOG lost its tail, what is there could have the place of messages that
        count.
        """
        state, core = self.state, self.state.core
        if core is None or not core.signed or not core.lacks_code(message):
            return False
        if state.tail_check.doubtful:
            return True  # it is being read back
        if state.tail_check.sequence != core.sequence:
            return False
        if self._tail_proven != core.sequence:
            self._tail_asked = core.sequence
            state.tail_check.suspect(state.clocks.mono_ms)
            self.check_tail(effects)
            return True
        core.skip_unsigned(core.sequence + 1, message)
        effects.append(e.Alarm("unproven-batch", f"LOG message {core.sequence} has no right code and is skipped"))
        effects.append(e.Keep(core.sequence, (message,)))
        state.quarantine.took(core)
        state.tail_check.record(core.sequence, message)
        if state.pending is not None:
            self.append_id += 1
            state.pending.move_behind(self.append_id, state.clocks.mono_ms)
            self.repeat(state.pending, effects)
        else:
            self._look_behind(core, effects)
        return True

    def _tail_is_there(self, effects: list[Effect]) -> None:
        """LOG still has our newest message."""
        state, core = self.state, self.state.core
        if core is not None and self._tail_asked == core.sequence:
            self._tail_proven = core.sequence
        if state.pending is not None:
            state.pending.resend_ms = state.clocks.mono_ms
            self.repeat(state.pending, effects)
        elif core is not None:
            self._look_behind(core, effects)

    def connected(self, effects: list[Effect]) -> None:
        """Connected to NATS (again): LOG may have another end by now."""
        state = self.state
        if state.core is not None:
            state.tail_check.suspect(state.clocks.mono_ms)
            self.check_tail(effects)
        if state.pending is not None:
            state.pending.resend_ms = state.clocks.mono_ms
            self.repeat(state.pending, effects)

    def check_tail(self, effects: list[Effect]) -> None:
        """Read LOG's newest message, where it is in doubt."""
        read = self.state.tail_check.pursue(self.state.clocks.mono_ms)
        if read is not None:
            effects.append(read)

    def _lose_tail(self, sequence: int, effects: list[Effect]) -> None:
        """LOG has another message at the core's sequence: replay; journal and peers show what it was."""
        reason = f"message {sequence} of LOG is not the one that was applied"
        effects.append(e.Alarm("log-altered", reason))
        pending, self.state.pending = self.state.pending, None
        if pending is not None:
            effects.append(e.Reject(pending.waiting, Problem.LOG_UNAVAILABLE, Outcome.UNKNOWN))
        self.state.start_anew(reason, "altered", effects)

    def repeat(self, pending: PendingAppend, effects: list[Effect]) -> None:
        """Send the append under way again when it is due; give up at its deadline."""
        state = self.state
        if state.tail_check.doubtful and state.clocks.mono_ms < pending.deadline_ms:
            return  # the message before it may be another one by now
        step = pending.on_time(state.clocks.mono_ms, state.settings)
        if isinstance(step, Verdict):
            self.judge(pending, step, effects)
        elif step is not None:
            effects.append(step if self.may_send_again(pending) else e.ReadMessage(pending.expected + 1))

    def may_send_again(self, pending: PendingAppend) -> bool:
        """Whether the append under way may be sent once more.

        Its place may be free again because LOG lost its tail, with batches of a later leader. While the lease is held
        without a break there is no later leader; after a break the others must have been asked, as for a claim.
        """
        state, mono_ms = self.state, self.state.clocks.mono_ms
        if not state.election.good(mono_ms):
            return False
        return state.election.tenure == pending.tenure or state.quarantine.clear(mono_ms)

    @property
    def asks_peers(self) -> bool:
        """Whether the append under way waits for what the other processes hold."""
        pending = self.state.pending
        return pending is not None and not pending.claim and self.state.election.tenure != pending.tenure

    def judge(self, pending: PendingAppend, verdict: Verdict, effects: list[Effect]) -> None:
        """Act on what is known about the append under way."""
        state = self.state
        if verdict is Verdict.STORED:
            self.settle(pending, effects)
            return
        if verdict is Verdict.IMPOSSIBLE:
            state.halt("an append was stored elsewhere than expected: this server does not respect the fence", effects)
            return
        state.pending = None
        if not pending.claim:
            self.step_down(pending, verdict, effects)
            return
        # A claim was not granted. The core is unchanged: go on following.
        state.election.caught_up = verdict is not Verdict.FENCED
        state.election.back_off(state.clocks.mono_ms)
        state.become(Role.FOLLOWING, f"claim {verdict.value}", effects)

    def settle(self, pending: PendingAppend, effects: list[Effect]) -> None:
        """LOG has our batch at E+1."""
        state = self.state
        core = state.core
        assert core is not None, "Invariant: a batch is under way only with a core"
        sequence = pending.expected + 1
        if pending.claim:
            if not core.apply(sequence, pending.message):
                state.halt(f"our own lead batch is void at {sequence}", effects)
                return
            self.lead(core, effects)
        else:
            core.commit(sequence)
            state.election.proven(state.clocks.mono_ms)
        state.pending = None
        state.quarantine.took(core)
        state.tail_check.record(sequence, pending.message)
        state.quarantine.stored()
        state.log_refusal = None
        state.stored_upto = sequence
        effects.append(e.Answer(pending.waiting, pending.answers[pending.answered :], sequence))
        if pending.receipts:
            effects.append(e.Received(pending.receipts, sequence))
        effects.extend(e.Alarm("invariant", violation) for violation in core.check())
        effects += [e.Committed(sequence), e.Keep(sequence, (pending.message,))]
        self.yield_if_due(effects)
        self._fetch(effects)


def _send_dead(decision: Decision, taken: list[Incoming], effects: list[Effect]) -> None:
    if decision.dead:
        messages = {message[0]: message for message in taken}
        letters = []
        for at, index, why, raw in decision.dead:
            _, subject, message = messages.get(at, (at, "", b""))
            letters.append(DeadLetter(at, index, why, raw, subject, message))
        effects.append(e.PublishDead(letters))
