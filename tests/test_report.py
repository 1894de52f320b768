"""What a report says: columns, sums, ratios and the paper's counts, against closed forms."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swatsim
from swatsim.architecture import LEVELS
from swatsim.passes import PASSES
from swatsim.report import Row, paper_macs, totals
from swatsim.report.delimited import to_csv
from swatsim.report.document import to_json
from swatsim.report.records import COLUMNS
from swatsim.traffic import DIRECTIONS, TENSORS, Move

# The columns that a user was promised by name.
PROMISED = [
    "layer", "pass", "cycles", "compute_cycles", "stall_cycles", "dense_cycles", "dense_compute_cycles",
    "ideal_cycles", "speedup", "utilization", "macs", "effectual_macs", "paper_macs", "dram_read_bytes",
    "dram_write_bytes", "bound_by",
]  # fmt: skip
PARTS = {
    "forward": ["forward"], "input_grad": ["input_grad"], "weight_grad": ["weight_grad"],
    "backward": ["input_grad", "weight_grad"], "step": ["forward", "input_grad", "weight_grad"],
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
    assert expected <= set(columns)
    assert len(set(columns)) == len(columns)


def test_types_of_the_table(report):
    table = report.rows
    for name in table.columns:
        if name.endswith(("cycles", "bytes", "macs")):
            assert table[name].dtype == np.int64, name
    assert table["speedup"].dtype == table["utilization"].dtype == np.float64
    for name in ("layer", "pass", "bound_by", "scheduled"):
        assert all(isinstance(value, str) for value in table[name]), name


def test_every_output_has_the_same_numbers(report):
    document = json.loads(to_json(report), parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    lines = list(csv.DictReader(io.StringIO(to_csv(report))))
    table = report.rows
    assert len(document["rows"]) == len(lines) == len(table) == 2 + 3 + 3 + len(PARTS)
    for row, line, (_, frame) in zip(document["rows"], lines, table.iterrows(), strict=True):
        assert list(row) == list(line) == list(frame.index) == list(COLUMNS)
        assert row == frame.to_dict()
        assert {name: str(value) for name, value in row.items()} == line


def test_what_takes_no_time_has_no_ratio():
    """Nothing is NaN in JSON and nothing is invented in CSV."""
    idle = row(cycles=0, compute_cycles=0)
    assert (idle.speedup, idle.utilization) == (None, None)
    report = swatsim.Report(swatsim_version="0", architecture={}, trace={}, records=(idle, *totals([idle], PASSES, 0)))
    assert "NaN" not in to_json(report)
    assert json.loads(to_json(report))["rows"][0]["speedup"] is None
    assert next(csv.DictReader(io.StringIO(to_csv(report))))["speedup"] == ""
    assert report.rows["speedup"].isna().all()


# --------------------------------------------------------------------------------------------------------------- rows


def test_rows_keep_their_promises(report):
    peak = 16 * 16 * 16
    for record in report.records:
        assert record.cycles == record.compute_cycles + record.stall_cycles
        assert record.stall_cycles >= 0
        assert record.ideal_cycles <= record.compute_cycles <= record.dense_compute_cycles <= record.dense_cycles
        assert 0 < record.utilization <= 1
        assert record.speedup == record.dense_cycles / record.cycles
        assert record.effectual_macs <= record.unskippable_macs <= record.macs
        assert record.utilization == record.unskippable_macs / (record.cycles * peak)
    for record in report.layer_records:
        assert record.ideal_cycles == -(-record.unskippable_macs // peak)


def test_a_full_machine_is_fully_used():
    """Shapes that divide, nothing absent, memory that costs no time: utilization and speedup are one."""
    overrides = {f"memory.{level}.width_bytes_per_cycle": None for level in LEVELS}
    overrides |= {"memory.dram.latency_cycles": 0, "tiles": 1, "tile.rows": 4, "tile.columns": 2, "tile.lanes": 8}
    machine = swatsim.load_architecture("dadiannao", overrides=overrides)
    full = swatsim.Layer.from_arrays(
        "full", input=np.ones((2, 8, 4, 4)), weight=np.ones((8, 8, 1, 1)), output_grad=np.ones((2, 8, 4, 4))
    )
    for record in swatsim.simulate(machine, swatsim.Trace("full", [full])).records:
        assert record.utilization == record.speedup == 1
        assert record.cycles == record.ideal_cycles == record.macs // 64
        assert record.effectual_macs == record.macs


# -------------------------------------------------------------------------------------------------------------- totals


def row(layer="conv", pass_name="forward", *, moved_bytes=None, bound_by="compute", scheduled="weight", **numbers):
    fields = dict.fromkeys(
        ("cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles", "ideal_cycles", "unskippable_macs",
         "macs", "effectual_macs", "paper_macs"), 0,
    ) | numbers  # fmt: skip
    return Row(
        layer=layer, pass_name=pass_name, peak_macs_per_cycle=64, bound_by=bound_by, scheduled=scheduled,
        moved_bytes=moved_bytes or {}, **fields,
    )  # fmt: skip


def test_totals_are_sums(report):
    table = report.rows
    layers, sums = table[table["layer"] != "total"], table[table["layer"] == "total"]
    assert list(sums["pass"]) == list(PARTS)
    added = [name for name in table.columns if name.endswith(("cycles", "bytes", "macs")) and name != "paper_macs"]
    for (name, parts), (_, total) in zip(PARTS.items(), sums.iterrows(), strict=True):
        members = layers[layers["pass"].isin(parts)]
        for column in added:
            assert total[column] == members[column].sum(), (name, column)
        assert total["speedup"] == members["dense_cycles"].sum() / members["cycles"].sum()
    assert report.total().as_dict() == sums.iloc[-1].to_dict()
    assert report.total("backward").cycles == report.total("step").cycles - report.total("forward").cycles


NUMBERS = st.fixed_dictionaries({
    name: st.integers(1, 2**40)
    for name in ("cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles", "ideal_cycles",
                 "unskippable_macs", "macs", "effectual_macs", "paper_macs")
})  # fmt: skip
ROWS = st.builds(
    lambda pass_name, numbers, bound_by, moved: row(
        pass_name=pass_name, bound_by=bound_by, moved_bytes=Counter({Move("dram", "read", "input"): moved}), **numbers
    ),
    st.sampled_from(swatsim.layer.PASSES), NUMBERS, st.sampled_from(["compute", "dram"]), st.integers(0, 2**40),
)  # fmt: skip


@given(st.lists(ROWS, max_size=12), st.integers(0, 2**40))
def test_totals_of_any_rows(rows, uncomputed):
    found = {total.pass_name: total for total in totals(rows, PASSES, uncomputed)}
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


# ---------------------------------------------------------------------------------------------------- the paper's count


def by_pass(layers):
    table = swatsim.simulate(swatsim.load_architecture("dadiannao"), swatsim.Trace("t", layers)).rows
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
