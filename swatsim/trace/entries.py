"""The parts of a manifest, from JSON to records and back: metadata, tensors, layers and the graph between them."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from swatsim.arguments import exact_number
from swatsim.errors import LayerError, TraceError
from swatsim.layer import KINDS, LARGEST_DIMENSION, LayerSpec
from swatsim.passes import OPERANDS, RESULTS
from swatsim.trace.json_values import Node, fraction_text, shown
from swatsim.trace.records import (
    LARGEST_LAYER_ELEMENTS,
    LARGEST_TENSOR_ELEMENTS,
    LONGEST_NAME,
    MOST_FACTS,
    MOST_INPUTS,
    GraphNode,
    StoredLayer,
    StoredOperand,
    StoredPass,
    StoredTensor,
    TraceMetadata,
)

METADATA_KEYS = ("name", "network", "scheme", "sparsity", "selection_period", "optimizer", "provenance")
_SHAPE_KEYS = ("input_shape", "weight_shape", "output_shape")
_LAYER_KEYS = (
    "name", "kind", *_SHAPE_KEYS, "stride", "padding", "dilation", "groups", "needs_input_grad", "passes",
)  # fmt: skip
_LARGEST = LARGEST_DIMENSION - 1
_DIGEST = re.compile("[0-9a-f]{64}")
_OP = re.compile(r"[a-z][a-z0-9_]*|other:[A-Za-z_][A-Za-z0-9_.]*")


def read_metadata(members: Mapping[str, Node]) -> TraceMetadata:
    """Read how the trace was made from the manifest's members."""
    period = members["selection_period"]
    facts = dict(members["provenance"].entries(MOST_FACTS))
    for key, node in facts.items():
        Node(key, node.source, "provenance key").text(LONGEST_NAME, empty=False)
    return TraceMetadata(
        name=members["name"].text(LONGEST_NAME, empty=False),
        network=members["network"].text(LONGEST_NAME),
        scheme=members["scheme"].text(LONGEST_NAME),
        sparsity=_optional_fraction(members["sparsity"]),
        selection_period=None if period.absent else period.integer(1, _LARGEST),
        optimizer=members["optimizer"].text(LONGEST_NAME),
        provenance={key: node.text(lines=True) for key, node in facts.items()},
    )


def checked_metadata(metadata: TraceMetadata, where: str) -> TraceMetadata:
    """Check by the rules of the manifest what was given in Python. Raises TraceError."""
    if not isinstance(metadata, TraceMetadata):
        raise TraceError(f"{where}: got {shown(metadata)}, expected how the trace was made: a TraceMetadata")
    return read_metadata({key: Node(value, where, key) for key, value in metadata_json(metadata).items()})


def metadata_json(metadata: TraceMetadata) -> dict[str, Any]:
    """Give the manifest's members for `metadata`."""
    members = {key: getattr(metadata, key) for key in METADATA_KEYS}
    return {**members, "sparsity": _fraction_json(metadata.sparsity), "provenance": dict(metadata.provenance)}


def read_tensor(name: str, node: Node) -> StoredTensor:
    """Read the record of one tensor file; its name may become part of a path only after this check."""
    if not _DIGEST.fullmatch(name):
        node.fail("the 64 lowercase hexadecimal digits of a SHA-256", got=f"name {shown(name)}")
    members = node.members(("shape", "fill"))
    shape = members["shape"].shape(1, _LARGEST)
    if math.prod(shape) > LARGEST_TENSOR_ELEMENTS:
        members["shape"].fail(f"at most {LARGEST_TENSOR_ELEMENTS} elements")
    fill = members["fill"].value
    if fill not in ("bits", "ones"):
        members["fill"].fail('"bits" or "ones"')
    return StoredTensor(shape=shape, all_ones=fill == "ones")


def tensor_json(tensor: StoredTensor) -> dict[str, Any]:
    """Give the manifest's record of a tensor file."""
    return {"shape": list(tensor.shape), "fill": "ones" if tensor.all_ones else "bits"}


def read_layer(node: Node, tensors: Mapping[str, StoredTensor]) -> StoredLayer:
    """Read one layer; its operands must be among `tensors` and have the layer's shapes."""
    members = node.members(_LAYER_KEYS)
    name = members["name"].text(LONGEST_NAME, empty=False)
    shapes = {key: members[key].shape(1, _LARGEST) for key in _SHAPE_KEYS}
    stride, dilation = (members[key].integers(1, _LARGEST, 2) for key in ("stride", "dilation"))
    top, bottom, left, right = members["padding"].integers(0, _LARGEST, 4)
    try:
        spec = LayerSpec(
            name=name,
            kind=members["kind"].text(LONGEST_NAME),
            **shapes,
            stride=(stride[0], stride[1]),
            padding=(top, bottom, left, right),
            dilation=(dilation[0], dilation[1]),
            groups=members["groups"].integer(1, _LARGEST),
            needs_input_grad=members["needs_input_grad"].boolean(),
        )
    except LayerError as error:
        raise TraceError(f"{node.source}: {node.path}: {error}") from None
    passes = members["passes"].members(spec.passes)
    layer = StoredLayer(spec=spec, passes={key: _pass(key, passes[key], spec, tensors) for key in spec.passes})
    elements = sum(math.prod(tensors[digest].shape) for digest in layer.tensors if not tensors[digest].all_ones)
    if elements > LARGEST_LAYER_ELEMENTS:
        node.fail(f"at most {LARGEST_LAYER_ELEMENTS}", got=f"{elements} elements in the tensors of one layer")
    return layer


