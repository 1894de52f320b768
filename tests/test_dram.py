"""Off-chip transfers: closed forms, bounds, and a controller that reorders."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import twins_dram as twins
from hypothesis import given
from hypothesis import strategies as st

from swatsim.architecture import Level, memory
from swatsim.dram import INTERLEAVE_BYTES, MOST_BYTES, pipe_and_channel, refresh, transfer_cycles
from swatsim.dram_standards import STANDARDS
from swatsim.kernels import off_chip
from swatsim.kernels.off_chip import Pipe, clock_cycles

ROOT = Path(__file__).parent.parent
PICO = 10**12  # at this clock a cycle is a picosecond
WIDE = 1 << 24
WRITES = (False, True)
NAMES = st.sampled_from(sorted(STANDARDS))
CLOCKS = st.sampled_from([10**6, 606 * 10**6, 999_999_937, PICO])

each_standard = pytest.mark.parametrize("standard", STANDARDS.values(), ids=STANDARDS)


def level(standard, **fields):
    return Level(
        **{"holds": ("rows", "columns", "results"), "per": "node", "capacity_bytes": None, "banks": 1}
        | {"width_bytes_per_cycle": WIDE, "latency_cycles": 0, "energy_pj_per_bit": 1.0, "format": "dense"}
        | {"standard": standard}
        | fields
    )


def cycles(name, transfer_bytes, runs=1, write=False, clock_hz=PICO, **fields):
    """Cycles of one transfer, or of each in a list."""
    of_bytes = np.atleast_1d(np.array(transfer_bytes, np.int64))
    of_runs = np.full(of_bytes.shape, 1, np.int64) * np.array(runs, np.int64)
    taken = transfer_cycles(pipe_and_channel(level(name, **fields), clock_hz, write=write), of_bytes, of_runs)
    assert taken.shape == of_bytes.shape
    assert taken.dtype == np.int64
    return taken.tolist() if np.ndim(transfer_bytes) else int(taken[0])


def channel_share(standard, channels, sizes, runs):
    """(bursts, runs) of the channel that carries most of each transfer."""
    pipe = Pipe(0, standard.burst_bytes, INTERLEAVE_BYTES, channels, 0)
    shares = [off_chip.channel_share(pipe, int(size), int(count)) for size, count in zip(sizes, runs, strict=True)]
    return tuple(map(np.array, zip(*shares, strict=True)))


def latency(standard, write):
    return (standard.t_cwl if write else standard.t_cl) + standard.burst_clocks


def changed(monkeypatch, standard, **fields):
    """The standard with other timings, under its own name."""
    other = replace(standard, **fields)
    monkeypatch.setitem(STANDARDS, standard.name, other)
    return other


def long_run_clocks(standard, of_bytes, runs=0, write=False):
    """Clocks of `of_bytes` more, in `runs` more runs or in the same one, once everything comes again."""
    few, many = cycles(standard.name, [4 * of_bytes, 5 * of_bytes], [4 * runs or 1, 5 * runs or 1], write)
    return Fraction(many - few, standard.clock_picoseconds)


# --- closed forms ---------------------------------------------------------------------------------------------------


@each_standard
@pytest.mark.parametrize("write", WRITES)
def test_one_burst_opens_a_page_and_waits_for_its_data(standard, write):
    clocks = standard.t_rcd + latency(standard, write)
    for size in (1, standard.burst_bytes):
        assert cycles(standard.name, size, write=write) == clocks * standard.clock_picoseconds


@each_standard
@pytest.mark.parametrize("write", WRITES)
def test_hits_follow_each_other_at_the_pace_of_the_bus(standard, write):
    """All in the first pages: one activation, or two and the bursts between them in turn."""
    page_bursts = standard.page_bytes // standard.burst_bytes
    for bursts in (2, 3, page_bursts, page_bursts * standard.interleaved_bank_groups):
        if standard.interleaved_bank_groups == 1:
            last = standard.t_rcd + (bursts - 1) * standard.t_ccd_l
        else:
            last = standard.t_rcd + max(standard.t_rrd_s, standard.t_ccd_s) + (bursts - 2) * standard.t_ccd_s
        clocks = last + latency(standard, write)
        assert cycles(standard.name, bursts * standard.burst_bytes, write=write) == clocks * standard.clock_picoseconds


def pages_of_all_banks(standard):
    return standard.banks * standard.page_bytes


@each_standard
@pytest.mark.parametrize("write", WRITES)
def test_a_long_stream_keeps_the_bus_busy(standard, write):
    size = pages_of_all_banks(standard)
    assert long_run_clocks(standard, size, write=write) == size // standard.burst_bytes * standard.burst_clocks


@each_standard
def test_a_long_stream_opens_four_pages_in_the_time_that_four_may_take(standard, monkeypatch):
    """The bus or t_faw, whichever is slower."""
    size = pages_of_all_banks(standard)
    bus = size // standard.burst_bytes * standard.burst_clocks
    even = bus * 4 // standard.banks
    for t_faw in (even // 2, even - 4, even, even + 4, 3 * even):
        changed(monkeypatch, standard, t_faw=t_faw)
        assert long_run_clocks(STANDARDS[standard.name], size) == max(bus, Fraction(standard.banks * t_faw, 4))


@each_standard
def test_a_page_that_is_filled_before_the_next_waits_for_its_bank_group(standard, monkeypatch):
    filled = changed(monkeypatch, standard, interleaved_bank_groups=1)
    bursts = standard.page_bytes // standard.burst_bytes
    page = (bursts - 1) * standard.t_ccd_l + (standard.t_ccd_s if standard.bank_groups > 1 else standard.t_ccd_l)
    assert long_run_clocks(filled, pages_of_all_banks(standard)) == standard.banks * page


@each_standard
@pytest.mark.parametrize("write", WRITES)
def test_a_burst_in_each_page_takes_an_activation_or_a_share_of_the_row_cycle(standard, write, monkeypatch):
    """Runs of one byte; then with one timing so slow that it is all that counts."""
    closing = latency(standard, write) + standard.t_wr if write else standard.t_rtp
    cycle = max(standard.t_rc, standard.t_rcd + closing + standard.t_rp)
    activation = max(standard.t_rrd_s, Fraction(standard.t_faw, 4), Fraction(standard.t_rrd_l, standard.bank_groups))
    burst = standard.t_ccd_s if standard.bank_groups > 1 else standard.t_ccd_l
    runs = 4 * standard.banks
    expected = runs * max(Fraction(burst), activation, Fraction(cycle, standard.banks))
    assert long_run_clocks(standard, runs, runs, write) == expected
    slow = 99 * standard.banks
    for field, expected in (
        ("t_rc", runs * slow // standard.banks),
        ("t_ras", runs * Fraction(slow + standard.t_rp, standard.banks)),
        ("t_rp", runs * Fraction(max(standard.t_ras, standard.t_rcd + closing) + slow, standard.banks)),
        ("t_rrd_s", runs * slow),
        ("t_rrd_l", runs * slow // standard.bank_groups),
        ("t_faw", runs * slow // 4),
    ):
        changed(monkeypatch, standard, **{field: slow})
        assert long_run_clocks(standard, runs, runs, write) == expected, field


# --- bounds ---------------------------------------------------------------------------------------------------------

SIZES = st.one_of(st.integers(0, 3000), st.integers(0, 1 << 22))


@given(NAMES, st.integers(1, 9), st.integers(1, 500), SIZES, st.booleans())
def test_more_bytes_never_take_less_time(name, channels, runs, size, write):
    sizes = [size, size + 1, size + 63, size + 64, size + 300, 2 * size + 1000]
    taken = cycles(name, sizes, runs, write, banks=channels)
    assert all(fewer <= more for fewer, more in pairwise(taken))


@given(NAMES, st.integers(1, 9), st.integers(1, 500), SIZES, st.booleans())
def test_more_runs_never_take_less_time(name, channels, runs, size, write):
    numbers = [runs, runs + 1, runs + 2, 2 * runs, 1000, 5000]
    taken = cycles(name, [size] * 6, sorted(numbers), write, banks=channels)
    assert all(fewer <= more for fewer, more in pairwise(taken))


@given(NAMES, st.integers(1, 40), st.integers(1, 500), SIZES, st.booleans())
def test_more_channels_never_take_more_time(name, channels, runs, size, write):
    one, some, more = (cycles(name, size, runs, write, banks=banks) for banks in (1, channels, channels + 1))
    assert one >= some >= more
    assert one <= channels * some


@given(NAMES, st.integers(1, 9), st.integers(1, 500), SIZES, st.booleans())
def test_never_faster_than_the_bus(name, channels, runs, size, write):
    standard = STANDARDS[name]
    peak = Fraction(standard.burst_bytes * channels, standard.burst_clocks * standard.clock_picoseconds)
    assert cycles(name, size, runs, write, banks=channels) >= size / peak


@given(NAMES, st.integers(1, 12), st.integers(1, 2000))
def test_channels_share_what_is_dealt_to_them(name, channels, pieces):
    """Whole pieces in one run, a whole number for each channel: each has its part of them."""
    together = cycles(name, channels * pieces * INTERLEAVE_BYTES, banks=channels)
    assert together == cycles(name, pieces * INTERLEAVE_BYTES)


@given(NAMES, st.integers(1, 12), st.integers(0, 20_000))
def test_the_fullest_channel_of_one_run(name, channels, size):
    """Every burst is dealt, and counted, by itself."""
    standard = STANDARDS[name]
    counts = [0] * channels
    for address in range(0, size, standard.burst_bytes):
        counts[address // INTERLEAVE_BYTES % channels] += 1
    bursts, runs = channel_share(standard, channels, np.array([size]), np.array([1]))
    assert (bursts[0], runs[0]) == (max(counts), min(size, 1))


@given(NAMES, st.integers(1, 700), st.integers(1, 60))
def test_runs_touch_what_they_touch_on_average(name, run_bytes, runs):
    """The first begins on a burst; the others have the mean over all places where one may begin."""
    standard = STANDARDS[name]
    expected = []
    for unit in (standard.burst_bytes, INTERLEAVE_BYTES):
        touched = [(start + run_bytes - 1) // unit + 1 for start in range(unit)]
        expected.append(ceil(Fraction(run_bytes, unit) + (runs - 1) * Fraction(sum(touched), unit)))
    bursts, channel_runs = channel_share(standard, 1, np.array([runs * run_bytes]), np.array([runs]))
    assert bursts[0] == expected[0]
    assert channel_runs[0] == min(runs, expected[1])


@given(NAMES, st.integers(1, 12), st.integers(1, 3000))
def test_channels_share_short_runs_and_all_have_part_of_a_long_one(name, channels, runs):
    standard = STANDARDS[name]
    _, shared = channel_share(standard, channels, np.array([runs]), np.array([runs]))
    assert shared[0] == ceil(runs / channels)
    _, together = channel_share(standard, channels, np.array([runs * channels * INTERLEAVE_BYTES]), np.array([runs]))
    assert together[0] == runs


@given(NAMES, st.integers(1, 5), st.integers(0, 300), st.integers(1, 2000))
def test_a_run_has_at_least_a_byte(name, channels, size, runs):
    taken = cycles(name, size, runs, banks=channels)
    assert taken == cycles(name, size, max(1, min(size, runs)), banks=channels)
    assert (taken == 0) == (size == 0)


# --- cycles of the machine ------------------------------------------------------------------------------------------


@given(NAMES, SIZES, st.integers(1, 300), CLOCKS)
def test_picoseconds_become_cycles_once_and_upwards(name, size, runs, clock_hz):
    assert cycles(name, size, runs, clock_hz=clock_hz) == ceil(Fraction(cycles(name, size, runs) * clock_hz, PICO))


def test_the_last_picosecond_begins_another_cycle(monkeypatch):
    """One burst of a standard with a single clock of a millisecond and a picosecond."""
    changed(monkeypatch, STANDARDS["hbm2"], clock_picoseconds=10**9 + 1, t_rcd=1, t_cl=0, burst_clocks=0)
    assert [cycles("hbm2", 1, clock_hz=clock_hz) for clock_hz in (999, 1000, 10**6)] == [1, 2, 1001]


@given(SIZES, st.integers(1, 5000))
def test_a_link_is_a_cap(size, width):
    pipe = cycles(None, size, width_bytes_per_cycle=width)
    assert pipe == ceil(Fraction(size, width))
    dram = cycles("hbm2", size, clock_hz=10**9)
    assert cycles("hbm2", size, clock_hz=10**9, width_bytes_per_cycle=width) == max(pipe, dram)


def test_an_unlimited_link_takes_no_time():
    for standard in (None, "hbm2"):
        free = level(standard, width_bytes_per_cycle=None)
        assert transfer_cycles(
            pipe_and_channel(free, PICO, write=False), np.array([0, 5]), np.array([1, 1])
        ).tolist() == [0, 0]
        assert refresh(free, PICO) == (0, 0)


def test_arrays_keep_their_shape():
    sizes = np.arange(6).reshape(2, 3) * 1000
    taken = transfer_cycles(pipe_and_channel(level("ddr4-2400", banks=2), PICO, write=True), sizes, np.full((2, 3), 2))
    assert taken.shape == (2, 3)
    assert taken.ravel().tolist() == cycles("ddr4-2400", sizes.ravel().tolist(), 2, write=True, banks=2)
    assert cycles("ddr4-2400", [], []) == []


@each_standard
def test_the_largest_transfer_does_not_wrap(standard):
    """As many bytes as there may be, each in a run of its own."""
    activation = max(standard.t_rrd_s, Fraction(standard.t_faw, 4))
    least = MOST_BYTES * activation * standard.clock_picoseconds
    for clock_hz in (10**6, PICO):
        assert cycles(standard.name, MOST_BYTES, MOST_BYTES, clock_hz=clock_hz) >= least * clock_hz // PICO


@pytest.mark.parametrize(
    ("sizes", "runs", "message"),
    [
        ([5, -1], [1, 1], "transfer_bytes: got -1 to 5, expected 0 to"),
        ([MOST_BYTES + 1], [1], "transfer_bytes: got 281474976710657 to"),
        ([5, 5], [1, 0], "runs: got 0, expected at least 1"),
    ],
)
def test_what_is_out_of_range_is_refused(sizes, runs, message):
    with pytest.raises(ValueError, match=message):
        cycles("hbm2", sizes, runs)


# --- refresh --------------------------------------------------------------------------------------------------------


@each_standard
@pytest.mark.parametrize("clock_hz", [10**6, 10**8, 606 * 10**6, 999_999_937, PICO])
def test_refresh_takes_its_share_of_the_time(standard, clock_hz):
    period, busy = refresh(level(standard.name), clock_hz)
    share = standard.t_rfc / standard.t_refi
    assert share <= busy / period <= share * (1 + 1 / 10)  # one cycle of 20, the fewest, and one of the period
    assert busy >= 20
    one = Fraction(standard.t_refi * standard.clock_picoseconds * clock_hz, PICO)
    together = round(period / one)
    assert period == together * one // 1
    assert together == 1 or (together - 1) * one * Fraction(standard.t_rfc, standard.t_refi) < 20


def test_refresh_may_be_given_by_the_architecture():
    assert refresh(level("hbm2", refresh_period_cycles=100, refresh_cycles=7), PICO) == (100, 7)
    assert refresh(level(None, refresh_period_cycles=100, refresh_cycles=7), PICO) == (100, 7)
    assert refresh(level(None), PICO) == (0, 0)


# --- the standards --------------------------------------------------------------------------------------------------


@each_standard
def test_a_standard_is_what_the_kernel_asks_for(standard):
    assert standard.banks >= 4
    assert standard.banks % standard.bank_groups == 0
    assert 1 <= standard.interleaved_bank_groups <= standard.bank_groups
    assert standard.t_ccd_s <= standard.t_ccd_l <= 2 * standard.t_ccd_s
    assert standard.t_ccd_s == standard.burst_clocks  # so that bursts of different bank groups leave no gap
    assert standard.t_rrd_s <= standard.t_rrd_l
    assert standard.page_bytes % standard.burst_bytes == INTERLEAVE_BYTES % standard.burst_bytes == 0
    # A row cycle is an open row and its close, each rounded up by itself.
    assert 0 <= standard.t_ras + standard.t_rp - standard.t_rc <= 1
    # docs/dram.md: the turn from writing to reading hides behind the activation with which a transfer begins.
    assert standard.t_rcd >= standard.t_wtr_l


@pytest.mark.parametrize(
    ("name", "megatransfers", "bus_bytes"),
    [("ddr4-2400", 2400, 8), ("ddr4-3200", 3200, 8), ("lpddr4-3200", 3200, 2), ("hbm2", 2000, 8)],
)
def test_the_peak_is_what_the_name_says(name, megatransfers, bus_bytes):
    standard = STANDARDS[name]
    assert Fraction(10**6 * 2, standard.clock_picoseconds) == pytest.approx(megatransfers, rel=1e-3)
    assert standard.burst_bytes == 2 * standard.burst_clocks * bus_bytes


def test_an_architecture_may_name_every_standard():
    assert tuple(STANDARDS) == memory.STANDARDS
    assert all(name == standard.name for name, standard in STANDARDS.items())


# --- beside a controller that reorders ------------------------------------------------------------------------------

BURSTS = 1 << 13


def reordered(standard, interleaved, queue, refreshed=True):
    """Clocks that the plain controller takes for a sequential read stream."""
    shape, timing = twins.shape_of(standard, interleaved), twins.timing_of(standard)
    return twins.reordered_stream(BURSTS, shape, timing, queue=queue, refresh=refreshed)


@each_standard
def test_a_stream_is_as_fast_as_through_a_controller_that_reorders(standard):
    """That has one command a clock and a queue of 32, and closes and opens its pages around each refresh."""
    ours = cycles(standard.name, BURSTS * standard.burst_bytes) / standard.clock_picoseconds
    assert ours == pytest.approx(reordered(standard, standard.interleaved_bank_groups, 32, refreshed=False), rel=0.002)
    theirs = reordered(standard, standard.interleaved_bank_groups, 32)
    refreshes = theirs // standard.t_refi
    assert refreshes >= 2
    least = ours + refreshes * standard.t_rfc
    # Each refresh ends what is open, bank by bank, and waits for what is opened.
    around = standard.t_rc + standard.t_rcd + standard.banks
    assert least <= theirs <= least + refreshes * around


def test_the_independent_simulators_75_percent_are_those_of_a_page_at_a_time():
    standard = STANDARDS["ddr4-2400"]
    bus = BURSTS * standard.burst_clocks
    assert bus / reordered(standard, 1, 32) == pytest.approx(0.75, abs=0.015)
    # Of 128 bursts the 32 last are seen beside the 32 first of the next page: those 64 need only t_ccd_s.
    bound = 128 * 4 / (64 * 4 + 64 * 6)
    assert 0.95 * bound <= bus / reordered(standard, 1, 32, refreshed=False) <= bound


def test_the_page_names_its_command_and_has_no_row_out_of_shape():
    """That it is what the code says, tests/test_docs.py asks of every page."""
    written = (ROOT / "docs" / "dram.md").read_text(encoding="utf-8")
    assert "python -m benchmarks.dram > docs/dram.md" in written
    for table in (part.splitlines() for part in written.split("\n\n") if part.startswith("|")):
        assert len({line.count("|") for line in table}) == 1, table[0]


@given(st.integers(0, 1 << 62), st.integers(1, PICO))
def test_picoseconds_become_whole_cycles_without_leaving_64_bits(picoseconds, clock_hz):
    seconds = Fraction(picoseconds, PICO)
    if seconds * clock_hz < 1 << 62:
        assert clock_cycles(picoseconds, clock_hz) == ceil(seconds * clock_hz)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 9)), min_size=1, max_size=40), NAMES, st.booleans())
def test_transfers_that_are_alike_take_what_each_takes_alone(transfers, name, write):
    sizes, runs = zip(*transfers, strict=True)
    alone = [cycles(name, size, count, write) for size, count in transfers]
    assert cycles(name, list(sizes), list(runs), write) == alone
