"""Cycles of transfers off chip: a pipe of some width, and the commands of a DRAM standard (docs/dram.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel
from swatsim.kernels.dram import Channel, transfer_picoseconds

IntArray = NDArray[np.int64]

PICO = 10**12
MICRO = 10**6
# Transfers that are remembered: a power of two.
PLACES = 1 << 15


class Pipe(NamedTuple):
    """The outermost level."""

    width: int  # bytes a cycle; 0: transfers take no time
    burst_bytes: int  # of the DRAM standard; 0: a pipe without commands
    piece_bytes: int  # of the address that one channel holds before the next one follows
    channels: int
    clock_hz: int


@kernel
def units_touched(transfer_bytes: int, runs: int, unit_bytes: int) -> int:
    """Bursts, or pieces, of a transfer.

    The first run begins on a unit. The others begin anywhere: on average such a run touches
    1 + (bytes - 1) / unit_bytes units, that is, unit_bytes - 1 bytes more than it has.
    """
    return -(-(transfer_bytes + (unit_bytes - 1) * max(runs - 1, 0)) // unit_bytes)


@kernel
def channel_share(pipe: Pipe, transfer_bytes: int, runs: int) -> tuple[int, int]:
    """(bursts, runs) of the channel that carries most of a transfer."""
    runs = min(runs, transfer_bytes)
    bursts = units_touched(transfer_bytes, runs, pipe.burst_bytes)
    pieces = units_touched(transfer_bytes, runs, pipe.piece_bytes)
    # Pieces are dealt to the channels in turn: the first channel has a piece of every round that is begun.
    piece_bursts = pipe.piece_bytes // pipe.burst_bytes
    in_round = piece_bursts * pipe.channels
    most = bursts // in_round * piece_bursts + min(bursts % in_round, piece_bursts)
    return most, min(runs, -(-pieces // pipe.channels))


@kernel
def clock_cycles(picoseconds: int, clock_hz: int) -> int:
    """ceil(picoseconds · clock_hz / 10^12), the product cut where it would leave 64 bits (clock_hz <= 10^12)."""
    seconds, rest = picoseconds // PICO, picoseconds % PICO
    micro, pico = rest // MICRO, rest % MICRO
    millionths = micro * clock_hz - (-pico * clock_hz // MICRO)
    return seconds * clock_hz - (-millionths // MICRO)


@kernel
def transfer_cycles(
    pipe: Pipe, channel: Channel, transfer_bytes: IntArray, runs: IntArray, memory: IntArray, cycles: IntArray
) -> None:
    """Set cycles[transfer] for which each by itself occupies the channels, refresh apart; no runs count as one.

    memory[place] = (bytes, runs, cycles) has transfers that were timed before, of this pipe and channel.
    """
    if pipe.width == 0 or pipe.burst_bytes == 0:
        for transfer in range(transfer_bytes.shape[0]):
            cycles[transfer] = -(-transfer_bytes[transfer] // pipe.width) if pipe.width > 0 else 0
        return
    places = memory.shape[0] - 1
    one = (np.empty(1, np.int64), np.empty(1, np.int64), np.empty(1, np.int64))
    for transfer in range(transfer_bytes.shape[0]):
        size, pieces = transfer_bytes[transfer], max(runs[transfer], 1)
        known = memory[(size * 31 + pieces * 7919) & places]
        if known[0] != size or known[1] != pieces:
            one[0][0], one[1][0] = channel_share(pipe, size, pieces)
            transfer_picoseconds(channel, one[0], one[1], one[2])
            known[0], known[1] = size, pieces
            known[2] = max(-(-size // pipe.width), clock_cycles(one[2][0], pipe.clock_hz))
        cycles[transfer] = known[2]
