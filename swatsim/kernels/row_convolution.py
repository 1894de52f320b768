"""Pairs of sparse rows: for each non-zero of one row, what it meets in the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import count_ones
from swatsim.kernels.compile import kernel


@kernel
def meet_rows(
    gradients: NDArray[np.uint64],
    partners: NDArray[np.uint64],
    places: tuple[int, int],
    slowest: NDArray[np.int64],
    totals: NDArray[np.int64],
) -> None:
    """Run every pair of a row of `gradients` and one of `partners` on the places of the machine they are dealt to.

    gradients[vector, word] has a bit for each non-zero, partners[unit, turn, word] one for each position at which the
    unit takes so many turns. Sets slowest[round, unit round], the cycles of the slowest of the places (rows, columns),
    and adds to totals[place row, place column, round] those of each.
    """
    slowest[:] = 0
    for vector in range(gradients.shape[0]):
        turn, row = vector // places[0], vector % places[0]
        for unit in range(partners.shape[0]):
            cycles = np.int64(0)
            for plane in range(partners.shape[1]):
                for word in range(gradients.shape[1]):
                    cycles += count_ones(gradients[vector, word] & partners[unit, plane, word])
            unit_turn, column = unit // places[1], unit % places[1]
            slowest[turn, unit_turn] = max(slowest[turn, unit_turn], cycles)
            totals[row, column, turn] += cycles
