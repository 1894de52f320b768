"""Cycle counts that an independent simulator gives for exactly described layers, and ours for the same layers.

Each layer is one image; a tensor of a shape, a share of zeros and a seed is what `tensor` below draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import swatsim
from benchmarks.compute import network_cycles
from swatsim.architecture import Architecture
from swatsim.layer import Layer
from swatsim.passes import PASSES


class Shape(NamedTuple):
    """A square convolution, the zeros of its three operands in percent, and its seed."""

    channels: int
    size: int
    filters: int
    kernel: int
    stride: int
    padding: int
    zeros: tuple[int, int, int]  # input, weight, output gradient
    seed: int


SHAPES = {
    "D1": Shape(32, 14, 64, 3, 1, 1, (0, 0, 0), 11),
    "D2": Shape(64, 14, 256, 1, 1, 0, (0, 0, 0), 12),
    "D3": Shape(48, 16, 300, 3, 2, 1, (0, 0, 0), 13),
    "S1": Shape(32, 14, 64, 3, 1, 1, (60, 40, 50), 14),
    "S2": Shape(48, 16, 300, 3, 2, 1, (50, 80, 70), 15),
    "S3": Shape(64, 14, 128, 1, 2, 0, (40, 30, 60), 16),
    "R1": Shape(64, 56, 64, 3, 1, 1, (50, 0, 50), 21),
}
PUBLISHED = {
    "dadiannao-dense": {"D1": 3528, "D2": 784, "D3": 3456, "S1": 3528, "S2": 3456, "S3": 196, "R1": 112896},
    "bit-tactical": {"D1": 3528, "D2": 784, "D3": 3456, "S1": 2744, "S2": 1792, "S3": 196, "R1": 112896},
    "tensordash forward": {
        "D1": 13680, "D2": 12544, "D3": 31350, "S1": 7744, "S2": 13696, "S3": 1344, "R1": 271439,
    },
    "tensordash weight_grad": {
        "D1": 13824, "D2": 13312, "D3": 32400, "S1": 7888, "S2": 17388, "S3": 1024, "R1": 263903,
    },
    "tensordash input_grad": {
        "D1": 13704, "D2": 12544, "D3": 31728, "S1": 8240, "S2": 32832, "S3": 1008, "R1": 271120,
    },
    "scnn": {"D1": 4736, "D2": 4096, "D3": 33300, "S1": 3194, "S2": 10454, "S3": 1498, "R1": 143936},
    "scnn dense": {"D1": 4736, "D2": 4096, "D3": 33300, "S1": 4736, "S2": 33300, "S3": 2048, "R1": 147968},
    "scnn products": {
        "D1": 3276800, "D2": 3211264, "D3": 8294400, "S1": 801562, "S2": 842981, "S3": 165757, "R1": 56500352,
    },
}  # fmt: skip
# It waits for the fullest bank at each step and for the slowest PE at each channel, and hides no halo.
SCNN_OF_THE_REFERENCE = {
    "datapath.barrier": "channel", "datapath.bank_queue": 0, "datapath.halo": "added", "datapath.minimum_rows": 1,
}  # fmt: skip
_AS_PUBLISHED = {"mapping.tile_split": "rows", "mapping.flatten": "never"}


def tensor(shape: tuple[int, ...], zeros: int, seed: int) -> NDArray[np.float32]:
    """Values from 1 to 7, of which so many percent are zero."""
    random = np.random.RandomState(seed)
    values = random.randint(1, 8, size=shape).astype("f4")
    return values * (random.random_sample(shape) >= zeros / 100)


@cache
def layer(name: str) -> Layer:
    """One of SHAPES."""
    shape = SHAPES[name]
    outputs = (shape.size + 2 * shape.padding - shape.kernel) // shape.stride + 1
    input_shape = (1, shape.channels, shape.size, shape.size)
    weight_shape = (shape.filters, shape.channels, shape.kernel, shape.kernel)
    base, zeros = 1000 * shape.seed, shape.zeros
    return swatsim.Layer.from_arrays(
        name, input=tensor(input_shape, zeros[0], base + 1), weight=tensor(weight_shape, zeros[1], base + 2),
        output_grad=tensor((1, shape.filters, outputs, outputs), zeros[2], base + 3),
        stride=shape.stride, padding=shape.padding,
    )  # fmt: skip


def machine(name: str, **tiles: int) -> Architecture:
    """A shipped architecture, mapped as the reference maps it."""
    return swatsim.load_architecture(name, overrides=_AS_PUBLISHED | tiles)


def ours() -> dict[str, dict[str, int]]:
    """The same table from the shipped architectures."""
    found: dict[str, dict[str, int]] = {name: {} for name in PUBLISHED}
    for name in SHAPES:
        for key, value in _counts(name):
            found[key][name] = value
    return found


def _counts(name: str) -> Iterator[tuple[str, int]]:
    for key in ("dadiannao-dense", "bit-tactical"):
        yield key, network_cycles(machine(key), [layer(name)], ("forward",))["forward"].actual
    tensordash = network_cycles(machine("tensordash", tiles=1), [layer(name)])
    yield from ((f"tensordash {pass_name}", tensordash[pass_name].actual) for pass_name in PASSES)
    alone = swatsim.load_architecture("scnn", overrides=SCNN_OF_THE_REFERENCE)
    scnn = network_cycles(alone, [layer(name)], ("forward",))["forward"]
    yield from (("scnn", scnn.actual), ("scnn dense", scnn.dense), ("scnn products", scnn.positions))
