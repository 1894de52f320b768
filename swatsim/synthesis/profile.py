"""Statistics of the tensors of one real trace, by what kind of layer they belong to and how deep it lies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from swatsim.errors import SwatsimError
from swatsim.layer import LayerSpec
from swatsim.synthesis.statistics import TensorStatistics, measure, statistics_of_json
from swatsim.synthesis.twin import channels_last
from swatsim.trace import Trace

# By name: pass and role.
TENSORS = {
    "weight": ("forward", "weight"),
    "input": ("forward", "input"),
    "selected input": ("weight_grad", "input"),
    "output_grad": ("weight_grad", "output_grad"),
}
_DEPTHS = 4  # of each kind of layer so many are kept
# An input with fewer zeros has been through no ReLU: the mean of many values, which is hardly ever 0.
_DENSEST_INPUT = 0.99
_DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tensor of a real layer: `kernel` is linear, pointwise or spatial, `depth` from 0, the first layer, to 1."""

    tensor: str
    kernel: str
    depth: float
    statistics: TensorStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What synthetic masks of other networks are drawn from."""

    name: str
    trace_digest: str
    entries: tuple[Entry, ...]

    def nearest(self, tensor: str, spec: LayerSpec, depth: float) -> TensorStatistics:
        """Those of the same kind of layer if there are any, of these the nearest in depth."""
        kernel = kernel_of(spec)
        entries = [entry for entry in self.entries if entry.tensor == tensor]
        return min(entries, key=lambda entry: (entry.kernel != kernel, abs(entry.depth - depth))).statistics


def kernel_of(spec: LayerSpec) -> str:
    """Which kind of layer it is."""
    if spec.kind == "linear":
        return "linear"
    return "spatial" if max(spec.weight_shape[2:]) > 1 else "pointwise"


def depth_of(index: int, layers: int) -> float:
    """Where a layer stands in its network."""
    return index / max(1, layers - 1)


def profile_names() -> tuple[str, ...]:
    """The profiles that the package has."""
    found = files("swatsim.synthesis").joinpath("profiles").iterdir()
    return tuple(sorted(entry.name.removesuffix(".json") for entry in found if entry.name.endswith(".json")))


def load_profile(name: str) -> Profile:
    """Read a profile of the package; raises SwatsimError for an unknown name."""
    if name not in profile_names():
        raise SwatsimError(f"profile: got {name!r}, expected one of {', '.join(profile_names())}")
    values = json.loads(files("swatsim.synthesis").joinpath("profiles", f"{name}.json").read_text(encoding="ascii"))
    entries = tuple(
        Entry(
            tensor=entry["tensor"], kernel=entry["kernel"], depth=entry["depth"],
            statistics=statistics_of_json(entry["statistics"]),
        )
        for entry in values["entries"]
    )  # fmt: skip
    return Profile(name=name, trace_digest=values["trace"], entries=entries)


def measure_profile(trace: Trace) -> Profile:
    """Measure the tensors of a trace in which some elements are absent: of each kind a few layers, evenly in depth."""
    kept: list[Entry] = []
    for tensor in TENSORS:
        for kernel in ("linear", "pointwise", "spatial"):
            here = [index for index, spec in enumerate(trace.specs) if kernel_of(spec) == kernel]
            kept += _entries(trace, tensor, kernel, here)
    return Profile(name=trace.name, trace_digest=trace.digest or "", entries=tuple(kept))


def profile_json(profile: Profile) -> str:
    """The text of the profile's file, an entry a line."""
    lines = [
        json.dumps({
            "tensor": entry.tensor, "kernel": entry.kernel, "depth": round(entry.depth, _DECIMALS),
            "statistics": _rounded(entry.statistics.as_json()),
        })
        for entry in profile.entries
    ]  # fmt: skip
    return f'{{"trace": "{profile.trace_digest}", "entries": [\n' + ",\n".join(lines) + "\n]}\n"


def _entries(trace: Trace, tensor: str, kernel: str, layers: Sequence[int]) -> list[Entry]:
    pass_name, role = TENSORS[tensor]
    sparse = []
    for index in layers:
        bits = trace.layer(index).passes[pass_name].operands[role].bits
        densest = _DENSEST_INPUT * bits.size if tensor == "input" else bits.size - 1
        if 0 < bits.nonzeros <= densest:
            sparse.append((index, bits))
    count = min(_DEPTHS, len(sparse))
    # The middle layer of each of so many equal shares.
    chosen = [sparse[(2 * share + 1) * len(sparse) // (2 * count)] for share in range(count)]
    return [
        Entry(
            tensor=tensor, kernel=kernel, depth=depth_of(index, len(trace)),
            statistics=measure(bits, channels_last=channels_last(trace.specs[index], role)),
        )
        for index, bits in chosen
    ]  # fmt: skip


def _rounded(values: object) -> object:
    if isinstance(values, dict):
        return {key: _rounded(value) for key, value in values.items()}
    if isinstance(values, tuple | list):
        return [_rounded(value) for value in values]
    return round(values, _DECIMALS) if isinstance(values, float) else values
