"""The private parts of aiohttp that the gateway's fast path rests on, by name, and the versions they were seen in.

A new aiohttp may rename any of them without notice. When a test here fails after an upgrade: read what changed in
aiohttp's web_protocol.py, web_response.py and web_request.py, run tests/gateway, then put the version into SEEN_IN.
"""

import ast
import inspect
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import http_parser, web
from aiohttp.http_parser import RawRequestMessage

from holdfast.gateway import replies, server
from holdfast.gateway.replies import Reply
from holdfast.gateway.server import GatewayProtocol, GatewayServer

SEEN_IN = ("3.14.5",)

GATEWAY = Path(server.__file__).parent
# Class of ours -> (class of aiohttp, its private names that ours reads, writes or replaces).
INHERITED: dict[type, tuple[type, set[str]]] = {
    GatewayProtocol: (
        web.RequestHandler,
        {
            "_current_request",
            "_keepalive_handle",
            "_loop",
            "_messages",
            "_next_keepalive_close_time",
            "_process_keepalive",
            "_request_count",
            "_waiter",
        },
    ),
    GatewayServer: (web.Server, {"_loop"}),
    Reply: (web.StreamResponse, {"_keep_alive", "_req", "_status"}),
}
# Private names that the gateway reaches for on an object of aiohttp: file -> names.
REACHED = {"gate.py": {"_message"}}
NAMED_TUPLE = {"_replace", "_asdict"}  # public, whatever their names say


def attributes(kind: type) -> set[str]:
    """What a class has: methods, class attributes, slots, and what its constructors set."""
    names = set(dir(kind))
    for base in kind.__mro__:
        names |= set(getattr(base, "__slots__", ()))
        if base.__module__.startswith("aiohttp."):
            names |= assigned(ast.parse(inspect.getsource(base)))
    return names


def assigned(tree: ast.AST) -> set[str]:
    return {name for name, node in own_names(tree) if isinstance(node.ctx, ast.Store)}


def own_names(tree: ast.AST) -> list[tuple[str, ast.Attribute]]:
    """Each `self._name` in some code."""
    return [
        (node.attr, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    ]


def private(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def test_this_version_of_aiohttp_was_looked_at() -> None:
    assert aiohttp.__version__ in SEEN_IN, "see the first lines of this file"


@pytest.mark.parametrize("ours", list(INHERITED), ids=lambda kind: kind.__name__)
def test_what_a_class_of_ours_uses_of_its_base_is_there_and_is_named_here(ours: type) -> None:
    base, named = INHERITED[ours]
    there = attributes(base)
    assert named <= there, "aiohttp has these no more"
    tree = ast.parse(inspect.getsource(ours))
    methods = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert private({name for name, _ in own_names(tree)} | methods) & there == named


@pytest.mark.parametrize("ours", list(INHERITED), ids=lambda kind: kind.__name__)
def test_no_name_of_ours_is_one_of_its_base_by_accident(ours: type) -> None:
    base, named = INHERITED[ours]
    mine = private(assigned(ast.parse(inspect.getsource(ours))))
    assert (mine - named) & attributes(base) == set()


def test_nothing_else_private_is_reached_for() -> None:
    found: dict[str, set[str]] = {}
    for path in GATEWAY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and private({node.attr}) - NAMED_TUPLE:
                of_self = isinstance(node.value, ast.Name) and node.value.id in {"self", "os"}
                of_super = isinstance(node.value, ast.Call) and ast.unparse(node.value) == "super()"
                if not of_self and not of_super:
                    found.setdefault(path.name, set()).add(node.attr)
    assert found == REACHED


def test_a_request_has_its_headers_as_they_came() -> None:
    assert hasattr(RawRequestMessage, "raw_headers")
    assert "_message" in attributes(web.BaseRequest)


def test_the_compiled_parser_is_used() -> None:
    assert http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy


async def test_a_reply_is_all_that_the_base_asks_of_a_response() -> None:
    """Reply leaves the constructor of its base out: what the server reads of a response must be there without it."""
    reply: Any = Reply(200, b"{}", 7)
    assert (reply.status, reply.keep_alive, reply.body) == (200, True, b"{}")
    reply.force_close()
    assert reply.keep_alive is False
    assert replies.WRITE_TIMEOUT_S > 0
