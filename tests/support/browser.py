"""A headless Chromium, driven by its own protocol.

In: addresses, keys and expressions. Out: what a page shows, what its console said, which hosts it asked, pictures.
Always: it needs the browser and nothing else; where that is missing, the test is skipped and says so; each further page
is another person's, with cookies that no other page has.
"""

import asyncio
import base64
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
START_S = 30.0
CALL_S = 20.0
_QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-extensions", "--hide-scrollbars", "--remote-debugging-port=0"),
    *("--disable-component-update", "--no-proxy-server"),
)


def installed() -> str | None:
    """The browser's program, where there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass
class Page:
    """A tab. `faults`: what its console or its policy complained about; `hosts`: whom it asked.

    `another`: opens a page of another person.
    """

    socket: aiohttp.ClientWebSocketResponse
    another: Callable[[], Awaitable["Page"]]
    faults: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    _calls: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _number: int = 0

    async def call(self, method: str, **parameters: Any) -> Any:
        """One call of the protocol."""
        self._number += 1
        answer = self._calls[self._number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(CALL_S):
            return await answer

    async def listen(self) -> None:
        """Take what the browser says, until it ends."""
        async for message in self.socket:
            said = orjson.loads(message.data)
            if "id" in said:
                if not (waiter := self._calls.pop(said["id"])).done():
                    waiter.set_result(said.get("result", said))
            else:
                self._take(said["method"], said["params"])

    def _take(self, method: str, said: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.faults.append(str(details.get("exception", {}).get("description", details["text"])))
        elif method == "Runtime.consoleAPICalled" and said["type"] in {"error", "warning", "assert"}:
            self.faults.append(str([one.get("value") for one in said["args"]]))
        elif method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.faults.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.hosts.add(urlsplit(said["request"]["url"]).netloc)

    async def run(self, expression: str) -> Any:
        """What an expression gives; a promise is awaited."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "error" not in answer, answer["error"]  # such as a page that goes away at this moment
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, expression: str, within_s: float = 10.0) -> None:
        """Wait until an expression is true, also of the next page."""
        deadline = asyncio.get_running_loop().time() + within_s
        while not await self._holds(expression):
            shown = await self.text() if asyncio.get_running_loop().time() > deadline else ""
            assert not shown, f"{expression} was not true within {within_s} s; the page shows:\n{shown}\n{self.faults}"
            await asyncio.sleep(0.05)

    async def _holds(self, expression: str) -> bool:
        try:
            return bool(await self.run(f"!!({expression})"))
        except AssertionError:
            return False

    async def open(self, url: str) -> None:
        """Go there."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def text(self) -> str:
        """What a person reads."""
        return str(await self.run("document.body ? document.body.innerText : ''"))

    async def fill(self, fields: dict[str, str]) -> None:
        """Type into fields, by their ids, as React and jQuery both notice it; those that are not there are left out."""
        await self.run(
            f"""(() => {{ for (const [id, value] of Object.entries({orjson.dumps(fields).decode()})) {{
                const field = document.getElementById(id);
                if (!field) continue;
                const kinds = {{SELECT: HTMLSelectElement, TEXTAREA: HTMLTextAreaElement}};
                const kind = kinds[field.tagName] || HTMLInputElement;
                if (!(field instanceof kind)) continue;
                Object.getOwnPropertyDescriptor(kind.prototype, 'value').set.call(field, value);
                for (const name of ['input', 'change', 'blur']) field.dispatchEvent(new Event(name, {{bubbles: true}}));
            }} }})()"""
        )

    async def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """How large the page is, and which colours its reader prefers."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def picture(self, file: Path, *, whole: bool = True) -> None:
        """What it looks like, as a PNG file: all of the page, or what fits the window."""
        answer = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(file.write_bytes, base64.b64decode(answer["data"]))


@asynccontextmanager
async def browsing(program: str) -> AsyncIterator[Page]:
    """A browser with one empty tab, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as directory:
        nobody = asyncio.subprocess.DEVNULL
        child = await asyncio.create_subprocess_exec(
            program, *_QUIET, f"--user-data-dir={directory}", "about:blank", stdout=nobody, stderr=nobody
        )
        try:
            port, path = await _address(Path(directory, "DevToolsActivePort"), child)
            async with AsyncExitStack() as stack:
                session = await stack.enter_async_context(aiohttp.ClientSession())

                async def attached(path: str) -> Page:
                    address = f"ws://127.0.0.1:{port}{path}"
                    page = Page(await stack.enter_async_context(session.ws_connect(address, max_msg_size=0)), another)
                    listening = asyncio.create_task(page.listen())
                    stack.callback(listening.cancel)
                    return page

                async def another() -> Page:
                    profile = (await program_itself.call("Target.createBrowserContext"))["browserContextId"]
                    made = await program_itself.call("Target.createTarget", url="about:blank", browserContextId=profile)
                    page = await attached(f"/devtools/page/{made['targetId']}")
                    for part in ("Page", "Runtime", "Log", "Network"):
                        await page.call(f"{part}.enable")
                    return page

                program_itself = await attached(path)
                yield await another()
        finally:
            child.terminate()
            await child.wait()


def _text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def _address(file: Path, child: asyncio.subprocess.Process) -> tuple[int, str]:
    deadline = asyncio.get_running_loop().time() + START_S
    while True:
        text = await asyncio.to_thread(_text_of, file)
        if "\n" in text:  # the port, and the path of the program itself
            port, path, *_ = text.split("\n")
            return int(port), path
        assert child.returncode is None, "the browser ended by itself"
        assert asyncio.get_running_loop().time() < deadline, "the browser did not start"
        await asyncio.sleep(0.05)
