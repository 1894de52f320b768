"""The kernel of a DRAM channel, against one that is simulated tick by tick."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twins_dram import even, transfer_ticks

from swatsim.kernels.dram import Channel, State, transfer_picoseconds

SCALE = 7  # picoseconds of a tick: the kernel knows no clock


def channel_of(shape, timing, write):
    """The kernel's channel of the twin's shape and timing."""
    end = timing["t_cwl" if write else "t_cl"] + timing["burst"]
    clocks = {
        "column_short": timing["t_ccd_s"],
        "column_long": timing["t_ccd_l"],
        "activate_short": timing["t_rrd_s"],
        "activate_long": timing["t_rrd_l"],
        "four_activates": timing["t_faw"],
        "activate_to_column": timing["t_rcd"],
        "activate_to_close": timing["t_ras"],
        "activate_to_activate": timing["t_rc"],
        "column_to_close": end + timing["t_wr"] if write else timing["t_rtp"],
        "close_to_activate": timing["t_rp"],
        "column_to_end": end,
    }
    return Channel(
        bank_groups=shape["bank_groups"],
        banks=shape["banks"],
        interleaved_banks=shape["interleaved"],
        page_bursts=shape["page_bursts"],
        **{name: SCALE * count for name, count in clocks.items()},
    )


def picoseconds_of(channel, bursts, runs):
    state = State.empty(channel)
    return [transfer_picoseconds(channel, state, *transfer) for transfer in zip(bursts, runs, strict=True)]


@st.composite
def shapes(draw):
    bank_groups = draw(st.sampled_from([1, 2, 4]))
    return {
        "bank_groups": bank_groups,
        "banks": bank_groups * draw(st.sampled_from([4 // bank_groups, 4])),
        "interleaved": draw(st.integers(1, bank_groups)),
        "page_bursts": draw(st.integers(1, 6)),
    }


@st.composite
def timings(draw):
    """Any that the kernel's contract allows, each rule being now slack and now tight."""
    ticks = {name: draw(st.integers(1, 12)) for name in ("t_rcd", "t_cl", "t_cwl", "t_rp", "t_rtp", "t_wr", "burst")}
    ticks |= {name: draw(st.integers(1, 40)) for name in ("t_ras", "t_rc", "t_faw")}
    short, activation = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    ticks |= {"t_ccd_s": short, "t_ccd_l": draw(st.integers(short, 2 * short))}
    return ticks | {"t_rrd_s": activation, "t_rrd_l": draw(st.integers(activation, 20))}


# Few runs of many bursts, and many of few.
TRANSFERS = st.one_of(
    st.tuples(st.integers(0, 200), st.integers(1, 5)),
    st.tuples(st.integers(0, 120), st.integers(1, 130)),
)
DDR4 = {
    "t_rcd": 16, "t_rp": 16, "t_ras": 39, "t_rc": 55, "t_cl": 16, "t_cwl": 12, "t_ccd_s": 4, "t_ccd_l": 6, "t_rrd_s": 4,
    "t_rrd_l": 6, "t_faw": 26, "t_rtp": 9, "t_wr": 18, "burst": 4,
}  # fmt: skip
DDR4_SHAPE = {"bank_groups": 4, "banks": 16, "interleaved": 2, "page_bursts": 128}


@given(shapes(), timings(), TRANSFERS, st.booleans())
@example(DDR4_SHAPE, DDR4, (700, 1), False)
@example(DDR4_SHAPE, DDR4, (333, 111), True)
@example(DDR4_SHAPE | {"interleaved": 1}, DDR4, (400, 3), True)
def test_a_transfer(shape, timing, transfer, write):
    bursts, runs = transfer
    expected = SCALE * transfer_ticks(bursts, runs, shape, timing, write=write)
    assert picoseconds_of(channel_of(shape, timing, write), [bursts], [runs]) == [expected]


@given(shapes(), timings(), st.lists(TRANSFERS, max_size=4), st.booleans())
def test_transfers_owe_each_other_nothing(shape, timing, transfers, write):
    channel = channel_of(shape, timing, write)
    alone = [picoseconds_of(channel, [bursts], [runs])[0] for bursts, runs in transfers]
    assert picoseconds_of(channel, [each[0] for each in transfers], [each[1] for each in transfers]) == alone


@given(shapes(), timings(), st.integers(1, 60), st.integers(1, 6), st.booleans())
def test_what_comes_again_is_skipped_and_not_lost(shape, timing, bursts, runs, write):
    """In the long run so many bursts more always take so much more time, however far it goes."""
    channel = channel_of(shape, timing, write)
    # A whole turn of all banks and their groups, as often as a run needs to come round to where it began.
    unit = bursts * runs * shape["banks"] * shape["interleaved"] * shape["page_bursts"]
    counts = [1, 2, 3, 1 << 20, (1 << 20) + 1]
    first, second, third, late, later = picoseconds_of(
        channel, [40 * unit * count for count in counts], [40 * runs * shape["banks"] * count for count in counts]
    )
    assert third - second == second - first == later - late
    assert late - first == ((1 << 20) - 1) * (second - first)


@pytest.mark.parametrize("total", [0, 1, 5, 6, 7])
def test_the_twin_shares_out_evenly(total):
    parts = even(total, 3)
    assert sum(parts) == total
    assert parts == sorted(parts, reverse=True)
    assert parts[0] - parts[-1] <= 1


@pytest.mark.parametrize("write", [False, True])
def test_nothing_takes_no_time_and_one_burst_opens_a_page(write):
    latency = DDR4["t_cwl" if write else "t_cl"] + DDR4["burst"]
    one = SCALE * (DDR4["t_rcd"] + latency)
    assert picoseconds_of(channel_of(DDR4_SHAPE, DDR4, write), [0, 1, 1], [1, 1, 5]) == [0, one, one]


@pytest.mark.parametrize("bursts", [1, 4, 5, 9, 400])
@pytest.mark.parametrize("write", [False, True])
def test_a_bank_opens_again_after_a_row_cycle(bursts, write):
    """Four banks, a burst for each page: every bank waits for its own row cycle."""
    quick = DDR4 | {"t_rrd_s": 1, "t_rrd_l": 1, "t_faw": 1}
    shape = {"bank_groups": 1, "banks": 4, "interleaved": 1, "page_bursts": 128}
    latency = DDR4["t_cwl" if write else "t_cl"] + DDR4["burst"]
    closing = latency + DDR4["t_wr"] if write else DDR4["t_rtp"]
    cycle = max(DDR4["t_rc"], DDR4["t_rcd"] + closing + DDR4["t_rp"])
    rounds, rest = divmod(bursts - 1, 4)  # within a round the bursts, of one bank group, are t_ccd_l apart
    expected = SCALE * (DDR4["t_rcd"] + rounds * cycle + rest * DDR4["t_ccd_l"] + latency)
    assert picoseconds_of(channel_of(shape, quick, write), [bursts], [bursts]) == [expected]
