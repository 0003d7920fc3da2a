"""`holdfast cluster`: a NATS cluster on this machine, to rehearse the failure of one of its servers.

In: a directory. Out: on stdout the file that holds the cluster's address, on stderr what to do with it.
Always: loopback and secrets; each server's store under DIR/s1, DIR/s2, ...; SIGTERM and Ctrl-C end all of them.
"""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from holdfast.cli.console import (
    COULD_NOT_RUN,
    DONE,
    PATH,
    CouldNotRunError,
    program,
    reason_of,
    remarks,
    results,
    usable_directory,
)

URL_FILE = "cluster.url"
PRIVATE = 0o700


def cluster(
    *,
    data: Annotated[Path, PATH, Parameter(help="Directory of the servers' stores: DIR/s1, DIR/s2, ...")],
    servers: Annotated[int, Parameter(validator=validators.Number(gte=3, lte=5), help="An odd number.")] = 3,
) -> int:
    """Run several nats-servers as one cluster, on loopback, until Ctrl-C: a log that survives the loss of a server.

    For rehearsals on one machine: what production has on three (docs/deploy.md). The address, with its secret, is
    written to DIR/cluster.url; gateways join with it. People connect with DIR/users/operator.nk or reader.nk.

    ```
    holdfast cluster --data DIR
    HOLDFAST_NATS=$(cat DIR/cluster.url) holdfast serve --data DIR/gateway --auth off
    kill -9 $(cat DIR/s2/nats/nats-server.pid)     # it comes back; nothing is lost
    ```
    """
    from holdfast.errors import LogError

    if servers % 2 == 0:
        raise CouldNotRunError(
            f"{servers} servers tolerate no more than {servers - 1} do.", "Use 3 or 5: a majority must stay."
        )
    usable_directory(data)
    try:
        data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        return asyncio.run(_run(data, servers))
    except LogError as error:
        raise CouldNotRunError(f"the cluster cannot be started: {error}") from error
    except OSError as error:
        raise CouldNotRunError(f"the cluster cannot be started: {reason_of(error)}") from error


async def _run(data: Path, size: int) -> int:
    from holdfast.guarded import write_private
    from holdfast.nats_server.cluster import LocalCluster
    from holdfast.settings import LogSettings

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    remarks.print(f"Starting {size} nats-servers under {data}; they choose a leader, which takes some seconds ...")
    local = LocalCluster(data, LogSettings(replicas=size), size)
    await local.start()
    url_file = data / URL_FILE
    try:
        write_private(url_file, local.url + "\n")
        ports = ", ".join(f"{name} {server.endpoint.urls[0]}" for name, server in local.servers.items())
        lines = [
            f"The cluster is up: {ports}. Its address with the secret is in {url_file}.",
            f"  HOLDFAST_NATS=$(cat {url_file}) {program()} serve --data {data / 'gateway'} --auth off",
            f"  kill -9 $(cat {data / 's2' / 'nats' / 'nats-server.pid'})     # it comes back; nothing is lost",
            "Ctrl-C ends it.",
        ]
        remarks.print("\n".join(lines), markup=False)
        results.print(str(url_file), markup=False)
        ends = [asyncio.create_task(stop.wait()), asyncio.create_task(local.failed())]
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()
        why = str(ends[1].result()) if ends[1] in done else ""
    finally:
        await local.stop()
        url_file.unlink(missing_ok=True)
    if why:
        remarks.print(f"holdfast: a server cannot be kept running: {why}", style="bold red", markup=False)
        return COULD_NOT_RUN
    return DONE
