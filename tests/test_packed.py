"""The pool of packed multipliers against its execution cycle by cycle, and SIGMA's published gains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from free_memory import load_with_free_memory
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle_cases import between
from oracle_packed import Pool, run_pass, run_pool
from oracle_vectors import OracleLayer
from small_layers import small_layers
from test_schedule_oracle import rows_of

FEWER = settings(max_examples=settings().max_examples // 4)


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    return Pool(
        tiles=draw(st.sampled_from((1, 1, 2, 4))), rows=draw(between(1, 3)), columns=draw(between(1, 2)),
        lanes=draw(st.sampled_from((1, 2, 3, 8))), stationary=draw(st.sampled_from(("rows", "columns", "sparser"))),
        load_width=draw(between(1, 5)), reduction=draw(between(0, 4)), overlap=draw(st.booleans()),
        stream_vectors=draw(st.none() | between(1, 20)), tile_split=draw(st.sampled_from(("rows", "columns", "best"))),
    )  # fmt: skip


@FEWER
@given(layer=small_layers(), pool=pools())
def test_counts_are_those_of_the_executed_pool(layer, pool):
    """All three passes; `run_pass` compares the values with the definition."""
    machine = load_with_free_memory("sigma", pool.overrides())
    for name, row in rows_of(layer, machine).items():
        expected = run_pass(layer, name, pool)
        found = (int(row["compute_cycles"]), int(row["dense_compute_cycles"]), int(row["effectual_macs"]))
        assert found == (expected.cycles, expected.dense_cycles, expected.effectual_macs), name
        assert row["ideal_cycles"] == math.ceil(expected.effectual_macs / (pool.per_tile * pool.tiles))
        assert row["ideal_cycles"] <= row["compute_cycles"] <= row["dense_compute_cycles"]
    event(f"{pool.stationary} stay" + (", overlapped" if pool.overlap else ""))


def linear(weight: np.ndarray, columns: np.ndarray) -> OracleLayer:
    return OracleLayer(
        kind="linear", input=columns, weight=weight, output_grad=np.ones((len(columns), len(weight)), np.int64),
        needs_input_grad=False,
    )  # fmt: skip


def cycles_of(weight: list[str], columns: np.ndarray, **keys: object) -> int:
    values = np.array([[letter != "." for letter in row] for row in weight]).astype(np.int64)
    machine = load_with_free_memory("sigma", Pool(**keys).overrides())
    return int(rows_of(linear(values, columns), machine)["forward"]["compute_cycles"])


ONES = np.ones((5, 4), np.int64)
# 6 non-zeros on 4 multipliers: 2 + 1 cycles to load 2 at a time.
SPARSE = ["x.x.", "xx..", "...x", "..x."]


@pytest.mark.parametrize(
    ("keys", "cycles"),
    [
        ({}, (2 + 5 + 3) + (1 + 5 + 3)),
        ({"overlap": True}, 2 + 5 + 5 + 3),
        ({"overlap": True, "load_width": 1, "stream_vectors": 1}, 4 + 1 + 4 * (3 + 1) + 1 + 1 + 4 * (1 + 1) + 3),
        ({"stream_vectors": 3}, (2 + 3 + 3) + (2 + 2 + 3) + (1 + 3 + 3) + (1 + 2 + 3)),
        ({"tiles": 2}, 3 + 5 + 3),
        ({"tiles": 2, "tile_split": "columns"}, (2 + 3 + 3) + (1 + 3 + 3)),
    ],
)
def test_cycles_by_hand(keys, cycles):
    assert cycles_of(SPARSE, ONES, **keys) == cycles


def test_what_meets_only_zeros_is_not_loaded():
    columns = ONES.copy()
    columns[:, 0] = 0  # the two weights in the first place are useless
    assert cycles_of(SPARSE, columns) == 2 + 5 + 3


def test_nothing_to_load_takes_nothing():
    assert cycles_of(["...."], ONES) == 0
    assert cycles_of(["x..."], np.array([[0, 1, 1, 1]])) == 0


def test_rows_stay_on_a_tie():
    """Both operands are half zeros; the 4 non-zeros of the rows are one fold, the 12 of the columns would be three."""
    columns = np.array([[1, 0, 1, 0], [0, 1, 0, 1]] * 3)
    assert cycles_of(["xx..", "..xx"], columns, stationary="sparser") == 2 + 6 + 3
    assert cycles_of(["xx..", "..xx"], columns, stationary="columns") == 3 * (2 + 2 + 3)


# SIGMA's sparse products, 80 % and 30 % zeros, against a systolic array of 128 x 128: (rows that stay, columns that
# stream, reduction), and the gain that is read off the bars of its Fig. 12b (docs/datapaths/packed.md has all ten).
GAINS = {(128, 2048, 4096): 4.5, (84, 1024, 4096): 6.0, (256, 256, 2048): 6.0}


@pytest.mark.parametrize("shape", GAINS)
def test_gains_of_sigma(shape):
    """A little above the bars: the array of ours is filled along both sides, and folds are full to the last value."""
    rows, columns, elements = shape
    random = np.random.default_rng(0)
    weight = (random.random((rows, elements)) >= 0.8).astype(np.int64)
    values = (random.random((columns, elements)) >= 0.3).astype(np.int64)
    layer = linear(weight, values)
    sigma = load_with_free_memory("sigma", {"datapath.stream_vectors": None, "datapath.stationary": "rows"})
    array = {"tile.rows": 128, "tile.columns": 128, "datapath.between_folds": "wait", "datapath.stream_vectors": None}
    packed = int(rows_of(layer, sigma)["forward"]["compute_cycles"])
    dense = int(rows_of(layer, load_with_free_memory("systolic", array))["forward"]["compute_cycles"])
    full, rest = divmod(int(weight.sum()), 16384)
    assert packed == full * (128 + columns + 8) + (math.ceil(rest / 128) + columns + 8 if rest else 0)
    assert GAINS[shape] <= dense / packed <= 1.35 * GAINS[shape]


# ---------------------------------------------------------------------------------------------------- it can fail


def test_oracle_notices_a_lost_value(monkeypatch):
    import oracle_packed

    values = oracle_packed.values_of
    monkeypatch.setattr(oracle_packed, "values_of", lambda *given, **skip: values(*given, **skip)[:-1])
    with pytest.raises(AssertionError, match="another product"):
        run_pool(np.ones((1, 3, 4), np.int64), np.ones((1, 2, 4), np.int64), Pool(), (1, 1), skip=True)
