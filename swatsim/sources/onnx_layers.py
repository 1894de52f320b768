"""Nodes of an ONNX graph that multiply a weight, as layers in PyTorch's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swatsim.errors import TraceError
from swatsim.layer import LayerSpec
from swatsim.trace.json_values import shown

CONVOLUTIONS = {"Conv": "conv", "ConvTranspose": "conv_transpose"}
PRODUCTS = ("Gemm", "MatMul")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNode:
    """A node with the shapes of its first two inputs and its output, as ONNX has them."""

    where: str
    op: str
    attributes: Mapping[str, Any]
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    @property
    def transposed_weight(self) -> bool:
        """Whether the weight is (inputs, outputs)."""
        return self.op == "MatMul" or (self.op == "Gemm" and not self.attributes.get("transB", 0))

    def refuse(self, got: str, expected: str) -> TraceError:
        """The error that says what this node has and a layer cannot."""
        return TraceError(f"{self.where}: {self.op}: got {got}, expected {expected}")


def layer_spec(node: ModelNode, *, name: str, needs_input_grad: bool) -> LayerSpec:
    """The layer that a node is. Raises TraceError for what no layer can be."""
    if node.op in CONVOLUTIONS:
        return _convolution(node, name, needs_input_grad)
    if node.attributes.get("transA", 0) or len(node.weight_shape) != 2:
        got = f"a weight of shape {list(node.weight_shape)}, transA {node.attributes.get('transA', 0)}"
        raise node.refuse(got, "a matrix, and an input that is not transposed")
    shape = node.weight_shape[::-1] if node.transposed_weight else node.weight_shape
    return LayerSpec(
        name=name, kind="linear", input_shape=node.input_shape, weight_shape=shape, output_shape=node.output_shape,
        needs_input_grad=needs_input_grad,
    )  # fmt: skip


def _convolution(node: ModelNode, name: str, needs_input_grad: bool) -> LayerSpec:
    axes = len(node.weight_shape) - 2
    if axes not in (1, 2) or len(node.input_shape) != axes + 2:
        raise node.refuse(f"a weight of shape {list(node.weight_shape)}", "one or two dimensions beside the channels")
    groups = node.attributes.get("group", 1)
    if not isinstance(groups, int):
        raise node.refuse(f"a group of type {type(groups).__name__}", "an integer")
    strides, dilations = (_numbers(node, key, axes) for key in ("strides", "dilations"))
    padding = _padding(node, strides, dilations)
    one, none = (1,) * (2 - axes), (0, 0) * (2 - axes)
    return LayerSpec(
        name=name, kind=f"{CONVOLUTIONS[node.op]}{axes}d", input_shape=node.input_shape,
        weight_shape=node.weight_shape, output_shape=node.output_shape, stride=_two(one + strides),
        padding=_four(none + padding), dilation=_two(one + dilations), groups=groups,
        needs_input_grad=needs_input_grad,
    )  # fmt: skip


def _padding(node: ModelNode, strides: tuple[int, ...], dilations: tuple[int, ...]) -> tuple[int, ...]:
    """Before and after, axis by axis."""
    given = node.attributes.get("auto_pad", b"NOTSET")
    axes, auto = len(strides), given.decode("ascii", "replace") if isinstance(given, bytes) else str(given)
    if auto == "NOTSET" and "output_shape" not in node.attributes:
        pads = _integers(node, "pads", (0,) * 2 * axes)
        if len(pads) == 2 * axes:
            return tuple(side for pair in zip(pads[:axes], pads[axes:], strict=True) for side in pair)
    elif auto == "VALID":
        return (0,) * 2 * axes
    elif auto in ("SAME_UPPER", "SAME_LOWER") and node.op == "Conv":
        found: tuple[int, ...] = ()
        for axis in range(axes):
            reach = dilations[axis] * (node.weight_shape[axis + 2] - 1) + 1
            whole = max(0, (node.output_shape[axis + 2] - 1) * strides[axis] + reach - node.input_shape[axis + 2])
            less, more = whole // 2, whole - whole // 2
            found += (less, more) if auto == "SAME_UPPER" else (more, less)
        return found
    raise node.refuse(f"auto_pad {shown(auto)}", "pads for each side")


def _numbers(node: ModelNode, key: str, count: int) -> tuple[int, ...]:
    found = _integers(node, key, (1,) * count)
    if len(found) != count:
        raise node.refuse(f"{key} {list(found)[:4]}", f"{count} of them")
    return found


def _integers(node: ModelNode, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """An attribute may have any type: a model is not checked before it is read."""
    given = node.attributes.get(key, default)
    if not isinstance(given, list | tuple) or not all(type(each) is int for each in given):
        raise node.refuse(f"{key} of type {type(given).__name__}", "integers")
    return tuple(given)


def _two(values: tuple[int, ...]) -> tuple[int, int]:
    return values[0], values[1]


def _four(values: tuple[int, ...]) -> tuple[int, int, int, int]:
    return values[0], values[1], values[2], values[3]
