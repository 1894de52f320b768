"""Layers of every kind, small enough that a machine can be stepped through all of their multiplications."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from oracle_cases import Axis, axes, between, tensors
from oracle_vectors import OracleLayer

KINDS = ("conv2d", "conv2d", "conv2d", "conv1d", "conv_transpose2d", "linear")


@st.composite
def small_layers(draw: st.DrawFn, largest: int = 5) -> OracleLayer:
    """Up to 3 groups, images of up to `largest` rows and columns before padding asks for more."""
    kind = draw(st.sampled_from(KINDS))
    images, channels, filters = draw(between(1, 2)), draw(between(1, 4)), draw(between(1, 4))
    sides, groups = (Axis(1, 1, 1, 1, 0, 0),) * 2, 1
    shapes: Any
    if kind == "linear":
        positions, inputs, outputs = draw(between(1, 6)), draw(between(1, 12)), draw(between(1, 9))
        shapes = ((positions, inputs), (outputs, inputs), (positions, outputs))
    else:
        sides = (sides[0], draw(axes(9))) if kind == "conv1d" else (draw(axes(largest)), draw(axes(largest)))
        groups = draw(st.sampled_from((1, 1, 2, 3)))
        kept = sides[1:] if kind == "conv1d" else sides
        shapes = (
            (images, channels * groups, *(side.size for side in kept)),
            (filters * groups, channels, *(side.kernel for side in kept)),
            (images, filters * groups, *(side.positions for side in kept)),
        )
        shapes = shapes[::-1] if "transpose" in kind else shapes
    roles = dict(zip(("input", "weight", "output_grad"), shapes, strict=True))
    return OracleLayer(
        kind=kind, **{role: draw(tensors(shape)) for role, shape in roles.items()},
        stride=tuple(side.stride for side in sides), dilation=tuple(side.dilation for side in sides),
        padding=(sides[0].before, sides[0].after, sides[1].before, sides[1].after), groups=groups,
    )  # fmt: skip
