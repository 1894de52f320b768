"""Tensor files: packed bits in the safetensors layout, compressed with zstd."""

from __future__ import annotations

import hashlib
import math
import os
import struct
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor, count_ones
from swatsim.errors import TraceError
from swatsim.trace import plain_files
from swatsim.trace.records import StoredTensor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIX = ".st.zst"
# Masks of a ResNet-50 step: 2.7 % smaller than at level 9, read as fast; 7 MB/s to write, once.
LEVEL = 19
# Frames made at levels up to 19 need no larger window; a larger one could claim memory that no tensor has.
_LARGEST_WINDOW_LOG = 23
_LARGEST_BLOCK_BYTES = 128 << 10
_CHUNK_BYTES = 1 << 20
_EXPECTED = "a tensor file"
_WORD_BYTES = 8


class DamagedError(TraceError):
    """A file has other content than it should have, whoever reads it and whenever."""


def file_name(digest: str) -> str:
    """Name of a tensor's file; `digest` must be known to be 64 hexadecimal digits."""
    return f"{digest}{SUFFIX}"


def header(tensor: StoredTensor) -> bytes:
    """The bytes before the packed bits: fully determined by the tensor, so that equal tensors have equal names."""
    data_bytes = packed_bytes(tensor)
    shape = ",".join(str(size) for size in tensor.shape)
    fill = "ones" if tensor.all_ones else "bits"
    text = (
        f'{{"__metadata__":{{"fill":"{fill}","shape":"[{shape}]"}},'
        f'"bits":{{"dtype":"U8","shape":[{data_bytes}],"data_offsets":[0,{data_bytes}]}}}}'
    )
    padded = text.ljust(-(-len(text) // 8) * 8).encode("ascii")  # safetensors aligns data to 8 bytes
    return struct.pack("<Q", len(padded)) + padded


def packed_bytes(tensor: StoredTensor) -> int:
    """Bytes of packed bits in the file; a tensor of all ones stores none."""
    return 0 if tensor.all_ones else -(-math.prod(tensor.shape) // 8)


def encode(bits: BitTensor) -> tuple[str, StoredTensor, bytes]:
    """Give a tensor's SHA-256, its record and its compressed file; a full tensor becomes one of all ones."""
    packed = bits.packed
    if packed is not None and count_ones(packed) == bits.size:
        packed = None
    tensor = StoredTensor(shape=bits.shape, all_ones=packed is None)
    content = header(tensor) if packed is None else b"".join((header(tensor), packed.data))
    return hashlib.sha256(content).hexdigest(), tensor, zstd.compress(content, LEVEL)


def check_file(path: Path, tensor: StoredTensor) -> None:
    """Refuse a tensor file that is missing, not a regular file, or of a size its shape cannot have."""
    _check_size(path, plain_files.check_file(path, _EXPECTED), tensor)


def largest_file_bytes(tensor: StoredTensor) -> int:
    """The most that the file of a tensor of this shape can have."""
    return _possible_bytes(tensor)[1]


def read(path: Path, digest: str, tensor: StoredTensor) -> BitTensor:
    """Read one tensor file, of which nothing is believed.

    No more memory is taken than the shape allows, whatever the file would expand to. Raises TraceError.
    """
    expected_header = header(tensor)
    content = _decompress(path, len(expected_header) + packed_bytes(tensor), tensor)
    got_digest = hashlib.sha256(content.data).hexdigest()
    if got_digest != digest:
        raise DamagedError(f"{path}: content: got SHA-256 {got_digest}, expected that of the file's name")
    got_header = content[: len(expected_header)].tobytes()
    if got_header != expected_header:
        raise DamagedError(f"{path}: header: got {got_header!r}, expected {expected_header!r}")
    if tensor.all_ones:
        return BitTensor(shape=tensor.shape, packed=None)
    _check(content[len(expected_header) :], tensor.shape, str(path))
    # A header is a whole number of words.
    assert content.base is not None
    bits = BitTensor.of_words(tensor.shape, content.base[len(expected_header) :].view(np.uint64))
    if bits.nonzeros == bits.size:
        raise DamagedError(f'{path}: bits: got ones only, expected fill "ones" for such a tensor')
    return bits


def _decompress(path: Path, expected_bytes: int, tensor: StoredTensor) -> NDArray[np.uint8]:
    """The content, in the memory of an array that has room for whole words."""
    options = {int(zstd.DecompressionParameter.window_log_max): _LARGEST_WINDOW_LOG}
    decompressor = zstd.ZstdDecompressor(options=options)
    filled = 0
    try:
        # In words, of which the last one is spare (`BitTensor.words`).
        room = np.zeros((-(-expected_bytes // _WORD_BYTES) + 1) * _WORD_BYTES, dtype=np.uint8)
        content = room[:expected_bytes]
        with plain_files.open_file(path, _EXPECTED) as file:
            _check_size(path, os.fstat(file.fileno()).st_size, tensor)
            chunk = b""
            while not decompressor.eof:
                if decompressor.needs_input:
                    chunk = file.read(_CHUNK_BYTES)
                    if not chunk:
                        raise DamagedError(f"{path}: got a truncated zstd frame, expected {expected_bytes} bytes")
                piece = decompressor.decompress(chunk, max_length=min(_CHUNK_BYTES, expected_bytes - filled + 1))
                chunk = b""
                if filled + len(piece) > expected_bytes:
                    raise DamagedError(f"{path}: got more content than {expected_bytes} bytes, expected no more")
                content[filled : filled + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
                filled += len(piece)
            trailing = len(decompressor.unused_data) + len(file.read(1))
    except zstd.ZstdError as error:
        raise DamagedError(f"{path}: got a damaged zstd frame ({error}), expected {expected_bytes} bytes") from None
    except MemoryError:
        raise TraceError(f"{path}: got too little memory, expected room for {expected_bytes} bytes") from None
    except OSError as error:
        raise TraceError(f"{path}: got an error ({error.strerror}), expected {_EXPECTED}") from None
    if filled != expected_bytes:
        raise DamagedError(f"{path}: got {filled} bytes of content, expected {expected_bytes}")
    if trailing:
        raise DamagedError(f"{path}: got bytes after the zstd frame, expected none")
    return content


def _check_size(path: Path, got_bytes: int, tensor: StoredTensor) -> None:
    lowest, highest = _possible_bytes(tensor)
    if not lowest <= got_bytes <= highest:
        shape = list(tensor.shape)
        raise DamagedError(
            f"{path}: got {got_bytes} bytes, expected {lowest} to {highest} for a tensor of shape {shape}"
        )


def _possible_bytes(tensor: StoredTensor) -> tuple[int, int]:
    """The least and the most."""
    content_bytes = len(header(tensor)) + packed_bytes(tensor)
    # A zstd frame takes 6 bytes, and 4 for each block of at most 128 KiB; what cannot be compressed grows a little.
    return 6 + 4 * -(-content_bytes // _LARGEST_BLOCK_BYTES), content_bytes + content_bytes // 256 + 64


def _check(packed: NDArray[np.uint8], shape: tuple[int, ...], where: str) -> None:
    """Refuse bits after the last element."""
    elements = math.prod(shape)
    used_in_last = elements % 8
    if used_in_last and packed[-1] >> used_in_last:
        raise DamagedError(f"{where}: bits: got ones after the last of {elements} elements, expected zeros")
