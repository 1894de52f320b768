"""The layers on which accelerators published their figures: shapes and densities, positions drawn at random.

Densities of weights, and of the activations that a layer reads, of pruned AlexNet and VGG-16 are those of Han et al.,
"Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015, tables 4 and 5 (R); for each layer
the product of the two is the paper's own column of operations, which a test checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

import swatsim
from swatsim.layer import Layer, LayerSpec
from swatsim.networks import network_shapes


class Density(NamedTuple):
    """Percent that are not zero."""

    weight: int
    input: int
    operations: int  # of the dense ones, as published


ALEXNET = {
    "conv1": Density(84, 100, 84), "conv2": Density(38, 88, 33), "conv3": Density(35, 52, 18),
    "conv4": Density(37, 37, 14), "conv5": Density(37, 40, 15),
}  # fmt: skip
VGG16 = {
    "features.0": Density(58, 100, 58), "features.2": Density(22, 53, 12), "features.5": Density(34, 89, 30),
    "features.7": Density(36, 80, 29), "features.10": Density(53, 81, 43), "features.12": Density(24, 68, 16),
    "features.14": Density(42, 70, 29), "features.17": Density(32, 64, 21), "features.19": Density(27, 51, 14),
    "features.21": Density(34, 45, 15), "features.24": Density(35, 34, 12), "features.26": Density(29, 32, 9),
    "features.28": Density(36, 29, 11),
}  # fmt: skip
COARSE_FILTERS = 16
PRUNED: dict[str, Mapping[str, Density]] = {"alexnet": ALEXNET, "vgg16": VGG16}


def pruned(network: str) -> Iterator[Layer]:
    """The convolutions of a pruned network, one image."""
    densities = PRUNED[network]
    for number, spec in enumerate(convolutions(network)):
        found = densities[spec.name]
        yield drawn(spec, (found.input / 100, found.weight / 100, 1.0), seed=number)


def coarse(network: str) -> Iterator[Layer]:
    """The same with weights pruned in blocks of 16 filters, as Cambricon-S asks for."""
    densities = PRUNED[network]
    for number, spec in enumerate(convolutions(network)):
        found, random = densities[spec.name], np.random.default_rng(number)
        filters, *rest = spec.weight_shape
        blocks = random.random((-(-filters // COARSE_FILTERS), *rest)) < found.weight / 100
        weight = np.repeat(blocks, COARSE_FILTERS, axis=0)[:filters]
        yield swatsim.Layer.from_arrays(
            spec.name, input=random.random(spec.input_shape) < found.input / 100, weight=weight,
            output_grad=np.ones(spec.output_shape), stride=spec.stride, padding=spec.padding, groups=spec.groups,
        )  # fmt: skip


def uniform(network: str, *, input: float, weight: float, output_grad: float = 1.0) -> Iterator[Layer]:
    """The convolutions of a network with the same densities in all of them, one image."""
    for number, spec in enumerate(convolutions(network)):
        yield drawn(spec, (input, weight, output_grad), seed=number)


def convolutions(network: str) -> Sequence[LayerSpec]:
    """The layers that are no linear ones."""
    return [spec for spec in network_shapes(network).layers if spec.kind != "linear"]


def drawn(spec: LayerSpec, densities: tuple[float, float, float], seed: int) -> Layer:
    """A layer whose input, weight and output gradient have these densities."""
    random = np.random.default_rng(seed)
    shapes = (spec.input_shape, spec.weight_shape, spec.output_shape)
    tensors = [random.random(shape) < density for shape, density in zip(shapes, densities, strict=True)]
    return swatsim.Layer.from_arrays(
        spec.name, input=tensors[0], weight=tensors[1], output_grad=tensors[2], stride=spec.stride,
        padding=spec.padding, groups=spec.groups,
    )  # fmt: skip


def product(name: str, shape: tuple[int, int, int], densities: tuple[float, float], seed: int = 0) -> Layer:
    """A matrix product of M filters, a reduction of K and N columns, as a linear layer; densities of both operands."""
    filters, reduction, columns = shape
    random = np.random.default_rng(seed)
    return swatsim.Layer.from_arrays(
        name, input=random.random((columns, reduction)) < densities[1],
        weight=random.random((filters, reduction)) < densities[0], output_grad=np.ones((columns, filters)),
    )  # fmt: skip


def two_of_four(name: str, shape: tuple[int, int, int], weight_density: float, input_density: float) -> Layer:
    """The same with weights of which no four neighbours have more than two, `weight_density` of all."""
    filters, reduction, columns = shape
    random = np.random.default_rng(0)
    ranks = random.random((filters, reduction // 4, 4)).argsort(axis=2)
    kept = (ranks < 2) & (random.random((filters, reduction // 4, 4)) < 2 * weight_density)
    return swatsim.Layer.from_arrays(
        name, input=random.random((columns, reduction)) < input_density, weight=kept.reshape(filters, reduction),
        output_grad=np.ones((columns, filters)),
    )  # fmt: skip
