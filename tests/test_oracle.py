"""The oracle by itself: is what it executes the convolution, and are its counts those of machines that others built?"""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from hypothesis import given
from oracle import Machine, run_layer, run_pass
from oracle_cases import (
    BIT_TACTICAL,
    BIT_TACTICAL_FORWARD,
    DADIANNAO,
    DADIANNAO_FORWARD,
    DEPARTURES,
    PUBLISHED_LAYERS,
    TENSORDASH,
    TENSORDASH_PASSES,
    TENSORDASH_WIDE,
    TENSORDASH_WIDE_PASSES,
    layers,
    machines,
    multipliers,
)
from oracle_vectors import OracleLayer, definition

PASSES = ("forward", "input_grad", "weight_grad")
SMALL = ("D1", "D2", "D3", "S1", "S2", "S3")


def random_layer(kind: str, shapes: tuple[tuple[int, ...], ...], **geometry: object) -> OracleLayer:
    random = np.random.default_rng(7)
    values = [random.integers(-4, 5, shape) for shape in shapes]
    return OracleLayer(kind=kind, input=values[0], weight=values[1], output_grad=values[2], **geometry)


# ---------------------------------------------------------------------------------------------------- values


def test_definition_by_hand():
    """Two taps over three positions, padded by one on the right: y = (1·5 + 2·7, 2·5 + 3·7, 3·5)."""
    layer = OracleLayer(
        kind="conv1d", input=np.array([[[1, 2, 3]]]), weight=np.array([[[5, 7]]]),
        output_grad=np.array([[[1, 10, 100]]]), padding=(0, 0, 0, 1),
    )  # fmt: skip
    assert definition(layer, "forward").tolist() == [[[19, 31, 15]]]
    assert definition(layer, "input_grad").tolist() == [[[5, 57, 570]]]
    assert definition(layer, "weight_grad").tolist() == [[[321, 32]]]


# Kind, shapes of input, weight and output, stride, padding (top, bottom, left, right), dilation, groups.
GEOMETRIES = (
    ("conv2d", ((2, 6, 7, 9), (4, 3, 3, 2), (2, 4, 4, 3)), (2, 3), (1, 1, 0, 0), (1, 2), 2),
    ("conv2d", ((1, 2, 5, 5), (3, 2, 3, 3), (1, 3, 6, 5)), (1, 1), (1, 2, 0, 2), (1, 1), 1),
    ("conv1d", ((2, 4, 11), (6, 2, 3), (2, 6, 5)), (1, 2), (0, 0, 2, 0), (1, 2), 2),
    ("conv_transpose2d", ((1, 4, 3, 4), (4, 3, 3, 2), (1, 6, 6, 9)), (2, 3), (1, 1, 1, 1), (1, 1), 2),
    ("conv_transpose1d", ((2, 3, 4), (3, 2, 3), (2, 2, 9)), (1, 2), (0, 0, 0, 0), (1, 1), 1),
    ("linear", ((2, 3, 5), (4, 5), (2, 3, 4)), (1, 1), (0, 0, 0, 0), (1, 1), 1),
)


def torch_results(layer: OracleLayer) -> tuple[np.ndarray, ...]:
    """Output, input gradient and weight gradient by PyTorch's own operations and autograd."""
    import torch

    functional = torch.nn.functional
    x, w, g = (torch.tensor(tensor, dtype=torch.float64) for tensor in (layer.input, layer.weight, layer.output_grad))
    x.requires_grad_()
    w.requires_grad_()
    one = slice(1, 2) if layer.kind.endswith("1d") else slice(0, 2)
    common = {"stride": layer.stride[one], "dilation": layer.dilation[one], "groups": layer.groups}
    top, bottom, left, right = layer.padding
    if layer.kind == "linear":
        y = functional.linear(x, w)
    elif "transpose" in layer.kind:
        symmetric = (top, left)[one]
        smallest = getattr(functional, layer.kind)(x, w, padding=symmetric, **common)
        extra = [want - got for want, got in zip(g.shape[2:], smallest.shape[2:], strict=True)]
        y = getattr(functional, layer.kind)(x, w, padding=symmetric, output_padding=extra, **common)
    else:
        padded = functional.pad(x, (left, right) if layer.kind == "conv1d" else (left, right, top, bottom))
        y = getattr(functional, layer.kind)(padded, w, **common)
    y.backward(g)
    return tuple(tensor.detach().numpy() for tensor in (y, x.grad, w.grad))


@pytest.mark.extra("torch")
@pytest.mark.parametrize("case", GEOMETRIES, ids=lambda case: case[0])
def test_definition_is_pytorchs(case):
    kind, shapes, stride, padding, dilation, groups = case
    layer = random_layer(kind, shapes, stride=stride, padding=padding, dilation=dilation, groups=groups)
    for pass_name, expected in zip(PASSES, torch_results(layer), strict=True):
        np.testing.assert_array_equal(definition(layer, pass_name), expected)


