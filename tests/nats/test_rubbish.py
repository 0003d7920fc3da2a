"""No bytes that somebody writes raise anything but what the reader of a message is prepared for."""

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import LogError
from holdfast.nats.appender import Refused, is_duplicate, parse_reply
from holdfast.nats.connection import parse_api
from holdfast.peers.wire import decode_peer_state, decode_question, decode_reply
from holdfast.secret_files import owner_key, scope_macs

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
_names = st.sampled_from(["error", "stream", "seq", "duplicate", "code", "description", "node", "boot", "digests"])
_nearly = st.dictionaries(_names, _json, max_size=6)


def _bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


RUBBISH = st.one_of(
    st.binary(max_size=300),
    _json.map(_bytes),
    _nearly.map(_bytes),
    st.tuples(_nearly.map(_bytes), st.binary(min_size=1, max_size=4), st.integers(0, 60)).map(
        lambda one: one[0][: one[2]] + one[1] + one[0][one[2] :]
    ),
    st.sampled_from([b"[" * 100_000, b'{"error":' * 50_000, b'"\xff"', b'{"node":"\xff\xfe"}', b""]),
)


@given(RUBBISH)
def test_an_acknowledgement_is_stored_or_refused(payload: bytes) -> None:
    reply = parse_reply("HF_main_LOG", 1, payload, None)
    assert isinstance(reply, Refused) or b'"HF_main_LOG"' in payload
    is_duplicate(payload)


@given(RUBBISH)
def test_an_answer_of_the_api_is_an_object_or_a_fault_of_the_log(payload: bytes) -> None:
    with contextlib.suppress(LogError):
        assert isinstance(parse_api("INFO", payload), dict)


@given(RUBBISH)
def test_a_message_of_a_peer_is_read_or_undecodable(payload: bytes) -> None:
    for decode in (decode_peer_state, decode_question, decode_reply):
        with contextlib.suppress(msgspec.DecodeError):
            decode(payload)


@given(st.binary(max_size=200))
def test_a_file_of_secrets_that_holds_other_bytes_is_named(
    tmp_path_factory: pytest.TempPathFactory, held: bytes
) -> None:
    directory: Path = tmp_path_factory.mktemp("secrets")
    for name, read in (("owner.key", owner_key), ("scope.key", scope_macs)):
        path = directory / name
        path.write_bytes(held)
        path.chmod(0o600)
        with pytest.raises(OSError, match=name):
            read(directory)
