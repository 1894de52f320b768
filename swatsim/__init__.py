"""swatsim: cycles, memory traffic and speedup of sparse training on zero-skipping accelerators.

architecture = swatsim.load_architecture("dadiannao")
trace = swatsim.load_trace("traces/resnet50")
report = swatsim.simulate(architecture, trace)
report.rows  # a pandas DataFrame
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from swatsim.version import __version__ as __version__

if TYPE_CHECKING:
    from swatsim import errors as errors
    from swatsim import torch as torch
    from swatsim.architecture import Architecture, load_architecture, shipped_architectures
    from swatsim.bits import BitTensor
    from swatsim.comparison import Comparison, compare
    from swatsim.errors import SwatsimError
    from swatsim.exploring import Exploration, explore
    from swatsim.layer import Layer, LayerSpec
    from swatsim.report import Report
    from swatsim.report.restoring import load_report
    from swatsim.simulation import simulate
    from swatsim.sweeping import Sweep, sweep
    from swatsim.trace import GraphNode, Trace, TraceMetadata, TraceWriter, load_trace

# Loaded on first use: `swatsim --help` must not wait for numpy and numba.
_HOMES = {
    "Architecture": "swatsim.architecture",
    "BitTensor": "swatsim.bits",
    "Comparison": "swatsim.comparison",
    "Exploration": "swatsim.exploring",
    "GraphNode": "swatsim.trace",
    "Layer": "swatsim.layer",
    "LayerSpec": "swatsim.layer",
    "Report": "swatsim.report",
    "SwatsimError": "swatsim.errors",
    "Trace": "swatsim.trace",
    "TraceMetadata": "swatsim.trace",
    "TraceWriter": "swatsim.trace",
    "compare": "swatsim.comparison",
    "Sweep": "swatsim.sweeping",
    "explore": "swatsim.exploring",
    "sweep": "swatsim.sweeping",
    "load_architecture": "swatsim.architecture",
    "load_report": "swatsim.report.restoring",
    "load_trace": "swatsim.trace",
    "shipped_architectures": "swatsim.architecture",
    "simulate": "swatsim.simulation",
}
__all__ = [
    "Architecture",
    "BitTensor",
    "Comparison",
    "Exploration",
    "GraphNode",
    "Layer",
    "LayerSpec",
    "Report",
    "SwatsimError",
    "Sweep",
    "Trace",
    "TraceMetadata",
    "TraceWriter",
    "compare",
    "explore",
    "load_architecture",
    "load_report",
    "load_trace",
    "shipped_architectures",
    "simulate",
    "sweep",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    if name in ("torch", "errors"):
        return importlib.import_module(f"swatsim.{name}")
    raise AttributeError(f"module 'swatsim' has no attribute {name!r}")
