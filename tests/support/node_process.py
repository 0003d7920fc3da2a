"""One node of a scope as a separate process, to be killed, paused and woken.

In: a NATS URL, a name, a file for answers. Out: in the file, one JSON line for each answer to a reservation that this
process asked for itself (`{"id","status","sequence"}` or `{"id","problem","outcome"}`), and one for each change of its
role (`{"role","epoch","at_s"}`). Always: runs until it is ended; SIGTERM stops it gracefully.
"""

import asyncio
import contextlib
import itertools
import json
import signal
import sys
import time
from pathlib import Path

from holdfast._core import Engine
from holdfast.nats.connection import endpoint_of
from holdfast.node.node import Node
from holdfast.protocol.errors import Unavailable
from holdfast.settings import LogSettings
from tests.support.servers import OWNER_KEY, put

CLIENTS = 4


async def main(url: str, name: str, path: Path) -> None:
    node = Node("main", endpoint_of(url, LogSettings()), lambda: Engine("main", OWNER_KEY), name=name)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    numbers = itertools.count()
    with path.open("a") as file:

        def tell(**what: object) -> None:
            file.write(json.dumps(what) + "\n")
            file.flush()

        async def client() -> None:
            while True:
                ident = f"{name}-{next(numbers)}"
                try:
                    status, _, sequence = await put(node, ident, ("S1", 1))
                except Unavailable as refused:
                    tell(id=ident, problem=refused.problem, outcome=refused.outcome)
                    await asyncio.sleep(0.02)
                else:
                    tell(id=ident, status=status, sequence=sequence)

        await node.start()
        tell(role="started", epoch=0, at_s=time.monotonic())
        clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
        role = ""
        while not stopped.is_set():
            state = node.state()
            if state["role"] != role:
                role = state["role"]
                tell(role=role, epoch=state["epoch"], at_s=time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.005):
                    await stopped.wait()
        for task in clients:
            task.cancel()
        await node.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
