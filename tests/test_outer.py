"""Cycles of the datapath family `outer` are those of the oracle, which computes the convolution to get them."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from free_memory import load_with_free_memory
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from oracle_cases import Axis, axes, between, tensors
from oracle_outer import OuterMachine, bank_of, effectual, run_pass
from oracle_vectors import PASS_OPERANDS, OracleLayer, definition

import swatsim
from benchmarks.published_counts import PUBLISHED, SHAPES, layer
from benchmarks.reference_scnn import our_counts, reference_counts
from swatsim.contraction import contract
from swatsim.datapaths import outer
from swatsim.datapaths.outer.geometry import _bands, _held, _pair_axis, largest_area, sub_grid
from swatsim.datapaths.outer.tables import pack_banks
from swatsim.kernels.cartesian import Array
from swatsim.sides import Order
from swatsim.way import Split

# A case is an execution of all of its multiplications, several times over.
FEWER = settings(max_examples=settings().max_examples // 2)


@st.composite
def small_layers(draw: st.DrawFn) -> OracleLayer:
    """Every kind of layer, so small that the oracle can multiply all pairs."""
    kind = draw(st.sampled_from(("conv2d", "conv2d", "conv2d", "conv1d", "conv_transpose2d", "linear")))
    sides, groups = (Axis(1, 1, 1, 1, 0, 0), Axis(1, 1, 1, 1, 0, 0)), 1
    if kind == "linear":
        leading, inputs, outputs = (draw(between(1, 5)),), draw(between(1, 5)), draw(between(1, 12))
        x, w, y = (*leading, inputs), (outputs, inputs), (*leading, outputs)
    else:
        sides = (sides[0], draw(axes(9))) if kind == "conv1d" else (draw(axes(6)), draw(axes(6)))
        groups, images = draw(st.sampled_from((1, 1, 2))), draw(between(1, 2))
        channels, filters = draw(between(1, 2)), draw(between(1, 12 // groups))
        kept = slice(1, 2) if kind == "conv1d" else slice(0, 2)
        x = (images, channels * groups, *(side.size for side in sides[kept]))
        w = (filters * groups, channels, *(side.kernel for side in sides[kept]))
        y = (images, filters * groups, *(side.positions for side in sides[kept]))
        if kind == "conv_transpose2d":
            x, y = y, x
    return OracleLayer(
        kind=kind, input=draw(tensors(x)), weight=draw(tensors(w)), output_grad=draw(tensors(y)), groups=groups,
        stride=tuple(side.stride for side in sides), dilation=tuple(side.dilation for side in sides),
        padding=(sides[0].before, sides[0].after, sides[1].before, sides[1].after),
    )  # fmt: skip


@st.composite
def outer_machines(draw: st.DrawFn) -> OuterMachine:
    banks = draw(st.sampled_from((1, 2, 3, 8, 32)))
    exchange = st.sampled_from(("added", "overlapped", "none"))
    return OuterMachine(
        grid=draw(st.sampled_from(((1, 1), (2, 2), (2, 3), (1, 4), (4, 2)))),
        image_values=draw(st.sampled_from((1, 2, 4))), other_values=draw(st.sampled_from((1, 3, 4))),
        entries=draw(st.sampled_from((32, 36, 100))), banks=banks,
        bank_queue=draw(st.sampled_from((0, 0, 1, 4))), bank_hash=draw(st.sampled_from(("scnn", "scnn", "modulo"))),
        anticipate=draw(st.sampled_from(("none", "range", "exact"))),
        minimum_rows=draw(st.sampled_from((1, 1, 3, 8))), barrier=draw(st.sampled_from(("channel", "round"))),
        halo=draw(exchange), merge=draw(exchange), link=draw(st.sampled_from((1, 1, 3))),
        split=draw(st.sampled_from(("columns", "columns", "best", "rows"))), width_outside=draw(st.booleans()),
    )  # fmt: skip


def overrides(machine: OuterMachine) -> dict[str, Any]:
    return {
        "tiles": machine.pes, "tile.rows": machine.other_values, "tile.columns": machine.image_values,
        "datapath.grid": list(machine.grid), "datapath.accumulator_entries": machine.entries,
        "datapath.accumulator_banks": machine.banks, "datapath.bank_queue": machine.bank_queue,
        "datapath.bank_hash": machine.bank_hash,
        "datapath.minimum_rows": machine.minimum_rows, "datapath.barrier": machine.barrier,
        "datapath.anticipate": machine.anticipate, "datapath.halo": machine.halo, "datapath.merge": machine.merge,
        "datapath.link_values_per_cycle": machine.link, "mapping.tile_split": machine.split,
        "mapping.step_order": "csr" if machine.width_outside else "crs",
        "mapping.window_order": "nqp" if machine.width_outside else "npq",
    }  # fmt: skip


def product_layer(layer: OracleLayer) -> swatsim.Layer:
    return swatsim.Layer.from_arrays(
        "layer", kind=layer.kind, input=layer.input, weight=layer.weight, output_grad=layer.output_grad,
        stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups,
    )  # fmt: skip


def scheduled(layer: OracleLayer, pass_name: str, architecture: swatsim.Architecture) -> list[tuple[Any, Any]]:
    """(skipping, dense) of each contraction."""
    order = Order(architecture.mapping.step_order, architecture.mapping.window_order)
    found = []
    for contraction in contract(product_layer(layer), pass_name, order):
        ways = outer.ways(contraction, architecture)
        skipping, dense = outer.schedule(contraction, architecture, (*ways.skipping, *ways.dense))
        found.append((skipping, dense))
    return found


# Whose phases along the width come outside of those along the height: banks are met in another order.
WIDE_PHASES = OracleLayer(
    kind="conv2d", **{name: np.zeros(shape, dtype=np.int64) for name, shape in (
        ("input", (1, 1, 2, 2)), ("weight", (2, 1, 2, 2)), ("output_grad", (1, 2, 1, 1)),
    )}, stride=(2, 2), padding=(0, 0, 1, 0),
)  # fmt: skip
ONE_BANK = OuterMachine(
    grid=(1, 1), image_values=1, other_values=3, entries=32, banks=1, bank_queue=1, merge="added", width_outside=True
)


@FEWER
@example(layer=WIDE_PHASES, machine=ONE_BANK)
@given(layer=small_layers(), machine=outer_machines())
def test_counts_are_those_of_the_executed_schedule(layer, machine):
    event(f"{layer.kind}, {machine.anticipate}, {machine.split}")
    architecture = load_with_free_memory("scnn", overrides(machine))
    for pass_name in PASS_OPERANDS:
        executed = run_pass(layer, pass_name, machine)
        np.testing.assert_array_equal(executed.result, definition(layer, pass_name))
        assert sum(skipping.inside for skipping, _ in executed.contractions) == effectual(layer, pass_name)
        found = scheduled(layer, pass_name, architecture)
        for (skipping, dense), (expected, expected_dense) in zip(found, executed.contractions, strict=True):
            assert skipping.compute_cycles == expected.cycles, pass_name
            assert dense.compute_cycles == expected_dense.cycles, pass_name
            assert skipping.multiplications == expected.products, pass_name
            assert dense.multiplications == expected_dense.products, pass_name
            multipliers = machine.image_values * machine.other_values
            losses = skipping.losses()
            assert losses.tiles == expected.once - math.ceil(expected.working / machine.pes)
            assert losses.barriers == expected.waited - expected.once
            idle = expected.working * multipliers - expected.products
            assert losses.reach == idle // (machine.pes * multipliers)


@FEWER
@given(layer=small_layers(), machine=outer_machines())
def test_bounds_and_fallback(layer, machine):
    """What conflicts make slower than the dense machine is run with skipping off."""
    architecture = load_with_free_memory("scnn", overrides(machine))
    report = swatsim.simulate(architecture, swatsim.Trace("t", [product_layer(layer)]))
    for row in report.layer_records:
        found = scheduled(layer, row.pass_name, architecture)
        dense = sum(dense.compute_cycles for _, dense in found)
        assert row.dense_compute_cycles == dense
        assert row.compute_cycles == sum(min(each.compute_cycles for each in pair) for pair in found)
        assert row.ideal_cycles <= row.compute_cycles <= dense


@pytest.mark.parametrize(
    ("padding", "kernel", "grid"),
    [
        ((1, 1, 0, 0), (3, 1), (2, 1)),  # 5 x 3: tiles of 3 x 3 or 5 x 2
        ((0, 0, 1, 1), (1, 3), (1, 2)),  # 3 x 5: tiles of 2 x 5 or 3 x 3
        ((0, 0, 0, 0), (1, 1), (2, 1)),  # 3 x 3: tiles are as large, and the grid is the taller one
    ],
)
def test_of_grids_the_one_with_the_smallest_tiles(padding, kernel, grid):
    """Two of 2 x 2 PEs, for an image of 3 x 3 and its border."""
    layer = OracleLayer(
        kind="conv2d", input=np.ones((1, 1, 3, 3), int), weight=np.ones((1, 1, *kernel), int),
        output_grad=np.ones((1, 1, 3, 3), int), padding=padding,
    )  # fmt: skip
    architecture = load_with_free_memory("scnn", {"tiles": 4, "datapath.grid": [2, 2]})
    (contraction,) = contract(product_layer(layer), "forward", Order("crs", "npq"))
    assert sub_grid(contraction, architecture, Split(2, 2)) == grid


@pytest.mark.parametrize("anticipate", ["none", "range", "exact"])
def test_a_linear_layer_reaches_a_quarter_of_the_peak(anticipate):
    """SCNN, §6 (as quoted): one activation of a channel leaves three of four multipliers of each PE idle."""
    layer = OracleLayer(
        kind="linear", input=np.ones((1, 32), int), weight=np.ones((64 * 8, 32), int),
        output_grad=np.ones((1, 64 * 8), int),
    )  # fmt: skip
    architecture = load_with_free_memory("scnn", {"datapath.anticipate": anticipate})
    ((skipping, dense),) = scheduled(layer, "forward", architecture)
    assert skipping.compute_cycles == dense.compute_cycles == 4 * 32 * 512 // 1024


@pytest.mark.parametrize(
    ("results", "grid", "entries", "bands"),
    [((3, 10), (1, 1), 4, (3, 3)), ((8, 10), (2, 2), 4, (4, 2)), ((3, 10), (1, 1), 10, (3, 1))],
)  # fmt: skip
def test_bands_are_no_larger_than_a_pe_can_hold(results, grid, entries, bands):
    """Where a row of a PE's results is too long, rows are cut too."""
    assert _bands(results, grid, entries) == bands
    assert largest_area(results, (grid[0] * bands[0], grid[1] * bands[1])) <= entries


