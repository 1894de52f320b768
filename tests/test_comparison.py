"""Comparisons against hand computation from single simulations; tables, pictures and documents against the rows."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from trace_files import write_trace

from swatsim.architecture import load_architecture
from swatsim.area import area_of
from swatsim.charts.names import short_names
from swatsim.comparison import compare, comparing, documentation
from swatsim.comparison.columns import COLUMNS
from swatsim.comparison.document import to_csv, to_json
from swatsim.comparison.notes import notes
from swatsim.comparison.picture import to_svg
from swatsim.comparison.table import print_comparison
from swatsim.errors import MappingError, SwatsimError
from swatsim.simulation import simulate
from swatsim.trace import TraceMetadata, load_trace

PASSES = ("forward", "input_grad", "weight_grad")
ALL = ("forward", "input_grad", "weight_grad", "backward", "passes", "other", "step")
BASELINE = "dadiannao-dense"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    return load_trace(write_trace(tmp_path_factory.mktemp("traces") / "small"))


@pytest.fixture(scope="module")
def machines():
    """A quarter of the tiles at another clock; another datapath, on another node; and the baseline itself."""
    return {
        "dir/small.yaml": load_architecture("dadiannao", overrides={"tiles": 4, "clock_hz": 500_000_000}),
        "tensordash": load_architecture("tensordash"),
        "dense": load_architecture(BASELINE),
    }


@pytest.fixture(scope="module")
def reports(machines, trace):
    return {name: simulate(machine, trace) for name, machine in machines.items()}


@pytest.fixture(scope="module")
def comparisons(machines, trace):
    return {kind: compare(machines, trace, normalize=kind) for kind in ("macs", "area", "none")}


def sums(report):
    """[compared, column]: cycles added up from the rows of layers and streams, not from the totals."""
    rows = report.rows[report.rows["layer"] != "total"]
    parts = {name: [name] for name in PASSES}
    parts |= {"backward": ["input_grad", "weight_grad"], "passes": list(PASSES), "step": list(rows["pass"].unique())}
    parts["other"] = [name for name in parts["step"] if name not in PASSES]
    columns = ["cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles"]
    return {name: rows[rows["pass"].isin(members)][columns].sum() for name, members in parts.items()}


def close(found, expected):
    assert found == pytest.approx(expected, rel=1e-12)


def factor_by_hand(kind, machine, baseline):
    peak = machine.tiles * machine.tile.rows * machine.tile.columns * machine.tile.lanes
    base = baseline.tiles * baseline.tile.rows * baseline.tile.columns * baseline.tile.lanes
    clocks = baseline.clock_hz / machine.clock_hz
    if kind == "area":
        return clocks * area_of(machine).total_mm2 / area_of(baseline).total_mm2
    return {"macs": peak / base, "none": clocks}[kind]


# ------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("kind", ["macs", "area", "none"])
def test_by_hand(kind, comparisons, machines, reports):
    rows = comparisons[kind].rows.set_index(["machine", "pass"])
    baseline = sums(reports["dense"])
    assert list(rows.index) == [(name, compared) for name in machines for compared in ALL]
    for name, machine in machines.items():
        for compared, counted in sums(reports[name]).items():
            row = rows.loc[(name, compared)]
            assert all(row[column] == counted[column] for column in counted.index)
            if counted["cycles"]:
                close(row["own_speedup"], counted["dense_cycles"] / counted["cycles"])
            if kind == "area" and name == "tensordash":
                assert pandas.isna(row["speedup"])
                assert pandas.isna(row["normalized_cycles"])
                continue
            factor = factor_by_hand(kind, machine, machines["dense"])
            close(row["normalization_factor"], factor)
            close(row["speedup"], baseline[compared]["dense_cycles"] / (counted["cycles"] * factor))
            if counted["compute_cycles"]:
                compute = baseline[compared]["dense_compute_cycles"] / (counted["compute_cycles"] * factor)
                close(row["compute_speedup"], compute)
                close(row["own_compute_speedup"], counted["dense_compute_cycles"] / counted["compute_cycles"])


def test_the_rest_of_a_row(comparisons, machines, reports):
    rows = comparisons["macs"].rows.set_index(["machine", "pass"])
    for name, machine in machines.items():
        total = reports[name].total("forward")
        row = rows.loc[(name, "forward")]
        assert row["architecture"] == machine.name
        assert row["stall_cycles"] == total.cycles - total.compute_cycles
        assert (row["ideal_cycles"], row["utilization"]) == (total.ideal_cycles, total.utilization)
        close(row["compute_utilization"], total.unskippable_macs / total.compute_cycles / machine.macs_per_cycle)
        assert (row["peak_macs_per_cycle"], row["clock_hz"]) == (machine.macs_per_cycle, machine.clock_hz)
        close(row["seconds"], total.cycles / machine.clock_hz)
        assert (row["dram_bytes"], row["energy_pj"]) == (total.dram_bytes, total.energy.total.value)
        close(row["area_mm2"], area_of(machine).total_mm2)


def test_the_dense_baseline_against_itself(comparisons):
    for comparison in comparisons.values():
        rows = comparison.rows.set_index(["machine", "pass"]).loc["dense"]
        assert (rows.loc[list(PASSES)]["compute_speedup"] == 1).all()
        assert (rows["normalization_factor"] == 1).all()


def test_growing_a_machine_is_no_gain_at_equal_peaks(trace):
    """Four machines' worth of multipliers must be four times as fast for the same speedup."""
    grown = {number: load_architecture("tensordash", overrides={"tiles": number}) for number in (4, 16)}
    found = compare(grown, trace).rows.set_index(["machine", "pass"])
    few, many = found.loc[("4", "passes")], found.loc[("16", "passes")]
    close(many["compute_speedup"] / few["compute_speedup"], few["compute_cycles"] / many["compute_cycles"] / 4)


