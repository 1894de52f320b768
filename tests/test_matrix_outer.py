"""Condensed outer products against their execution cycle by cycle, and Sparseloop's estimates of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from free_memory import load_with_free_memory
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle_cases import between
from oracle_matrix_outer import Units, run_pass
from oracle_vectors import OracleLayer
from small_layers import small_layers
from test_schedule_oracle import rows_of

import swatsim

FEWER = settings(max_examples=settings().max_examples // 4)


@st.composite
def machines(draw: st.DrawFn) -> Units:
    return Units(
        tiles=draw(st.sampled_from((1, 2, 4, 6))), rows=draw(between(1, 3)), columns=draw(between(1, 4)),
        block_rows=draw(between(1, 7)), block_columns=draw(between(1, 9)),
        barrier=draw(st.sampled_from(("block", "pass"))), tile_split=draw(st.sampled_from(("rows", "columns", "best"))),
    )  # fmt: skip


@FEWER
@given(layer=small_layers(), machine=machines())
def test_counts_are_those_of_the_executed_units(layer, machine):
    """All three passes; `run_pass` compares the values with the definition."""
    architecture = load_with_free_memory("dual-side-tensor-core", machine.overrides())
    for name, row in rows_of(layer, architecture).items():
        expected = run_pass(layer, name, machine)
        found = (int(row["compute_cycles"]), int(row["dense_compute_cycles"]), int(row["effectual_macs"]))
        assert found == (expected.cycles, expected.dense_cycles, expected.effectual_macs), name
        multipliers = machine.tiles * machine.rows * machine.columns
        assert row["ideal_cycles"] == math.ceil(expected.effectual_macs / multipliers)
        assert row["ideal_cycles"] <= row["compute_cycles"] <= row["dense_compute_cycles"]
    event(f"barrier {machine.barrier}")


def product(rows: np.ndarray, columns: np.ndarray) -> OracleLayer:
    return OracleLayer(
        kind="linear", input=columns, weight=rows, output_grad=np.ones((len(columns), len(rows)), np.int64),
        needs_input_grad=False,
    )  # fmt: skip


def cycles_of(layer: OracleLayer, machine: Units) -> tuple[int, int]:
    row = rows_of(layer, load_with_free_memory("dual-side-tensor-core", machine.overrides()))["forward"]
    return int(row["compute_cycles"]), int(row["dense_compute_cycles"])


@pytest.mark.parametrize(
    ("keys", "cycles"),
    [
        # Elements: 3 rows x 2 columns in pieces of 2 x 4: 2; nothing x 3: 0; 4 rows x 5 columns: 2 x 2.
        ({}, 6),
        ({"rows": 4}, 3),
        ({"block_rows": 2}, (1 + 0 + 2) + (1 + 0 + 2)),
        ({"block_rows": 2, "tiles": 2}, 3),
        ({"block_columns": 3, "tiles": 2, "tile_split": "columns"}, 2 + 0 + 2),
    ],
)
def test_cycles_by_hand(keys, cycles):
    rows = np.array([[1, 0, 1], [1, 0, 1], [0, 0, 1], [1, 0, 1]])
    columns = np.array([[1, 1, 1], [0, 0, 1], [0, 1, 1], [1, 0, 1], [0, 1, 1]])
    assert cycles_of(product(rows, columns), Units(**keys))[0] == cycles


# Sparseloop's published estimates, 1024 multipliers, weight density 0.25: of (rows, reduction, columns, density of the
# columns) the cycles of a dense machine and of the dual-side one.
SPARSELOOP = {
    (128, 1152, 1024, 0.44): (147_456, 37_083),
    (512, 1024, 256, 0.27): (131_072, 28_699),
    (512, 128, 1024, 0.56): (65_536, 17_980),
    (512, 256, 1024, 0.82): (131_072, 44_257),
}


@pytest.mark.parametrize("case", SPARSELOOP)
def test_sparseloops_estimates(case):
    """The dense cycles are the same; with zeros ours are those expected of pieces of 8 x 16, up to 20 % from theirs."""
    rows, elements, columns, density = case
    random = np.random.default_rng(1)
    weight = (random.random((rows, elements)) < 0.25).astype(np.int64)
    values = (random.random((columns, elements)) < density).astype(np.int64)
    machine = Units(tiles=8, rows=8, columns=16, block_rows=32, block_columns=32, tile_split="best")
    sparse, dense = cycles_of(product(weight, values), machine)
    assert dense == SPARSELOOP[case][0]
    expected = expected_pieces(0.25, 8) / 4 * expected_pieces(density, 16) / 2
    assert sparse / dense == pytest.approx(expected, rel=0.02)
    assert sparse == pytest.approx(SPARSELOOP[case][1], rel=0.2)


def expected_pieces(density: float, piece: int) -> float:
    """Pieces of what is present of 32 values, on average."""
    chances = [math.comb(32, count) * density**count * (1 - density) ** (32 - count) for count in range(33)]
    return sum(chance * -(-count // piece) for count, chance in enumerate(chances))


def test_lanes_are_refused():
    with pytest.raises(swatsim.SwatsimError, match=r"tile\.lanes: got 2, expected 1 .*one element"):
        swatsim.load_architecture("dual-side-tensor-core", overrides={"tile.lanes": 2})
