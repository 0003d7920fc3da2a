"""API keys of a scope's machines, exchanged through NATS: what is made, changed or ended on one counts on all.

In: DIR/keys.json, the stream HF_<scope>_KEYS with one message a key. Out: both with what the other had. Always: only
under a scope key, for else any client that may write to the stream could make keys; a message without a right code is
ignored, counted, and replaced; one process of a machine does this at a time; no request waits for it.
"""

import asyncio
import base64
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

import msgspec
import structlog

from holdfast.errors import ApiError, LogError
from holdfast.gateway.key_file import KeyringError, StoredKey
from holdfast.gateway.key_store import KeyStore
from holdfast.macs import Macs, without_code
from holdfast.nats.appender import Stored, parse_reply
from holdfast.nats.connection import Connection, Endpoint
from holdfast.nats.outlets import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND
from holdfast.nats.streams import Names
from holdfast.protocol.log_types import Refusal
from holdfast.settings import LogSettings

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
EVERY_S_MAX: Final = 30.0  # while it fails
BYTES_MAX: Final = 64 * 2**20
KEY_BYTES_MAX: Final = 512 * 1024  # a thousand channels, sources and locations, each with a long name
_STREAM_IN_USE: Final = 10058


class KeyExchange:
    """The keys of one data directory and those of the scope. `note` is called after each time that both had all."""

    def __init__(
        self,
        directory: Path,
        scope: str,
        endpoint: Endpoint,
        settings: LogSettings,
        macs: Macs,
        note: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._store = KeyStore(directory)
        self._turn = directory / "keys.exchange.lock"
        names = Names(scope)
        self._stream, self._prefix = names.keys, names.key_subject("")
        self._connection = Connection(endpoint, settings, f"holdfast {scope} keys")
        self._settings = settings
        self._macs = macs
        self._note = note
        self._opened = False
        self._made = ""  # when the stream was; another one is read from its beginning
        self._upto = 0
        self._there: dict[str, StoredKey] = {}
        self._sequences: dict[str, int] = {}
        self._of_later: set[str] = set()  # keys of which a later version wrote what this one cannot read
        self._seen: tuple[int, int, int] | None = None
        self._behind = True  # there may be keys to give

    async def run(self) -> None:
        """Exchange once a second, until cancelled."""
        turn: int | None = None
        fault, pause_s = "", EVERY_S
        try:
            while True:
                if turn is None:
                    turn = await asyncio.to_thread(self._take_turn)
                if turn is not None:
                    try:
                        await self.exchange()
                        fault, pause_s = "", EVERY_S
                        self._note(monotonic())
                    except (LogError, KeyringError, OSError) as error:
                        if str(error) != fault:
                            log.warning("keys-not-exchanged", why=str(error))
                        fault, pause_s = str(error), min(EVERY_S_MAX, pause_s * 2)
                await asyncio.sleep(pause_s)
        finally:
            if turn is not None:
                os.close(turn)
            await self.close()

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    def _take_turn(self) -> int | None:
        """The lock of the process of this machine that exchanges; it ends with the process."""
        descriptor = os.open(self._turn, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    async def exchange(self) -> None:
        """Take what others have, and give what they lack. Raises LogError, KeyringError, OSError."""
        if not self._opened:
            await self._connection.open()
            self._opened = True
        self._behind |= await self._read()
        if not self._behind and await asyncio.to_thread(self._store.mark) == self._seen:
            return
        self._behind = True  # until nothing was left to give
        given = await asyncio.to_thread(self._join)
        for key in given:
            await self._give(key)
        if given:
            log.info("keys-given", keys=[key.id for key in given])
        self._behind = bool(given)

    def _join(self) -> list[StoredKey]:
        """Bring the file and the stream's keys together; what the stream lacks. Blocking."""
        self._seen = self._store.mark()  # what is changed from now on is seen at the next turn
        changed, ours = self._store.take(self._there.values())
        if changed:
            log.info("keys-taken", keys=len(ours))
        return [key for key in ours if self._there.get(key.id) != key and key.id not in self._of_later]

    # ---- the stream

    async def _read(self) -> bool:
        """What is new there; whether anything is."""
        state = await self._state()
        before = self._upto
        while self._upto < state["last_seq"]:
            asked = {"seq": self._upto + 1, "next_by_subj": f"{self._prefix}*"}
            try:
                message = (await self._connection.api(f"STREAM.MSG.GET.{self._stream}", asked))["message"]
            except ApiError as error:
                if error.code != MESSAGE_NOT_FOUND:
                    raise
                self._upto = state["last_seq"]
                break
            self._upto = message["seq"]
            key_id = message["subject"].removeprefix(self._prefix)
            self._sequences[key_id] = message["seq"]
            self._of_later.discard(key_id)
            key = self._key_of(key_id, base64.b64decode(message.get("data", "")))
            if key is None:
                self._there.pop(key_id, None)  # what we know of it is given again
            else:
                self._there[key_id] = key
        return self._upto > before

    async def _state(self) -> dict[str, Any]:
        try:
            found = await self._connection.api(f"STREAM.INFO.{self._stream}")
        except ApiError as error:
            if error.code != STREAM_NOT_FOUND:
                raise
            found = await self._make()
        if found["created"] != self._made:
            self._made, self._upto, self._seen = found["created"], 0, None
            for known in (self._there, self._sequences, self._of_later):
                known.clear()
        state: dict[str, Any] = found["state"]
        return state

    async def _make(self) -> dict[str, Any]:
        wanted = {
            "name": self._stream,
            "subjects": [f"{self._prefix}*"],
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "max_msgs_per_subject": 1,
            "max_bytes": BYTES_MAX,
            "max_msg_size": KEY_BYTES_MAX,
            "num_replicas": self._settings.replicas,
            "deny_delete": True,
            "allow_direct": False,
        }
        try:
            made = await self._connection.api(f"STREAM.CREATE.{self._stream}", wanted)
        except ApiError as error:
            if error.code != _STREAM_IN_USE:
                raise
            return await self._connection.api(f"STREAM.INFO.{self._stream}")
        log.info("stream-made", stream=self._stream)
        return made

    def _key_of(self, key_id: str, message: bytes) -> StoredKey | None:
        """What a message says, if a gateway of the scope wrote it of this key."""
        if not self._macs.proves_json("key", self._context(key_id), message):
            return None
        try:
            key = msgspec.json.decode(without_code(message), type=StoredKey)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("key-not-understood", key=key_id, why=str(error))
            self._of_later.add(key_id)
            return None
        return key if key.id == key_id else None

    def _context(self, key_id: str) -> bytes:
        return f"{self._prefix}{key_id}".encode()

    async def _give(self, key: StoredKey) -> None:
        message = self._macs.sign_json("key", self._context(key.id), msgspec.json.encode(key))
        headers = {
            "Nats-Expected-Stream": self._stream,
            "Nats-Expected-Last-Subject-Sequence": str(self._sequences.get(key.id, 0)),
        }
        answer = await self._connection.request(
            f"{self._prefix}{key.id}", message, self._settings.api_timeout_ms, headers
        )
        status = answer.headers.get("Status") if answer.headers else None
        reply = parse_reply(self._stream, 0, answer.data, status)
        if isinstance(reply, Stored):
            self._sequences[key.id], self._there[key.id] = reply.sequence, key
        elif reply.refusal is not Refusal.WRONG_SEQUENCE:  # then another machine was first: the next time has both
            raise LogError(f"{self._stream}: {reply.detail}")