def test_of_a_skipping_baseline_only_its_dense_cycles_count(machines, reports, trace):
    found = compare([machines["tensordash"]], trace, baseline=machines["dir/small.yaml"], normalize="none")
    rows = found.rows.set_index("pass")
    dense = sums(reports["dir/small.yaml"])["passes"]
    assert rows.loc["passes", "baseline_cycles"] == dense["dense_cycles"]
    assert rows.loc["passes", "baseline_compute_cycles"] == dense["dense_compute_cycles"]
    assert rows.loc["passes", "normalization_factor"] == 1  # 500 MHz both


def test_names_and_defaults(machines, trace):
    given = [machines["dense"], machines["tensordash"]]
    found = compare(given, trace)
    assert list(dict.fromkeys(found.rows["machine"])) == ["DaDianNao, dense", "TensorDash"]
    assert found.baseline.report.architecture["name"] == "DaDianNao, dense"
    assert to_json(compare(given, trace, baseline=machines["dense"], workers=1), "cycles") == to_json(found, "cycles")


def test_layers(trace, machines):
    found = compare({"a": machines["tensordash"]}, trace, layers="second")
    assert tuple(found.rows["pass"]) == ALL[:5]
    report = simulate(machines["tensordash"], trace, layers="second")
    assert found.rows.set_index("pass").loc["passes", "cycles"] == sum(row.cycles for row in report.layer_records)


def test_each_machine_is_simulated_once(machines, trace, monkeypatch):
    simulated = []

    def counting(machine, *arguments, **options):
        simulated.append(machine)
        return simulate(machine, *arguments, **options)

    monkeypatch.setattr(comparing, "simulate", counting)
    steps = []
    same = {"a": machines["dense"], "b": load_architecture(BASELINE), "c": machines["tensordash"]}
    compare(same, trace, progress=lambda done, total: steps.append((done, total)))
    assert len(simulated) == 2
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == ((0, 6), (6, 6))


# ---------------------------------------------------------------------------------------------------------------- area


def test_an_area_that_is_not_known_gives_no_number(machines, trace):
    unknown = load_architecture(BASELINE, overrides={"area.multiplier_mm2": None})
    other = load_architecture(BASELINE, overrides={"area.node_nm": None})
    found = compare({"a": unknown, "b": other, "c": machines["dense"]}, trace, normalize="area", layers="second")
    rows = found.rows.set_index(["machine", "pass"])
    assert pandas.isna(rows.loc[("a", "passes"), ["speedup", "area_mm2", "normalization_factor"]]).all()
    assert pandas.isna(rows.loc[("b", "passes"), "speedup"])
    assert rows.loc[("c", "passes"), "speedup"] == 1
    said = notes(found, "cycles")
    assert "a: no number, its area is not known (of multipliers)." in said
    assert "b: no number, its area is of no stated node, the baseline's at 28 nm." in said
    ElementTree.fromstring(to_svg(found, "cycles"))
    with pytest.raises(SwatsimError, match=r"normalize: got area with the baseline DaDianNao, dense: .* multipliers"):
        compare([machines["dense"]], trace, baseline=unknown, normalize="area")


