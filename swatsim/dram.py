"""Off-chip transfers: how long the channels of a DRAM standard take; docs/dram.md has the rules."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swatsim.dram_standards import STANDARDS, Standard
from swatsim.kernels.dram import Channel
from swatsim.kernels.off_chip import Known, Pipe, time_transfers

if TYPE_CHECKING:
    from swatsim.architecture import Level

IntArray = NDArray[np.int64]

# Bytes of the address that one channel holds before the next one follows: four cache lines, as in desktop controllers.
INTERLEAVE_BYTES = 256
# Picoseconds of so many bytes, each in a run of its own, still fit 64 bits.
MOST_BYTES = 1 << 48
_PICO = 10**12
# Where no standard is named the kernel gets the numbers of one, and does not look at them.
ANY_STANDARD = next(iter(STANDARDS))
# Refreshes are counted together until they take so many cycles, so that rounding them is no error worth naming.
_LEAST_REFRESH_CYCLES = 20


def transfer_cycles(off_chip: tuple[Pipe, Channel], transfer_bytes: IntArray, runs: IntArray) -> IntArray:
    """Cycles for which each transfer by itself occupies the off-chip channels, refresh apart.

    Parameters
    ----------
    off_chip : see `pipe_and_channel`.
    transfer_bytes : of each transfer, from 0 to 2^48.
    runs : contiguous runs that its bytes lie in, at least 1.

    Raises
    ------
    ValueError : bytes or runs out of range.
    """
    if transfer_bytes.size and (transfer_bytes.min() < 0 or transfer_bytes.max() > MOST_BYTES):
        raise ValueError(
            f"transfer_bytes: got {transfer_bytes.min()} to {transfer_bytes.max()}, expected 0 to {MOST_BYTES}"
        )
    if runs.size and runs.min() < 1:
        raise ValueError(f"runs: got {runs.min()}, expected at least 1")
    cycles = np.empty(transfer_bytes.size, dtype=np.int64)
    time_transfers(*off_chip, (transfer_bytes.reshape(-1), runs.reshape(-1)), known_of(off_chip), cycles)
    return cycles.reshape(transfer_bytes.shape)


def pipe_and_channel(level: Level, clock_hz: int, *, write: bool) -> tuple[Pipe, Channel]:
    """The kernel's numbers of the outermost level: of a DRAM standard, or a pipe of its width (null takes no time)."""
    return pipe_of(level, clock_hz), channel_of(STANDARDS[level.standard or ANY_STANDARD], write=write)


def known_of(off_chip: tuple[Pipe, Channel]) -> Known:
    """What the kernel remembers of transfers: each thread for itself."""
    found = _of_thread.transfers.get(off_chip)
    if found is None:
        found = _of_thread.transfers[off_chip] = Known.empty(off_chip[1])
    return found


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.transfers: dict[tuple[Pipe, Channel], Known] = {}


_of_thread = _OfThread()


@lru_cache(maxsize=16)
def pipe_of(level: Level, clock_hz: int) -> Pipe:
    """The kernel's numbers of the outermost level."""
    burst_bytes = 0 if level.standard is None else STANDARDS[level.standard].burst_bytes
    width = level.width_bytes_per_cycle or 0
    return Pipe(width, burst_bytes, INTERLEAVE_BYTES, level.banks, clock_hz)


def refresh(level: Level, clock_hz: int) -> tuple[int, int]:
    """(period, busy) in cycles: in each period the level serves nothing for `busy` cycles; (0, 0) if never."""
    if level.width_bytes_per_cycle is None:
        return (0, 0)
    if level.refresh_period_cycles is not None:
        return (level.refresh_period_cycles, level.refresh_cycles) if level.refresh_cycles else (0, 0)
    if level.standard is None:
        return (0, 0)
    standard = STANDARDS[level.standard]
    scale = standard.clock_picoseconds * clock_hz
    together = max(1, -(-_LEAST_REFRESH_CYCLES * _PICO // (standard.t_rfc * scale)))
    return (together * standard.t_refi * scale // _PICO, -(-together * standard.t_rfc * scale // _PICO))


@lru_cache(maxsize=16)
def channel_of(standard: Standard, *, write: bool) -> Channel:
    """The kernel's picoseconds of a standard."""
    command_to_end = (standard.t_cwl if write else standard.t_cl) + standard.burst_clocks
    clocks = {
        "column_short": standard.t_ccd_s,
        "column_long": standard.t_ccd_l,
        "activate_short": standard.t_rrd_s,
        "activate_long": standard.t_rrd_l,
        "four_activates": standard.t_faw,
        "activate_to_column": standard.t_rcd,
        "activate_to_close": standard.t_ras,
        "activate_to_activate": standard.t_rc,
        "column_to_close": command_to_end + standard.t_wr if write else standard.t_rtp,
        "close_to_activate": standard.t_rp,
        "column_to_end": command_to_end,
    }
    return Channel(
        bank_groups=standard.bank_groups,
        banks=standard.banks,
        interleaved_banks=standard.interleaved_bank_groups,
        page_bursts=standard.page_bytes // standard.burst_bytes,
        **{name: count * standard.clock_picoseconds for name, count in clocks.items()},
    )
