"""Consumers for people who view a stream with the nats tool.

Role: make and end the consumer behind `nats stream view` for operators and readers. In: what they ask JetStream,
which their accounts map to `hf.<scope>.view.>`. Out: JetStream's own answers. Always: what is made delivers to who asks
and nowhere else (no `deliver_subject`), acknowledges nothing, is in memory, ends when nobody asks any more, and is one
of a bounded number; a consumer that was not named here is not ended. JetStream itself gives the messages to who knows
a consumer's name; names of views, and of gateways' own consumers, cannot be guessed.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import msgspec
import structlog
from nats.aio.msg import Msg

from holdfast.errors import ApiError, LogError
from holdfast.nats.connection import Connection, Endpoint, endpoint_of
from holdfast.settings import LogSettings

log = structlog.get_logger(__name__)

_QUEUE = "view"
_WAITING_MAX = 64
"""Requests that wait here; further ones are dropped, and asked again by who wants them."""
_VIEWS_MAX = 16
_IDLE_S = 300
_NS = 1_000_000_000
_BATCH_MAX = 256
_EXPIRES_S_MAX = 30
_REQUESTS_MAX = 4
_FILTERS_MAX = 8
_RETRY_S = 1.0
_NAME = re.compile(r"view-[0-9a-f]{16}")
_STARTS = ("deliver_policy", "opt_start_seq", "opt_start_time")


_Answer = Callable[[Connection, Msg], Awaitable[None]]


class _NotAllowedError(Exception):
    """What was asked is not for people who view. Its text goes back."""


class _Wanted(msgspec.Struct):
    """Of a request for a consumer: what is passed on, and what is refused."""

    deliver_policy: str = "all"
    opt_start_seq: int | None = None
    opt_start_time: str | None = None
    filter_subject: str | None = None
    filter_subjects: list[str] = msgspec.field(default_factory=list)
    deliver_subject: str | None = None


class _Create(msgspec.Struct):
    config: _Wanted


async def serve_views(nats: str, scope: str, settings: LogSettings) -> NoReturn:
    """`nats`: an address with a gateway's user, as `serve` has it."""
    await ViewService(endpoint_of(nats, settings), scope, settings).run()


class ViewService:
    """Answers until it is cancelled. Where NATS is away, it is waited for."""

    def __init__(self, endpoint: Endpoint, scope: str, settings: LogSettings) -> None:
        self._endpoint = endpoint
        self._scope = scope
        self._settings = settings

    async def run(self) -> NoReturn:
        """Connect, and answer."""
        while True:
            connection = Connection(self._endpoint, self._settings, f"holdfast {self._scope} view")
            try:
                await connection.open()
                for call, answer in (("create", self._create), ("delete", self._delete)):
                    await _serve(connection, f"hf.{self._scope}.view.{call}.>", answer)
                await asyncio.Event().wait()
            except LogError as fault:
                log.debug("view-unreachable", why=str(fault))
                await asyncio.sleep(_RETRY_S)
            finally:
                await connection.close()

    async def _create(self, connection: Connection, asked: Msg) -> None:
        stream, *_ = _names(asked)
        config = self._config(stream, asked.data)
        await self._refuse_too_many(connection, stream)
        name = config["name"]
        made = await connection.api(f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})
        log.info("view-begun", stream=stream, consumer=name)
        await connection.publish(asked.reply, msgspec.json.encode(made))

    def _config(self, stream: str, body: bytes) -> dict[str, Any]:
        if not re.fullmatch(rf"(?:KV_|OBJ_)?HF_{re.escape(self._scope)}_[A-Z]+", stream):
            raise _NotAllowedError(f"{stream} is no stream of scope {self._scope}")
        wanted = msgspec.json.decode(body, type=_Create).config
        if wanted.deliver_subject:
            raise _NotAllowedError("a view delivers to who asks for its messages, to no other subject")
        filters = [*wanted.filter_subjects, *([wanted.filter_subject] if wanted.filter_subject else [])]
        if len(filters) > _FILTERS_MAX:
            raise _NotAllowedError(f"at most {_FILTERS_MAX} subjects to filter by")
        config: dict[str, Any] = {
            "name": f"view-{secrets.token_hex(8)}",
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _IDLE_S * _NS,
            # JetStream itself holds who reads to these.
            "max_batch": _BATCH_MAX,
            "max_expires": _EXPIRES_S_MAX * _NS,
            "max_waiting": _REQUESTS_MAX,
        }
        config |= {key: value for key in _STARTS if (value := getattr(wanted, key)) is not None}
        return config | ({"filter_subjects": filters} if filters else {})

    async def _refuse_too_many(self, connection: Connection, stream: str) -> None:
        names = (await connection.api(f"CONSUMER.NAMES.{stream}")).get("consumers") or []
        if sum(_NAME.fullmatch(name) is not None for name in names) >= _VIEWS_MAX:
            raise _NotAllowedError(
                f"{_VIEWS_MAX} views of {stream} are open, as many as may be; they end {_IDLE_S} s after their last use"
            )

    async def _delete(self, connection: Connection, asked: Msg) -> None:
        stream, name = _view_of(asked)
        ended = await connection.api(f"CONSUMER.DELETE.{stream}.{name}")
        await connection.publish(asked.reply, msgspec.json.encode(ended))


def _names(asked: Msg) -> list[str]:
    """`hf.main.view.create.HF_main_LOG.pager.hf.main.log`: what comes after the call."""
    return asked.subject.split(".")[4:]


def _view_of(asked: Msg) -> tuple[str, str]:
    stream, name, *_ = [*_names(asked), ""]
    if not _NAME.fullmatch(name):
        raise _NotAllowedError(f"{name} is no consumer of a view")
    return stream, name


async def _serve(connection: Connection, subject: str, answer: _Answer) -> None:
    """Have requests on `subject` answered, by one of all that serve it; a fault is an answer too."""

    async def answered(asked: Msg) -> None:
        if not asked.reply:
            return
        try:
            await answer(connection, asked)
        except _NotAllowedError as fault:
            await _refuse(connection, asked, 403, str(fault))
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            await _refuse(connection, asked, 400, f"not understood: {fault}")
        except ApiError as fault:
            await _refuse(connection, asked, fault.code or 500, str(fault))
        except LogError as fault:
            log.debug("view-unanswered", subject=asked.subject, why=str(fault))

    await connection.listen(subject, answered, queue=_QUEUE, waiting_max=_WAITING_MAX)


async def _refuse(connection: Connection, asked: Msg, code: int, why: str) -> None:
    answer = {"error": {"code": code, "description": why}}
    try:
        await connection.publish(asked.reply, msgspec.json.encode(answer))
    except LogError as fault:
        log.debug("view-unanswered", subject=asked.subject, why=str(fault))