def test_nothing_that_can_be_compared(machines, trace):
    """Not one number: the outputs say so and are whole all the same."""
    unknown = load_architecture(BASELINE, overrides={"area.multiplier_mm2": None})
    found = compare({"a": unknown}, trace, normalize="area", layers="second")
    ElementTree.fromstring(to_svg(found, "cycles"))
    for terminal in (False, True):
        assert "a " in table(found, terminal=terminal)
    assert all(row["speedup"] is None for row in json.loads(to_json(found, "cycles"))["rows"])


# --------------------------------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("by", ["cycles", "compute"])
@pytest.mark.parametrize("kind", ["macs", "area"])
def test_fastest_first(by, kind, comparisons):
    column = {"cycles": "speedup", "compute": "compute_speedup"}[by]
    rows = comparisons[kind].fastest_first(by).rows
    speedups = list(rows[rows["pass"] == "passes"][column].fillna(0))
    assert speedups == sorted(speedups, reverse=True)
    assert sorted(rows["machine"]) == sorted(comparisons[kind].rows["machine"])
    assert (0 in speedups) == (kind == "area")


# -------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "architectures: got none, expected at least one"),
        ([None], "architectures: got None, expected a name, a path or what load_architecture returns"),
        (["none.yaml"], "none.yaml: cannot be read: No such file or directory"),
    ],
)
def test_no_machines(given, message, trace):
    with pytest.raises(SwatsimError) as error:
        compare(given, trace)
    assert str(error.value) == message


@pytest.mark.parametrize("given", ["dadiannao", ["dadiannao"], {"dadiannao": "dadiannao"}])
def test_machines_by_name(given, trace):
    found = compare(given, trace, baseline="dadiannao-dense")
    assert [machine.name for machine in found.machines] == ["dadiannao"]


def test_wrong_arguments(machines, trace):
    dense = machines["dense"]
    with pytest.raises(SwatsimError, match="architectures: got 'DaDianNao, dense' twice, expected a mapping"):
        compare([dense, dense], trace)
    with pytest.raises(SwatsimError, match="normalize: got 'mac', expected one of macs, area, none"):
        compare([dense], trace, normalize="mac")
    with pytest.raises(SwatsimError, match="baseline: got 5"):
        compare([dense], trace, baseline=5)
    with pytest.raises(SwatsimError, match="trace: got 5, expected a path or what load_trace returns"):
        compare([dense], 5)
    with pytest.raises(SwatsimError, match=r"^layers: got 'x', which matches none"):
        compare([dense], trace, layers="x")


def test_a_trace_that_does_not_fit(machines, trace):
    tight = load_architecture("dadiannao", overrides={"memory.central.capacity_bytes": 256})
    with pytest.raises(MappingError, match=r"^tight.yaml: \w+: \w+: memory.central.capacity_bytes: got 256"):
        compare({"dense": machines["dense"], "tight.yaml": tight}, trace)
    with pytest.raises(MappingError, match=r"^baseline DaDianNao with zero skipping: \w+: \w+: memory.central"):
        compare([machines["dense"]], trace, baseline=tight)


# --------------------------------------------------------------------------------------------------------------- names


def test_short_names():
    assert short_names(["arch/a.yaml", "b", "./c.YML"], 20) == ["a", "b", "c"]
    assert short_names(["x/a.yaml", "y/a.yaml"], 20) == ["x/a.yaml", "y/a.yaml"]
    assert short_names(["abcdefghij-1"], 7) == ["abc…j-1"]
    assert short_names(["abcdefghij", "abcXXXXhij"], 7) == ["1 a…hij", "2 a…hij"]


@settings(max_examples=60)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=30, unique=True), st.integers(12, 24))
def test_short_names_are_short_and_differ(names, longest):
    found = short_names(names, longest)
    assert len(found) == len(names)
    assert all(len(name) <= longest and name.isprintable() for name in found)
    assert len(set(found)) == len(names)


# --------------------------------------------------------------------------------------------------------------- table


def table(comparison, by="cycles", *, terminal=False, width=100):
    text = io.StringIO()
    print_comparison(comparison, Console(file=text, width=width, force_terminal=terminal, color_system=None), by)
    return text.getvalue()


