"""An ONNX model: the shapes of its layers, and the zeros of the weights that are in the file."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from swatsim.bits import BitTensor
from swatsim.confined import Limits, confined, limits_for
from swatsim.errors import TraceError
from swatsim.files import read_at_most
from swatsim.layer import LayerSpec
from swatsim.plain_text import words_of
from swatsim.sources.arrays import check_shape
from swatsim.sources.onnx_layers import ModelNode, layer_spec
from swatsim.sources.onnx_weights import Weights, with_inner
from swatsim.sources.source import (
    MOST_LAYERS,
    Contents,
    Request,
    check_name,
    file_bytes,
    open_source,
    optional_module,
    register,
)
from swatsim.trace.json_values import shown

_EXPECTED = "an ONNX model"
_LARGEST_FILE_BYTES = 1 << 31  # protobuf's own limit
# Of 10 s, what starts before and writes after has a part.
_LIMITS = Limits(memory_bytes=512 << 20, seconds=8)
_COPIES = 7  # the file, its model, that serialized and parsed by the inference, and back again; a weight's values


@register("onnx", suffixes=(".onnx",))
def read_onnx(path: Path, request: Request) -> Contents:
    """Read every Conv and ConvTranspose, and every Gemm and MatMul whose second factor is stored in the file.

    The batch is that of the file, or `images` where the file leaves it open.
    """
    onnx = optional_module("onnx")
    limits = limits_for(file_bytes(path, _EXPECTED), small=_LIMITS, copies=_COPIES)
    return confined(partial(_contents, onnx, path, request), limits, where=str(path), expected=_EXPECTED)


def _contents(onnx: Any, path: Path, request: Request) -> Contents:
    graph = _inferred(onnx, path, request).graph
    shapes = dict(_shapes(graph))
    held = Weights(graph, dict(shapes), str(path))
    shapes |= {name: tuple(tensor.dims) for name, tensor in held.stored.items()}
    specs: dict[str, LayerSpec] = {}
    weights: dict[str, BitTensor] = {}
    shared: dict[tuple[int, bool], BitTensor] = {}  # of tensors that several layers may have, and their transposes
    uses: Counter[str] = Counter()
    products = 0
    for node in graph.node:
        held.check(node)
        if held.is_layer(node):
            if len(specs) == MOST_LAYERS:
                raise TraceError(f"{path}: got more than {MOST_LAYERS} layers, expected 1 to {MOST_LAYERS}")
            name = _name(node, specs, uses)
            check_name(name, str(path))
            tensor = held.stored.get(node.input[1])
            if tensor is not None:
                shapes[node.input[1]] = tuple(tensor.dims)
            given = _model_node(onnx, node, shapes, f"{path}: {name}")
            specs[name] = layer_spec(given, name=name, needs_input_grad=held.is_behind_a_layer(node))
            if tensor is not None and tensor.data_location != onnx.TensorProto.EXTERNAL:
                key = id(tensor), given.transposed_weight
                if key not in shared:
                    shared[key] = _bits(onnx, tensor, given)
                weights[name] = shared[key]
        products += held.is_other_product(node)
        held.add(node)
    if not specs:
        raise TraceError(f"{path}: got 0 layers, expected 1 to {MOST_LAYERS}")
    remarks = (f"{products} products of results, such as attention's, left out",) if products else ()
    return Contents(specs=tuple(specs.values()), weights=weights, remarks=remarks)


def _inferred(onnx: Any, path: Path, request: Request) -> Any:
    """The model with the shapes of everything in it; the files of external weights are not opened."""
    with open_source(path, _EXPECTED) as file:
        data = read_at_most(file, _LARGEST_FILE_BYTES + 1)
    if len(data) > _LARGEST_FILE_BYTES:
        raise TraceError(f"{path}: got more than {_LARGEST_FILE_BYTES} bytes, expected {_EXPECTED}")
    try:
        model = onnx.load_model_from_string(data)
    except MemoryError:
        raise
    except Exception as error:  # protobuf's DecodeError, of which onnx does not say where it is
        raise TraceError(f"{path}: got another file ({words_of(error)}), expected {_EXPECTED}") from None
    del data
    model = _inlined(onnx, model, path)
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        # Of text that is not UTF-8, protobuf gives the bytes.
        raise TraceError(f"{path}: got a name that is not UTF-8, expected {_EXPECTED}")
    _set_batch(model.graph, path, request.images)
    del model.graph.value_info[:]  # inferred anew, for the batch asked for
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except MemoryError:
        raise
    except Exception as error:  # InferenceError is not the only one
        raise TraceError(f"{path}: got contradicting shapes ({words_of(error)}), expected {_EXPECTED}") from None


def _inlined(onnx: Any, model: Any, path: Path) -> Any:
    """The model with its own functions where they are called."""
    if not model.functions:
        return model
    try:
        inlined = importlib.import_module("onnx.inliner").inline_local_functions(model, convert_version=True)
    except MemoryError:
        raise
    except Exception as error:  # of a function that calls itself, say
        raise TraceError(f"{path}: got contradicting functions ({words_of(error)}), expected {_EXPECTED}") from None
    if inlined.functions:
        got = f"function {shown(inlined.functions[0].name)} that is not inlined"
        raise TraceError(f"{path}: got {got}, expected one of the model's own version of ONNX")
    return inlined


def _texts(graph: Any) -> Iterator[Any]:
    """All names that are read."""
    for node in with_inner(graph.node):
        yield from (
            node.name,
            node.op_type,
            node.domain,
            *node.input,
            *node.output,
            *(each.name for each in node.attribute),
        )
    for value in (*graph.input, *graph.output):
        yield from (value.name, *(each.dim_param for each in value.type.tensor_type.shape.dim))
    yield from (tensor.name for tensor in graph.initializer)


def _set_batch(graph: Any, path: Path, images: int | None) -> None:
    stored = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        dimensions = value.type.tensor_type.shape.dim
        if value.name in stored or not dimensions:
            continue
        first = dimensions[0]
        if first.HasField("dim_value"):
            if images not in (None, first.dim_value):
                got = f"--images {images} for {first.dim_value} in the file"
                raise TraceError(f"{path}: input {shown(value.name)}: got {got}, expected a model with an open batch")
            continue
        if images is None:
            raise TraceError(f"{path}: input {shown(value.name)}: got an open batch, expected --images N")
        symbol = first.dim_param
        first.dim_value = images
        for other in (each for output in graph.output for each in output.type.tensor_type.shape.dim):
            if symbol and other.dim_param == symbol:
                other.dim_value = images


def _shapes(graph: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Shapes that are known whole."""
    for value in (*graph.input, *graph.value_info, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if all(each.HasField("dim_value") for each in dimensions):
            yield value.name, tuple(each.dim_value for each in dimensions)


def _name(node: Any, taken: Mapping[str, Any], uses: Counter[str]) -> str:
    """The module's name as PyTorch exports keep it in the weight's, else the node's; a second use is `name:2`."""
    weight = node.input[1]
    name = weight.removesuffix(".weight") if weight.endswith(".weight") else node.name or node.output[0]
    while True:
        uses[name] += 1
        found = name if uses[name] == 1 else f"{name}:{uses[name]}"
        if found not in taken:
            return found


def _model_node(onnx: Any, node: Any, shapes: Mapping[str, tuple[int, ...]], where: str) -> ModelNode:
    names = {"input": node.input[0], "weight": node.input[1], "output": node.output[0]}
    for role, name in names.items():
        if name not in shapes:
            raise TraceError(f"{where}: {role}: got no shape for {shown(name)}, expected one that can be inferred")
        check_shape(shapes[name], f"{where}: {role}")
    return ModelNode(
        where=where, op=node.op_type,
        attributes={each.name: onnx.helper.get_attribute_value(each) for each in node.attribute},
        input_shape=shapes[names["input"]], weight_shape=shapes[names["weight"]], output_shape=shapes[names["output"]],
    )  # fmt: skip


def _bits(onnx: Any, tensor: Any, node: ModelNode) -> BitTensor:
    try:
        values = onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError) as error:
        raise node.refuse(f"a damaged weight ({words_of(error)})", "as many values as its shape has") from None
    if values.shape != node.weight_shape or values.dtype.kind in "OSU":
        raise node.refuse(f"a weight of {values.dtype} and shape {values.shape}", "numbers of the weight's shape")
    present = np.asarray(values != 0)
    return BitTensor.from_array(present.transpose() if node.transposed_weight else present)
