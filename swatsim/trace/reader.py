"""Reading a trace: the manifest at once, the tensors layer by layer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from swatsim.apart import Progress
from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.files import is_address
from swatsim.given import path_text
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.trace import plain_files, tensors
from swatsim.trace.entries import checked_graph, checked_metadata
from swatsim.trace.json_values import shown
from swatsim.trace.manifest import manifest_digest, parse_manifest
from swatsim.trace.records import (
    LARGEST_MANIFEST_BYTES,
    MANIFEST_NAME,
    TENSORS_NAME,
    GraphNode,
    Manifest,
    TraceMetadata,
)
from swatsim.trace.remote import fetched, local_path
from swatsim.trace.shipped import shipped_trace


class Trace:
    """The layers of one training step, with the operands of every pass.

    `specs` holds all shapes, `manifest` how the trace was made, `graph` the nodes between the layers (empty:
    unknown). A trace made here keeps its layers in memory; that of `load_trace` reads them as they are asked for.
    """

    manifest: TraceMetadata
    graph: tuple[GraphNode, ...]
    specs: tuple[LayerSpec, ...]
    digest: str | None = None  # SHA-256 that identifies the contents of a trace on disk

    def __init__(
        self,
        name: str,
        layers: Sequence[Layer],
        *,
        manifest: TraceMetadata | None = None,
        graph: Sequence[GraphNode] = (),
    ) -> None:
        """Make a trace of layers in memory; raises TraceError where it breaks a rule of those on disk."""
        self._layers = tuple(layers)
        for layer in self._layers:
            if not isinstance(layer, Layer):
                raise TraceError(f"layers: got {shown(layer)}, expected a Layer each")
        self.name = checked_metadata(TraceMetadata(name=name), "trace").name
        self.manifest = checked_metadata(TraceMetadata(name=name) if manifest is None else manifest, name)
        self.specs = tuple(layer.spec for layer in self._layers)
        if not self.specs:
            raise TraceError(f"{name}: got no layers, expected at least one")
        names: set[str] = set()
        for spec in self.specs:
            if spec.name in names:
                raise TraceError(f"{name}: got two layers named {spec.name!r}, expected different names")
            names.add(spec.name)
        self.graph = checked_graph(graph, self.specs, name)

    def __len__(self) -> int:
        return len(self.specs)

    def __iter__(self) -> Iterator[Layer]:
        """Give the layers in order, one in memory at a time."""
        return (self.layer(index) for index in range(len(self)))

    def layer(self, index: int) -> Layer:
        """Give one layer; a trace on disk reads its tensors now. Threads may call this at the same time."""
        return self._layers[index]


class StoredTrace(Trace):
    """A trace on disk, made by `load_trace`."""

    def __init__(self, directory: Path, manifest: Manifest, data: bytes, *, fetched_from: str | None = None) -> None:
        """Hold what was read of the manifest, whose file has `data`; nothing is opened."""
        self._directory = directory
        self._fetched_from = fetched_from
        self._manifest_bytes = len(data)
        self._tensors = manifest.tensors
        self._stored = manifest.layers
        self.manifest = manifest.metadata
        self.name = manifest.metadata.name
        self.graph = manifest.graph
        self.specs = tuple(layer.spec for layer in manifest.layers)
        self.digest = manifest_digest(data)

    def layer(self, index: int) -> Layer:
        """Read the tensors of one layer, each once; raises TraceError where a file is damaged."""
        stored = self._stored[index]
        bits = {name: self._read(name) for name in sorted(stored.tensors)}
        passes = {
            pass_name: PassOperands(
                operands={
                    role: Operand(bits=bits[operand.tensor], sparsity=operand.sparsity)
                    for role, operand in given.operands.items()
                },
                result_mask=None if given.result_mask is None else bits[given.result_mask],
            )
            for pass_name, given in stored.passes.items()
        }
        return Layer(spec=stored.spec, passes=passes)

    def _read(self, digest: str) -> BitTensor:
        """Read one tensor; of what was fetched, a damaged file is removed."""
        path = self._path(digest)
        try:
            return tensors.read(path, digest, self._tensors[digest])
        except tensors.DamagedError as error:
            if self._fetched_from is None:
                raise
            try:
                path.unlink()
            except OSError:
                raise error from None
            raise TraceError(f"{error}; removed, to be fetched again from {self._fetched_from}") from None

    def check_files(self) -> None:
        """Refuse files that are missing or of an impossible size, before any work is done on the others."""
        folder = self._directory / TENSORS_NAME
        plain_files.check_directory(folder, "the directory of the trace's tensors")
        for name, tensor in self._tensors.items():
            tensors.check_file(self._path(name), tensor)

    @property
    def tensor_count(self) -> int:
        """Number of tensor files."""
        return len(self._tensors)

    def file_bytes(self, index: int | None = None) -> int:
        """Bytes on disk of one layer's tensors, or of the whole trace, manifest included."""
        names = self._tensors if index is None else self._stored[index].tensors
        manifest = self._manifest_bytes if index is None else 0
        return manifest + sum(plain_files.check_file(self._path(name), "a tensor file") for name in names)

    def _path(self, digest: str) -> Path:
        return self._directory / TENSORS_NAME / tensors.file_name(digest)


def load_trace(
    path: str | os.PathLike[str], *, digest: str | None = None, progress: Progress | None = None
) -> StoredTrace:
    """Open the trace in the directory `path`, or at an address such as https://example.org/traces/resnet50.

    A bare name that is no directory here is that of a trace that comes with swatsim, such as smallcnn.

    The manifest is checked whole, and every tensor file must be there with a possible size; the tensors
    themselves are read and checked by `Trace.layer`. What is at an address is fetched and kept (docs/remote_traces.md).

    digest : SHA-256 of the trace that is expected; one that is kept with it need not be asked for at its address.
    progress : called with the files of an address that are fetched, and how many there are.

    Raises TraceError with one line: where, got, expected.
    """
    text = path_text(path, "trace")
    local = local_path(text)
    if local is not None:
        trace = _in_directory(local)
    elif is_address(text):
        address = text.rstrip("/")
        directory, data = fetched(address, digest, progress)
        trace = StoredTrace(directory, parse_manifest(data, f"{address}/{MANIFEST_NAME}"), data, fetched_from=address)
    else:
        trace = _in_directory(shipped_trace(Path(text)))
    if digest not in (None, trace.digest):
        raise TraceError(f"{text}: got a trace of digest {trace.digest}, expected {digest}")
    return trace


def _in_directory(directory: Path) -> StoredTrace:
    plain_files.check_directory(directory, f"a trace: a directory with a {MANIFEST_NAME}", may_be_link=True)
    source = directory / MANIFEST_NAME
    data = _read_manifest(source)
    trace = StoredTrace(directory, parse_manifest(data, str(source)), data)
    trace.check_files()
    return trace


def _read_manifest(path: Path) -> bytes:
    expected = "the manifest of a trace"
    with plain_files.open_file(path, expected) as file:
        try:
            return file.read(LARGEST_MANIFEST_BYTES + 1)
        except OSError as error:
            raise TraceError(f"{path}: got an error ({error.strerror}), expected {expected}") from None
