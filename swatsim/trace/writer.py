"""Writing a trace: tensors as the layers come, the manifest last, then the directory appears whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from swatsim import files
from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.given import path_text
from swatsim.layer import Layer
from swatsim.passes import OPERANDS
from swatsim.trace import tensors
from swatsim.trace.entries import checked_metadata, layer_json, read_layer
from swatsim.trace.json_values import Node, shown
from swatsim.trace.manifest import format_manifest, parse_manifest
from swatsim.trace.plain_files import check_replaceable
from swatsim.trace.records import (
    MANIFEST_NAME,
    TENSORS_NAME,
    GraphNode,
    Manifest,
    StoredLayer,
    StoredOperand,
    StoredPass,
    StoredTensor,
    TraceMetadata,
)


class TraceWriter:
    """Writes a trace layer by layer.

        with TraceWriter("traces/mine", metadata=TraceMetadata(name="mine")) as writer:
            for layer in layers:
                writer.add(layer)

    The directory appears whole when the block ends well; if it raises, nothing is left. Everything written obeys
    the rules that `load_trace` checks. Raises TraceError, also where the directory exists and not `overwrite`.
    """

    def __init__(self, path: str | os.PathLike[str], *, metadata: TraceMetadata, overwrite: bool = False) -> None:
        """Check the metadata at once, so that a long run does not fail at its end."""
        self.path = Path(path_text(path, "trace"))
        self._metadata = checked_metadata(metadata, str(self.path))
        self._overwrite = overwrite
        self._graph: tuple[GraphNode, ...] = ()
        self._layers: dict[str, StoredLayer] = {}
        self._tensors: dict[str, StoredTensor] = {}
        self._block: AbstractContextManager[Path] | None = None
        self._partial: Path | None = None

    def __enter__(self) -> TraceWriter:
        """Make the temporary directory beside the trace's own."""
        try:
            if self._overwrite:
                check_replaceable(self.path)
            self._block = files.whole_directory(self.path, overwrite=self._overwrite)
            self._partial = self._block.__enter__()
        except (OSError, ValueError) as error:
            raise _cannot_write(self.path, error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write the manifest and give the directory its name, or remove everything."""
        assert self._block is not None
        self._partial, partial = None, self._partial
        try:
            if error is None and partial is not None:
                self._write_manifest(partial)
        except BaseException as failure:
            self._block.__exit__(type(failure), failure, failure.__traceback__)
            raise
        try:
            self._block.__exit__(kind, error, traceback)
        except OSError as failure:
            raise _cannot_write(self.path, failure) from None

    def add(self, layer: Layer) -> None:
        """Write one layer's tensors; those that an earlier layer has are not written again."""
        name = layer.spec.name
        if name in self._layers:
            raise TraceError(f"{self.path}: {name}: got a second layer of this name, expected different names")
        names: dict[int, str] = {}
        passes = {pass_name: self._add_pass(layer, pass_name, names) for pass_name in layer.spec.passes}
        record = layer_json(StoredLayer(spec=layer.spec, passes=passes))
        self._layers[name] = read_layer(Node(record, str(self.path), f"layer {shown(name)}"), self._tensors)

    def set_graph(self, nodes: Sequence[GraphNode]) -> None:
        """Give the graph: every layer and what is between them, in an order of execution."""
        self._graph = tuple(nodes)

    def _add_pass(self, layer: Layer, pass_name: str, names: dict[int, str]) -> StoredPass:
        given = layer.passes[pass_name]
        where = f"{self.path}: {layer.spec.name}: {pass_name}"
        operands = {
            role: StoredOperand(
                tensor=self._add_tensor(given.operands[role].bits, f"{where}.{role}", names),
                sparsity=given.operands[role].sparsity,
            )
            for role in OPERANDS[pass_name]
        }
        mask = given.result_mask
        result_mask = None if mask is None else self._add_tensor(mask, f"{where}.result_mask", names)
        return StoredPass(operands=operands, result_mask=result_mask)

    def _add_tensor(self, bits: BitTensor, where: str, names: dict[int, str]) -> str:
        """Give the name of a tensor, whose file is written unless it is there.

        `names` maps the ids of the tensors that this layer has used to their names, so that each is packed once.
        """
        if id(bits) in names:
            return names[id(bits)]
        if self._partial is None:
            raise TraceError(f"{where}: got a layer outside of the writer's with block, expected it inside")
        digest, tensor, content = tensors.encode(bits)
        if digest not in self._tensors:
            try:
                folder = self._partial / TENSORS_NAME
                folder.mkdir(exist_ok=True)
                (folder / tensors.file_name(digest)).write_bytes(content)
            except OSError as error:
                raise _cannot_write(self.path, error) from None
            self._tensors[digest] = tensor
        names[id(bits)] = digest
        return digest

    def _write_manifest(self, partial: Path) -> None:
        manifest = Manifest(
            metadata=self._metadata, graph=self._graph, tensors=self._tensors, layers=tuple(self._layers.values())
        )
        data = format_manifest(manifest)
        parse_manifest(data, str(self.path / MANIFEST_NAME))
        try:
            (partial / MANIFEST_NAME).write_bytes(data)
        except OSError as error:
            raise _cannot_write(self.path, error) from None


def _cannot_write(path: Path, error: OSError | ValueError) -> TraceError:
    if isinstance(error, FileExistsError):
        return TraceError(f"{path}: got a path that exists, expected a new one to write the trace to")
    return TraceError(f"{path}: the trace cannot be written: {getattr(error, 'strerror', None) or error}")
