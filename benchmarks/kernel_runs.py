"""Each kernel on what a layer of ResNet-50 gives it: the calls of a simulation are recorded, to be made again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import thread_time
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.workload import random_layer
from swatsim.architecture import load_architecture
from swatsim.simulation import simulate
from swatsim.trace import Trace

MACHINES = ("dadiannao", "tensordash", "bit-tactical", "cnvlutin", "cambricon-x", "sparten", "scnn")
# Kernels that take less of a machine's time in kernels are left out, unless they have a goal.
LEAST_SHARE = 0.02
ALL = "all kernels"
# Multiply positions per second on one core. For all kernels of a machine: 12 G of ResNet-50's step in 0.6 s, 10 s for
# SCNN on two cores; a kernel without a goal of its own has its machine's.
GOALS: Mapping[tuple[str, str], float] = {
    **{(machine, ALL): 20e9 for machine in MACHINES[:5]}, ("sparten", ALL): 20e9, ("scnn", ALL): 0.6e9,
}  # fmt: skip
# Of the popcount roofline.
ROOFLINE_GOALS: Mapping[tuple[str, str], float] = {("sparten", "wait_for_pairs"): 0.3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a kernel as it was made; the arrays are copies from before it."""

    kernel: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All calls of one kernel, or of all, for the three passes of the layer."""

    machine: str
    name: str
    calls: tuple[Call, ...]
    positions: int  # multiply positions of the layer's passes, whatever the machine skips

    def arguments(self) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
        """Fresh ones: kernels write into theirs."""
        return [(call.kernel, copied(call.arguments)) for call in self.calls]

    @property
    def seconds(self) -> float:
        """All calls, as they were made."""
        return sum(call.seconds for call in self.calls)

    @property
    def touched_bytes(self) -> int:
        """Bytes of all arrays that are handed over, each once in a call."""
        return sum(bytes_of(call.arguments) for call in self.calls)

    @property
    def goal(self) -> float:
        """No kernel may be slower than all of its machine's together."""
        return GOALS.get((self.machine, self.name), GOALS[self.machine, ALL])

    @property
    def roofline_goal(self) -> float | None:
        return ROOFLINE_GOALS.get((self.machine, self.name))


def call_all(arguments: list[tuple[Callable[..., Any], tuple[Any, ...]]]) -> None:
    for kernel, given in arguments:
        kernel(*given)


def runs() -> Iterator[Run]:
    """What is measured; refuses goals of kernels that nobody calls."""
    unmet = {*GOALS, *ROOFLINE_GOALS}
    for machine in MACHINES:
        for run in machine_runs(machine):
            unmet.discard((run.machine, run.name))
            yield run
    if unmet:
        raise LookupError(f"goals of kernels that no machine calls: {sorted(unmet)}: where are they now?")


def machine_runs(machine: str) -> list[Run]:
    """All kernels of a machine together, and each that takes some time or has a goal."""
    layer = random_layer("layer3.1.conv2", (2, 256, 14, 14), (256, 256, 3, 3))
    architecture, trace = load_architecture(machine), Trace("one layer", [layer])
    report = simulate(architecture, trace, workers=1)  # compiles, and loads what is recorded
    with recording() as calls:
        simulate(architecture, trace, workers=1)
    positions = sum(record.macs for record in report.layer_records)
    whole = sum(call.seconds for found in calls.values() for call in found)
    chosen = {ALL: [call for found in calls.values() for call in found]} | {
        name: found
        for name, found in sorted(calls.items())
        if sum(call.seconds for call in found) >= LEAST_SHARE * whole or {(machine, name)} & {*GOALS, *ROOFLINE_GOALS}
    }
    return [Run(machine=machine, name=name, calls=tuple(found), positions=positions) for name, found in chosen.items()]


@contextmanager
def recording() -> Iterator[dict[str, list[Call]]]:
    """Record, by name, the calls that go from other modules into `swatsim.kernels` while the block runs."""
    calls: dict[str, list[Call]] = {}

    def recorded(kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            arguments = copied(given)
            began = thread_time()
            result = kernel(*given)
            made = Call(kernel=kernel, arguments=arguments, seconds=thread_time() - began)
            calls.setdefault(kernel.__name__, []).append(made)
            return result

        return call

    with ExitStack() as patches:
        for target, kernel in called_kernels().items():
            patches.enter_context(mock.patch(target, recorded(kernel)))
        yield calls


def called_kernels() -> dict[str, Callable[..., Any]]:
    """Kernels by the names under which modules that are loaded know them."""
    inside = "swatsim.kernels."
    return {
        f"{module_name}.{name}": value
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("swatsim.") and not module_name.startswith(inside)
        for name, value in vars(module).items()
        if callable(value)
        and not isinstance(value, type)
        and str(getattr(value, "__module__", "")).startswith(inside)
        and value.__module__ != f"{inside}compile"  # which has none
    }


def copied(value: Any) -> Any:
    """The same with arrays of its own, which may be written where the first ones may."""
    if isinstance(value, np.ndarray):
        array = value.copy()
        array.setflags(write=value.flags.writeable)
        return array
    if isinstance(value, tuple):
        parts = [copied(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def bytes_of(value: Any) -> int:
    """Bytes of the arrays in it."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    return sum(map(bytes_of, value)) if isinstance(value, tuple) else 0
