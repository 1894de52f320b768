"""manifest.json: from bytes to records, every rule of the format checked, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from swatsim.errors import TraceError
from swatsim.trace.entries import (
    METADATA_KEYS,
    layer_json,
    metadata_json,
    node_json,
    read_graph,
    read_layer,
    read_metadata,
    read_tensor,
    tensor_json,
)
from swatsim.trace.json_values import Node, parse_json, shown
from swatsim.trace.records import FORMAT, LARGEST_MANIFEST_BYTES, VERSION, Manifest, StoredLayer, StoredTensor

# The digest stands first, so that a program in any language can find it and hash the bytes after it.
_PREFIX = b'{"digest": "'
_DIGEST_END = len(_PREFIX) + 64 + 1
_KEYS = ("digest", "format", "version", *METADATA_KEYS, "graph", "tensors", "layers")


def parse_manifest(data: bytes, source: str) -> Manifest:
    """Read a manifest's bytes; `source` names the file in errors. Raises TraceError at the first rule broken."""
    if len(data) > LARGEST_MANIFEST_BYTES:
        raise TraceError(f"{source}: got {len(data)} bytes, expected at most {LARGEST_MANIFEST_BYTES}")
    root = Node(parse_json(data, source), source)
    _check_version(root)
    _check_digest(root, data)
    members = root.members(_KEYS)
    metadata = read_metadata(members)
    tensors = {name: read_tensor(name, node) for name, node in members["tensors"].entries()}
    layers = _layers(members["layers"], tensors)
    _check_used(members["tensors"], layers)
    graph = read_graph(members["graph"], [layer.spec for layer in layers])
    return Manifest(metadata=metadata, graph=graph, tensors=tensors, layers=layers)


def format_manifest(manifest: Manifest) -> bytes:
    """Write a manifest; the same manifest gives the same bytes."""
    members = {"format": FORMAT, "version": VERSION, **metadata_json(manifest.metadata)}
    texts = {key: json.dumps(value) for key, value in members.items()}
    texts["provenance"] = _object_lines({key: json.dumps(value) for key, value in members["provenance"].items()})
    texts["graph"] = _array_lines([json.dumps(node_json(node)) for node in manifest.graph])
    records = {name: json.dumps(tensor_json(manifest.tensors[name])) for name in sorted(manifest.tensors)}
    texts["tensors"] = _object_lines(records)
    texts["layers"] = _array_lines([_layer_text(layer) for layer in manifest.layers])
    text = ",\n".join(f"{json.dumps(key)}: {value}" for key, value in texts.items())
    rest = f",\n{text}\n}}\n".encode("ascii")
    return _PREFIX + hashlib.sha256(rest).hexdigest().encode("ascii") + b'"' + rest


def manifest_digest(data: bytes) -> str:
    """SHA-256 of everything after the digest; as the tensors' names are in it, it identifies the whole trace."""
    return hashlib.sha256(data[_DIGEST_END:]).hexdigest()


def _layer_text(layer: StoredLayer) -> str:
    record = layer_json(layer)
    passes = {name: json.dumps(stored) for name, stored in record.pop("passes").items()}
    return f'{json.dumps(record)[:-1]}, "passes": {_object_lines(passes)}}}'


def _array_lines(texts: list[str]) -> str:
    """An array with one line per element, for people and for git."""
    return "[\n" + ",\n".join(texts) + "\n]" if texts else "[]"


def _object_lines(texts: dict[str, str]) -> str:
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {text}" for key, text in texts.items()) + "\n}" if texts else "{}"


def _check_version(root: Node) -> None:
    # First of all: a later version may have other keys, and no digest.
    found = root.object()
    for key, expected in (("format", FORMAT), ("version", VERSION)):
        got = found.get(key)
        if type(got) is not type(expected) or got != expected:
            Node(got, root.source, key).fail(json.dumps(expected), got=None if key in found else "none")


def _check_digest(root: Node, data: bytes) -> None:
    if not data.startswith(_PREFIX):
        got = shown(data[: len(_PREFIX)].decode("utf-8", "replace"))
        root.fail(f"the file to begin with {_PREFIX.decode('ascii')}", got=got)
    node = root.member("digest")
    expected = manifest_digest(data)
    if node.value != expected:
        node.fail(f'"{expected}" (the file was changed after it was written)')


def _layers(node: Node, tensors: Mapping[str, StoredTensor]) -> tuple[StoredLayer, ...]:
    layers: dict[str, StoredLayer] = {}
    for item in node.items():
        layer = read_layer(item, tensors)
        if layer.spec.name in layers:
            item.member("name").fail("another name than an earlier layer's")
        layers[layer.spec.name] = layer
    if not layers:
        node.fail("at least one layer")
    return tuple(layers.values())


def _check_used(node: Node, layers: tuple[StoredLayer, ...]) -> None:
    used = {name for layer in layers for name in layer.tensors}
    for name in node.object():
        if name not in used:
            node.fail("only tensors that a layer uses", got=shown(name))
