"""Every target by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz import byte_targets, made_targets, remote_target
from fuzz.judging import MEMORY_LIMIT_BYTES, TORCH_MEMORY_LIMIT_BYTES

Run = Callable[[bytes, Path], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader under attack.

    run : takes an input and an empty folder; gives whether there was a value.
    make : the input of a number; None: libFuzzer makes them, led by the branches that they reach.
    needs : the package without which it cannot run.
    """

    reader: str
    run: Run
    make: Callable[[int], bytes] | None = None
    needs: str | None = None
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES


TARGETS = {
    "manifest": Target(reader="manifest of a trace", run=byte_targets.manifest),
    "tensor": Target(reader="tensor file of a trace", run=byte_targets.tensor),
    "npz": Target(reader="masks, .npz", run=byte_targets.npz),
    "safetensors": Target(reader="masks, .safetensors", run=byte_targets.safetensors),
    "smtx": Target(reader="matrix, .smtx", run=byte_targets.smtx),
    "scalesim": Target(reader="topology of SCALE-Sim, .csv", run=byte_targets.scalesim),
    "budget": Target(reader="budget of layers, .csv", run=byte_targets.budget),
    "remote_trace": Target(reader="trace at an address", run=remote_target.remote_trace),
    "saved": Target(reader="saved document", run=byte_targets.saved),
    "saved_tree": Target(reader="saved document", run=made_targets.saved_tree, make=made_targets.tree),
    "sweep_point": Target(reader="kept point of a sweep", run=byte_targets.sweep_point),
    "sweep_point_tree": Target(
        reader="kept point of a sweep", run=byte_targets.sweep_point, make=made_targets.point_tree
    ),
    "architecture": Target(reader="architecture, YAML", run=byte_targets.architecture),
    "architecture_text": Target(
        reader="architecture, YAML", run=byte_targets.architecture, make=made_targets.architecture_text
    ),
    "grid_text": Target(reader="grid of a sweep, YAML", run=made_targets.grid, make=made_targets.grid_text),
    "onnx": Target(reader="ONNX model", run=made_targets.onnx, make=made_targets.onnx_file, needs="onnx"),
    "state_dict": Target(
        reader="state_dict of PyTorch", run=made_targets.state_dict, make=made_targets.state_dict_file, needs="torch",
        memory_limit_bytes=TORCH_MEMORY_LIMIT_BYTES,
    ),
}  # fmt: skip
