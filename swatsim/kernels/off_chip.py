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
# Different transfers are found by a table of so many places: it need not be exact, only small.
PLACES = 1024


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
def transfer_cycles(pipe: Pipe, channel: Channel, transfer_bytes: IntArray, runs: IntArray, cycles: IntArray) -> None:
    """Set cycles[transfer] for which each by itself occupies the channels, refresh apart; runs are 1 or more."""
    count = transfer_bytes.shape[0]
    for transfer in range(count):
        cycles[transfer] = -(-transfer_bytes[transfer] // pipe.width) if pipe.width > 0 else 0
    if pipe.width == 0 or pipe.burst_bytes == 0:
        return
    bursts, channel_runs = np.empty(count, np.int64), np.empty(count, np.int64)
    like = np.empty(count, np.int64)  # the transfer, among those that are timed, that is the same
    places, timed = np.full(PLACES, -1, np.int64), 0
    for transfer in range(count):
        share = channel_share(pipe, transfer_bytes[transfer], runs[transfer])
        place = (share[0] * 31 + share[1]) % PLACES
        seen = places[place]
        if seen < 0 or bursts[seen] != share[0] or channel_runs[seen] != share[1]:
            places[place] = seen = timed
            bursts[timed], channel_runs[timed] = share
            timed += 1
        like[transfer] = seen
    picoseconds = np.empty(timed, np.int64)
    transfer_picoseconds(channel, bursts[:timed], channel_runs[:timed], picoseconds)
    for transfer in range(count):
        cycles[transfer] = max(cycles[transfer], clock_cycles(picoseconds[like[transfer]], pipe.clock_hz))