@given(data=st.data())
def test_places_that_meet_are_those_of_the_definition(data):
    """Along one axis: tap r meets coordinate starts[r] + stride · u; as many coordinates as windows touch, and more."""
    stride, size, count = data.draw(between(1, 3)), data.draw(between(1, 40)), data.draw(between(1, 4))
    starts = np.array(sorted(data.draw(st.sets(between(-5, 5), min_size=1, max_size=4))))
    windows = SimpleNamespace(starts=(starts, starts), stride=(stride, stride), counts=(count, count))
    image = SimpleNamespace(shape=(1, 1, size, size))
    meets = {(start + stride * place, place): tap for tap, start in enumerate(starts) for place in range(count)}
    found = _pair_axis(SimpleNamespace(windows=windows, image=image, taps=None), 0)
    expected = [[meets.get((coordinate, place), -1) for place in range(count)] for coordinate in range(size)]
    assert found.result.tolist() == expected
    found = _pair_axis(SimpleNamespace(windows=windows, image=image, taps=(len(starts), len(starts))), 0)
    places = {(coordinate, tap): place for (coordinate, place), tap in meets.items()}
    expected = [[places.get((coordinate, tap), -1) for tap in found.order] for coordinate in range(size)]
    assert found.result.tolist() == expected


@pytest.mark.parametrize("banks", [1, 4, 31, 32, 33, 64, 65, 128, 129])
def test_each_bank_has_a_lane_of_its_own(banks):
    array = Array(at_once=4, per_step=4, fetched=0, runs_on=False)
    packed = pack_banks(np.arange(banks)[None], np.zeros((1, 1), dtype=np.int64), 0, array)
    lane_bits, words = int(packed.lanes[2]) + 1, packed.lanes[1]
    ones = [sum(int(word) << 64 * place for place, word in enumerate(line)) for line in packed.one]
    assert ones == [1 << lane_bits * bank for bank in range(banks)]
    assert words * 64 >= banks * lane_bits


