"""What a report says: columns, sums, ratios and the paper's counts, against closed forms."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas
import pytest
import report_rows
from free_memory import load_with_free_memory
from hypothesis import given
from hypothesis import strategies as st
from report_rows import row

import swatsim
from swatsim.moves import DIRECTIONS, TENSORS, Move
from swatsim.paper_macs import paper_macs
from swatsim.passes import PASSES, STREAMING
from swatsim.report import documentation, totals
from swatsim.report.columns import CAUSES, columns_of
from swatsim.report.delimited import to_csv
from swatsim.report.document import to_json
from swatsim.way import Losses

LEVELS = ("dram", "central", "sb", "nbin", "nbout")  # of DaDianNao

# The columns that a user was promised by name.
PROMISED = [
    "layer", "pass", "cycles", "compute_cycles", "stall_cycles", "dense_cycles", "dense_compute_cycles",
    "ideal_cycles", "speedup", "utilization", "macs", "effectual_macs", "paper_macs", "dram_read_bytes",
    "dram_write_bytes", "bound_by",
]  # fmt: skip
PARTS = {
    "forward": ["forward"], "input_grad": ["input_grad"], "weight_grad": ["weight_grad"],
    "backward": ["input_grad", "weight_grad"], "other": list(STREAMING), "step": [*PASSES, *STREAMING],
}  # fmt: skip


def convolution(name="conv", *, first=False, budget="0.8", density=0.3, seed=1):
    random = np.random.RandomState(seed)
    weight, gradient = random.random_sample((6, 4, 3, 3)) < density, np.ones((2, 6, 4, 4))
    values = random.random_sample((2, 4, 7, 7)) < density
    sparsity = {} if budget is None else {
        "forward": {"weight": budget}, "weight_grad": {"input": budget},
        **({} if first else {"input_grad": {"weight": budget}}),
    }  # fmt: skip
    return swatsim.Layer.from_arrays(
        name, input=values, weight=weight, output_grad=gradient, stride=2, padding=1,
        needs_input_grad=not first, sparsity=sparsity,
    )  # fmt: skip


# Of the convolution above: N·C·K·R·S·P·Q, and with the positions of its input in place of those of its output.
FORWARD_MACS = 2 * 4 * 6 * 3 * 3 * 4 * 4
INPUT_GRAD_MACS = 2 * 4 * 6 * 3 * 3 * 7 * 7


@pytest.fixture(scope="module")
def report():
    layers = [convolution("first", first=True, budget=None), convolution("middle"), convolution("last", seed=2)]
    return swatsim.simulate(swatsim.load_architecture("dadiannao"), swatsim.Trace("three", layers))


# ------------------------------------------------------------------------------------------------------------- columns


def test_promised_columns(report):
    columns = list(report.rows.columns)
    assert columns[: len(PROMISED)] == PROMISED
    expected = {f"{level}_{direction}_bytes" for level in LEVELS for direction in DIRECTIONS}
    expected |= {f"{level}_{direction}_{t}_bytes" for level in LEVELS for direction in DIRECTIONS for t in TENSORS}
    expected |= {f"stall_{cause}_cycles" for cause in (*LEVELS, *CAUSES)} | {f"energy_{level}_pj" for level in LEVELS}
    assert expected <= set(columns)
    assert len(set(columns)) == len(columns)


def test_types_of_the_table(report):
    table = report.rows
    for name in table.columns:
        if name.endswith(("cycles", "bytes", "macs")):
            assert table[name].dtype == np.int64, name
    assert table["speedup"].dtype == table["utilization"].dtype == table["energy_pj"].dtype == np.float64
    for name in ("layer", "pass", "bound_by", "scheduled", "mapping", "roofline_side"):
        assert all(isinstance(value, str) for value in table[name]), name


def test_every_output_has_the_same_numbers(report):
    document = json.loads(to_json(report), parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    lines = list(csv.DictReader(io.StringIO(to_csv(report))))
    table = report.rows
    assert len(report.layer_records) == 2 + 3 + 3
    assert report.records == (*report.layer_records, *report.streaming_records, *report.totals)
    assert len(document["rows"]) == len(lines) == len(table) == len(report.records)
    for cells, line, (_, frame) in zip(document["rows"], lines, table.iterrows(), strict=True):
        assert list(cells) == list(line) == list(frame.index) == list(columns_of(LEVELS))
        assert cells == {name: None if pandas.isna(value) else value for name, value in frame.items()}
        assert {name: "" if value is None else str(value) for name, value in cells.items()} == line


def test_what_takes_no_time_has_no_ratio():
    """Nothing is NaN in JSON and nothing is invented in CSV."""
    idle = row(cycles=0, compute_cycles=0)
    assert (idle.speedup, idle.utilization) == (None, None)
    report = report_rows.report([idle])
    assert "NaN" not in to_json(report)
    assert json.loads(to_json(report))["rows"][0]["speedup"] is None
    assert next(csv.DictReader(io.StringIO(to_csv(report))))["speedup"] == ""
    assert report.rows["speedup"].isna().all()


# --------------------------------------------------------------------------------------------------------------- rows


def test_rows_keep_their_promises(report):
    peak = 16 * 16 * 16
    for record in report.records:
        columns = record.as_dict()
        assert record.cycles == record.compute_cycles + record.stall_cycles
        assert min(record.stall_cycles, record.dense_stall_cycles) >= 0
        assert record.stall_cycles == sum(columns[f"stall_{cause}_cycles"] for cause in (*LEVELS, *CAUSES))
        assert record.dense_stall_cycles == sum(record.dense_stalls.values())
        assert record.dram_bytes >= record.compulsory_dram_bytes > 0
        for level in LEVELS:
            for direction in DIRECTIONS:
                parts = sum(columns[f"{level}_{direction}_{tensor}_bytes"] for tensor in TENSORS)
                assert columns[f"{level}_{direction}_bytes"] == parts
        energies = [columns["energy_mac_pj"], *(columns[f"energy_{level}_pj"] for level in LEVELS)]
        assert columns["energy_pj"] == pytest.approx(sum(energies))
        assert columns["energy_low_pj"] <= columns["energy_pj"] <= columns["energy_high_pj"]
    for record in (*report.layer_records, *report.totals[:4]):
        assert record.ideal_cycles <= record.compute_cycles <= record.dense_compute_cycles <= record.dense_cycles
        assert 0 < record.utilization <= 1
        assert record.speedup == record.dense_cycles / record.cycles
        assert record.effectual_macs <= record.unskippable_macs <= record.macs
        assert record.utilization == record.unskippable_macs / (record.cycles * peak)
    for record in report.layer_records:
        assert record.ideal_cycles == -(-record.unskippable_macs // peak)
    for record in report.streaming_records:
        assert record.macs == record.multiplications == record.ideal_cycles == record.utilization == 0
        assert record.mapping == record.scheduled == ""


def test_the_dense_machine_neither_selects_nor_reorders(report):
    assert {record.pass_name for record in report.streaming_records} == {"select", "reorder", "update"}
    for record in report.streaming_records:
        assert (record.dense_cycles > 0) == (record.pass_name == "update")


def test_a_full_machine_is_fully_used():
    """Shapes that divide, nothing absent, memory that costs no time: utilization and speedup are one."""
    overrides = {"tiles": 1, "tile.rows": 4, "tile.columns": 2, "tile.lanes": 8}
    machine = load_with_free_memory("dadiannao", overrides)
    full = swatsim.Layer.from_arrays(
        "full", input=np.ones((2, 8, 4, 4)), weight=np.ones((8, 8, 1, 1)), output_grad=np.ones((2, 8, 4, 4))
    )
    for record in swatsim.simulate(machine, swatsim.Trace("full", [full])).layer_records:
        assert record.utilization == record.speedup == 1
        assert record.cycles == record.ideal_cycles == record.macs // 64
        assert record.effectual_macs == record.macs


# -------------------------------------------------------------------------------------------------------------- totals


def test_totals_are_sums(report):
    table = report.rows
    layers, sums = table[table["layer"] != "total"], table[table["layer"] == "total"]
    assert list(sums["pass"]) == list(PARTS)
    added = [name for name in table.columns if name.endswith(("cycles", "bytes", "macs")) and name != "paper_macs"]
    added += ["blocks", "multiplications"]
    for (name, parts), (_, total) in zip(PARTS.items(), sums.iterrows(), strict=True):
        members = layers[layers["pass"].isin(parts)]
        for column in added:
            assert total[column] == members[column].sum(), (name, column)
        assert total["speedup"] == members["dense_cycles"].sum() / members["cycles"].sum()
        for column in table.columns:
            if column.endswith("_pj"):
                assert total[column] == pytest.approx(members[column].sum()), (name, column)
    assert report.total().as_dict()["cycles"] == sums.iloc[-1]["cycles"]
    parts = [report.total(name).cycles for name in ("forward", "backward", "other")]
    assert report.total("step").cycles == sum(parts)
    assert report.total("backward").cycles == report.total("input_grad").cycles + report.total("weight_grad").cycles


NUMBERS = st.fixed_dictionaries({
    name: st.integers(1, 2**40)
    for name in ("cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles", "ideal_cycles",
                 "unskippable_macs", "macs", "effectual_macs", "paper_macs")
})  # fmt: skip
ROWS = st.builds(
    lambda pass_name, numbers, bound_by, moved: row(
        pass_name=pass_name, bound_by=bound_by, moved_bytes=Counter({Move("dram", "read", "input"): moved}), **numbers
    ),
    st.sampled_from([*PASSES, *STREAMING]), NUMBERS, st.sampled_from(["compute", "dram"]), st.integers(0, 2**40),
)  # fmt: skip


@given(st.lists(ROWS, max_size=12), st.integers(0, 2**40))
def test_totals_of_any_rows(rows, uncomputed):
    found = {total.pass_name: total for total in totals(rows, report_rows.PARTS, uncomputed)}
    assert all(total.layer == "total" for total in found.values())
    for name, parts in PARTS.items():
        members = [member for member in rows if member.pass_name in parts]
        assert (name in found) == bool(members)
        if not members:
            continue
        extra = uncomputed if "input_grad" in parts else 0
        assert found[name].cycles == sum(member.cycles for member in members)
        assert found[name].paper_macs == sum(member.paper_macs for member in members) + extra
        assert found[name].moved("dram", "read") == sum(member.moved("dram", "read") for member in members)
        longest = {bound: sum(m.cycles for m in members if m.bound_by == bound) for bound in ("compute", "dram")}
        assert longest[found[name].bound_by] == max(longest.values())


def test_total_that_was_not_simulated():
    trace = swatsim.Trace("one", [convolution()])
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), trace, passes=["forward"])
    assert [(record.layer, record.pass_name) for record in report.records] == [
        ("conv", "forward"),
        ("total", "forward"),
    ]
    with pytest.raises(KeyError):
        report.total("backward")
    assert report.footprint is None


def test_a_part_of_the_layers_is_no_step():
    trace = swatsim.Trace("two", [convolution(), convolution("other", seed=2)])
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), trace, layers="conv")
    assert [total.pass_name for total in report.totals] == ["forward", "input_grad", "weight_grad", "backward"]
    assert (report.streaming_records, report.footprint) == ((), None)


# ------------------------------------------------------------------------------------------------------------- document


def test_the_document_says_what_was_asked_for_and_what_is_kept():
    machine, trace = swatsim.load_architecture("dadiannao"), swatsim.Trace("one", [convolution()])
    report = swatsim.simulate(machine, trace, objective="energy", formats={"weight": "csr"})
    document = json.loads(to_json(report))
    assert list(document) == [
        "$schema", "format", "version", "swatsim", "architecture", "trace", "simulation", "rows", "details", "area",
        "footprint",
    ]  # fmt: skip
    assert (document["format"], document["version"]) == ("swatsim-report", 2)
    asked = {"objective": "energy", "formats": {"weight": "csr"}, "layers": "*", "passes": list(PASSES)}
    assert document["simulation"] == asked
    area, kept = document["area"], document["footprint"]
    assert area["total_mm2"] == pytest.approx(sum(area["parts_mm2"].values()))
    assert kept["total"]["activation_bytes"] == sum(
        part["activation_bytes"] for part in (*kept["layers"], *kept["between"])
    )
    # The keys and columns that the generated page lists are those that there are.
    page = documentation.document()
    assert all(f"`{key}`" in page.split("## The JSON document")[1] for key in document)
    assert (Path(__file__).parent.parent / "docs" / "report.md").read_text(encoding="utf-8") == page


def test_every_column_is_described():
    levels = ("dram", "central")
    names = {
        "<outermost>": levels[:1], "<level>": levels, "<direction>": DIRECTIONS, "<tensor>": TENSORS,
        "<cause>": (*levels, *CAUSES), "<loss>": Losses._fields,
    }  # fmt: skip
    described = [line.split("`")[1] for line in documentation.document().splitlines() if line.startswith("| `")]
    expanded = set(described[: described.index("$schema")])
    for pattern, values in names.items():
        expanded = {name.replace(pattern, value) for name in expanded for value in values}
    assert expanded == set(columns_of(levels, sampled=True))
    assert set(columns_of(levels)) < expanded


# ---------------------------------------------------------------------------------------------------- the paper's count


def by_pass(layers):
    table = swatsim.simulate(swatsim.load_architecture("dadiannao"), swatsim.Trace("t", layers)).rows
    assert not table["paper_macs"][table["pass"].isin(STREAMING)].any()
    table = table[~table["pass"].isin([*STREAMING, "other"])]
    layer_rows, total_rows = table[table["layer"] != "total"], table[table["layer"] == "total"]
    return (dict(zip(frame["pass"], frame["paper_macs"], strict=True)) for frame in (layer_rows, total_rows))


def test_paper_macs_of_a_dense_layer():
    rows, sums = by_pass([convolution(budget=None)])
    assert rows == {"forward": FORWARD_MACS, "input_grad": INPUT_GRAD_MACS, "weight_grad": FORWARD_MACS}
    assert sums["backward"] == FORWARD_MACS + INPUT_GRAD_MACS
    assert sums["step"] == 2 * FORWARD_MACS + INPUT_GRAD_MACS


def test_paper_macs_with_budgets():
    rows, _ = by_pass([convolution(budget="0.8")])
    assert rows == {
        "forward": round(FORWARD_MACS * Fraction(1, 5)),
        "input_grad": round(INPUT_GRAD_MACS * Fraction(1, 5)),
        "weight_grad": round(FORWARD_MACS * Fraction(1, 5)),
    }


@pytest.mark.parametrize(("budget", "kept"), [(None, 1), ("0.75", Fraction(1, 4))])
def test_an_input_gradient_that_nobody_computes_counts_in_the_totals(budget, kept):
    """The paper counts it for the first layer too, at the budget of its weights."""
    rows, sums = by_pass([convolution(first=True, budget=budget), convolution("next", budget=None)])
    assert rows["input_grad"] == INPUT_GRAD_MACS
    assert sums["input_grad"] == INPUT_GRAD_MACS + INPUT_GRAD_MACS * kept
    assert sums["backward"] == sums["input_grad"] + sums["weight_grad"]
    assert sums["step"] == sums["backward"] + sums["forward"]
    assert sums["forward"] == FORWARD_MACS + FORWARD_MACS * kept


def test_paper_macs_of_two_selected_operands():
    assert paper_macs(1000, [Fraction(4, 5), Fraction(1, 2)]) == 100
    assert paper_macs(1000, [None, Fraction(9, 10)]) == 100
    assert paper_macs(1000, []) == 1000
    # Exact where a float is not: 0.9 of 10**20.
    assert paper_macs(10**20, [Fraction(9, 10)]) == 10**19


def test_paper_macs_of_groups_and_lines():
    grouped = swatsim.Layer.from_arrays(
        "grouped",
        input=np.ones((1, 8, 5, 5)),
        weight=np.ones((6, 4, 3, 3)),
        output_grad=np.ones((1, 6, 3, 3)),
        groups=2,
    )
    linear = swatsim.Layer.from_arrays(
        "linear", input=np.ones((2, 3, 7)), weight=np.ones((5, 7)), output_grad=np.ones((2, 3, 5))
    )
    rows, _ = by_pass([grouped])
    assert rows["forward"] == 8 * 6 * 9 * 9 // 2
    assert rows["input_grad"] == 8 * 6 * 9 * 25 // 2
    rows, _ = by_pass([linear])
    assert set(rows.values()) == {2 * 3 * 7 * 5}
