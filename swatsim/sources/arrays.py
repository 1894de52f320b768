"""Arrays of any file as bits: bounded, read in pieces, and given to the layers that their names say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.sources.source import MOST_LAYERS, Contents, check_name
from swatsim.trace.records import LARGEST_TENSOR_ELEMENTS, MOST_DIMENSIONS

# Of all arrays of a file, or of the files of a folder, together: 256 MiB of packed bits, half of what SECURITY.md says.
LARGEST_TOTAL_ELEMENTS = 1 << 31
# Of those in Fortran order: reversing the dimensions takes a byte and some 30 ns of each.
LARGEST_FORTRAN_ELEMENTS = 1 << 27
_CHUNK_ELEMENTS = 1 << 20  # a multiple of 8: each chunk fills whole bytes
# Of names, longest first: what a layer's weight, its mask and its values without the mask are called.
_ENDINGS = (
    (".weight_mask", "mask"), (".weight_orig", "values"), (".weight", "plain"), (".mask", "mask"), ("_mask", "mask"),
    ("_orig", "values"), ("", "plain"),
)  # fmt: skip
# What wrappers put before every name.
_PREFIXES = ("module.", "_orig_mod.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An array that can be read: `read` gives which of its elements are not zero, in C order whichever the file has."""

    shape: tuple[int, ...]
    read: Callable[[], BitTensor]
    fortran: bool = False


