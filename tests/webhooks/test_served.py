"""Webhooks of the whole product: `serve` sends them, a kill misses nothing, the verbs say and change how it goes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from holdfast.client import Client, Retry
from tests.support.receiver import Receiver, fine, receiving
from tests.support.served import Api, Served, cart, level, pids, places, serving
from tests.support.servers import until
from tests.support.serving import holdfast
from tests.webhooks.test_webhooks import SECRETS, assert_in_order, becomes

SENDERS = "holdfast.webhooks.process"
WEBHOOK = """
[publisher]
enabled = true
takeover_ms = 500

[webhook.shop]
url = "http://127.0.0.1:{port}/hook"
secrets = "shop.secrets"
kinds = "held,confirmed,availability"
allow = "127.0.0.0/8"
retry_first_ms = 10
retry_wait_ms_max = 200
tries_max = {tries}
"""


def config_of(directory: Path, port: int, tries: int = 10_000) -> Path:
    secrets = directory / "shop.secrets"
    secrets.write_text("\n".join(SECRETS))
    secrets.chmod(0o600)
    config = directory / "holdfast.toml"
    config.write_text(WEBHOOK.format(port=port, tries=tries))
    return config


class Verbs:
    """`holdfast webhooks` with the options that say where."""

    def __init__(self, directory: Path, config: Path) -> None:
        self._place = ("--data", str(directory / "store"), "--config", str(config))

    async def __call__(self, *words: str, status: int = 0) -> str:
        done = await asyncio.to_thread(holdfast, "webhooks", *words, *self._place)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    async def listed(self) -> list[dict[str, Any]]:
        done = await asyncio.to_thread(holdfast, "webhooks", "list", "--json", *self._place)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    async def upto(self) -> str:
        return str((await self.listed())[0]["upto"])


async def trade(served: Served, first: int, number: int) -> None:
    """Carts, a third of them confirmed."""
    async with Client(f"http://127.0.0.1:{served.port}", retry=Retry(total_s=60)) as client:
        for at in range(first, first + number):
            await client.transport.send("PUT", f"/v1/reservations/r{at}", orjson.dumps(cart(("MUG", 1))))
            if at % 3 == 0:
                await client.confirm(f"r{at}", f"o{at}")


async def published(served: Served) -> dict[str, dict[str, Any]]:
    """What the webhook must have sent: by `webhook-id`, as OUT has it now."""
    kinds = ["held", "confirmed", "availability"]
    async with Client(f"http://127.0.0.1:{served.port}", retry=Retry(total_s=60)) as client:
        texts = client.events_as_json(after=0, kinds=kinds, follow=False)
        found = [orjson.loads(text) async for text in texts]
    return {f"main-{one['sequence']}-{one['index']}": one for one in found}


async def begun(served: Served, verbs: Verbs) -> Api:
    """A gateway with stock, whose webhook has its place before anything is sold."""
    api = Api(served.port)
    await api.policies(*places("W1"), {"kind": "channel", "channel": "web", "locations": "*", "buffer": 0})
    await becomes(verbs.upto)
    await api.facts(level("MUG", 10_000))
    return api


async def test_a_sender_killed_under_load_misses_nothing_and_sends_again_with_the_same_id(tmp_path: Path) -> None:
    receiver = Receiver(SECRETS)
    async with receiving(receiver):
        config = config_of(tmp_path, receiver.port)
        verbs = Verbs(tmp_path, config)
        with serving(tmp_path, "--config", str(config)) as served:
            await begun(served, verbs)
            killed: set[int] = set()
            for round_ in range(4):
                taken = len(receiver.taken)
                trading = asyncio.create_task(trade(served, round_ * 25, 25))
                await until(lambda taken=taken: len(receiver.taken) > taken and bool(pids(served, SENDERS)), 60)  # type: ignore[misc]
                for pid in pids(served, SENDERS):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                await trading
            assert len(killed) == 4

            async def all_sent() -> bool:
                wanted = await published(served)
                held = sum(one["kind"] == "held" for one in wanted.values())
                return held == 100 and {identity for identity, _ in receiver.taken} >= wanted.keys()

            await becomes(all_sent)
            wanted = await published(served)
            assert_in_order(receiver.taken)
            assert all(wanted[identity] == body for identity, body in receiver.taken if identity in wanted)


async def test_the_verbs_show_where_it_is_and_send_again(tmp_path: Path) -> None:
    receiver = Receiver(SECRETS)

    async def choosy(_: web.BaseRequest, one: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=422 if one.get("reservation", {}).get("id") == "r1" else 200)

    receiver.answer = choosy
    async with receiving(receiver):
        config = config_of(tmp_path, receiver.port, tries=2)
        verbs = Verbs(tmp_path, config)
        with serving(tmp_path, "--config", str(config)) as served:
            await begun(served, verbs)
            await trade(served, 0, 4)

            async def is_parked() -> bool:
                (one,) = await verbs.listed()
                return bool(one["parked"] == 1 and one["sent_total"] >= 6)

            await becomes(is_parked)
            assert "it answered 422" in await verbs("parked", "shop", status=1)
            assert "shop" in await verbs("list", status=1)
            receiver.answer = fine
            await verbs("resume", "shop")
            await becomes(lambda: parked_now(verbs), 0)
            assert "r1" not in await verbs("parked", "shop")
            before = len(receiver.taken)
            first = min(receiver.taken, key=lambda pair: pair[1]["sequence"])[1]["id"]
            assert f"goes on behind {first}" in await verbs("replay", "shop", "--after", first)
            await until(lambda: len(receiver.taken) >= 2 * before - 1, 60)
            assert "another process sends the webhooks" in await verbs("run", status=2)
            assert "there is no webhook 'other'" in await verbs("resume", "other", status=2)
        assert_in_order(receiver.taken)


def by_hand(directory: Path, config: Path) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "holdfast", "webhooks", "run", "--config", str(config)]
    with (directory / "run.log").open("wb") as output:
        return subprocess.Popen([*line, "--data", str(directory / "store")], stdout=output, stderr=output)


async def parked_now(verbs: Verbs) -> int:
    return int((await verbs.listed())[0]["parked"])


async def test_by_hand_one_that_cannot_be_sent_does_not_keep_others_from_it(tmp_path: Path) -> None:
    receiver = Receiver(SECRETS)
    async with receiving(receiver):
        config = config_of(tmp_path, receiver.port)
        verbs = Verbs(tmp_path, config)
        config.write_text(config.read_text() + '\n[webhook.broken]\nurl = "https://shop.example/x"\n')
        with serving(tmp_path, "--set", "publisher.enabled=true") as served:
            running = by_hand(tmp_path, config)
            try:
                await begun(served, verbs)
                await trade(served, 0, 3)
                await until(lambda: len(receiver.taken) >= 3, 60)
                running.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(running.wait, 60) == 0
            finally:
                if running.poll() is None:
                    running.kill()
                    running.wait()
        assert "webhook broken cannot be sent" in (tmp_path / "run.log").read_text()
