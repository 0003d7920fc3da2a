"""Attacks over HTTP that need no work and no key, or a key of another channel: the edges of the gateway.

In: an arena. Out: what was seen. Always: byte by byte, on separate connections.
"""

import asyncio
import contextlib
import os
import signal
import socket
import struct

from holdfast.gateway.key_file import Operation
from tests.attacks.attack import Arena, Seen, attack
from tests.attacks.stage import SKU, cart, stage
from tests.support.gateway import Response, ask, connected, raw
from tests.support.served import serving
from tests.support.servers import running

HOSTS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.example#127.0.0.1",
    "127.0.0.1@evil.example",
    "evil@127.0.0.1",
    "localhost.",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "127.1",
    "127.0.0.01",
    "0",
    "0.0.0.0",
    "[::ffff:127.0.0.1]",
    "[::1",
    "::1",
    "127.0.0.1:",
    "127.0.0.1:x",
    "127.0.0.1:99999",
    "127.0.0.1:-1",
    "127.0.0.1:80:80",
    "127.0.0.1/",
    "127.0.0.1, evil.example",
    "localhost evil.example",
    "LOCALHOST\t.evil",
    "\u246027.0.0.1",
    "",
)
GOOD_HOSTS = ("127.0.0.1", "localhost", "127.0.0.1:8080", "localhost:1", "[::1]:8080", "[::1]")


@attack(
    done="a foreign id and an unknown one asked for by a key of one channel, by every verb",
    right="one answer for both, byte by byte. A PUT alone, which would make one, says that the id is taken: the same "
    "bytes whatever is there. A wrong guess of it costs a hold, which is limited",
)
async def enumeration(arena: Arena) -> Seen:
    async with stage(arena) as found:
        key = found.key(Operation.READ, Operation.RESERVE, Operation.ORDER, channels=["pos"])
        await found.until_works(key)
        assert (await found.ask("PUT", "/v1/reservations/of-web-1", cart())).status == 201
        calls: list[tuple[str, str, object]] = [
            ("GET", "", None),
            ("POST", "/confirm", {}),
            ("POST", "/release", {}),
            ("POST", "/cancel", {}),
            ("POST", "/extend", {"ttl_ms": 1_000}),
            ("POST", "/fulfil", {"lines": [{"sku": SKU, "quantity": 1}]}),
        ]
        told = []
        for method, verb, body in calls:
            there = await found.ask(method, f"/v1/reservations/of-web-1{verb}", body, key=key)
            unknown = await found.ask(method, f"/v1/reservations/of-web-2{verb}", body, key=key)
            if (there.status, _plain(there)) != (unknown.status, _plain(unknown)):
                told.append(f"{method} {verb or 'id'}: {there.status} and {unknown.status}")
        taken = []
        for verb in ("", "/confirm", "/cancel"):
            if verb:
                assert (await found.ask("POST", f"/v1/reservations/of-web-1{verb}", {})).status == 200
            taken.append(await found.ask("PUT", "/v1/reservations/of-web-1", cart(channel="pos"), key=key))
        if {answer.status for answer in taken} != {403} or len({answer.body for answer in taken}) > 1:
            told.append(f"PUT tells what is there: {[answer.status for answer in taken]}")
        return Seen(not told, "; ".join(told) or "the same answers", f"{len(calls) + len(taken)} calls")


def _plain(answer: Response) -> bytes:
    return answer.body.replace(b"of-web-1", b"ID").replace(b"of-web-2", b"ID") if answer.status >= 400 else b""


@attack(
    done="`--auth off` reached by a web page: every other spelling of a host that means, or ends in, this machine",
    right="strict grammar: loopback names and addresses with a port, nothing else",
)
async def host_grammar(arena: Arena) -> Seen:
    with serving(arena.directory) as served:
        passed = []
        for host in HOSTS:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, UnicodeEncodeError):
                answer = await ask(served.port, "GET", "/v1/state", host=host)
                if answer.status < 400:
                    passed.append(host)
        for origin in (f"http://{host}" for host in HOSTS if host):
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, UnicodeEncodeError):
                if (await ask(served.port, "GET", "/v1/state", origin=origin)).status < 400:
                    passed.append(f"origin {origin}")
        answers = {host: (await ask(served.port, "GET", "/v1/state", host=host)).status for host in GOOD_HOSTS}
        refused = {host: status for host, status in answers.items() if status != 200}
    broke = [f"passed: {passed}"] if passed else []
    broke += [f"refused: {refused}"] if refused else []
    return Seen(not broke, "; ".join(broke) or "refused, and loopback served", f"{len(HOSTS) * 2 - 1} spellings")


