"""Bytes of vectors and lines in every format, and which lines a vector touches: against lists of values."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle_cases import layers
from oracle_vectors import Order, convolution_of
from test_reduction import product_layer
from twins_memory import sides_of, stored_size

from swatsim import Trace, simulate
from swatsim.contraction import contract
from swatsim.formats import FORMATS
from swatsim.held import HeldParts, HeldSide
from swatsim.layer import Layer
from swatsim.sides import Order as ProductOrder


def held_and_twins(layer, pass_name, step_order, window_order):
    """(as the product holds it, as a list of values) of both sides of each contraction."""
    plain = convolution_of(layer, pass_name)
    twins = sides_of(plain, Order(lanes=4, flatten="never", step_order=step_order, window_order=window_order))
    found = contract(product_layer(layer), pass_name, ProductOrder(steps=step_order, windows=window_order))
    assert len(found) == len(twins)
    for contraction, pair in zip(found, twins, strict=True):
        for side, twin in zip((contraction.rows, contraction.columns), pair, strict=True):
            yield HeldSide(side, 2), twin


@settings(max_examples=settings().max_examples // 3)
@given(
    layer=layers(), form=st.sampled_from(sorted(FORMATS)), step_order=st.sampled_from(["rsc", "csr", "scr"]),
    window_order=st.sampled_from(["npq", "nqp"]),
)  # fmt: skip
def test_bytes_and_touched_lines(layer, form, step_order, window_order):
    for pass_name in product_layer(layer).passes:
        for held, twin in held_and_twins(layer, pass_name, step_order, window_order):
            event(f"{pass_name} {form}")
            vectors = [piece for group in twin.vectors for piece in group]
            of_vectors = np.broadcast_to(held.vector_bytes(form), len(vectors))
            assert of_vectors.tolist() == [stored_size(piece, form) for piece in vectors]
            keys = sorted(twin.lines)  # group by group, in the order in which they lie
            assert held.all_line_bytes(form).tolist() == [stored_size(twin.lines[key], form) for key in keys]
            touched = twin.all_touched()
            assert held.touched.tolist() == [key in touched for key in keys]
            numbers = [key for key in keys if key in touched]
            assert held.line_bytes(form).tolist() == [stored_size(twin.lines[key], form) for key in numbers]
            per_vector = [keys for group in twin.touched for keys in group]
            intervals = np.repeat(held.interval_of_vector, held.side.touched_by.vectors)
            for interval, own in zip(intervals, per_vector, strict=True):
                stretches = held.intervals.reshape(-1, held.side.touched_by.stretches, 2)[interval].tolist()
                assert [number for stretch in stretches for number in numbers[slice(*stretch)]] == own
            assert held.side.full == bool(twin.full)


def test_parts_are_full_where_none_has_a_zero():
    full, sparse = (SimpleNamespace(side=SimpleNamespace(full=full)) for full in (True, False))
    assert HeldParts([full, full]).full
    assert not HeldParts([full, sparse]).full
    assert not HeldParts([sparse, full]).full


def test_what_no_window_touches_has_no_bytes():
    """A 1 x 1 convolution of stride 2 reads every other row."""
    from oracle_vectors import OracleLayer

    ones = np.ones((1, 3, 4, 5), dtype=np.int64)
    layer = OracleLayer(
        kind="conv2d", input=ones, weight=ones[:1, :, :1, :1], output_grad=ones[:, :1, :2, :3], stride=(2, 2)
    )
    _, (held, _) = held_and_twins(layer, "forward", "rsc", "npq")
    assert held.touched.tolist() == [True, False, True, False]
    assert held.line_bytes("dense").sum() == 2 * 3 * 5 * 2


@pytest.mark.parametrize("machine", ["dadiannao", "scnn"])
def test_dilation_leaves_lines_out(machine):
    """Of nine rows three taps meet three: 3 rows, 6 weights and 2 x 1 results, of 2 bytes."""
    layer = Layer.from_arrays(
        "a", input=np.ones((1, 1, 9, 4)), weight=np.ones((1, 1, 3, 1)), output_grad=np.ones((1, 1, 1, 4)),
        dilation=(4, 1), needs_input_grad=False,
    )  # fmt: skip
    report = simulate(machine, Trace("t", [layer]), passes="forward", workers=1)
    (row,) = report.layer_records
    assert row.as_dict()["dram_read_input_bytes"] == 3 * 4 * 2
    assert row.compulsory_dram_bytes == 3 * 4 * 2 + 3 * 2 + 4 * 2


def test_a_causal_layer_loads_two_stretches_in_each_block():
    """A WaveNet's: 254 blocks of 63 windows, whose taps are 512 positions apart, but for the first 512 windows."""
    layer = Layer.from_arrays(
        "a", input=np.ones((1, 64, 16000)), weight=np.ones((64, 64, 2)), output_grad=np.ones((1, 64, 16000)),
        dilation=512, padding=(0, 0, 512, 0), needs_input_grad=False,
    )  # fmt: skip
    report = simulate("bit-tactical", Trace("t", [layer]), passes="forward", workers=1)
    (row,) = report.layer_records
    assert "1x254 blocks" in row.mapping
    assert row.as_dict()["dram_read_input_bytes"] == (2 * 16000 - 512) * 64 * 2