@pytest.mark.parametrize("by", ["cycles", "compute"])
@pytest.mark.parametrize("kind", ["macs", "area", "none"])
def test_the_table_has_the_numbers_of_the_rows(by, kind, comparisons):
    comparison = comparisons[kind]
    prefix = {"cycles": "", "compute": "compute_"}[by]
    rows = comparison.rows.set_index(["machine", "pass"])
    lines = table(comparison, by).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["over", "DaDianNao,", "dense", "MACs", "factor", *ALL[:5], "step"]
    assert lines[5].split() == ["over", "own", "dense", "util", *ALL[:5], "step"]
    names = zip(dict.fromkeys(comparison.rows["machine"]), ("small", "tensordash", "dense"), strict=True)
    for number, (name, shown) in enumerate(names):
        for first, column, extra in ((1, f"{prefix}speedup", 3), (6, f"own_{prefix}speedup", 2)):
            cells = lines[first + number].split()
            assert cells[0] == shown
            expected = [rows.loc[(name, compared), column] for compared in (*ALL[:5], "step")]
            assert cells[extra:] == ["-" if pandas.isna(value) else f"{value:.2f}x" for value in expected]
        cells = lines[1 + number].split()
        assert cells[1] == f"{rows.loc[(name, 'passes'), 'peak_macs_per_cycle']:,}"
        factor = rows.loc[(name, "passes"), "normalization_factor"]
        assert cells[2] == "-" if pandas.isna(factor) else float(cells[2]) == pytest.approx(factor, rel=1e-3)
        used = rows.loc[(name, "passes"), f"{prefix}utilization"]
        assert lines[6 + number].split()[1] == f"{used:.0%}"


def test_a_table_of_many_machines_with_long_names(trace):
    dense = load_architecture(BASELINE)
    many = {f"some/folder/{'very-' * 12}{number}-long-{'name-' * 6}{number % 2}.yaml": dense for number in range(30)}
    found = compare(many, trace, layers="second")
    for terminal in (False, True):
        lines = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", table(found, terminal=terminal)).splitlines()
        assert max(map(len, lines)) <= 100
        names = [line.split("4,096")[0] for line in lines[1:31]]
        assert len(set(names)) == 30
    assert len(ElementTree.fromstring(to_svg(found, "cycles")).findall(f"{SVG}g")) == 30


def test_bars_on_a_terminal(comparisons):
    plain, drawn = table(comparisons["none"]), table(comparisons["none"], terminal=True)
    assert "━" not in plain
    bars = [line.count("━") for line in drawn.splitlines()[1:4]]
    rows = comparisons["none"].rows
    speedups = list(rows[rows["pass"] == "passes"]["speedup"])
    assert max(bars) == min(24, 99 - len(plain.splitlines()[1]))  # a space before them
    for bar, speedup in zip(bars, speedups, strict=True):
        assert abs(bar - max(bars) * speedup / max(speedups)) <= 0.5


def test_notes_say_what_was_done(comparisons, machines, trace):
    said = {kind: " ".join(notes(comparison, "cycles")) for kind, comparison in comparisons.items()}
    assert "cycles x a machine's peak MACs a cycle / the baseline's 4,096" in said["macs"]
    assert "67.73 mm2, at 28 nm" in said["area"]
    assert "tensordash: no number, its area is at 65 nm, the baseline's at 28 nm." in said["area"]
    assert "Not normalized: seconds" in said["none"]
    assert "with memory stalls" in said["macs"]
    assert "compute cycles" in notes(comparisons["macs"], "compute")[0]
    assert not any("width" in text for text in said.values())
    narrow = load_architecture("dadiannao", overrides={"datapath.value_bytes": 1})
    found = " ".join(notes(compare({"n": narrow}, trace, layers="second"), "cycles"))
    assert "the baseline's 2 bytes, which nothing here makes up for: n 1." in found
    assert "layers second" in found
    assert "step:" not in found


# ------------------------------------------------------------------------------------------------------------- outputs


