"""`holdfast woo` as a shop owner types it, beside `serve --woo`."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.served import Api, level, places, serving
from tests.support.serving import holdfast
from tests.support.woo_running import until
from tests.support.woo_store.model import Model
from tests.support.woo_store.server import KEY, StoreServer, opened


async def run(*arguments: str, status: int = 0) -> str:
    done = await asyncio.to_thread(holdfast, "woo", *arguments)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


async def report(data: str) -> dict[str, Any]:
    done = await asyncio.to_thread(holdfast, "woo", "status", "--data", data, "--json")
    (found,) = json.loads(done.stdout)
    return dict(found)


async def test_from_a_running_shop_to_a_connected_one(tmp_path: Path) -> None:
    port = free_port()
    data = str(tmp_path / "store")
    key = tmp_path / "key"
    key.write_text("\n".join(KEY))
    key.chmod(0o600)
    async with opened(StoreServer(Model())) as store:
        for sku in ("MUG", "MUG", "TEE"):
            store.model.add(sku, 0)
        with serving(tmp_path, "--woo", "--set", "publisher.enabled=true", port=port):
            api = Api(port)
            await api.policies(*places("W1"))
            given = ["--url", store.url, "--rest-key", str(key), "--delivery-url", f"http://127.0.0.1:{port}"]
            said = await run("connect", "shop", *given, "--data", data, status=1)
            assert "done  4 webhooks were made" in said
            assert f"left  WordPress calls ports 80, 443 and 8080 alone, and never {port}" in said
            assert "left  the channel 'web' is not declared" in said
            assert "left  holdfast knows no SKU yet" in said
            await api.policies({"kind": "channel", "channel": "web", "locations": "*", "buffer": 0})
            await api.facts(*(level(sku, 5, "W1", "2025-01-01T00:00:00Z") for sku in ("MUG", "TEE", "CAP")))
            said = await run("connect", "shop", "--data", data, status=1)
            assert "ok    4 webhooks deliver" in said
            assert "1 SKUs are no product of the shop: CAP" in said
            assert "1 SKUs are several products, and are not written: MUG" in said
            # The connector of `serve --woo` has begun by itself.
            await until(lambda: store.model.by_sku("TEE")[0].stock == 5, 30)
            store.model.place([("TEE", 2)], "processing")
            await store.webhooks.run_queue()
            await until(lambda: _sells(api, 3), 20)
            await until(lambda: _works(data), 20, every_s=0.5)
            store.model.by_sku("TEE")[0].stock = 99
            assert "3 SKUs are compared" in await run("push", "shop", "--all", "--data", data)
            await until(lambda: store.model.by_sku("TEE")[0].stock == 3, 20)
            store.model.place([("TEE", 1)], "processing")
            store.model.events.clear()
            assert "are read" in await run("backfill", "shop", "--since", "2025-01-01T00:00:00Z", "--data", data)
            await until(lambda: _sells(api, 2), 20)
            assert "no connector of 'other' runs" in await run("backfill", "other", "--data", data, status=2)
        assert "stopped" in await run("status", "--data", data, status=1)


async def _works(data: str) -> bool:
    found = await report(data)
    return (found["state"], found["webhooks_active"]) == ("working", 4)


async def _sells(api: Api, quantity: int) -> bool:
    return await api.sellable("TEE") == quantity


async def test_what_is_wrong_with_a_shop_is_said_with_what_to_do(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("ck_test:cs_wrong")
    key.chmod(0o600)
    async with opened(StoreServer(Model())) as store:
        given = ["connect", "shop", "--rest-key", str(key), "--data", str(tmp_path / "new")]
        assert "Make a key with the permission Read/Write" in await run(*given, "--url", store.url, status=2)
        key.write_text("\n".join(KEY))
        assert "Set permalinks to anything but Plain" in await run(*given, "--url", f"{store.url}/blog", status=2)
        assert "did not answer" in await run(*given, "--url", f"http://127.0.0.1:{free_port()}", status=2)
