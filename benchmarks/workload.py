"""What is measured: pinned layers for counters, and the trace of the main job."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from swatsim.layer import Layer
from swatsim.trace import TraceMetadata, TraceWriter

ROOT = Path(__file__).parent.parent
MAIN_ARCHITECTURE = ROOT / "arch" / "dadiannao.yaml"
MAIN_TRACE = Path(os.environ.get("SWATSIM_BENCHMARK_TRACE", ROOT / "traces" / "resnet50"))


def random_layer(
    name: str,
    input_shape: tuple[int, int, int, int],
    weight_shape: tuple[int, int, int, int],
    *,
    stride: int = 1,
    first: bool = False,
) -> Layer:
    """A convolution as SWAT at 80 % leaves it, of random bits: RandomState's stream is frozen for ever."""
    random = np.random.RandomState(sum(name.encode()))
    padding = weight_shape[2] // 2
    outputs = tuple((extent + 2 * padding - weight_shape[2]) // stride + 1 for extent in input_shape[2:])
    activation = random.random_sample(input_shape) < (1.0 if first else 0.5)
    weight = random.random_sample(weight_shape) < (1.0 if first else 0.2)
    top = activation & (random.random_sample(input_shape) < 0.4)
    output_grad = random.random_sample((input_shape[0], weight_shape[0], *outputs)) < 0.99
    budgets = {} if first else {
        "forward": {"weight": "0.8"}, "input_grad": {"weight": "0.8"}, "weight_grad": {"input": "0.8"},
    }  # fmt: skip
    return Layer.from_arrays(
        name, input=activation, weight=weight, output_grad=output_grad, stride=stride, padding=padding,
        needs_input_grad=not first, operands={"weight_grad": {"input": top}}, sparsity=budgets,
    )  # fmt: skip


def pinned_layers() -> list[Layer]:
    """Four small layers whose counters are kept: shallow and dense, strided and odd, pointwise, and linear."""
    random = np.random.RandomState(11)
    return [
        random_layer("shallow", (2, 3, 32, 32), (24, 3, 7, 7), stride=2, first=True),
        random_layer("strided", (2, 40, 15, 13), (72, 40, 3, 3), stride=2),
        random_layer("pointwise", (2, 96, 14, 14), (272, 96, 1, 1)),
        Layer.from_arrays(
            "linear", input=random.random_sample((4, 300)) < 0.9, weight=random.random_sample((100, 300)) < 0.2,
            output_grad=np.ones((4, 100)), sparsity={"forward": {"weight": "0.8"}},
        ),
    ]  # fmt: skip


def write_trace(path: Path, layers: Sequence[Layer], name: str) -> Path:
    """Write a trace of these layers."""
    with TraceWriter(path, metadata=TraceMetadata(name=name)) as writer:
        for layer in layers:
            writer.add(layer)
    return path