def layer_json(layer: StoredLayer) -> dict[str, Any]:
    """Give the manifest's record of a layer."""
    spec = layer.spec
    members = {key: getattr(spec, key) for key in _LAYER_KEYS[:-1]}
    members |= {key: _integers_json(members[key]) for key in (*_SHAPE_KEYS, "stride", "padding", "dilation")}
    passes = {
        name: {
            **{
                role: {"tensor": operand.tensor, "sparsity": _fraction_json(operand.sparsity)}
                for role, operand in stored.operands.items()
            },
            "result_mask": stored.result_mask,
        }
        for name, stored in layer.passes.items()
    }
    return {**members, "groups": operator.index(spec.groups), "passes": passes}


def read_graph(node: Node, layers: Sequence[LayerSpec]) -> tuple[GraphNode, ...]:
    """Read the graph: empty, or nodes in an order of execution among which is every layer."""
    specs = {spec.name: spec for spec in layers}
    found: dict[str, GraphNode] = {}
    items = list(node.items())
    for item in items:
        graph_node = _graph_node(item, found)
        spec = specs.pop(graph_node.name, None)
        if (spec is not None or graph_node.op in KINDS) and not _describes(graph_node, spec):
            expected = "no layer" if spec is None else f"{spec.kind} with shape {list(spec.output_shape)}"
            got = f"{graph_node.op} with shape {list(graph_node.shape)}"
            item.fail(f"{expected}, as in layers", got=f"node {shown(graph_node.name)}: {got}")
        found[graph_node.name] = graph_node
    if items and specs:
        node.fail("a node for every layer", got=f"none for layer {shown(next(iter(specs)))}")
    return tuple(found.values())


def checked_graph(nodes: Sequence[GraphNode], layers: Sequence[LayerSpec], where: str) -> tuple[GraphNode, ...]:
    """Check by the rules of the manifest what was given in Python. Raises TraceError."""
    for node in nodes:
        if not isinstance(node, GraphNode):
            raise TraceError(f"{where}: graph: got {shown(node)}, expected a GraphNode")
    return read_graph(Node(list(map(node_json, nodes)), where, "graph"), layers)


def node_json(node: GraphNode) -> dict[str, Any]:
    """Give the manifest's record of a node of the graph."""
    return {"name": node.name, "op": node.op, "inputs": list(node.inputs), "shape": _integers_json(node.shape)}


def _pass(name: str, node: Node, spec: LayerSpec, tensors: Mapping[str, StoredTensor]) -> StoredPass:
    members = node.members((*OPERANDS[name], "result_mask"))
    operands = {}
    for role in OPERANDS[name]:
        operand = members[role].members(("tensor", "sparsity"))
        operands[role] = StoredOperand(
            tensor=_digest(operand["tensor"], spec.shape_of(role), tensors),
            sparsity=_optional_fraction(operand["sparsity"]),
        )
    mask = members["result_mask"]
    result_mask = None if mask.absent else _digest(mask, spec.shape_of(RESULTS[name]), tensors)
    return StoredPass(operands=operands, result_mask=result_mask)


def _digest(node: Node, shape: tuple[int, ...], tensors: Mapping[str, StoredTensor]) -> str:
    name = node.text()
    if name not in tensors:
        node.fail("a name in tensors")
    if tensors[name].shape != shape:
        node.fail(f"{list(shape)}", got=f"a tensor of shape {list(tensors[name].shape)}")
    return name


def _graph_node(item: Node, found: Mapping[str, GraphNode]) -> GraphNode:
    members = item.members(("name", "op", "inputs", "shape"))
    name = members["name"].text(LONGEST_NAME, empty=False)
    if name in found:
        members["name"].fail("another name than an earlier node's")
    op = members["op"].text(LONGEST_NAME)
    if not _OP.fullmatch(op):
        members["op"].fail('a lower-case word such as "relu", or "other:Name"')
    inputs = tuple(_input(entry, found) for entry in members["inputs"].items(MOST_INPUTS))
    return GraphNode(name=name, op=op, inputs=inputs, shape=members["shape"].shape(0, _LARGEST))


def _input(node: Node, found: Mapping[str, GraphNode]) -> str:
    name = node.text(LONGEST_NAME)
    if name not in found:
        node.fail("the name of an earlier node (so that there are no cycles)")
    return name


def _describes(node: GraphNode, spec: LayerSpec | None) -> bool:
    return spec is not None and node.op == spec.kind and node.shape == spec.output_shape


def _optional_fraction(node: Node) -> Fraction | None:
    return None if node.absent else node.fraction()


def _fraction_json(value: Fraction | None) -> str | None:
    if value is None:
        return None
    exact = exact_number(value)
    return str(value) if exact is None else fraction_text(exact)  # what is none is refused where it is read


def _integers_json(values: Sequence[int]) -> list[int]:
    # numpy's integers are integers too, but not for the JSON encoder
    return [value if isinstance(value, bool) else operator.index(value) for value in values]
