"""The lease's key: which process may lead, in a NATS KV bucket whose values expire.

Role: read and put one key. In: the revision that a put replaces. Out: what the key holds, the new revision, or a
conflict. Always: a put never goes through without the expected revision; reads go to the bucket's leader, never to a
replica; the bucket is in memory and ends each value by its own age (docs/adr/0007), so a lost bucket is made again and
means no more than a lost lease: safety does not depend on it. Under a scope key a value counts only if a process of
the scope signed it, and only once: it says which revision it follows, and one that follows an older revision than the
newest that is known was put there again by somebody else.
"""

import base64
import time
from typing import Any

import msgspec
import structlog

from holdfast.errors import ApiError, ConflictError, LogError, StreamMismatchError, UnreachableError
from holdfast.macs import Macs
from holdfast.nats.appender import Stored, parse_reply
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.protocol.log_types import Lease, Refusal
from holdfast.settings import LogSettings

log = structlog.get_logger(__name__)

_STREAM_IN_USE = 10058
_STREAM_NOT_FOUND = 10059
_MESSAGE_NOT_FOUND = 10037
_MS_IN_NS = 1_000_000
_VALUE_BYTES_MAX = 1_024
_BUCKET_BYTES_MAX = 64 * 1_024


class _Value(msgspec.Struct):
    node: str | None = None
    boot: str = ""
    follows: int | None = None  # the revision before it in the bucket; None: by a version that did not say


class LeaseStore:
    """The key of one scope, as one run of one process puts it."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        node: str,
        boot: str,
        settings: LogSettings,
        ttl_ms: int,
        call_ms: int,
        macs: Macs | None = None,
    ) -> None:
        self._macs = macs or Macs()
        self._scope = names.scope.encode()
        self._connection = connection
        self._bucket = names.lease
        self._key = names.lease_subject
        self._node, self._boot = node, boot
        self._newest = 0  # the newest revision at which a value counted, or the bucket was empty
        self._told = False  # whether a value said what it follows
        self._settings = settings
        self._ttl_ms = ttl_ms
        self._call_ms = call_ms

    async def ensure(self) -> bool:
        """Make the bucket if it is missing, set its time to live if it has another one; True when it was made.

        Raises StreamMismatchError when the existing stream is not a bucket for a lease; UnreachableError, ApiError.
        """
        try:
            found: dict[str, Any] = (await self._connection.api(f"STREAM.INFO.{self._bucket}"))["config"]
        except ApiError as error:
            if error.code != _STREAM_NOT_FOUND:
                raise
            try:
                await self._connection.api(f"STREAM.CREATE.{self._bucket}", self._configuration())
            except ApiError as conflict:
                if conflict.code != _STREAM_IN_USE:
                    raise
                return True  # another process made it in this moment, with its own first revision
            log.info("lease-bucket-made", bucket=self._bucket)
            return True
        if found.get("max_msgs_per_subject") != 1 or found.get("subjects") != [f"$KV.{self._bucket[3:]}.>"]:
            raise StreamMismatchError(
                f"stream {self._bucket} is not a bucket for a lease; delete it, holdfast makes it again at once"
            )
        age = self._ttl_ms * _MS_IN_NS
        if found.get("max_age") != age:
            log.warning("lease-time-changed", bucket=self._bucket, from_ms=found.get("max_age", 0) // _MS_IN_NS)
            changed = found | {"max_age": age, "duplicate_window": age}
            await self._connection.api(f"STREAM.UPDATE.{self._bucket}", changed)
        return False

    async def read(self) -> Lease | None:
        """What the key holds; None when nothing. Raises LogError without an answer."""
        try:
            answer = await self._connection.api(f"STREAM.MSG.GET.{self._bucket}", {"last_by_subj": self._key})
        except ApiError as error:
            if error.code == _STREAM_NOT_FOUND:
                await self.ensure()  # the new one begins above all revisions of the lost one
            elif error.code != _MESSAGE_NOT_FOUND:
                raise
            # What is put next follows all that was there, though this process may not have seen it.
            state = (await self._connection.api(f"STREAM.INFO.{self._bucket}"))["state"]
            self._newest = int(state["last_seq"])
            return None
        message = answer["message"]
        sequence: int = message["seq"]
        value = self._counts(base64.b64decode(message.get("data", "")), sequence)
        if value is None:
            return Lease(None, "", sequence, void=True)
        return Lease(value.node or None, value.boot, sequence)

    def _counts(self, content: bytes, sequence: int) -> _Value | None:
        """The value, if a process of the scope put it there now."""
        if self._macs.keys is None and not content:
            return _Value()  # a deletion
        if not self._macs.proves_json("lease", self._scope, content):
            return None
        try:
            value = msgspec.json.decode(content, type=_Value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if self._macs.keys is None or sequence == self._newest:
            return value
        if sequence < self._newest:  # the bucket was lost and made again, with the clock set back
            self._newest, self._told = 0, False
        again = self._told if value.follows is None else value.follows < self._newest
        if again:
            self._macs.repeated("lease")
            return None
        self._told = self._told or value.follows is not None
        self._newest = max(self._newest, sequence)
        return value

    async def put(self, expected: int) -> int:
        """Put our name while the key's revision is `expected`; the new revision. Raises ConflictError, LogError."""
        return await self._put(_Value(self._node, self._boot), expected)

    async def release(self, expected: int) -> int:
        """Put an empty holder, likewise."""
        return await self._put(_Value(), expected)

    async def _put(self, value: _Value, expected: int) -> int:
        headers = {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        value.follows = max(expected, self._newest)
        message = self._macs.sign_json("lease", self._scope, msgspec.json.encode(value))
        try:
            answer = await self._connection.request(self._key, message, self._call_ms, headers)
        except UnreachableError:
            if await self.ensure():  # no answer, because the server restarted and lost what it had in memory
                raise ConflictError(f"{self._bucket} was made again") from None
            raise
        reply = parse_reply(self._bucket, 0, answer.data, None)
        if isinstance(reply, Stored):
            self._newest, self._told = max(self._newest, reply.sequence), True
            return reply.sequence
        if reply.refusal is Refusal.WRONG_SEQUENCE:
            raise ConflictError(f"{self._key}: {reply.detail}")
        raise LogError(f"{self._key}: {reply.detail}")

    def _configuration(self) -> dict[str, Any]:
        age = self._ttl_ms * _MS_IN_NS
        return {
            "name": self._bucket,
            "subjects": [f"$KV.{self._bucket[3:]}.>"],
            "storage": "memory",
            "retention": "limits",
            "discard": "new",
            "num_replicas": self._settings.replicas,
            "max_age": age,
            "duplicate_window": age,
            "max_msgs": -1,
            "max_msgs_per_subject": 1,
            "first_seq": int(time.time() * 1_000),  # a bucket that was lost never repeats an old revision
            "max_bytes": _BUCKET_BYTES_MAX,
            "max_msg_size": _VALUE_BYTES_MAX,
            "max_consumers": -1,
            "deny_delete": True,
            "deny_purge": False,
            "allow_rollup_hdrs": True,
            "allow_direct": False,
        }
