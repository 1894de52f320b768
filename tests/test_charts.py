"""Charts show what the documents say: sums, ratios and names, derived here from the rows alone."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rows import report, row
from saved_documents import comparison_document, exploration_document, run_document, sweep_document

from swatsim.charts import comparisons, energy, figures, memory, shape, sweeps, time
from swatsim.charts.model import Bar, BarChart, Group
from swatsim.charts.run_rows import Run, is_total, outermost_bytes, trace_title
from swatsim.charts.ticks import MOST_TICKS, decades, ticks
from swatsim.charts.units import tick_text
from swatsim.errors import SwatsimError
from swatsim.passes import PASSES, STREAMING
from swatsim.report.document import to_json


@pytest.fixture(scope="module")
def document():
    return run_document()


@pytest.fixture(scope="module")
def run(document):
    return Run.of(document)


def bars_of(chart):
    return {(group.name, bar.name): bar for group in chart.groups for bar in group.bars}


def passes_of(document):
    return [each for each in document["rows"] if each["layer"] != "total" and each["pass"] in PASSES]


def test_rows_are_layers_streams_and_totals(run, document):
    assert [each["layer"] for each in run.layers[:3]] == ["first", "first", "second"]
    assert {each["pass"] for each in run.streams} <= set(STREAMING)
    assert list(run.totals) == ["forward", "input_grad", "weight_grad", "backward", "other", "step"]
    assert len(run.layers) + len(run.streams) + len(run.totals) == len(document["rows"])
    assert run.levels[0] == "dram"


def test_a_layer_may_be_called_total():
    rows = [row("total", mapping="1x1 tiles", cycles=5), row("conv", mapping="1x1 tiles", cycles=7)]
    made = json.loads(to_json(report(rows, ("forward",), architecture={"name": "a", "memory": {"dram": {}}})))
    run = Run.of(made)
    assert [each["cycles"] for each in run.layers] == [5, 7]
    assert run.totals["forward"]["cycles"] == 12
    assert [is_total(each) for each in made["rows"]] == [False, False, True]


def test_speedup_is_that_of_the_rows_and_of_their_sums(run, document):
    bars = bars_of(time.speedup(run))
    for each in passes_of(document):
        bar = bars[each["layer"], each["pass"]]
        assert bar.value == pytest.approx(each["speedup"])
        assert bar.mark == pytest.approx(each["dense_compute_cycles"] / each["compute_cycles"])
        assert [bool(part) for part in bar.parts] == [name == each["pass"] for name in PASSES]
    for name, total in run.totals.items():
        if name in PASSES:
            assert bars[time.ALL_LAYERS, name].value == pytest.approx(total["speedup"])


def test_what_takes_no_time_has_no_speedup():
    made = Run.of(json.loads(to_json(report([row("conv", mapping="x")], ("forward",)))))
    assert [group.bars for group in time.speedup(made).groups] == [(), ()]


def test_cycles_add_up(run, document):
    bars = bars_of(time.cycles(run))
    assert len(bars) == len(passes_of(document))
    for each in passes_of(document):
        parts = bars[each["layer"], each["pass"]].parts
        assert (sum(parts), parts[0], sum(parts[:2])) == (each["cycles"], each["ideal_cycles"], each["compute_cycles"])
    assert sum(bar.value for bar in bars_of(time.cycles_by_part(run)).values()) == run.totals["step"]["cycles"]
    names = [series.name for series in time.cycle_series(run)]
    assert names[:2] == ["ideal work", "lost to the schedule"]
    # Only what anything waits for has a color.
    assert len(names) == 2 + len([c for c in run.causes if any(each[f"stall_{c}_cycles"] for each in document["rows"])])


def test_bytes_add_up(run, document):
    bars = bars_of(memory.traffic(run))
    step = run.totals["step"]
    for level in run.levels:
        for direction in ("read", "write"):
            assert bars[level, direction].value == step[f"{level}_{direction}_bytes"]
    bars = bars_of(memory.traffic_by_layer(run))
    for each in passes_of(document):
        assert bars[each["layer"], each["pass"]].value == outermost_bytes(each)
        assert outermost_bytes(each) == each["dram_read_bytes"] + each["dram_write_bytes"]


def test_energy_adds_up(run):
    step = run.totals["step"]
    bars = list(bars_of(energy.energy_by_part(run)).values())
    assert sum(bar.value for bar in bars) == pytest.approx(step["energy_pj"])
    assert sum(bar.low for bar in bars) == pytest.approx(step["energy_low_pj"])
    assert sum(bar.high for bar in bars) == pytest.approx(step["energy_high_pj"])
    assert sum(bar.mark for bar in bars) == pytest.approx(step["dense_energy_pj"])
    layers = sum(bar.value for bar in bars_of(energy.energy(run)).values())
    assert layers + run.totals["other"]["energy_pj"] == pytest.approx(step["energy_pj"])


def test_footprint_and_area(run, document):
    kept, bars = document["footprint"], bars_of(memory.footprint(run))
    assert bars["all together", "activations"].value == kept["total"]["activation_bytes"]
    assert bars["all together", "weights"].mark == kept["total"]["dense_weight_bytes"]
    layers = bars_of(memory.footprint_by_layer(run))
    assert sum(b.value for (_, kind), b in layers.items() if kind == "weights") == kept["total"]["weight_bytes"]
    total = sum(bar.value for bar in bars_of(energy.area(run)).values())
    assert total == pytest.approx(document["area"]["total_mm2"])
    assert energy.area(Run.of(document | {"area": None})) is None


def test_roofline(run, document):
    chart = shape.roofline(run)
    assert chart.peak == 4096
    assert chart.ridge == document["rows"][0]["ridge_macs_per_dram_byte"]
    by_name = {point.name: point for point in chart.points}
    for each in passes_of(document):
        point = by_name[f"{each['layer']} {each['pass']}"]
        assert point.x == each["macs_per_dram_byte"]
        assert point.y == each["multiplications"] / each["cycles"]
        assert point.y <= min(chart.peak, chart.peak * point.x / chart.ridge) * (1 + 1e-9)


def test_density(run, document):
    chart = shape.density(run)
    assert chart.columns[:4] == (
        ("forward", "input"), ("forward", "weight"), ("forward", "carried out"), ("input_grad", "output_grad"),
    )  # fmt: skip
    strips = dict(zip(chart.columns, zip(*chart.values, strict=True), strict=True))
    assert strips["forward", "input"][0] == 1.0  # the first layer reads an image
    assert strips["input_grad", "weight"][0] is None  # and makes no gradient of it
    rows = {(each["layer"], each["pass"]): each for each in passes_of(document)}
    assert strips["weight_grad", "input"][1] == rows["second", "weight_grad"]["input_density"]
    assert all(value is None or 0 <= value <= 1 for strip in strips.values() for value in strip)


def test_a_document_without_densities_has_what_is_carried_out(document):
    rows = [{key: value for key, value in each.items() if not key.endswith("_density")} for each in document["rows"]]
    values = shape.density(Run.of(document | {"rows": rows})).values
    assert values[1][:2] == (None, None)
    assert values[1][2] is not None


@pytest.mark.parametrize("by", ["cycles", "compute"])
def test_comparison(by):
    document = comparison_document(by)
    bars = bars_of(comparisons.speedup(document))
    prefix = "" if by == "cycles" else "compute_"
    rows = {(each["machine"], each["pass"]): each for each in document["rows"]}
    assert len(bars) == len([name for name in rows if name[1] != "other"])
    for name, bar in bars.items():
        assert (bar.value, bar.mark) == (rows[name][f"{prefix}speedup"], rows[name][f"own_{prefix}speedup"])
    cycles = bars_of(comparisons.cycles(document))
    assert {name: bar.value for name, bar in cycles.items()} == {
        name: each["normalized_cycles"] for name, each in rows.items() if name[1] == "step"
    }
    assert bars_of(comparisons.energy(document))["scnn", "passes"].value == rows["scnn", "passes"]["energy_pj"]
    assert bars_of(comparisons.traffic(document))["scnn", "step"].value == rows["scnn", "step"]["dram_bytes"]


def test_a_machine_that_cannot_be_normalized_says_why():
    document = comparison_document()
    document["machines"][1]["not_normalized"] = "a part of it has no area"
    for each in document["rows"]:
        if each["machine"] == "tensordash":
            each |= {"speedup": None, "normalized_cycles": None}
    for chart in (comparisons.speedup(document), comparisons.cycles(document)):
        assert [group.missing for group in chart.groups] == ["", "no number: a part of it has no area", ""]


def test_sweep_over_a_parameter():
    document = sweep_document()
    assert sweeps.varied(document) == ("arch", "tile.rows")
    chart = sweeps.chart(document, "cycles")
    assert (chart.x_name, [line.name for line in chart.lines]) == ("tile.rows", ["dadiannao", "tensordash"])
    assert [x for x, _ in chart.lines[1].points] == [2, 16]  # 4 failed
    points = {(p["parameters"]["arch"], p["parameters"]["tile.rows"]): p for p in document["points"]}
    totals = {key: {row["pass"]: row for row in point["totals"] or ()} for key, point in points.items()}
    assert dict(chart.lines[0].points)[16] == totals["dadiannao", 16]["step"]["cycles"]
    bars = sweeps.bars(document, "traffic")
    assert [group.name for group in bars.groups][:2] == ["dadiannao, rows=2", "dadiannao, rows=4"]
    assert bars.groups[0].bars[0].value == outermost_bytes(totals["dadiannao", 2]["step"])
    assert bars.groups[4].missing == "second: forward does not fit"


def test_of_many_points_the_best_are_drawn():
    document = sweep_document()
    first = document["points"][0]
    document["points"] = [
        {**first, "parameters": {"tile.rows": number}, "totals": [
            {**row, "cycles": row["cycles"] + (7 * number) % 1103, "speedup": 1.0 + (7 * number) % 1103}
            for row in first["totals"]
        ]} for number in range(1103)
    ] + [document["points"][4]]  # fmt: skip
    assert sweeps.lines(document, "cycles") is None
    for metric, best in (("cycles", range(100)), ("speedup", range(1102, 1002, -1))):
        bars = sweeps.bars(document, metric)
        assert bars.title.endswith(", the best 100 of 1,104 points, 1,004 not shown")
        by_rest = {(7 * number) % 1103: number for number in range(1103)}
        assert [group.name for group in bars.groups] == [f"rows={by_rest[rest]}" for rest in best]


def test_a_long_key_stands_in_the_title():
    document = sweep_document()
    for point in document["points"]:
        point["parameters"]["memory.dram.width_bytes_per_cycle"] = point["parameters"].pop("tile.rows")
    bars = sweeps.bars(document, "cycles")
    assert bars.title == "Cycles (step), by memory.dram.width_bytes_per_cycle"
    assert [group.name for group in bars.groups][:2] == ["dadiannao, 2", "dadiannao, 4"]


def test_sweep_without_numbers_has_bars():
    document = sweep_document()
    for point in document["points"]:
        point["parameters"]["tile.rows"] = str(point["parameters"]["tile.rows"])
    assert isinstance(sweeps.chart(document, "speedup"), BarChart)


def test_parameters_are_told_apart():
    point = {"parameters": {"a.rows": 1, "b.rows": 2, "c.lanes": 3}, "architecture": {"name": "m"}}
    assert sweeps.label(point, ("a.rows", "b.rows", "c.lanes")) == "a.rows=1, b.rows=2, lanes=3"
    assert sweeps.label(point, ()) == "m"


def test_each_document_has_its_figures(document):
    assert {figures.figure(document, name).title for name in figures.FIGURES if name != "pareto"}
    assert figures.figure(exploration_document()) == figures.figure(exploration_document(), "pareto")
    for other in (comparison_document(), sweep_document()):
        assert figures.figure(other, "speedup")
        with pytest.raises(SwatsimError, match="figure: got 'roofline', expected one of speedup, cycles, "):
            figures.figure(other, "roofline")


def test_a_synthetic_trace_is_marked():
    assert trace_title({"name": "n", "provenance": {"source": "synthetic"}}) == "n (synthetic)"
    assert trace_title({"name": "n", "provenance": {}}) == trace_title({"name": "n", "provenance": None}) == "n"


@given(st.floats(1e-6, 1e18))
def test_ticks_are_few_round_and_reach(most):
    found = ticks(most)
    assert found[0] == 0
    assert found[-1] >= most * (1 - 1e-12) > found[-2] * (1 - 1e-9)
    assert 2 <= len(found) <= MOST_TICKS
    assert f"{found[1]:e}"[0] in "125"
    steps = [later - earlier for earlier, later in itertools.pairwise(found)]
    assert steps == pytest.approx([found[1]] * len(steps))


@given(st.floats(1e-9, 1e9), st.floats(1, 1e9))
def test_decades_reach(least, ratio):
    found = decades(least, least * ratio)
    assert found[0] <= least * (1 + 1e-12)
    assert found[-1] >= least * ratio * (1 - 1e-12)
    assert len(found) >= 2


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (2.5, "times", "2.5x"), (500_000, "cycles", "500,000"), (2_500_000, "cycles", "2.5M"), (0, "bytes", "0"),
        (200e6, "bytes", "200 MB"), (5e7, "picojoules", "50 µJ"), (20, "mm2", "20 mm²"), (1e9, "cycles", "1000M"),
    ],
)  # fmt: skip
def test_ticks_are_short(value, unit, shown):
    assert tick_text(value, unit) == shown


def test_what_is_not_shown_does_not_stretch_the_axis():
    groups = (Group(name="g", bars=(Bar(name="b", parts=(1.0, 2.0), mark=9.0, low=1.0, high=7.0),)),)
    bare = BarChart(title="t", unit="cycles", series=(), groups=groups)
    assert bare.most == 3
    assert BarChart(title="t", unit="cycles", series=(), groups=groups, band="b").most == 7
    assert BarChart(title="t", unit="cycles", series=(), groups=groups, mark="m").most == 9
    assert bare.bar_names == ()
    two = (Group(name="g", bars=(*groups[0].bars, Bar(name="c", parts=(1.0, 0.0)))),)
    assert BarChart(title="t", unit="cycles", series=(), groups=two).bar_names == ("b", "c")
