"""DRAM standards: shape, timing and refresh of one channel, each number with its source.

JEDEC's timings are minima in nanoseconds, which a controller rounds up to its clock: they stand here in clocks. (R)
marks what is remembered and was not read again; what is taken from a public simulator's table says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """One channel of a standard; t_… are JEDEC's timings of that name, in clocks."""

    name: str
    source: str  # of all that has no source of its own beside it
    clock_picoseconds: int
    burst_bytes: int  # of a column command: bytes of the bus x burst length
    burst_clocks: int  # burst length / 2
    page_bytes: int  # of a bank of the channel: all its chips
    banks: int
    bank_groups: int  # 1: the standard has none
    interleaved_bank_groups: int  # through which consecutive bursts go in turn; 1: a page is filled before the next
    t_rcd: int
    t_rp: int
    t_ras: int
    t_rc: int
    t_cl: int
    t_cwl: int
    t_ccd_s: int
    t_ccd_l: int
    t_rrd_s: int
    t_rrd_l: int
    t_faw: int
    t_rtp: int
    t_wr: int
    t_wtr_l: int  # has no effect: a transfer begins with an activation, and t_rcd is longer
    t_refi: int
    t_rfc: int


_DDR4_2400 = Standard(
    name="ddr4-2400",
    source="JESD79-4, DDR4-2400R (16-16-16), 8 Gb x8 chips, 64-bit channel of one rank; clocks as in Ramulator 2's "
    "table, but t_rfc",
    clock_picoseconds=833,  # JESD79-4: tCK(avg) of DDR4-2400
    burst_bytes=64,  # 8 bytes x BL8
    burst_clocks=4,
    page_bytes=8192,  # 1 KB a chip x 8 chips
    banks=16,
    bank_groups=4,
    interleaved_bank_groups=2,  # AMD PG313 (NoC and DDR4 controller): one bank group bit above the burst's bytes
    t_rcd=16,
    t_rp=16,
    t_ras=39,  # 32 ns
    t_rc=55,
    t_cl=16,
    t_cwl=12,
    t_ccd_s=4,
    t_ccd_l=6,  # 5 ns
    t_rrd_s=4,  # 1 KB page: 3.3 ns
    t_rrd_l=6,  # 1 KB page: 4.9 ns
    t_faw=26,  # 1 KB page: 21 ns
    t_rtp=9,  # 7.5 ns
    t_wr=18,  # 15 ns
    t_wtr_l=9,  # 7.5 ns
    t_refi=9363,  # 7.8 us, rounded down
    t_rfc=421,  # 8 Gb: 350 ns (R); 360 ns in Ramulator 2's table
)

_DDR4_3200 = Standard(
    name="ddr4-3200",
    source="JESD79-4, DDR4-3200AA (22-22-22), 8 Gb x8 chips, 64-bit channel of one rank; clocks as in Ramulator 2's "
    "table, but t_rfc",
    clock_picoseconds=625,
    burst_bytes=64,  # 8 bytes x BL8
    burst_clocks=4,
    page_bytes=8192,  # 1 KB a chip x 8 chips
    banks=16,
    bank_groups=4,
    interleaved_bank_groups=2,  # as ddr4-2400
    t_rcd=22,
    t_rp=22,
    t_ras=52,  # 32 ns
    t_rc=74,
    t_cl=22,
    t_cwl=16,
    t_ccd_s=4,
    t_ccd_l=8,  # 5 ns
    t_rrd_s=4,  # 1 KB page: 2.5 ns
    t_rrd_l=8,  # 1 KB page: 4.9 ns
    t_faw=34,  # 1 KB page: 21 ns
    t_rtp=12,  # 7.5 ns
    t_wr=24,  # 15 ns
    t_wtr_l=12,  # 7.5 ns
    t_refi=12480,  # 7.8 us
    t_rfc=560,  # as ddr4-2400
)

_LPDDR4_3200 = Standard(
    name="lpddr4-3200",
    source="JESD209-4, 3200 MT/s, one 16-bit channel of an 8 Gb die; RL, WL, tRP, tRAS, tREFI and tRFCab also in NXP's "
    "DDR Tool, tRCD, tRRD and tFAW in Ramulator's table",
    clock_picoseconds=625,
    burst_bytes=32,  # 2 bytes x BL16
    burst_clocks=8,
    page_bytes=2048,
    banks=8,
    bank_groups=1,
    interleaved_bank_groups=1,
    t_rcd=29,  # 18 ns
    t_rp=29,  # one bank: 18 ns
    t_ras=68,  # 42 ns
    t_rc=97,
    t_cl=34,  # RL 28 and 6 of tDQSCK (at most 3.5 ns (R))
    t_cwl=15,  # WL 14 (set A) and 1 of tDQSS
    t_ccd_s=8,  # BL16
    t_ccd_l=8,
    t_rrd_s=16,  # 10 ns
    t_rrd_l=16,
    t_faw=64,  # 40 ns
    t_rtp=12,  # 7.5 ns
    t_wr=29,  # 18 ns (R)
    t_wtr_l=16,  # 10 ns (R)
    t_refi=6246,  # 3.904 us, rounded down
    t_rfc=288,  # all banks, 4 Gb a channel: 180 ns
)

_HBM2 = Standard(
    name="hbm2",
    source="JESD235A, 2 Gb/s a pin, one pseudo channel of 64 bits, a stack having 16; JEDEC leaves the core timings to "
    "vendors: those of gem5's HBM_2000_4H_1x64",
    clock_picoseconds=1000,
    burst_bytes=32,  # 8 bytes x BL4
    burst_clocks=2,
    page_bytes=1024,
    banks=16,
    bank_groups=4,
    interleaved_bank_groups=2,  # assumed, as ddr4-2400: any fewer would halve the bandwidth of a stream
    t_rcd=12,  # of reads; gem5 has 6 for writes
    t_rp=14,
    t_ras=28,
    t_rc=42,
    t_cl=18,
    t_cwl=7,
    t_ccd_s=2,  # BL4
    t_ccd_l=4,  # JESD235A (R); gem5 has 3, which makes no difference to interleaved bursts
    t_rrd_s=4,
    t_rrd_l=6,
    t_faw=16,
    t_rtp=5,
    t_wr=14,
    t_wtr_l=9,
    t_refi=3900,  # 3.9 us
    t_rfc=260,  # 4 Gb a channel: 260 ns (R); 220 ns in gem5
)

STANDARDS = {standard.name: standard for standard in (_DDR4_2400, _DDR4_3200, _LPDDR4_3200, _HBM2)}
