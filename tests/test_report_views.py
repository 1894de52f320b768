"""The tables of `--show`: what stands in a line, by hand, and that everything fits."""

from __future__ import annotations

import dataclasses
import io

import pytest
import report_rows
from report_rows import machine, row
from rich.cells import cell_len
from rich.console import Console

from swatsim.area import Area
from swatsim.moves import Move
from swatsim.report.step_views import area_view, other_view
from swatsim.report.table import VIEWS, print_table
from swatsim.report.view import WIDTH, View, print_view
from swatsim.report.views import (
    cycles_view,
    energy_view,
    losses_view,
    mapping_view,
    roofline_view,
    stalls_view,
    traffic_view,
)
from swatsim.way import Losses

# 64 multipliers, 4 bytes of DRAM a cycle.
BUSY = row(
    cycles=1000, compute_cycles=600, dense_cycles=3000, dense_compute_cycles=2500, ideal_cycles=500,
    unskippable_macs=32_000, macs=160_000, multiplications=32_000, prefetched_cycles=70, blocks=12,
    mapping="1x1 tiles, 3x4 blocks, rows outside", compulsory_dram_bytes=1500,
    moved_bytes={
        Move("dram", "read", "input"): 1200, Move("dram", "write", "output"): 800, Move("cache", "read", "input"): 5000,
    },
    dense_moved_bytes={Move("dram", "read", "input"): 4000, Move("dram", "write", "output"): 800},
    stalls={"dram": 300, "latency": 100}, dense_stalls={"dram": 500},
)  # fmt: skip
STREAM = row(
    "bn", "elementwise_forward", cycles=50, compute_cycles=10, dense_cycles=60, scheduled="", stalls={"dram": 40},
    moved_bytes={Move("dram", "read", "output"): 160},
)  # fmt: skip
REPORT = report_rows.report([BUSY, STREAM])


def by_heading(view, line=0):
    return dict(zip(view.headings, view.lines[line], strict=True))


def shown(report, show):
    text = io.StringIO()
    print_table(report, Console(file=text, width=WIDTH), show)
    return text.getvalue().splitlines()


def test_cycles():
    expected = {
        "layer": "conv", "pass": "forward", "cycles": "1,000", "stalls": "400", "dense": "3,000", "ideal": "500",
        "speedup": "3.00x", "util": "50%", "DRAM": "2.00 KB", "bound": "compute",
    }  # fmt: skip
    assert by_heading(cycles_view(REPORT)) == expected


def test_stalls_are_shares_of_the_cycles():
    found = by_heading(stalls_view(REPORT))
    assert [found[name] for name in ("compute", "dram", "latency", "prefetched")] == ["60%", "30%", "10%", "70"]
    assert "cache" not in found  # nothing waits for it anywhere


def test_losses_are_shares_of_the_compute_cycles():
    lost = Losses(reach=30, rows=24, tiles=18, barriers=12, edges=16)
    report = report_rows.report([row(
        cycles=1000, compute_cycles=600, ideal_cycles=500, losses=lost, dense_cycles=3000, dense_compute_cycles=2500,
    ), STREAM])  # fmt: skip
    expected = {
        "layer": "conv", "pass": "forward", "compute": "600", "ideal": "500", "busy": "83%", "reach": "5%",
        "rows": "4%", "tiles": "3%", "barriers": "2%", "edges": "3%", "stalls": "400",
    }  # fmt: skip
    assert by_heading(losses_view(report)) == expected
    # Streaming work multiplies nothing, and so do not the totals that have it.
    assert [cells[:2] for cells in losses_view(report).totals] == [("total", "forward")]
    assert losses_view(report).totals[0][2:] == losses_view(report).lines[0][2:]


def test_traffic_beside_the_least():
    found = by_heading(traffic_view(REPORT))
    assert [found[name] for name in ("read", "write", "least", "more", "cache")] == [
        "1.20 KB", "800 B", "1.50 KB", "1.33x", "5.00 KB"
    ]  # fmt: skip


def test_energy_and_where_it_goes():
    # DRAM 2000 bytes at 10 pJ a bit, cache 5000 at 1, multiplications at 2: 160,000 + 40,000 + 64,000 pJ.
    found = by_heading(energy_view(REPORT))
    assert (found["energy"], found["low"]) == ("264 nJ", "152 nJ")
    assert (found["dram"], found["cache"], found["mac"]) == ("61%", "15%", "24%")
    # Dense: 4800 bytes and 160,000 multiplications: 384,000 + 320,000 pJ.
    assert found["saving"] == "2.67x"


