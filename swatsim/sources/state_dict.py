"""A state_dict of PyTorch, as torch.save writes it, of a model pruned with torch.nn.utils.prune."""

from __future__ import annotations

import zipfile
from collections.abc import Hashable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from swatsim.bits import BitTensor
from swatsim.confined import Limits, confined, limits_for
from swatsim.errors import TraceError
from swatsim.plain_text import words_of
from swatsim.sources.archive import open_archive
from swatsim.sources.arrays import Entry, contents_of
from swatsim.sources.source import (
    MOST_LAYERS,
    Contents,
    Request,
    file_bytes,
    open_source,
    optional_module,
    register,
)
from swatsim.trace.json_values import shown

_EXPECTED = "a state_dict, saved with torch.save (PyTorch 1.6 or later)"
_PLAIN = "expected a plain one with values"
_MOST_PARTS = 16 * MOST_LAYERS  # with the state of an optimizer, which a checkpoint may have
# Of 10 s, what starts before and writes after has a part.
_LIMITS = Limits(memory_bytes=2 << 30, seconds=8)
_COPIES = 4  # the file, and of its bytes, which of them are not zero, so and in order
# Where checkpoints keep the state_dict among other things.
_INSIDE = ("state_dict", "model_state_dict", "model")


@register("state-dict", suffixes=(".pt", ".pth", ".bin"))
def read_state_dict(path: Path, request: Request) -> Contents:
    """Read `X_orig` and `X_mask`, whose product is multiplied; a weight without a mask has only its own zeros."""
    torch = optional_module("torch")
    limits = limits_for(file_bytes(path, _EXPECTED), small=_LIMITS, copies=_COPIES)
    # A forked process has none of the threads that torch may have begun.
    one_thread = partial(torch.set_num_threads, 1)
    work = partial(_contents, torch, path, request)
    return confined(work, limits, where=str(path), expected=_EXPECTED, begin=one_thread)


def _contents(torch: Any, path: Path, request: Request) -> Contents:
    _check_archive(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except MemoryError:
        raise
    except Exception as error:  # of a damaged file, torch and pickle raise what they happen to meet
        got = f"what cannot be read with weights_only ({words_of(error)})"
        raise TraceError(f"{path}: got {got}, expected {_EXPECTED}") from None
    return contents_of(dict(_entries(loaded, path, torch)), path, request.layers, only_masks=True)


def _check_archive(path: Path) -> None:
    """torch.save compresses nothing: what is compressed could be far larger than the file."""
    with open_source(path, _EXPECTED) as file:
        try:
            members = open_archive(file, path, _MOST_PARTS).infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise TraceError(f"{path}: got another file ({words_of(error)}), expected {_EXPECTED}") from None
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise TraceError(f"{path}: {member.filename!r}: got a compressed part, expected {_EXPECTED}")


def _entries(loaded: Any, path: Path, torch: Any) -> Iterator[tuple[str, Entry]]:
    found = loaded
    if isinstance(found, Mapping) and not any(isinstance(value, torch.Tensor) for value in found.values()):
        found = next((found[key] for key in _INSIDE if isinstance(found.get(key), Mapping)), found)
    if not isinstance(found, Mapping) or not any(isinstance(value, torch.Tensor) for value in found.values()):
        raise TraceError(f"{path}: got {type(loaded).__name__} without tensors, expected {_EXPECTED}")
    shared: dict[Hashable, BitTensor] = {}
    for name, value in found.items():
        if isinstance(value, torch.Tensor) and isinstance(name, str):
            if value.is_nested:
                raise TraceError(f"{path}: {shown(name)}: got a nested tensor, {_PLAIN}")
            yield name, Entry(shape=tuple(value.shape), read=_reader(value, shared, f"{path}: {name}"))


def _reader(tensor: Any, shared: dict[Hashable, BitTensor], where: str) -> Any:
    """`shared`: what was read of the same elements under other names, of which a small file may have thousands."""

    def read() -> BitTensor:
        if tensor.is_meta or tensor.is_quantized or str(tensor.layout) != "torch.strided":
            raise TraceError(f"{where}: got a {tensor.layout} {tensor.dtype} tensor, {_PLAIN}")
        stored = tensor.untyped_storage().nbytes() // tensor.element_size()
        if tensor.numel() > stored:
            got = f"{tensor.numel()} elements of which the file has {stored}, as where a tensor was expanded"
            raise TraceError(f"{where}: got {got}, expected all of them")
        place = (
            tensor.untyped_storage().data_ptr(),
            tensor.storage_offset(),
            tensor.shape,
            tensor.stride(),
            tensor.dtype,
        )
        if place in shared:
            return shared[place]
        try:
            present = (tensor.detach() != 0).numpy()
        except RuntimeError as error:  # of types that torch stores and cannot compare
            got = f"a tensor of {tensor.dtype} ({words_of(error)})"
            raise TraceError(f"{where}: got {got}, {_PLAIN}") from None
        return shared.setdefault(place, BitTensor.from_array(present))

    return read
