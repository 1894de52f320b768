"""How often the interval of a sampled run holds the truth: `python -m benchmarks.sampling`.

Batches of many images are made from the few of a real trace: each image is one of them, mirrored, shifted and thinned,
so that images differ as they do in training, and channels as in the trace.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from swatsim.architecture import load_architecture
from swatsim.bits import BitTensor
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.passes import PASSES
from swatsim.report.records import Row
from swatsim.report.report import Report
from swatsim.simulation import simulate
from swatsim.trace import Trace, load_trace

TRACES = Path(__file__).parent.parent / "traces"
# A trace, and those of its layers that are simulated: maps of several sizes.
NETWORKS = {
    "resnet18-cifar/swat-erk-90-end": ("layer1.0.conv1", "layer2.0.conv1", "layer2.1.conv1", "layer3.1.conv2"),
    "resnet50": ("layer2.1.conv3", "layer3.1.conv2", "layer4.1.conv2"),
    "vgg16-cifar/rigl-90-end": ("features.3", "features.10", "features.20"),
}
# What is ever sampled; the whole step takes longer.
SAMPLED = ("forward", "input_grad")
MACHINES = ("cambricon-s", "cnvlutin", "sparten", "tensordash")
LARGEST_SHIFT = 4  # of 16 parts of a map
MOST_THINNED = 0.4  # of an image's values


@dataclass(frozen=True, slots=True)
class Image:
    """How one image is made of those of a trace."""

    source: int
    mirrored: bool
    shift: tuple[int, int]
    thinned: float


def batch(trace: Trace, names: Sequence[str], images: int, seed: int = 0) -> Trace:
    """The named layers with so many images."""
    random = np.random.default_rng(seed)
    drawn = [
        Image(int(random.integers(1 << 16)), bool(random.integers(2)),
              (int(random.integers(-LARGEST_SHIFT, LARGEST_SHIFT + 1)),
               int(random.integers(-LARGEST_SHIFT, LARGEST_SHIFT + 1))), float(random.random() * MOST_THINNED))
        for _ in range(images)
    ]  # fmt: skip
    chosen = [index for index, spec in enumerate(trace.specs) if spec.name in names]
    return Trace(trace.name, [_grown(trace.layer(index), drawn, random) for index in chosen])


def _grown(layer: Layer, images: Sequence[Image], random: np.random.Generator) -> Layer:
    made: dict[int, BitTensor] = {}

    def operand(role: str, own: Operand) -> Operand:
        if role == "weight":
            return own
        if id(own.bits) not in made:
            made[id(own.bits)] = _many(own.bits, images, random)
        return replace(own, bits=made[id(own.bits)])

    passes = {
        name: PassOperands(operands={role: operand(role, own) for role, own in given.operands.items()})
        for name, given in layer.passes.items()
    }
    return Layer(spec=_of_images(layer.spec, len(images)), passes=passes)


def _of_images(spec: LayerSpec, images: int) -> LayerSpec:
    return replace(spec, input_shape=(images, *spec.input_shape[1:]), output_shape=(images, *spec.output_shape[1:]))


def _many(bits: BitTensor, images: Sequence[Image], random: np.random.Generator) -> BitTensor:
    given = bits.to_bool()
    found = np.empty((len(images), *given.shape[1:]), dtype=np.bool_)
    for target, image in zip(found, images, strict=True):
        own = given[image.source % len(given)]
        if image.mirrored:
            own = own[..., ::-1]
        sizes = own.shape[1:]
        shift = tuple(part * size // 16 for part, size in zip(image.shift, sizes, strict=True))
        kept = random.random(own.shape, dtype=np.float32) >= image.thinned
        target[:] = np.roll(own, shift, axis=(1, 2)) & kept
    return BitTensor.from_array(found)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one row, over the seeds."""

    name: str
    inside: float
    half_width: float  # all of the truth
    bias: float
    error: float  # root of the mean square
    groups: str


def coverage(exact: Report, sampled: Sequence[Report]) -> Iterator[Coverage]:
    """Row by row, of what is estimated in any of the reports."""
    for number, truth in enumerate(exact.records):
        rows = [report.records[number] for report in sampled]
        if any(_interval(row)[2] for row in rows):
            yield _coverage(truth, rows)


def _interval(row: Row) -> tuple[int, int, int]:
    assert row.interval is not None, "a sample was simulated"
    return row.interval.low, row.interval.high, row.interval.groups


def _coverage(truth: Row, rows: Sequence[Row]) -> Coverage:
    low, high, groups = (np.array(each, dtype=np.float64) for each in zip(*map(_interval, rows), strict=True))
    errors = np.array([row.cycles for row in rows]) / truth.cycles - 1
    drawn = np.mean([0 if row.interval is None else row.interval.drawn for row in rows])
    return Coverage(
        name=f"{truth.layer} {truth.pass_name}",
        inside=float(np.mean((low <= truth.cycles) & (truth.cycles <= high))),
        half_width=float(np.mean(high - low)) / 2 / truth.cycles, bias=float(errors.mean()),
        error=float(np.sqrt(np.square(errors).mean())), groups=f"{drawn:.0f}/{groups.mean():.0f}",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--sample", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--machine", action="append", choices=MACHINES)
    parser.add_argument("--network", action="append", choices=tuple(NETWORKS))
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--step", action="store_true", help="all passes, in their places in the step")
    asked = parser.parse_args()
    passes = PASSES if asked.step else SAMPLED
    for network in asked.network or NETWORKS:
        trace = batch(load_trace(TRACES / network), NETWORKS[network], asked.images)
        for machine in asked.machine or MACHINES:
            architecture = load_architecture(machine)
            times = [time.process_time()]
            exact = simulate(architecture, trace, passes=passes, workers=1)
            times.append(time.process_time())
            found = [
                simulate(architecture, trace, passes=passes, sample=asked.sample, seed=seed, workers=1)
                for seed in range(asked.first_seed, asked.first_seed + asked.seeds)
            ]  # fmt: skip
            times.append(time.process_time())
            exactly, sampled = times[1] - times[0], (times[2] - times[1]) / asked.seeds
            print(f"\n{machine}, {network}, {asked.images} images, --sample {asked.sample}, {asked.seeds} seeds: "
                  f"{exactly:.2f} CPU-s exact, {sampled:.2f} sampled")  # fmt: skip
            print("| | groups | inside | half width | bias | error |\n|---|---:|---:|---:|---:|---:|")
            for each in coverage(exact, found):
                print(f"| {each.name} | {each.groups} | {each.inside:.1%} | {each.half_width:.2%} | {each.bias:+.2%} "
                      f"| {each.error:.2%} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
