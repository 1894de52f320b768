"""A smaller trace: some of the layers, some of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.trace.reader import Trace
from swatsim.trace.records import GraphNode


class SelectedTrace(Trace):
    """Layers of another trace, which are read and cut as they are asked for."""

    def __init__(self, name: str, whole: Trace, layers: str = "*", images: slice | None = None) -> None:
        """Select the layers whose name matches and, of every tensor but weights, a range of images (the first index).

        The graph is kept where it is still that of the network: all layers, and every node with images first.
        Raises TraceError where nothing is left, or a layer's first index is not that of the images.
        """
        self._whole = whole
        self._images = images
        self._indices = [index for index, spec in enumerate(whole.specs) if fnmatchcase(spec.name, layers)]
        if not self._indices:
            raise TraceError(f"{whole.name}: got no layer that matches {layers!r}, expected at least one")
        chosen = [whole.specs[index] for index in self._indices]
        all_images = chosen[0].input_shape[0]
        if images is not None:
            _check_images(whole.name, chosen, images)
        self.name = name
        self.specs = tuple(_cut_spec(spec, images) for spec in chosen)
        all_layers = len(chosen) == len(whole.specs)
        self.graph = _cut_graph(whole.graph, images, all_images) if all_layers else ()
        self.manifest = replace(whole.manifest, name=name, provenance={
            **whole.manifest.provenance,
            "selected_from": whole.digest or whole.name,
            "selected_layers": f"{len(chosen)} of {len(whole.specs)}, those that match {layers}",
            "selected_images": "all" if images is None else f"{images.start}:{images.stop} of {all_images}",
        })  # fmt: skip

    def layer(self, index: int) -> Layer:
        """Read one layer and cut it; a tensor that several passes share is cut once."""
        layer = self._whole.layer(self._indices[index])
        if self._images is None:
            return layer
        cut: dict[int, BitTensor] = {}

        def part(bits: BitTensor) -> BitTensor:
            return cut.setdefault(id(bits), _part(bits, self._images))

        passes = {}
        for name, given in layer.passes.items():
            operands = {
                role: operand if role == "weight" else Operand(bits=part(operand.bits), sparsity=operand.sparsity)
                for role, operand in given.operands.items()
            }
            mask = given.result_mask
            passes[name] = PassOperands(
                operands=operands, result_mask=mask if mask is None or name == "weight_grad" else part(mask)
            )
        return Layer(spec=self.specs[index], passes=passes)


def parse_images(text: str) -> slice:
    """A range of images such as 0:2, the second number not included. Raises TraceError."""
    first, colon, last = text.partition(":")
    digits = all(each.isascii() and each.isdigit() and len(each) <= 10 for each in (first, last))
    if not colon or not digits or int(first) >= int(last):
        raise TraceError(f"--images: got {text!r}, expected FIRST:END, such as 0:2, with END above FIRST")
    return slice(int(first), int(last))


def _check_images(where: str, specs: Sequence[LayerSpec], images: slice) -> None:
    count = specs[0].input_shape[0]
    for spec in specs:
        if len(spec.input_shape) < 2:
            raise TraceError(f"{where}: {spec.name}: got an input of shape {list(spec.input_shape)}, expected images")
        if spec.input_shape[0] != count:
            got = f"{spec.input_shape[0]} in the first dimension"
            raise TraceError(f"{where}: {spec.name}: got {got}, expected {count} images as in {specs[0].name}")
    if images.stop > count:
        raise TraceError(f"{where}: got images {images.start}:{images.stop}, expected a range within 0:{count}")


def _part(bits: BitTensor, images: slice | None) -> BitTensor:
    return bits if images is None else bits.part(images)


def _cut_spec(spec: LayerSpec, images: slice | None) -> LayerSpec:
    if images is None:
        return spec
    count = images.stop - images.start
    return replace(spec, input_shape=(count, *spec.input_shape[1:]), output_shape=(count, *spec.output_shape[1:]))


def _cut_graph(graph: Sequence[GraphNode], images: slice | None, count: int) -> tuple[GraphNode, ...]:
    if images is None:
        return tuple(graph)
    if any(node.shape[:1] != (count,) for node in graph):
        return ()
    return tuple(replace(node, shape=(images.stop - images.start, *node.shape[1:])) for node in graph)