@pytest.mark.parametrize("kind", ["macs", "area"])
def test_json_and_csv_have_the_rows(kind, comparisons, machines):
    comparison = comparisons[kind]
    document = json.loads(to_json(comparison, "compute"))
    pandas.testing.assert_frame_equal(pandas.DataFrame(document["rows"]), comparison.rows)
    assert [machine["name"] for machine in document["machines"]] == list(machines)
    for machine, architecture in zip(document["machines"], machines.values(), strict=True):
        assert machine["architecture"] == json.loads(architecture.model_dump_json())
    reasons = [machine["not_normalized"] for machine in document["machines"]]
    assert [reason is not None for reason in reasons] == [False, kind == "area", False]
    assert document["notes"] == list(notes(comparison, "compute"))
    assert (document["normalize"], document["by"], document["trace"]["name"]) == (kind, "compute", "small")
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison))))
    assert list(rows[0]) == [column.name for column in COLUMNS]
    for written, row in zip(rows, document["rows"], strict=True):
        assert list(written.values()) == ["" if value is None else str(value) for value in row.values()]


def test_the_same_bytes(machines, trace, comparisons):
    again = compare(machines, trace, workers=3)
    for write in (lambda found: to_json(found, "cycles"), to_csv, lambda found: to_svg(found, "cycles"), table):
        assert write(again) == write(comparisons["macs"])


def test_synthetic_traces_are_marked(tmp_path, machines):
    metadata = TraceMetadata(name="drawn", provenance={"source": "synthetic"})
    drawn = load_trace(write_trace(tmp_path / "drawn", metadata=metadata))
    found = compare([machines["dense"]], drawn, layers="second")
    for text in (to_svg(found, "cycles"), to_csv(found), table(found), to_json(found, "cycles")):
        assert "synthetic" in text


def test_documents_are_up_to_date():
    written = Path(__file__).parent.parent.joinpath("docs", "comparison.md").read_text(encoding="utf-8")
    command = "python -m swatsim.comparison.documentation > docs/comparison.md"
    assert written == documentation.document(), f"docs/comparison.md is stale: {command}"
    assert command in written


# ------------------------------------------------------------------------------------------------------------- picture


@pytest.mark.parametrize("by", ["cycles", "compute"])
@pytest.mark.parametrize("kind", ["macs", "area", "none"])
def test_picture(by, kind, comparisons):
    """Every bar is as long as its speedup on the scale of the ticks; so is every mark."""
    comparison = comparisons[kind]
    root = ElementTree.fromstring(to_svg(comparison, by))
    ticks = {
        float(text.text[:-1]): float(text.get("x"))
        for text in root.findall(f"{SVG}text")
        if text.get("class") == "middle"
    }
    left, right = ticks[0], max(ticks.values())
    scale = (right - left) / max(ticks)
    assert 2 <= len(ticks) <= 8
    prefix = {"cycles": "", "compute": "compute_"}[by]
    rows = comparison.rows.set_index(["machine", "pass"])
    groups = root.findall(f"{SVG}g")
    assert len(groups) == len(comparison.machines)
    for machine, group in zip(comparison.machines, groups, strict=True):
        assert group.find(f"{SVG}title").text == f"{machine.name}: {machine.architecture_name}"
        bars = group.findall(f"{SVG}rect")
        marks = [line for line in group.findall(f"{SVG}line") if line.get("class") == "own"]
        if machine.scale.factor is None:
            assert not bars
            assert machine.scale.reason in "".join(group.itertext())
            continue
        assert [bar.get("class") for bar in bars] == [*ALL[:5], "step"]
        for bar, mark in zip(bars, marks, strict=True):
            row = rows.loc[(machine.name, bar.get("class"))]
            assert float(bar.get("width")) == pytest.approx(row[f"{prefix}speedup"] * scale, abs=0.1)
            assert float(mark.get("x1")) - left == pytest.approx(row[f"own_{prefix}speedup"] * scale, abs=0.1)
            assert float(bar.get("x")) + float(bar.get("width")) <= right + 0.1
        labels = [text.text for text in group.findall(f"{SVG}text") if text.get("class") == "small"]
        assert labels == [f"{rows.loc[(machine.name, name), f'{prefix}speedup']:.2f}x" for name in (*ALL[:5], "step")]


def test_a_picture_is_complete_in_itself(comparisons):
    text = to_svg(comparisons["macs"], "cycles")
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg\")|url\(|<script|@import|href", text)


def test_names_in_a_picture_are_text(trace, machines):
    name = "<a>&\x00\x1b\"'"
    found = compare({name: machines["dense"]}, trace, layers="second")
    group = ElementTree.fromstring(to_svg(found, "cycles")).find(f"{SVG}g")
    assert group.find(f"{SVG}title").text.startswith("<a>&\\x00\\x1b\"'")
