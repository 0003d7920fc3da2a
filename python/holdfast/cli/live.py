"""Live progress on stderr: a bar with rate and time left on a terminal, a line now and then elsewhere.

In: phases, and the progress of each. Out: nothing on stdout, ever.
"""

from collections.abc import Callable
from time import monotonic
from typing import Self

from rich.progress import Progress, TaskID

from holdfast.cli.console import number, progress, remarks

LINE_EVERY_S = 10.0
DRAW_EVERY_S = 0.1


class LiveWatcher:
    """`with LiveWatcher("orders") as watcher: report = watcher.phase("replaying", 1000); report(1)`."""

    def __init__(self, unit: str = "") -> None:
        self._progress: Progress = progress(unit)
        self._task: TaskID | None = None
        self._title = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def phase(self, title: str, total: int | None) -> Callable[[int], None]:
        """A part begins; returns the function to call with the amount done."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = task = self._progress.add_task(title, total=total, rate="")
        began = monotonic()
        drawn = printed = began
        if not remarks.is_terminal:
            remarks.print(f"{title} ...", markup=False)

        def report(done: int) -> None:
            nonlocal drawn, printed
            now = monotonic()
            if now - drawn < DRAW_EVERY_S and done != total:
                return
            drawn = now
            rate = done / (now - began) if now > began else 0.0
            self._progress.update(task, completed=done, rate=f"{number(rate)}/s")
            if not remarks.is_terminal and now - printed >= LINE_EVERY_S:
                printed = now
                of = f" of {number(total)}" if total else ""
                remarks.print(f"  {number(done)}{of}, {number(rate)}/s", markup=False)

        return report

    def remark(self, text: str) -> None:
        """An event that matters to a person."""
        remarks.print(text, markup=False)
