"""A node on an embedded server under load, as a process to be killed.

In: a data directory, a file for answers. Out: the id of each reservation that was answered 201, one line each, written
after the answer came. Always: runs until it is killed.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from holdfast.nats_server.server import EmbeddedServer
from holdfast.protocol.errors import Unavailable
from holdfast.settings import Settings
from tests.support.servers import leading, put_body, stocked

CLIENTS = 16


async def main(directory: Path, answers: Path) -> None:
    settings = Settings()
    server = EmbeddedServer(directory, settings.log)
    await server.start()
    run = os.getpid()
    numbers = itertools.count()
    file = answers.open("a")
    async with leading(server.endpoint) as node:
        await stocked(node)

        async def client() -> None:
            while True:
                name = f"{run}-{next(numbers)}"
                try:
                    status, _, _ = await node.submit("put", name, put_body(("S1", 1), ("S2", 1)), None, None)
                except Unavailable:
                    await asyncio.sleep(0.05)
                    continue
                if status == 201:
                    file.write(f"{name}\n")
                    file.flush()

        await asyncio.gather(*(client() for _ in range(CLIENTS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