@pytest.mark.extra("torch")
@pytest.mark.parametrize("case", GEOMETRIES, ids=lambda case: case[0])
def test_executed_schedule_is_pytorchs(case):
    kind, shapes, stride, padding, dilation, groups = case
    layer = random_layer(kind, shapes, stride=stride, padding=padding, dilation=dilation, groups=groups)
    machine = Machine(lanes=4, moves=((1, -1), (1, 0), (1, 1), (2, 0)), tiles=2, rows=2, columns=3)
    for pass_name, expected in zip(PASSES, torch_results(layer), strict=True):
        np.testing.assert_array_equal(run_pass(layer, pass_name, machine).result, expected)


@given(layer=layers(), machine=machines())
def test_every_schedule_computes_the_definition(layer, machine):
    """`run_layer` compares the values; the bounds are those of design and issue."""
    for counts in run_layer(layer, machine).values():
        assert counts.ideal_cycles <= counts.compute_cycles <= counts.dense_compute_cycles
        assert counts.effectual_macs <= min(counts.macs, counts.compute_cycles * multipliers(machine))


# ---------------------------------------------------------------------------------------------------- it can fail


@pytest.fixture
def sparse_layer() -> OracleLayer:
    random = np.random.default_rng(3)
    shapes = ((1, 20, 5, 5), (6, 20, 3, 3), (1, 6, 3, 3))
    values = [random.integers(1, 5, shape) * (random.random(shape) < 0.4) for shape in shapes]
    return OracleLayer(kind="conv2d", input=values[0], weight=values[1], output_grad=values[2])


def test_lost_product_is_noticed(sparse_layer, monkeypatch):
    schedule = oracle.schedule_moves
    monkeypatch.setattr(oracle, "schedule_moves", lambda *given: schedule(*given)[:-1])
    with pytest.raises(AssertionError, match="twice or never"):
        run_pass(sparse_layer, "forward", TENSORDASH)


def test_product_in_the_wrong_sum_is_noticed(sparse_layer, monkeypatch):
    execute = oracle.run_scheduled

    def shifted(*given, **options):
        cycles, side = execute(*given, **options)
        side.sums = np.roll(side.sums, 1, axis=1)
        return cycles, side

    monkeypatch.setattr(oracle, "run_scheduled", shifted)
    with pytest.raises(AssertionError, match="computes another tensor"):
        run_pass(sparse_layer, "forward", TENSORDASH)


def test_multiplier_used_twice_is_noticed(sparse_layer, monkeypatch):
    fill = oracle.fill
    monkeypatch.setattr(oracle, "fill", lambda *given: {lane % 8: source for lane, source in fill(*given).items()})
    with pytest.raises(AssertionError, match="twice or never"):
        run_pass(sparse_layer, "forward", TENSORDASH)
    schedule = oracle.schedule_moves
    monkeypatch.setattr(oracle, "fill", fill)
    monkeypatch.setattr(
        oracle,
        "schedule_moves",
        lambda *given: [[(row, lane % 8, source) for row, lane, source in takes] for takes in schedule(*given)],
    )
    with pytest.raises(AssertionError, match="used twice in a cycle"):
        run_pass(sparse_layer, "forward", TENSORDASH)


# ---------------------------------------------------------------------------------------------------- small schedules


def one_row(present: list[str], machine: Machine) -> list[list[tuple[int, int, tuple[int, int]]]]:
    """Schedule of one row, drawn with a letter a lane: `.` is a zero."""
    return oracle.schedule_moves(np.array([[[letter != "." for letter in step] for step in present]]), machine)


def test_lanes_choose_in_their_order():
    """Lanes 0 and 1 both find the value of step 1: the first in the order gets it."""
    present, moves = ["..x", "x.."], ((1, 0), (1, -1))
    first = one_row(present, Machine(lanes=3, moves=moves, lane_order=(0, 1, 2)))
    assert first == [[(0, 2, (0, 2)), (0, 0, (1, 0))], []]
    second = one_row(present, Machine(lanes=3, moves=moves, lane_order=(1, 0, 2)))
    assert second == [[(0, 2, (0, 2)), (0, 1, (1, 0))], []]


def test_empty_step_is_passed_not_filled():
    assert one_row(["..", "x."], Machine(lanes=2, moves=((1, 0),))) == [[], [(0, 0, (1, 0))]]


def test_lane_with_most_candidates_chooses_first():
    """Lane 0 finds (1, 3); lane 2 finds (1, 3) and (2, 0), and prefers the one that lane 0 needs."""
    present, moves = [".x.x", "...x", "x..."], ((1, -1), (1, 1), (2, -2))
    fixed = one_row(present, Machine(lanes=4, moves=moves))
    assert {take[1:] for take in fixed[0]} == {(1, (0, 1)), (3, (0, 3)), (0, (1, 3)), (2, (2, 0))}
    most = one_row(present, Machine(lanes=4, moves=moves, order="most_candidates"))
    assert {take[1:] for take in most[0]} == {(1, (0, 1)), (3, (0, 3)), (2, (1, 3))}
    assert most[1:] == [[], [(0, 0, (2, 0))]]


