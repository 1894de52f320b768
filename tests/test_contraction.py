"""The values of every vector of both sides, against lists of values."""

from __future__ import annotations

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle_cases import layers
from oracle_vectors import Order, convolution_of
from test_reduction import product_layer
from twins_memory import sides_of

from swatsim.contraction import contract
from swatsim.sides import Order as ProductOrder


@settings(max_examples=settings().max_examples)
@given(layer=layers(), step_order=st.sampled_from(["rsc", "csr", "scr"]), window_order=st.sampled_from(["npq", "nqp"]))
def test_vectors(layer, step_order, window_order):
    """Taps and images one after another, each with its channels or positions in order."""
    for pass_name in product_layer(layer).passes:
        plain = convolution_of(layer, pass_name)
        event(f"{plain.stride != (1, 1)} stride")
        twins = sides_of(plain, Order(lanes=4, flatten="never", step_order=step_order, window_order=window_order))
        found = contract(product_layer(layer), pass_name, ProductOrder(steps=step_order, windows=window_order))
        for contraction, pair in zip(found, twins, strict=True):
            for side, twin in zip((contraction.rows, contraction.columns), pair, strict=True):
                bits = np.unpackbits(side.words.view(np.uint8), bitorder="little")
                expected = [[flat(piece) for piece in group] for group in twin.vectors]
                assert bits[side.base[..., None] + side.offset.reshape(-1)].tolist() == expected


def flat(piece):
    return [int(value != 0) for row in piece for value in row]
