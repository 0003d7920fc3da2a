"""Runs what a page says: its shell blocks, in order, as one person would type them on one machine.

In: a Markdown file. Out: what the shell wrote, and its exit status.
Always: only the port and the directories are others; `systemctl` is a script that starts and stops a real `holdfast
serve`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SYSTEMCTL = """#!/bin/sh
stop() {{
  [ -f {pid} ] || return 0
  kill "$(cat {pid})"
  while kill -0 "$(cat {pid})" 2>/dev/null; do sleep 0.1; done
  rm {pid}
}}
start() {{
  holdfast serve --port {port} <{null} >>{log} 2>&1 & echo $! > {pid}
  until curl -s -o {null} localhost:{port}/livez; do kill -0 "$(cat {pid})" || exit 1; sleep 0.1; done
}}
case "$1" in start) start ;; stop) stop ;; restart) stop; start ;; esac
"""


def blocks(page: Path, language: str = "sh") -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def installed(directory: Path) -> Path:
    """A directory with the installed command in it and nothing else."""
    found = directory / "bin"
    found.mkdir(exist_ok=True)
    command = Path(sys.executable).with_name("holdfast")
    if not (found / "holdfast").exists():
        (found / "holdfast").symlink_to(command)
    return found


def systemctl(directory: Path, port: int) -> Path:
    """A `systemctl` that knows one unit, in the directory of the installed command."""
    script = installed(directory) / "systemctl"
    pid, log = directory / "serve.pid", directory / "serve.log"
    script.write_text(SYSTEMCTL.format(pid=pid, log=log, port=port, null=os.devnull))
    script.chmod(0o755)
    return script


def played(
    text: str, directory: Path, changes: Mapping[str, str], shell: str = "bash", timeout_s: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run it in an empty shell: no variables but PATH and HOME. `changes`: what stands there -> what it is here."""
    for there, here in changes.items():
        text = text.replace(there, here)
    environment = {"PATH": f"{installed(directory)}:/usr/bin:/bin", "HOME": str(directory)}
    return subprocess.run(
        [shell],
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=directory,
        env=environment,
    )
