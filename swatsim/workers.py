"""Work spread over threads: kernels release the interpreter lock, so processors are used without copies."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

from swatsim.errors import SwatsimError
from swatsim.profile import carried

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # done, in all


def thread_count(workers: int | None) -> int:
    """The threads that `workers` asks for: None is one per processor."""
    if workers is None:
        return os.cpu_count() or 1
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise SwatsimError(f"workers: got {workers!r}, expected an integer from 1")
    return workers


def in_order(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, progress: Progress | None
) -> list[Result]:
    """Do the work of all items on threads; the results are in the order of the items, the first error is raised."""
    with ThreadPoolExecutor(max_workers=min(workers, len(items))) as pool:
        futures = [pool.submit(carried(work), item) for item in items]
        try:
            pending = set(futures)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                if progress is not None:
                    progress(len(futures) - len(pending), len(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]
