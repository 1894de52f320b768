"""From what a source and the user say to a trace: what neither says is dense, and the trace says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.networks import network_shapes
from swatsim.passes import OPERANDS
from swatsim.sources.source import Contents, Request
from swatsim.trace import GraphNode, Trace, TraceMetadata

_NAMED = 5  # layers that a message or the provenance lists


def trace_of(contents: Contents, request: Request, path: Path, *, name: str, facts: Mapping[str, str]) -> Trace:
    """Put weights on shapes. Raises TraceError where they do not fit, or where shapes are missing or given twice."""
    network, specs, graph = _shapes(contents, request, path)
    chosen = [spec for spec in specs if fnmatchcase(spec.name, request.layers)]
    if not chosen:
        raise TraceError(f"{path}: got no layer that matches {request.layers!r}, expected at least one")
    weights = _placed(contents, specs, request, path)
    dense = [spec.name for spec in chosen if spec.name not in weights]
    provenance = {"source": "imported", **facts, "operands": _operands_text(chosen, dense, request.weight_grad_mask)}
    if contents.specs is None:
        given = f"{network}, {chosen[0].input_shape[0]} images" if network else f"{request.positions} positions a layer"
        provenance["shapes"] = given
    if contents.remarks:
        provenance["remarks"] = "; ".join(contents.remarks)
    layers = [_layer(spec, weights.get(spec.name), masked=request.weight_grad_mask) for spec in chosen]
    whole = graph if len(chosen) == len(specs) else ()
    metadata = TraceMetadata(name=name, network=network, provenance=provenance)
    return Trace(name, layers, manifest=metadata, graph=whole)


def _shapes(
    contents: Contents, request: Request, path: Path
) -> tuple[str, Sequence[LayerSpec], Sequence[GraphNode]]:  # fmt: skip
    """(title of the network, its layers, its graph) from the one place that says them."""
    given = {"--network": request.network, "--positions": request.positions}
    named = [option for option, value in given.items() if value is not None]
    if contents.specs is not None:
        if named or request.classes is not None:
            option = (*named, "--classes")[0]
            raise TraceError(f"{path}: got {option} for a file that has shapes of its own, expected none")
        return "", contents.specs, ()
    if not contents.weights and contents.others and request.network is None:
        expected = "--network NAME, or masks such as torch.nn.utils.prune makes"
        raise TraceError(f"{path}: got weights without masks, expected {expected}")
    if len(named) != 1:
        _ask_for_shapes(contents, path, both=bool(named))
    if request.network is not None:
        shapes = network_shapes(request.network, images=request.images or 1, classes=request.classes)
        return shapes.title, shapes.layers, shapes.graph
    if request.images is not None or request.classes is not None:
        raise TraceError(f"{path}: got --images or --classes with --positions, expected --positions alone")
    return "", [_linear(name, bits.shape, request, path) for name, bits in contents.weights.items()], ()


def _ask_for_shapes(contents: Contents, path: Path, *, both: bool) -> None:
    expected = "--network NAME, or --positions N where all layers are linear"
    found = next(iter(contents.weights.items()), None)
    shape = f"a weight of shape {list(found[1].shape)} in {found[0]}" if found else "weights"
    got = "both --network and --positions" if both else f"{shape} and no shape of its input"
    raise TraceError(f"{path}: got {got}, expected {expected}")


def _linear(name: str, shape: tuple[int, ...], request: Request, path: Path) -> LayerSpec:
    positions = request.positions or 1
    if len(shape) != 2:
        expected = "two dimensions with --positions, or --network NAME"
        raise TraceError(f"{path}: {name}: got a weight of shape {list(shape)}, expected {expected}")
    return LayerSpec(
        name=name, kind="linear", input_shape=(positions, shape[1]), weight_shape=shape,
        output_shape=(positions, shape[0]),
    )  # fmt: skip


def _placed(
    contents: Contents, specs: Sequence[LayerSpec], request: Request, path: Path
) -> dict[str, BitTensor]:  # fmt: skip
    """Weights by layer; every one of them must belong to a layer that has its shape."""
    shapes = {spec.name: spec.weight_shape for spec in specs}
    for name in contents.weights:
        if fnmatchcase(name, request.layers) and name not in shapes:
            expected = f"one of {_listed(list(shapes))}, or --layers to leave it out"
            raise TraceError(f"{path}: {name}: got a weight of no layer, expected {expected}")
    found = {name: bits for name, bits in {**contents.others, **contents.weights}.items() if name in shapes}
    for name, bits in found.items():
        if bits.shape != shapes[name]:
            got = f"a weight of shape {list(bits.shape)}"
            raise TraceError(f"{path}: {name}: got {got}, expected {list(shapes[name])}")
    if not found and contents.specs is None:
        raise TraceError(f"{path}: got no weight of a layer, expected that of one of {_listed(list(shapes))}")
    return found


def _layer(spec: LayerSpec, weight: BitTensor | None, *, masked: bool) -> Layer:
    dense = {role: BitTensor(shape=spec.shape_of(role), packed=None) for role in ("input", "weight", "output_grad")}
    bits = dense if weight is None else dense | {"weight": weight}
    passes = {
        pass_name: PassOperands(
            operands={role: Operand(bits=bits[role]) for role in OPERANDS[pass_name]},
            result_mask=weight if masked and pass_name == "weight_grad" else None,
        )
        for pass_name in spec.passes
    }
    return Layer(spec=spec, passes=passes)


def _operands_text(specs: Sequence[LayerSpec], dense: Sequence[str], masked: bool) -> str:
    """What is real and what is assumed, in words."""
    real = len(specs) - len(dense)
    if not real:
        weights = "weight: dense, for the file has no weights"
    elif dense:
        weights = f"weight: the file's in {real} of {len(specs)} layers, dense in {_listed(dense)}"
    else:
        weights = "weight: the file's"
    needed = "needed where the weight is" if masked else "all needed"
    return (
        f"{weights}; input and output gradient: dense, for nothing is known of their zeros; weight gradient: {needed}"
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
