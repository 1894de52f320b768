"""Cycles of transfers off chip: a pipe of some width, and the commands of a DRAM standard (docs/dram.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel
from swatsim.kernels.dram import Channel, State, transfer_picoseconds

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


class Known(NamedTuple):
    """What is remembered of the transfers of one pipe and channel."""

    transfers: IntArray  # [place] = (bytes, runs, cycles); a number of places that is a power of two
    state: State

    @staticmethod
    def empty(channel: Channel, places: int = PLACES) -> Known:
        """Nothing yet."""
        return Known(np.full((places, 3), -1, dtype=np.int64), State.empty(channel))


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
def transfer_cycles(pipe: Pipe, channel: Channel, transfer: tuple[int, int], known: Known) -> int:
    """Cycles for which a transfer (bytes, runs) by itself occupies the channels, refresh apart; no run counts as one.

    What is `known` is of this pipe and channel.
    """
    size, runs = transfer[0], max(transfer[1], 1)
    if pipe.width == 0:
        return 0
    if pipe.burst_bytes == 0:
        return -(-size // pipe.width)
    found = known.transfers[(size * 31 + runs * 7919) & (known.transfers.shape[0] - 1)]
    if found[0] != size or found[1] != runs:
        bursts, channel_runs = channel_share(pipe, size, runs)
        picoseconds = transfer_picoseconds(channel, known.state, bursts, channel_runs)
        found[0], found[1] = size, runs
        found[2] = max(-(-size // pipe.width), clock_cycles(picoseconds, pipe.clock_hz))
    return int(found[2])


@kernel
def time_transfers(
    pipe: Pipe, channel: Channel, transfers: tuple[IntArray, IntArray], known: Known, cycles: IntArray
) -> None:
    """Set cycles[transfer] of `transfer_cycles`; transfers: bytes and runs of each."""
    for transfer in range(cycles.shape[0]):
        one = transfers[0][transfer], transfers[1][transfer]
        cycles[transfer] = transfer_cycles(pipe, channel, one, known)
