"""A bar on standard error for what takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TimeLeft:
    """The time that is left if it goes on as fast as since the first report; what that one had done was there before.

    clock : gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None  # what was done, and when
        self._estimated: tuple[float, float] | None = None  # seconds that were left, and when
        self._done = 0

    def tell(self, done: int, total: int) -> None:
        """Report what is done, and of how much; reports without news change nothing."""
        now = self._clock()
        if self._first is None:
            self._first = (done, now)
        elif done != self._done:
            before, began = self._first
            self._estimated = ((now - began) * (total - done) / (done - before), now) if done > before else None
        self._done = done

    def __str__(self) -> str:
        """Hours, minutes and seconds, which run down until something more is done."""
        if self._estimated is None:
            return "-:--:--"
        left, then = self._estimated
        minutes, seconds = divmod(round(max(0.0, left - (self._clock() - then))), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


@contextmanager
def progress_bar(activity: str, unit: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar while the block runs, if standard error is a terminal; the block tells it what is done, and of how much."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    # rich's own column forgets what was done 30 seconds ago: of points that take longer it says nothing.
    left = TextColumn("{task.fields[left]}", style="progress.remaining", markup=False)
    columns = (TextColumn(activity), BarColumn(), MofNCompleteColumn(), TextColumn(unit), left)
    time_left = TimeLeft()
    # A thread that draws it would keep the work from being spread over forked processes.
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task(activity, total=None, left="")

        def tell(done: int, total: int) -> None:
            time_left.tell(done, total)
            bar.update(task, completed=done, total=total, left=str(time_left), refresh=True)

        yield tell
