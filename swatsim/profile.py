"""Where a run's time goes: stages that are measured while somebody asked for it, and cost nothing otherwise."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")
OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one stage took, without the stages inside of it."""

    stage: str
    wall_seconds: float  # a moment at which several threads or processes are in stages is divided among them
    cpu_seconds: float  # of all threads and processes
    calls: int


class Profile:
    """Adds up the stages of any number of threads; once it has ended, `spent` has all of them, and the rest."""

    def __init__(self, already: str | None) -> None:
        """Begin; the process's time before counts as the stage `already`, taken to be as long as its CPU time."""
        self.spent: tuple[Spent, ...] = ()
        self._lock = threading.Lock()
        self._wall_ns: Counter[str] = Counter()
        self._cpu_ns: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._threads: Counter[str] = Counter()  # that are in a stage now
        self._elsewhere_ns = 0  # processor time of other processes
        self._began_ns = self._moment_ns = time.perf_counter_ns()
        self._began_cpu_ns = before_ns = time.process_time_ns()
        if already is not None:
            self._wall_ns[already] = self._cpu_ns[already] = before_ns
            self._began_ns -= before_ns
            self._began_cpu_ns = 0

    def move(self, left: str | None, cpu_ns: int, entered: str | None, *, call: bool) -> None:
        """Note that a thread leaves a stage, in which it computed for so long, for another one; None: for no stage."""
        with self._lock:
            now_ns = time.perf_counter_ns()
            share_ns = (now_ns - self._moment_ns) // max(self._threads.total(), 1)
            for name, count in self._threads.items():
                self._wall_ns[name] += share_ns * count
            self._moment_ns = now_ns
            if left is not None:
                self._threads[left] -= 1
                self._cpu_ns[left] += cpu_ns
            if entered is not None:
                self._threads[entered] += 1
                self._calls[entered] += call

    def add(self, spent: Iterable[Spent], processes: int) -> None:
        """Add what one of several processes spent, all of which were at work at the same time."""
        with self._lock:
            for each in spent:
                self._wall_ns[each.stage] += int(each.wall_seconds * 1e9) // processes
                self._cpu_ns[each.stage] += int(each.cpu_seconds * 1e9)
                self._elsewhere_ns += int(each.cpu_seconds * 1e9)
                self._calls[each.stage] += each.calls

    def end(self) -> None:
        """Set `spent`."""
        wall_ns = time.perf_counter_ns() - self._began_ns
        cpu_ns = time.process_time_ns() - self._began_cpu_ns + self._elsewhere_ns
        self._wall_ns[OTHER] += max(wall_ns - self._wall_ns.total(), 0)
        self._cpu_ns[OTHER] += max(cpu_ns - self._cpu_ns.total(), 0)
        self.spent = tuple(
            Spent(
                stage=name, wall_seconds=wall_ns / 1e9, cpu_seconds=self._cpu_ns[name] / 1e9, calls=self._calls[name]
            )
            for name, wall_ns in self._wall_ns.items()
        )  # fmt: skip


@dataclass(slots=True)
class _Thread:
    """A thread that a profile watches."""

    profile: Profile
    stages: list[str] = field(default_factory=list)  # that it is in, the innermost last
    cpu_ns: int = 0  # its processor time when it entered or came back to the innermost one

    def enter(self, name: str, *, call: bool = True) -> None:
        self._move(self.stages[-1] if self.stages else None, name, call=call)
        self.stages.append(name)

    def leave(self) -> None:
        left = self.stages.pop()
        self._move(left, self.stages[-1] if self.stages else None, call=False)

    def _move(self, left: str | None, entered: str | None, *, call: bool) -> None:
        now_ns = time.thread_time_ns()
        self.profile.move(left, now_ns - self.cpu_ns, entered, call=call)
        self.cpu_ns = now_ns


_thread: ContextVar[_Thread | None] = ContextVar("thread", default=None)


@contextmanager
def profiling(*, wanted: bool = True, already: str | None = None) -> Iterator[Profile | None]:
    """Measure the stages of the block, and of work that is `carried` to other threads; None where it is not wanted.

    `already` names the stage that the process's time before belongs to: starting the interpreter, importing.
    """
    if not wanted:
        yield None
        return
    profile = Profile(already)
    token = _thread.set(_Thread(profile))
    try:
        yield profile
    finally:
        _thread.reset(token)
        profile.end()


class stage(ContextDecorator):  # noqa: N801  it reads as a keyword: with stage("mapping")
    """A stage of a run: a block, or each call of a function. Stages inside of it have their own time."""

    def __init__(self, name: str) -> None:
        """Name it; nothing is measured outside of `profiling`."""
        self._name = name

    def __enter__(self) -> None:
        if (thread := _thread.get()) is not None:
            thread.enter(self._name)

    def __exit__(self, *_: object) -> None:
        if (thread := _thread.get()) is not None:
            thread.leave()


def current_profile() -> Profile | None:
    """The profile that measures what is done here, if there is one."""
    here = _thread.get()
    return None if here is None else here.profile


def carried(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """Give the work to do on another thread: its time belongs to the stage in which this is called."""
    here = _thread.get()
    if here is None:
        return work
    profile, name = here.profile, here.stages[-1] if here.stages else None

    def there(*args: Given.args, **keywords: Given.kwargs) -> Result:
        if _thread.get() is not None:  # done where it was called, after all
            return work(*args, **keywords)
        thread = _Thread(profile)
        token = _thread.set(thread)
        if name is not None:
            thread.enter(name, call=False)
        try:
            return work(*args, **keywords)
        finally:
            if name is not None:
                thread.leave()
            _thread.reset(token)

    return there


def profile_table(spent: tuple[Spent, ...]) -> str:
    """Lines for people: a stage each, and the whole."""
    wall, cpu = sum(each.wall_seconds for each in spent), sum(each.cpu_seconds for each in spent)
    width = max(len(each.stage) for each in spent)
    lines = [f"{'stage':<{width}}  wall s share    CPU s share    calls"]
    lines += [
        f"{each.stage:<{width}} {each.wall_seconds:7.3f} {_share(each.wall_seconds, wall)} "
        f"{each.cpu_seconds:8.3f} {_share(each.cpu_seconds, cpu)} {each.calls or '-':>8}"
        for each in spent
    ]
    return "\n".join([*lines, f"{'whole':<{width}} {wall:7.3f}  100% {cpu:8.3f}  100%"]) + "\n"


def _share(part: float, whole: float) -> str:
    return f"{part / whole if whole else 0:5.0%}"


def profile_json(spent: tuple[Spent, ...]) -> str:
    """The stages as JSON, for programs."""
    import json

    return json.dumps([asdict(each) for each in spent], indent=1) + "\n"