def cycles_of_rows(rows: list[str], machine: Machine, *, columns: int = 1) -> int:
    """Cycles of a linear layer whose weights have the drawn rows and `columns` positions; the columns are all ones."""
    weight = np.array([[letter != "." for letter in row] for row in rows]).astype(np.int64)
    layer = OracleLayer(
        kind="linear", input=np.ones((columns, weight.shape[1]), np.int64), weight=weight,
        output_grad=np.ones((columns, len(rows)), np.int64),
    )  # fmt: skip
    return run_pass(layer, "forward", machine).compute_cycles


ONE_LANE = Machine(rows=1, columns=1, lanes=1, moves=((2, 0),), skip="rows")


@pytest.mark.parametrize(
    ("row", "cycles"),
    [(".x", 1), ("..x", 1), ("...x", 2), ("....x", 1), (".....x", 2), ("......x", 3), (".......x", 2)],
)
def test_at_most_the_lookahead_is_dropped_in_a_row(row, cycles):
    """Every third empty step in a row is kept, and is wasted unless the move two steps ahead finds something."""
    assert cycles_of_rows([row], ONE_LANE) == cycles


@pytest.mark.parametrize(("columns", "cycles"), [(1, 0), (2, 0), (3, 1), (7, 2)])
def test_dropped_steps_are_counted_across_buffers(columns, cycles):
    assert cycles_of_rows(["."], ONE_LANE, columns=columns) == cycles


# Two tiles of two rows, in two rounds; each row has two chunks of two steps.
WAITING = ["....", "x...", "xx..", "...x", "xxxx", "....", "x...", "..xx"]


@pytest.mark.parametrize(
    ("barrier", "barrier_tiles", "cycles"),
    [
        ("chunk", 1, 6),  # the second tile: 2 + 1, then 1 + 2; the first one: 1 + 0, then 2 + 2
        ("chunk", 2, 7),  # 2 + 1, then 2 + 2
        ("buffer", 1, 5),  # the first tile: 1, then 4; the second one: 2, then 2
        ("buffer", 2, 6),  # 2, then 4
        ("pass", 1, 4),  # the first row: 0, then 4
    ],
)
def test_who_waits_for_whom(barrier, barrier_tiles, cycles):
    machine = Machine(
        tiles=2, rows=2, columns=1, lanes=1, skip="rows", reach="crossbar", chunk_steps=2, lockstep="row",
        barrier=barrier, barrier_tiles=barrier_tiles,
    )  # fmt: skip
    assert cycles_of_rows(WAITING, machine) == cycles


# ---------------------------------------------------------------------------------------------------- published counts


def tensordash_expected(name: str) -> list[tuple[int, int]]:
    """Scheduled and dense cycles by pass, the model's own where it departs from the published ones."""
    published = dict(zip(PASSES, TENSORDASH_PASSES[name], strict=True))
    if ("4x4", name, "input_grad") in DEPARTURES:
        published["input_grad"] = (DEPARTURES["4x4", name, "input_grad"].ours, published["input_grad"][1])
    return list(published.values())


@pytest.mark.parametrize("name", SMALL)
def test_counts_of_tensordash(name):
    counts = run_layer(PUBLISHED_LAYERS[name].oracle_layer(), TENSORDASH, multiply=False)
    found = [(counts[each].compute_cycles, counts[each].dense_compute_cycles) for each in PASSES]
    assert found == tensordash_expected(name)


@pytest.mark.parametrize("name", sorted(TENSORDASH_WIDE_PASSES))
def test_counts_of_tensordash_with_16_columns(name):
    counts = run_layer(PUBLISHED_LAYERS[name].oracle_layer(), TENSORDASH_WIDE, multiply=False)
    for pass_name, published in zip(PASSES, TENSORDASH_WIDE_PASSES[name], strict=True):
        departure = DEPARTURES.get(("4x16", name, pass_name))
        assert counts[pass_name].compute_cycles == (departure.ours if departure else published), pass_name


@pytest.mark.parametrize("name", SMALL)
def test_counts_of_dadiannao_and_bit_tactical(name):
    layer = PUBLISHED_LAYERS[name].oracle_layer()
    for machine, published in ((DADIANNAO, DADIANNAO_FORWARD), (BIT_TACTICAL, BIT_TACTICAL_FORWARD)):
        assert run_pass(layer, "forward", machine, multiply=False).compute_cycles == published[name]


def test_published_layer_is_the_convolution():
    """One of the anchored layers executed on its values, not only counted."""
    layer = PUBLISHED_LAYERS["S3"].oracle_layer()
    for counts, expected in zip(run_layer(layer, TENSORDASH).values(), tensordash_expected("S3"), strict=True):
        assert (counts.compute_cycles, counts.dense_compute_cycles) == expected
