"""The letters in DLQ: listed, corrected, sent again, removed.

Role: what a person does about facts that were rejected. In: a connection of a gateway's user, a letter's sequence in
DLQ. Out: letters; messages in IN under the subject that the letter came by. Always: a letter is removed only after IN
has acknowledged what it became; a corrected letter stands beside its original until both are removed together; what is
in IN already is not sent again; facts that were to be taken all or none are sent again all together.
"""

import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from nats.aio.msg import Msg

from holdfast.errors import ApiError, LogError
from holdfast.nats.appender import Stored, get_message, is_duplicate, parse_reply
from holdfast.nats.connection import Connection
from holdfast.nats.dead_letters import TRACE
from holdfast.nats.streams import Names
from holdfast.settings import LogSettings

_NOT_FOUND = 10037
_WHOLE = -1
_ATOMIC = "atomic"
_DIGEST_DIGITS = 32
_LETTER, _CORRECTS = "Holdfast-Letter", "Holdfast-Corrects"


class LetterError(LogError):
    """What was asked for cannot be done with this letter."""


class NoLetterError(LetterError):
    """There is no such letter: it was sent again, removed, or is too old."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter. `corrects`: the sequence of the letter that it was made from; 0 for what was rejected itself."""

    sequence: int
    at: datetime
    subject: str
    reason: str
    in_sequence: int
    index: int
    raw: bytes
    corrects: int = 0
    trace: str = ""

    @property
    def source(self) -> str:
        """Who sent it, as the subject says."""
        return self.subject.rpartition(".")[2]