def read_bits(
    file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic], where: str, *, significant: int | None = None
) -> BitTensor:
    """Read an array in C order from where `file` stands; no more than a piece of it is in memory unpacked.

    shape : one that `check_shape` accepts.

    `significant`: the bits of an integer that say whether the value is zero (not a sign); None: all, as numbers.
    Raises TraceError where the file ends too early.
    """
    count = math.prod(shape)
    packed = np.empty(-(-count // 8), dtype=np.uint8)
    for start in range(0, count, _CHUNK_ELEMENTS):
        elements = min(_CHUNK_ELEMENTS, count - start)
        data = file.read(elements * dtype.itemsize)
        if len(data) != elements * dtype.itemsize:
            got = start * dtype.itemsize + len(data)
            raise TraceError(f"{where}: got {got} bytes, expected {count * dtype.itemsize}")
        values: NDArray[np.generic] = np.frombuffer(data, dtype=dtype)
        present = (values if significant is None else values & dtype.type(significant)) != 0  # type: ignore[operator]
        piece = np.packbits(present, bitorder="little")
        packed[start // 8 : start // 8 + piece.size] = piece
    return BitTensor(shape=shape, packed=packed)


def transposed(bits: BitTensor) -> BitTensor:
    """The same elements with the dimensions in reverse, as an array in Fortran order has them."""
    present = bits.to_bool().transpose()
    packed = np.empty(-(-present.size // 8), dtype=np.uint8)
    for start in range(0, present.size, _CHUNK_ELEMENTS):
        piece = np.packbits(present.flat[start : start + _CHUNK_ELEMENTS], bitorder="little")
        packed[start // 8 : start // 8 + piece.size] = piece
    return BitTensor(shape=present.shape, packed=packed)


def check_shape(shape: tuple[int, ...], where: str) -> None:
    """Refuse empty and impossibly large arrays before anything is allocated for them."""
    if len(shape) > MOST_DIMENSIONS or any(size < 1 for size in shape) or math.prod(shape) > LARGEST_TENSOR_ELEMENTS:
        expected = f"at most {MOST_DIMENSIONS} dimensions from 1, and {LARGEST_TENSOR_ELEMENTS} elements"
        raise TraceError(f"{where}: got shape {_shown(shape)}, expected {expected}")


def contents_of(entries: Mapping[str, Entry], path: Path, pattern: str, *, only_masks: bool) -> Contents:
    """Give arrays to layers: `X_mask` times `X_orig`, a mask alone, or a weight alone, of two dimensions or more.

    A weight that no mask belongs to may be no layer's (an embedding): where there are masks, or `only_masks`, it is
    among the `others`. Raises TraceError for a layer that has two arrays of one kind, or an `X_orig` without a mask.
    """
    for name in entries:
        check_name(name, str(path))
    layers = _by_layer(entries, path)
    pruned = only_masks or any("values" in parts for parts in layers.values())
    found: dict[bool, dict[str, BitTensor]] = {True: {}, False: {}}
    chosen = {name: parts for name, parts in layers.items() if fnmatchcase(name, pattern)}
    _check_parts(layers, chosen, path)
    for name, parts in chosen.items():
        found["mask" in parts or not pruned][name] = _product(parts, f"{path}: {name}")
    flat = sum(len(entry.shape) < 2 for entry in entries.values())
    remarks = (f"{flat} arrays of fewer than two dimensions (biases, norms) left out",) if flat else ()
    return Contents(weights=found[True], others=found[False], remarks=remarks)


def _check_parts(
    layers: Mapping[str, Mapping[str, Entry]], chosen: Mapping[str, Mapping[str, Entry]], path: Path
) -> None:
    """Refuse what cannot be multiplied, or is too much in all, before any of it is read."""
    for name, parts in layers.items():
        if "values" in parts and "mask" not in parts:
            raise TraceError(f"{path}: {name}: got values without a mask, expected {name}_mask beside {name}_orig")
    elements = in_fortran_order = 0
    for name, parts in chosen.items():
        for entry in parts.values():
            check_shape(entry.shape, f"{path}: {name}")
            elements += math.prod(entry.shape)
            in_fortran_order += math.prod(entry.shape) if entry.fortran else 0
    if elements > LARGEST_TOTAL_ELEMENTS:
        raise TraceError(f"{path}: got {elements} elements, expected at most {LARGEST_TOTAL_ELEMENTS} in a file")
    if in_fortran_order > LARGEST_FORTRAN_ELEMENTS:
        raise TraceError(f"{path}: got {in_fortran_order} elements in Fortran order, expected at most "
                         f"{LARGEST_FORTRAN_ELEMENTS}, or C order (numpy.ascontiguousarray)")  # fmt: skip


def _by_layer(entries: Mapping[str, Entry], path: Path) -> dict[str, dict[str, Entry]]:
    layers: dict[str, dict[str, Entry]] = {}
    for full, entry in _without_prefixes(entries):
        if len(entry.shape) < 2:
            continue
        if not full:
            raise TraceError(f"{path}: got an array without a name, expected that of a layer")
        ending, part = next(each for each in _ENDINGS if full.endswith(each[0]) and len(full) > len(each[0]))
        name = full.removesuffix(ending)
        parts = layers.setdefault(name, {})
        if part in parts:
            raise TraceError(f"{path}: {name}: got two arrays for the {part} of one layer, expected one")
        parts[part] = entry
    if len(layers) > MOST_LAYERS:
        raise TraceError(f"{path}: got {len(layers)} layers, expected at most {MOST_LAYERS}")
    return layers


def _without_prefixes(entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry]]:
    names = list(entries)
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in names):
            names = [name.removeprefix(prefix) for name in names]
    return zip(names, entries.values(), strict=True)


def _product(parts: Mapping[str, Entry], where: str) -> BitTensor:
    """What is multiplied: elements that every array of the layer has."""
    shapes = {entry.shape for entry in parts.values()}
    if len(shapes) != 1:
        raise TraceError(f"{where}: got shapes {' and '.join(map(_shown, sorted(shapes)))}, expected one for all")
    first, *rest = (entry.read() for entry in parts.values())
    for other in rest:
        if first.packed is None:
            first = other
        elif other.packed is not None:
            first = BitTensor(shape=first.shape, packed=first.packed & other.packed)
    return first


def _shown(shape: tuple[int, ...]) -> str:
    text = str(list(shape))
    return text if len(text) <= 80 else f"{text[:79]}…"