def test_roofline():
    # 32,000 MACs by 2000 bytes are at the ridge, 64 MACs by 4 bytes; half of the roof is reached.
    found = by_heading(roofline_view(REPORT))
    assert [found[name] for name in ("MACs/B", "dense", "roof", "done", "share", "side")] == [
        "16.0", "33.3", "64.0", "32.0", "50%", "compute"
    ]  # fmt: skip
    unlimited = row(machine=machine(dram_bytes_per_cycle=None))
    assert roofline_view(report_rows.report([unlimited])).notes[0].startswith("dram is unlimited: there is no ridge.")


def test_streaming_work_is_by_kind():
    view = other_view(REPORT)
    assert by_heading(view)["kind"] == "elementwise_forward"
    assert [by_heading(view)[name] for name in ("streams", "cycles", "stalls", "dense", "speedup", "DRAM")] == [
        "1", "50", "40", "60", "1.20x", "160 B"
    ]  # fmt: skip
    assert view.totals[0][0] == "other"


def test_what_the_mapper_chose_is_said_in_full():
    long = (
        "16x1 tiles, sides exchanged, 12 times 349x16 blocks, reduction outside in 64 parts, spilled, columns outside"
    )
    report = report_rows.report([row("x" * 40, mapping=" | ".join([long] * 3)), BUSY])
    assert by_heading(mapping_view(report), 1)["mapping"] == BUSY.mapping
    lines = shown(report, "mapping")
    assert max(map(len, lines)) <= WIDTH
    # In its column, over several lines, stands every word.
    start = lines[0].index("mapping")
    stop = next(number for number, line in enumerate(lines) if line.startswith("conv"))
    assert " ".join(" ".join(line[start:].split()) for line in lines[1:stop]) == " | ".join([long] * 3)


def test_area_says_what_nobody_knows():
    report = report_rows.report([BUSY], area=Area(parts_mm2={"sb": 3.0, "other": 1.0}, uncounted=("nbin",)))
    view = area_view(report)
    assert view.lines == (("sb", "3.00", "75%"), ("other", "1.00", "25%"), ("nbin", "?", "?"))
    assert view.totals == (("total", "4.00", "100%"),)
    assert "nbin" in view.notes[0]


@pytest.mark.parametrize("show", [name for name in VIEWS if name not in ("footprint", "area")])
def test_a_machine_of_many_levels_still_fits(show):
    levels = tuple(f"level number {number}" for number in range(12))
    many = machine(levels=levels)
    rows = [
        row("layer3.5.downsample.0.convolution", "weight_grad", machine=many, cycles=10**9, compute_cycles=10**8,
            dense_cycles=10**10, multiplications=10**12, compulsory_dram_bytes=10**9,
            stalls=dict.fromkeys(levels, 10**7),
            moved_bytes={Move(level, "read", "input"): 10**9 + number for number, level in enumerate(levels)})
    ]  # fmt: skip
    lines = shown(report_rows.report(rows), show)
    assert max(map(len, lines)) <= WIDTH
    if show in ("stalls", "traffic", "energy"):  # as many levels as fit beside the name, and the others together
        assert lines[1].startswith("layer3.5.downsample.0")
        assert "…" not in lines[1].split("weight_grad")[1]
        assert "rest" in lines[0].split()


def test_columns_are_as_wide_as_a_terminal_shows_them():
    lines = (("層一", "畳み込み " * 9), ("a", "[b]é"), ("b", ""), ("x" * 40, "1"))
    view = View(headings=("name", "what"), left=frozenset({"what"}), lines=lines, totals=(("sum", "z"),), wraps=True)
    text = io.StringIO()
    print_view(Console(file=text, width=30), dataclasses.replace(view, headings=("name" + "-" * 56, "what")))
    shown = text.getvalue().splitlines()
    assert {cell_len(line) for line in shown} == {WIDTH}
    assert [line.split() for line in shown] == [
        ["name" + "-" * 56, "what"], ["層一", *["畳み込み"] * 4], ["畳み込み"] * 4, ["畳み込み"],
        ["a", "[b]é"], ["b"], ["x" * 40, "1"], ["sum", "z"],
    ]  # fmt: skip
    assert shown[1].index("層一") == 56 and shown[2].index("畳") == 61


def test_a_cell_that_is_cut_fills_its_column():
    view = View(headings=("name", "n"), left=frozenset(("name",)), lines=(("層" * 60, "7" * 20), ("b", "8")), totals=())
    text = io.StringIO()
    print_view(Console(file=text, width=WIDTH), view)
    _, cut, other = text.getvalue().splitlines()
    assert cut == "層" * 39 + "…" + " " + "7" * 20
    assert cell_len(cut) == cell_len(other) == WIDTH


def test_only_the_first_column_gives_way():
    view = View(headings=("name", "number"), left=frozenset({"name"}), lines=(("x" * 200, "1" * 60),), totals=())
    text = io.StringIO()
    print_view(Console(file=text, width=WIDTH), view)
    line = text.getvalue().splitlines()[1]
    assert line.split() == ["x" * 38 + "…", "1" * 60]