def document_of(letter: Letter) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "letter": letter.sequence,
        "stored_at": letter.at.isoformat().replace("+00:00", "Z"),
        "source": letter.source,
        "subject": letter.subject,
        "reason": letter.reason,
        "in_sequence": letter.in_sequence,
        "index": letter.index,
        "corrects": letter.corrects or None,
        "trace": letter.trace or None,
        "raw": letter.raw.decode(errors="backslashreplace"),
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters: all where nothing is said. `reason` is its first word, like `unknown-location`."""

    reason: str = ""
    source: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def has(self, letter: Letter) -> bool:
        """Whether it is one of them."""
        return (
            (not self.reason or letter.reason.split(":")[0].split(" ")[0] == self.reason)
            and (not self.source or letter.source == self.source)
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at <= self.until)
        )


class _Message(msgspec.Struct):
    """A message of facts, without what only a gateway may say of it (`by`, `idempotency`, `mac`)."""

    facts: list[msgspec.Raw]
    atomic: bool = False


@dataclass(slots=True)
class DeadStore:
    """One scope's letters."""

    connection: Connection
    names: Names
    settings: LogSettings
    _sent: dict[str, dict[str, int]] = field(default_factory=dict)
    # What one walk through DLQ found: letters by the message in IN, and those that have a correction.
    _of_message: dict[int, list[int]] | None = None
    _corrected: set[int] = field(default_factory=set)

    async def letters(self, wanted: Wanted | None = None, after: int = 0) -> AsyncIterator[Letter]:
        """In order; one that was corrected is not listed, its correction is. Raises LogError."""
        await self._look_through()
        async for letter in self._all(after):
            if letter.sequence not in self._corrected and (wanted is None or wanted.has(letter)):
                yield letter

    async def letter(self, sequence: int) -> Letter:
        """One of them. Raises LetterError, LogError."""
        found = await self._next(self.names.dead, sequence, f"hf.{self.names.scope}.dlq.*")
        if found is None or found[0] != sequence:
            raise NoLetterError(f"there is no letter {sequence}: it was sent again, removed, or is too old")
        return _letter(*found)

    async def correct(self, sequence: int, raw: bytes) -> int:
        """Store a correction beside a letter; returns its sequence. The same one again is the same letter."""
        old = await self.letter(sequence)
        headers = {
            "Nats-Msg-Id": f"corrects:{sequence}:{hashlib.sha256(raw).hexdigest()}",
            "Holdfast-Reason": old.reason,
            "Holdfast-Subject": old.subject,
            "Holdfast-In-Sequence": str(old.in_sequence),
            "Holdfast-Index": str(old.index),
            _CORRECTS: str(sequence),
        }
        if old.trace:
            headers[TRACE] = old.trace
        _body([(old, raw)], atomic=False)
        self._of_message = None
        return await self._publish(self.names.dead, self.names.dead_subject(old.subject), raw, headers)

    async def retry(self, sequence: int) -> tuple[int, list[Letter]]:
        """Send it to IN again, with those that belong to it, and remove them; returns IN's sequence, and the letters.

        Raises LetterError, LogError; then the letters are still there.
        """
        asked = await self.letter(sequence)
        await self._look_through()
        together, atomic = await self._together(asked)
        body = _body([(letter, letter.raw) for letter in together], atomic=atomic)
        digest = hashlib.sha256(body).hexdigest()[:_DIGEST_DIGITS]  # a correction is another thing to send
        name = f"{asked.in_sequence}:{together[0].index}:{digest}"
        sent = await self._sent_before(asked.subject, asked.in_sequence)
        at = sent.get(name)
        if at is None:
            at = await self._send(asked.subject, body, name)
            sent[name] = at
        for letter in together:
            await self.discard(letter)
        return at, together

    async def discard(self, letter: Letter) -> None:
        """Remove a letter, and what it corrects. One that is not there is no fault."""
        for sequence in [letter.sequence, *await self._originals(letter)]:
            try:
                await self.connection.api(f"STREAM.MSG.DELETE.{self.names.dead}", {"seq": sequence, "no_erase": True})
            except ApiError as error:
                if error.code not in {_NOT_FOUND, 10057} and "no message found" not in error.description:
                    raise

    # ---- reading

    async def _look_through(self) -> dict[int, list[int]]:
        if self._of_message is None:
            found: dict[int, list[int]] = {}
            async for letter in self._all(0):
                found.setdefault(letter.in_sequence, []).append(letter.sequence)
                if letter.corrects:
                    self._corrected.add(letter.corrects)
            self._of_message = found
        return self._of_message

    async def _all(self, after: int) -> AsyncIterator[Letter]:
        while (found := await self._next(self.names.dead, after + 1, f"hf.{self.names.scope}.dlq.*")) is not None:
            after = found[0]
            yield _letter(*found)

    async def _next(self, stream: str, at_least: int, subject: str) -> tuple[int, dict[str, str], bytes, str] | None:
        try:
            answer = await self.connection.api(f"STREAM.MSG.GET.{stream}", {"seq": at_least, "next_by_subj": subject})
        except ApiError as error:
            if error.code == _NOT_FOUND:
                return None
            raise
        message = answer["message"]
        headers = _headers(base64.b64decode(message.get("hdrs", "")))
        return message["seq"], headers, base64.b64decode(message.get("data", "")), message["time"]

    async def _originals(self, letter: Letter) -> list[int]:
        found: list[int] = []
        while letter.corrects:
            found.append(letter.corrects)
            try:
                letter = await self.letter(letter.corrects)
            except LetterError:
                break
        return found

    async def _together(self, asked: Letter) -> tuple[list[Letter], bool]:
        """The letters that are sent in one message with this one, by index, and whether all or none is to be taken."""
        if asked.index == _WHOLE and asked.sequence not in self._corrected:
            return [asked], False
        numbers = (await self._look_through()).get(asked.in_sequence, [])
        if asked.sequence in self._corrected:
            raise LetterError(f"letter {asked.sequence} was corrected: send the correction, which `dlq list` shows")
        same = []
        for number in numbers:
            with contextlib.suppress(LetterError):  # removed since
                if number not in self._corrected and (one := await self.letter(number)).index != _WHOLE:
                    same.append(one)
        original = await get_message(self.connection, self.names.incoming, asked.in_sequence)
        is_atomic = any(one.reason == _ATOMIC for one in same) or (original is not None and _is_atomic(original))
        if not is_atomic:
            return [asked], False
        same.sort(key=lambda one: one.index)
        if [one.index for one in same] != list(range(len(same))):
            raise LetterError(
                f"the facts of message {asked.in_sequence} were to be taken all or none, and some of their letters are "
                "gone: send the whole message again from its source"
            )
        return same, True

    async def _sent_before(self, subject: str, after: int) -> dict[str, int]:
        """What IN has of letters that were sent again by this subject, by name: one walk for a subject."""
        if subject not in self._sent:
            known: dict[str, int] = {}
            at = after
            while (found := await self._next(self.names.incoming, at + 1, subject)) is not None:
                at = found[0]
                if name := found[1].get(_LETTER):
                    known[name] = at
            self._sent[subject] = known
        return self._sent[subject]

    # ---- writing

    async def _send(self, subject: str, body: bytes, name: str) -> int:
        """To IN, once, though two people send the same letter at the same time.

        The id says what is sent, so others can guess it, and all who send to IN share one memory of ids: what has the
        id already is believed to be this letter only when it is.
        """
        headers, stream = {_LETTER: name}, self.names.incoming
        answer = await self._ask(subject, body, headers | {"Nats-Msg-Id": f"letter:{name}"})
        if is_duplicate(answer.data):
            at = int(msgspec.json.decode(answer.data)["seq"])
            found = await self._next(stream, at, subject)
            if found is not None and found[0] == at and found[1].get(_LETTER) == name and found[2] == body:
                return at
            answer = await self._ask(subject, body, headers)
        return self._stored(stream, answer)

    async def _publish(self, stream: str, subject: str, raw: bytes, headers: dict[str, str]) -> int:
        answer = await self._ask(subject, raw, headers)
        if is_duplicate(answer.data):
            return int(msgspec.json.decode(answer.data)["seq"])
        return self._stored(stream, answer)

    async def _ask(self, subject: str, raw: bytes, headers: dict[str, str]) -> Msg:
        return await self.connection.request(subject, raw, self.settings.api_timeout_ms, headers)

    def _stored(self, stream: str, answer: Msg) -> int:
        status = answer.headers.get("Status") if answer.headers else None
        reply = parse_reply(stream, 0, answer.data, status)
        if isinstance(reply, Stored):
            return reply.sequence
        raise LetterError(f"{stream} did not take it: {reply.detail}; the letter is still there")


