"""Chromium without a window, one profile for each shopper, driven by its own protocol (CDP).

In: addresses, JavaScript, names of screenshots. Out: what the page says.
Always: nothing is installed for it; ended with the block.
"""

import asyncio
import base64
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE_S = 90.0


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Tab:
    """One page of one shopper."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser = browser
        self._session = session

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return await self._browser.call(method, self._session, **parameters)

    async def run(self, script: str) -> Any:
        """What JavaScript returns; a promise is waited for."""
        found = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def open(self, address: str) -> None:
        await self.call("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    async def until(self, condition: str) -> None:
        """Until JavaScript says true, also across pages."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    if await self.run(f"Boolean({condition})"):
                        return
                except AssertionError:
                    pass
                await asyncio.sleep(0.1)

    async def text(self) -> str:
        return str(await self.run("document.body ? document.body.innerText : ''"))

    async def fill(self, fields: dict[str, str]) -> None:
        """Types into fields, by their ids, as React and jQuery both notice it."""
        await self.run(
            f"""(() => {{ for (const [id, value] of Object.entries({json.dumps(fields)})) {{
                const field = document.getElementById(id);
                if (!field) continue;
                const kinds = {{SELECT: HTMLSelectElement, TEXTAREA: HTMLTextAreaElement}};
                const kind = kinds[field.tagName] || HTMLInputElement;
                if (!(field instanceof kind)) continue;
                Object.getOwnPropertyDescriptor(kind.prototype, 'value').set.call(field, value);
                for (const name of ['input', 'change', 'blur']) field.dispatchEvent(new Event(name, {{bubbles: true}}));
            }} }})()"""
        )

    async def screenshot(self, target: Path) -> None:
        """The whole page."""
        found = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        await asyncio.to_thread(target.write_bytes, base64.b64decode(found["data"]))


class Browser:
    """The program, and its one connection."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._connection:
            said = json.loads(message.data)
            waiting = self._waiting.pop(said.get("id", 0), None)
            if waiting and not waiting.done():
                waiting.set_result(said)

    async def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        asked: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        await self._connection.send_json(asked | ({"sessionId": session} if session else {}))
        said = await asyncio.wait_for(waiting, PATIENCE_S)
        assert "error" not in said, (method, said["error"])
        result: dict[str, Any] = said["result"]
        return result

    async def shopper(self) -> Tab:
        """A tab with its own cookies."""
        profile = (await self.call("Target.createBrowserContext"))["browserContextId"]
        made = await self.call(
            "Target.createTarget", url="about:blank", browserContextId=profile, width=1100, height=1400
        )
        session = (await self.call("Target.attachToTarget", targetId=made["targetId"], flatten=True))["sessionId"]
        return Tab(self, session)

    async def end(self) -> None:
        self._reading.cancel()
        await self._connection.close()


@asynccontextmanager
async def browser(directory: Path) -> AsyncIterator[Browser]:
    """Until the end of the block."""
    program = chromium()
    assert program
    child = await asyncio.create_subprocess_exec(
        program,
        *("--headless=new", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"),
        *("--disable-background-networking", "--disable-component-update", "--no-proxy-server"),
        *(f"--user-data-dir={directory}", "about:blank"),
        *(("--no-sandbox",) if os.geteuid() == 0 else ()),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        active = directory / "DevToolsActivePort"
        async with asyncio.timeout(PATIENCE_S):
            while not active.exists() or active.read_text().count("\n") < 1:  # noqa: ASYNC110 -- a file of another program
                await asyncio.sleep(0.05)
        port, path = active.read_text().split("\n")[:2]
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0) as connection,
        ):
            running = Browser(connection)
            yield running
            await running.end()
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()
