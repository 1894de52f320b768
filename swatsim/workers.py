"""Work spread over processors: processes where they can be forked, since Python runs one thread at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, TypeVar

from swatsim import sharing
from swatsim.apart import Progress, forked_pool, give_back_large_arrays, may_fork
from swatsim.errors import ProcessError, SwatsimError
from swatsim.profile import Spent, carried, current_profile, profiling

Item = TypeVar("Item")
Result = TypeVar("Result")
_TELL_SECONDS = 1.0


class _Inherited:
    """What a process was forked to do; it is never sent."""

    work: Callable[[object], object] | None = None
    profiled = False


_inherited = _Inherited()


def thread_count(workers: int | None) -> int:
    """The workers that are asked for: None is one per processor."""
    if workers is None:
        return os.cpu_count() or 1
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise SwatsimError(f"workers: got {workers!r}, expected an integer from 1")
    return workers


def in_order(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    progress: Progress | None = None,
    sizes: Sequence[int] | None = None,
) -> list[Result]:
    """Do the work of all items; the results are in the order of the items, the first error is raised.

    Items are begun in their order, in forked processes if that is safe, else on threads. Results are pickled.

    progress : told how much is done, and of how much, at the beginning, at least once a second and at the end; each
        item counts 1, or as much as `sizes` says.
    """
    collect = partial(_collect, sizes=sizes or [1] * len(items), progress=progress)
    processes = min(workers, len(items))
    if processes > 1 and may_fork():
        return _in_processes(work, items, processes, collect)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        try:
            return collect([pool.submit(sharing.work_for, pool, carried(work), item) for item in items])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, collect: Callable[..., list[Any]]
) -> list[Result]:
    from concurrent.futures.process import BrokenProcessPool

    profile = current_profile()
    _inherited.work, _inherited.profiled = work, profile is not None  # type: ignore[assignment]
    try:
        with forked_pool(workers, partial(_begin_process, workers)) as pool:
            found = collect([pool.submit(_inherited_work, item) for item in items])
    except BrokenProcessPool:
        raise ProcessError(
            "workers: got a process that ended before its work was done, as where memory runs out, expected room for "
            f"{workers} of them; fewer --workers need less"
        ) from None
    finally:
        _inherited.work = None
    if profile is not None:
        for _, spent in found:
            profile.add(spent, workers)
    return [result for result, _ in found]


def _begin_process(workers: int) -> None:
    give_back_large_arrays()
    sharing.help_with(ThreadPoolExecutor(max_workers=workers))


def _inherited_work(item: object) -> tuple[object, tuple[Spent, ...]]:
    assert _inherited.work is not None
    with profiling(wanted=_inherited.profiled) as profile:
        result = _inherited.work(item)
    return result, () if profile is None else profile.spent


def _collect(futures: Sequence[Future[Result]], *, sizes: Sequence[int], progress: Progress | None) -> list[Result]:
    size_of = dict(zip(futures, sizes, strict=True))
    pending = set(futures)

    def tell() -> None:
        if progress is not None:
            progress(sum(sizes) - sum(size_of[future] for future in pending), sum(sizes))

    tell()
    while pending:
        done, pending = wait(pending, None if progress is None else _TELL_SECONDS, FIRST_COMPLETED)
        for future in done:
            future.result()
        tell()
    return [future.result() for future in futures]