@attack(
    done="headers: two `Authorization`, a browser that guesses types",
    right="a duplicate is 400; `nosniff` on every answer",
)
async def headers(arena: Arena) -> Seen:
    async with stage(arena) as found:
        broke = []
        for second in (f"Bearer {found.admin}", "Bearer hf_x_y", "Basic eDp5"):
            async with connected(found.port) as connection:
                head = f"GET /v1/state HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {found.admin}\r\n"
                await connection.send(f"{head}Authorization: {second}\r\n\r\n".encode())
                answer = await connection.receive()
                if answer.status != 400:
                    broke.append(f"two Authorization: {answer.status}")
        for target in ("/livez", "/readyz", "/docs", "/openapi.json", "/nothing", "/v1/state", "/v1/availability/x"):
            answer = await found.ask("GET", target)
            if answer.headers.get("x-content-type-options") != "nosniff":
                broke.append(f"{target} without nosniff")
        return Seen(not broke, "; ".join(dict.fromkeys(broke)) or "as it must be")


@attack(
    done="clients that hang up at every point of a request",
    right="no traceback, no line of log for each",
)
async def hang_up(arena: Arena) -> Seen:
    async with stage(arena) as found:
        before = len(found.written())
        whole = raw("PUT", "/v1/reservations/x", b'{"channel":"web"}' * 50, authorization=f"Bearer {found.admin}")
        facts = raw("POST", "/v1/facts", b"[" * 200_000, authorization=f"Bearer {found.admin}")
        cuts = arena.size(400, 60)
        for at in range(cuts):
            request = (whole, facts)[at % 2]
            await asyncio.to_thread(_hang_up, found.port, request[: max(1, len(request) * at // cuts)])
        await asyncio.sleep(0.5)
        written = found.written()[before:]
        lines = written.count("\n")
        broke = ["a traceback in the log"] if "Traceback" in written or '"exception"' in written else []
        broke += [f"{lines} lines of log"] if lines > 20 else []
        broke += [] if (await ask(found.port, "GET", "/livez")).status == 200 else ["it does not answer"]
        return Seen(not broke, "; ".join(broke) or "nothing in the log", f"{cuts} clients, {lines} lines")


def _hang_up(port: int, part: bytes) -> None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
        connection.sendall(part)


@attack(
    done="/readyz and /livez read by anybody while something fails",
    right="no paths of files, no addresses, no secrets in them",
)
async def probes_tell_nothing(arena: Arena) -> Seen:
    async with stage(arena) as found:
        pid = running(found.store).server_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            told: set[str] = set()
            for _ in range(arena.size(200, 80)):
                for target in ("/readyz", "/livez"):
                    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                        told.add((await ask(found.port, "GET", target)).body.decode())
                if any(str(found.store) in body for body in told):
                    break
                await asyncio.sleep(0.1)
        finally:
            with contextlib.suppress(ProcessLookupError):  # the supervisor has started another one
                os.kill(pid, signal.SIGCONT)
        shown = [body for body in told if str(found.store) in body or "nats://" in body or "/tmp/" in body]
        reasons = sum("reasons" in body for body in told)
        return Seen(not shown, f"shown: {shown[0][:160]}" if shown else "no path in it", f"{reasons} failing answers")


@attack(
    done="every place for a connection taken, then the supervisor's probe",
    right="probes have a listener of their own, or a place of their own",
)
async def probes_when_full(arena: Arena) -> Seen:
    async with stage(arena, "--connections-max", "50") as found:
        idle = []
        for _ in range(600):
            with contextlib.suppress(OSError):
                idle.append(await asyncio.open_connection("127.0.0.1", found.port))
        await asyncio.sleep(0.3)
        from holdfast.supervisor.record import gateway_of

        record = gateway_of(found.store)
        assert record is not None, "it listens"
        address = getattr(record, "probes", "") or record.workers[0].url
        port = int(address.rpartition(":")[2].strip("/"))
        try:
            answer = await asyncio.wait_for(ask(port, "GET", "/livez"), 3)
            held, what = answer.status == 200, f"/livez answers {answer.status}"
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as fault:
            held, what = False, f"/livez: {type(fault).__name__}"
        for _, writer in idle:
            writer.close()
        return Seen(held, what, f"{len(idle)} connections")