def _letter(sequence: int, headers: dict[str, str], raw: bytes, at: str) -> Letter:
    return Letter(
        sequence,
        datetime.fromisoformat(at).astimezone(UTC),
        headers.get("Holdfast-Subject", ""),
        headers.get("Holdfast-Reason", ""),
        int(headers.get("Holdfast-In-Sequence", "0")),
        int(headers.get("Holdfast-Index", str(_WHOLE))),
        raw,
        int(headers.get(_CORRECTS, "0")),
        headers.get(TRACE, ""),
    )


def _headers(raw: bytes) -> dict[str, str]:
    """Below the version's line; values are UTF-8."""
    lines = raw.decode(errors="replace").split("\r\n")[1:]
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def _is_atomic(message: bytes) -> bool:
    try:
        return msgspec.json.decode(message, type=_Message).atomic
    except msgspec.DecodeError:
        return False


def _body(letters: list[tuple[Letter, bytes]], *, atomic: bool) -> bytes:
    """The message that they become. Raises LetterError for other JSON."""
    try:
        if letters[0][0].index == _WHOLE:
            return msgspec.json.encode(msgspec.json.decode(letters[0][1], type=_Message))
        for _, raw in letters:
            msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        return msgspec.json.encode(_Message([msgspec.Raw(raw) for _, raw in letters], atomic))
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        what = 'a message like {"facts": [...]}' if letters[0][0].index == _WHOLE else "a fact"
        raise LetterError(f"letter {letters[0][0].sequence} is not {what} ({fault}): correct it first") from fault