def test_taps_of_unequal_height_and_width_are_held_by_their_number():
    taps = tuple(np.arange(size) for size in (2, 6))
    given = SimpleNamespace(windows=SimpleNamespace(starts=taps, counts=(4, 4)), taps=None)
    assert _held(given, SimpleNamespace(accumulator_entries=36), (2, 2), 8) == ((2, 6), (1, 1), 3)


def test_taps_that_a_pe_cannot_hold_are_refused():
    given = {"input": np.ones((1, 1, 7, 7)), "weight": np.ones((1, 1, 6, 6)), "output_grad": np.ones((1, 1, 2, 2))}
    machine = swatsim.load_architecture("scnn", overrides={"datapath.accumulator_entries": 35})
    expected = "6 x 6 taps, of which a PE has to hold all sums in weight_grad, expected at most .* = 35$"
    with pytest.raises(swatsim.SwatsimError, match=expected):
        swatsim.simulate(machine, swatsim.Trace("t", [swatsim.Layer.from_arrays("layer", **given)]), workers=1)


def test_pieces_of_work_do_not_change_it(monkeypatch):
    """Each tile by itself, as all of them at once."""
    random = np.random.default_rng(6)
    layer = OracleLayer(
        kind="conv2d", input=random.integers(0, 2, (2, 3, 20, 20)), weight=random.integers(0, 2, (9, 3, 3, 3)),
        output_grad=random.integers(0, 2, (2, 9, 20, 20)), padding=(1, 1, 1, 1),
    )  # fmt: skip
    architecture, found = load_with_free_memory("scnn", {}), []
    for products in (1, outer.work.PRODUCTS_AT_ONCE):
        monkeypatch.setattr(outer.work, "PRODUCTS_AT_ONCE", products)
        schedules = [
            each for pass_name in PASS_OPERANDS for pair in scheduled(layer, pass_name, architecture) for each in pair
        ]
        found.append([(each.cycles.tolist(), each.multiplications, each.losses()) for each in schedules])
    assert found[0] == found[1]


