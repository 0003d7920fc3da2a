"""`holdfast serve` with settings that no option reaches: what is waited for is short, and limits are small.

In: DIR PORT, and a JSON object: fields of LogSettings under `log`, of NodeSettings under `node`, of SnapshotSettings
under `snapshots`, and `workers`. Out: a gateway, as `holdfast serve --auth off` runs it. Always: nothing but settings
differs from the real thing.
"""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from holdfast.logs import configure_logs
from holdfast.settings import Settings
from holdfast.supervisor.run import Plan, supervise


def main() -> None:
    directory, port, changes = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    settings = Settings()
    settings = replace(
        settings,
        log=replace(settings.log, **changes.get("log", {})),
        node=replace(settings.node, **changes.get("node", {})),
        snapshots=replace(settings.snapshots, **changes.get("snapshots", {})),
    )
    configure_logs("info", process="supervisor")
    directory.mkdir(parents=True, exist_ok=True)
    plan = Plan(directory, port=port, auth=False, workers=changes.get("workers", 1), settings=settings)
    why = asyncio.run(supervise(plan, lambda _: None))
    sys.exit(why or 0)


if __name__ == "__main__":
    main()
