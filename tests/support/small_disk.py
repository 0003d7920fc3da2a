"""A small disk, and filling it: a separate file system where this user may mount one.

In: an empty directory. Out: whether a small disk is mounted there, until the end of the block. Always: what was mounted
is unmounted, whatever still uses it; nothing of the machine's own disks is filled.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE_MIB = 1_024
LEFT_BYTES = 128 * 1024 * 1024


@contextmanager
def small_disk(directory: Path) -> Iterator[bool]:
    """Mounted on the directory, with its rights."""
    mount = shutil.which("mount")
    asked = ["-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=0700", "tmpfs", str(directory)]
    is_small = mount is not None and os.geteuid() == 0
    is_small = is_small and subprocess.run([str(mount), *asked], check=False, capture_output=True).returncode == 0
    try:
        yield is_small
    finally:
        if is_small:
            subprocess.run(["umount", "--lazy", str(directory)], check=False, capture_output=True)


def fill(directory: Path) -> None:
    """Until little is left. Real bytes: blocks that are not written need not be there."""
    with (directory / "filling").open("wb") as file:
        left = shutil.disk_usage(directory).free - LEFT_BYTES
        block = b"x" * (1 << 20)
        for _ in range(max(0, left) // len(block)):
            file.write(block)
