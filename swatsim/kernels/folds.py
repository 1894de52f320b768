"""Folds of a stationary operand: each is loaded into the multipliers, then the other operand streams past it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel


@kernel
def run_folds(
    first: NDArray[np.int64],
    loads: NDArray[np.int64],
    streamed: NDArray[np.int64],
    tail: int,
    overlapped: bool,
    cycles: NDArray[np.int64],
) -> None:
    """Set cycles[round, stream]: in each round the folds first[round] ... first[round + 1] - 1 meet each stream.

    A visit of a fold takes loads[fold] cycles, then streamed[stream] and `tail` for its last results. `overlapped`, a
    fold is loaded while the one before it still streams, and only the very last tail is waited for.
    """
    behind = np.int64(-1)  # cycles of the stream that hides the next load; -1: nothing streams yet
    last_round, last_stream = np.int64(0), np.int64(0)
    for turn in range(first.shape[0] - 1):
        for stream in range(streamed.shape[0]):
            total = np.int64(0)
            for fold in range(first[turn], first[turn + 1]):
                if not overlapped:
                    total += loads[fold] + streamed[stream] + tail
                    continue
                total += max(0, loads[fold] - max(0, behind)) + streamed[stream]
                behind, last_round, last_stream = streamed[stream], np.int64(turn), np.int64(stream)
            cycles[turn, stream] = total
    if overlapped and behind >= 0:
        cycles[last_round, last_stream] += tail