@pytest.mark.parametrize("width_outside", [False, True])
@pytest.mark.parametrize("bank_hash", ["scnn", "modulo"])
def test_bank_of_each_sum(bank_hash, width_outside):
    machine, results = OuterMachine(banks=29, bank_hash=bank_hash), (5, 6)
    datapath = SimpleNamespace(bank_hash=bank_hash, accumulator_banks=machine.banks)
    shape = SimpleNamespace(results=results, width_outside=width_outside)
    row_class, result_class, bank = outer.work._bank_classes(datapath, shape, 9)
    for row, y, x in np.ndindex(9, *results):
        place = (x, y) if width_outside else (y, x)
        assert bank[row_class[row], result_class[place]] == bank_of(row, (y, x), shape, machine)


def test_an_empty_tensor_costs_only_the_halo():
    layer = OracleLayer(
        kind="conv2d", input=np.zeros((1, 3, 8, 8), int), weight=np.ones((5, 3, 3, 3), int),
        output_grad=np.ones((1, 5, 8, 8), int), padding=(1, 1, 1, 1),
    )  # fmt: skip
    architecture = load_with_free_memory("scnn", {"mapping.tile_split": "columns"})
    ((skipping, _),) = scheduled(layer, "forward", architecture)
    assert skipping.compute_cycles == 2 * 5  # tiles of 2 x 2, and halos of one coordinate on each side


@pytest.mark.parametrize(
    ("filters", "width", "merging"),
    [
        # 45 sums of each of two channels: 8 PEs in a column send 7/8 of them to both sides, then 7/8 of 6 in a row.
        (5, 16, math.ceil(45 * 7 / 16) + math.ceil(6 * 7 / 16)),
        # Four PEs in a row have something.
        (64, 4, 576 * 7 // 16 + 72 * 3 // 8),
    ],
)
def test_sums_are_merged_along_both_axes(filters, width, merging):
    layer = OracleLayer(
        kind="conv2d", input=np.ones((1, 2, 16, width), int), weight=np.ones((filters, 2, 3, 3), int),
        output_grad=np.ones((1, filters, 14, width - 2), int),
    )  # fmt: skip
    cycles = {}
    for merge in ("none", "added", "overlapped"):
        architecture = load_with_free_memory("scnn", {"datapath.merge": merge, "mapping.tile_split": "columns"})
        ((skipping, _),) = scheduled(layer, "weight_grad", architecture)
        cycles[merge] = skipping.compute_cycles
    assert cycles["added"] - cycles["none"] == 2 * merging
    assert cycles["overlapped"] == max(cycles["none"], 2 * merging)


@functools.cache
def multiplied(anticipate: str) -> int:
    """Products of a weight gradient of ones, under tiles of 4 x 4."""
    layer = OracleLayer(
        kind="conv2d", input=np.ones((1, 1, 32, 32), int), weight=np.ones((1, 1, 3, 3), int),
        output_grad=np.ones((1, 1, 30, 30), int),
    )  # fmt: skip
    architecture = load_with_free_memory("scnn", {"datapath.anticipate": anticipate, "mapping.tile_split": "columns"})
    ((skipping, _),) = scheduled(layer, "weight_grad", architecture)
    return skipping.multiplications


def test_anticipation_drops_useless_products():
    """Along an axis, the 4 coordinates of six inner tiles meet 6 gradients, those of the two at the edges 4."""
    held = 6 * 4 * 6 + 2 * 4 * 4
    assert multiplied("none") == held**2
    # A group is a row of a tile, and 30 gradients meet 3 rows each.
    assert multiplied("range") == held * 3 * 30
    assert multiplied("exact") == (3 * 30) ** 2


@pytest.mark.parametrize("name", SHAPES)
def test_counts_of_the_reference(name):
    """By the reference's pairs its counts, by the convolution's the same, but where an odd padding meets a stride."""
    published = tuple(PUBLISHED[key][name] for key in ("scnn", "scnn dense", "scnn products"))
    assert reference_counts(layer(name)) == published
    ours = {"D3": (33300, 33300, 7617600), "S2": (10436, 33300, 773424)}
    assert our_counts(layer(name)) == ours.get(name, published)
