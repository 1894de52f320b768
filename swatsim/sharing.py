"""Pieces of one item's work, which idle threads help with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from swatsim.profile import carried

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Here(threading.local):
    pool: ThreadPoolExecutor | None = None  # that helps with the pieces of what this thread does


_here = _Here()


def share(pieces: Sequence[Callable[[], Result]]) -> list[Result]:
    """Do the pieces of one item's work; threads that have nothing else to do help. The results are in order.

    To be called by the work of `workers.in_order`; elsewhere, all is done by the caller.
    """
    pool = _here.pool
    if pool is None or len(pieces) == 1:
        return [piece() for piece in pieces]
    futures = [pool.submit(work_for, pool, _call, carried(piece)) for piece in pieces]
    # What no thread has begun is done here: nobody waits for work that waits in turn.
    return [piece() if future.cancel() else future.result() for piece, future in zip(pieces, futures, strict=True)]


def help_with(pool: ThreadPoolExecutor) -> None:
    """Let the pool help with what this thread does from now on."""
    _here.pool = pool


def work_for(pool: ThreadPoolExecutor, work: Callable[[Item], Result], item: Item) -> Result:
    """Do an item's work, on one of the pool's threads."""
    help_with(pool)
    return work(item)


def _call(piece: Callable[[], Result]) -> Result:
    return piece()
