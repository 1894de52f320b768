"""Load, compute and store engines that work on a list of blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel


@kernel
def run_blocks(load: NDArray[np.int64], compute: NDArray[np.int64], store: NDArray[np.int64], latency: int) -> int:
    """Cycles until the last block is stored.

    One half-duplex channel serves load 0, load 1, store 0, load 2, store 1 ... in this order; buffers are double:
    a load waits until the block two before it has been computed, a computation until the results of the block two
    before it have been stored. A transfer occupies the channel for its cycles and arrives `latency` later.
    """
    blocks = load.shape[0]
    channel, last_end = 0, 0
    loaded = np.zeros(blocks, dtype=np.int64)
    computed = np.zeros(blocks, dtype=np.int64)
    stored = np.zeros(blocks, dtype=np.int64)
    for turn in range(blocks + 1):
        if turn < blocks:
            if turn >= 2:
                channel = max(channel, computed[turn - 2])
            channel += load[turn]
            loaded[turn] = channel + latency if load[turn] else 0
        if turn >= 1:
            block = turn - 1
            start = loaded[block]
            if block >= 1:
                start = max(start, computed[block - 1])
            if block >= 2:
                start = max(start, stored[block - 2])
            computed[block] = start + compute[block]
            if store[block]:
                channel = max(channel, computed[block]) + store[block]
                stored[block] = channel + latency
            last_end = max(last_end, computed[block], stored[block])
    return last_end
