"""What must be true of a trace beyond the rules of its format, for its layers to belong to one training step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from swatsim.bits import kept_count
from swatsim.errors import TraceError
from swatsim.layer import Layer, LayerSpec, Operand
from swatsim.trace.reader import StoredTrace
from swatsim.trace.records import GraphNode

# What no file can show: said wherever a trace is found to be valid.
NOT_CHECKED = (
    "Not checked, for a trace holds no values: that the zeros are those of the training step it names, that what was "
    "selected is the largest, and that more or fewer than a budget are ties or natural zeros."
)
_SAME_SHAPE = ("batch_norm", "layer_norm", "relu", "gelu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A valid trace in numbers; `budgets` counts selected operands: exact, more (ties), fewer (natural zeros)."""

    layers: int
    tensors: int
    file_bytes: int
    budgets: Counter[str]
    graph: bool

    @property
    def text(self) -> str:
        """One line."""
        budgets = ", ".join(f"{self.budgets[key]} {key}" for key in ("exact", "more", "fewer") if self.budgets[key])
        said = f"budgets: {budgets}" if budgets else "no budgets"
        graph = "" if self.graph else "; no graph"
        counts = f"{self.layers} layers, {self.tensors} tensors, {self.file_bytes:,} bytes"
        return f"ok: {counts}; {said}{graph}"


def check_trace(trace: StoredTrace, where: str) -> Checked:
    """Read every tensor file and check what the layers say of each other. Raises TraceError; `where` begins it."""
    check_graph(where, trace.graph, trace.specs)
    budgets: Counter[str] = Counter()
    for layer in trace:
        check_operands(where, layer)
        budgets.update(_kept(operand) for _, _, operand in _operands(layer) if operand.sparsity is not None)
    return Checked(
        layers=len(trace), tensors=trace.tensor_count, file_bytes=trace.file_bytes(), budgets=budgets,
        graph=bool(trace.graph),
    )  # fmt: skip


def check_operands(where: str, layer: Layer) -> None:
    """What a pass selects of a tensor must be among the non-zeros that another pass multiplies unselected."""
    whole = {role: operand.bits for _, role, operand in _operands(layer) if operand.sparsity is None}
    for pass_name, role, operand in _operands(layer):
        if operand.sparsity is not None and role in whole and (extra := operand.bits.outside(whole[role])):
            place = f"{where}: {layer.spec.name}: {pass_name}.{role}"
            raise TraceError(f"{place}: got {extra} selected elements that are zero in another pass, expected none")


def check_graph(where: str, graph: Sequence[GraphNode], specs: Sequence[LayerSpec]) -> None:
    """A node must be able to make its shape of the shapes of its inputs, as far as its kind tells."""
    shapes = {node.name: node.shape for node in graph}
    inputs = {spec.name: spec.input_shape for spec in specs}
    for node in graph:
        for name in node.inputs:
            if not _fits(node, shapes[name], inputs):
                expected = list(inputs.get(node.name, node.shape))
                got = f"{list(shapes[name])} from {name}"
                raise TraceError(f"{where}: graph: {node.name}: got {got}, expected what makes {node.op} {expected}")


def _fits(node: GraphNode, given: tuple[int, ...], inputs: dict[str, tuple[int, ...]]) -> bool:
    if node.name in inputs:
        return given == inputs[node.name]
    if node.op in _SAME_SHAPE:
        return given == node.shape
    if node.op == "flatten":
        return math.prod(given) == math.prod(node.shape)
    if node.op == "add":  # one of them may be repeated over the other
        return all(size in (1, whole) for size, whole in zip(given[::-1], node.shape[::-1], strict=False))
    if node.op == "concatenate":
        different = [size < whole for size, whole in zip(given, node.shape, strict=False) if size != whole]
        return len(given) == len(node.shape) and different in ([], [True])
    return True


def _operands(layer: Layer) -> Iterator[tuple[str, str, Operand]]:
    for pass_name in layer.spec.passes:
        for role, operand in layer.passes[pass_name].operands.items():
            yield pass_name, role, operand


def _kept(operand: Operand) -> str:
    assert operand.sparsity is not None
    budget, kept = kept_count(operand.sparsity, operand.bits.size), operand.bits.nonzeros
    return "exact" if kept == budget else "more" if kept > budget else "fewer"
