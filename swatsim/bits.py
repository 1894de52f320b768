"""Which elements of a tensor are present (non-zero), as packed bits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swatsim.arguments import exact_integers
from swatsim.errors import LayerError

WORD_BITS = 64


def empty_words(bits: int) -> NDArray[np.uint64]:
    """Words of so many zero bits, and a spare one (`kernels.bits`)."""
    return np.zeros(-(-bits // WORD_BITS) + 1, dtype=np.uint64)


@dataclass(frozen=True, kw_only=True, eq=False)
class BitTensor:
    """The positions of a tensor's non-zeros.

    `packed` is in C order of `shape`, the first element in the lowest bit of the first byte,
    with zero bits after the last element; `None` stands for a tensor of all ones.

    Raises LayerError if these are not the bytes that the shape needs.
    """

    shape: tuple[int, ...]
    packed: NDArray[np.uint8] | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", exact_integers(self.shape, "shape of bits"))
        packed = self.packed
        if packed is None:
            return
        if not (isinstance(packed, np.ndarray) and packed.dtype == np.uint8 and packed.ndim == 1):
            raise LayerError(f"bits of {self.shape}: got {type(packed).__name__}, expected a flat array of uint8")
        if packed.size != -(-self.size // 8):
            raise LayerError(f"bits of {self.shape}: got {packed.size} bytes, expected {-(-self.size // 8)}")
        if self.size % 8 and packed[-1] >> self.size % 8:
            raise LayerError(f"bits of {self.shape}: got ones after the last element, expected zeros")
        if not packed.flags.c_contiguous:
            object.__setattr__(self, "packed", np.ascontiguousarray(packed))

    @staticmethod
    def from_array(array: Any) -> BitTensor:
        """Mark every non-zero element of `array` (any dtype) as present."""
        present = np.asarray(array) != 0
        if present.all():
            return BitTensor(shape=present.shape, packed=None)
        words = empty_words(present.size)
        words.view(np.uint8)[: -(-present.size // 8)] = np.packbits(present.reshape(-1), bitorder="little")
        return BitTensor.of_words(present.shape, words)

    @staticmethod
    def of_words(shape: tuple[int, ...], words: NDArray[np.uint64]) -> BitTensor:
        """Take what `words` gives, with zeros after the last element: the packed bits are in the same memory."""
        packed = words.view(np.uint8)[: -(-math.prod(shape) // 8)]
        packed.setflags(write=False)
        found = BitTensor(shape=shape, packed=packed)
        found.__dict__["words"] = words
        return found

    @property
    def size(self) -> int:
        """Number of elements, present or not."""
        return math.prod(self.shape)

    @cached_property
    def nonzeros(self) -> int:
        """Number of elements present."""
        return self.size if self.packed is None else count_ones(self.packed)

    @property
    def density(self) -> float:
        """Share of the elements that is present; 0 where there are none."""
        return self.nonzeros / self.size if self.size else 0.0

    @cached_property
    def digest(self) -> str:
        """Equal where the same elements are present, of tensors of one size."""
        return "ones" if self.packed is None else hashlib.blake2b(self.packed.data, digest_size=16).hexdigest()

    @cached_property
    def words(self) -> NDArray[np.uint64]:
        """`packed` in words for `kernels.bits`."""
        words = empty_words(self.size)
        in_bytes = words.view(np.uint8)
        if self.packed is not None:
            in_bytes[: self.packed.size] = self.packed
        else:
            in_bytes[: self.size // 8] = 0xFF
            in_bytes[self.size // 8] = (1 << self.size % 8) - 1
        return words

    @cached_property
    def laid_out(self) -> dict[Hashable, NDArray[np.uint64]]:
        """The words in other orders, made when first asked for (`layouts`)."""
        return {}

    def outside(self, other: BitTensor) -> int:
        """Elements that are present here and not in another tensor of the same shape."""
        if other.packed is None:
            return 0
        if self.packed is None:
            return self.size - other.nonzeros
        return count_ones(self.packed & ~other.packed)

    def part(self, chosen: slice) -> BitTensor:
        """Consecutive ones of the first index."""
        shape = (chosen.stop - chosen.start, *self.shape[1:])
        if self.packed is None:
            return BitTensor(shape=shape, packed=None)
        first, stop = (end * math.prod(shape[1:]) for end in (chosen.start, chosen.stop))
        return BitTensor.from_array(self.unpacked(first, stop).reshape(shape))

    def unpacked(self, first: int, stop: int) -> NDArray[np.bool_]:
        """Whether each of the elements from `first` up to `stop`, in C order, is present."""
        if self.packed is None:
            return np.ones(stop - first, dtype=np.bool_)
        present = np.unpackbits(self.packed[first // 8 : -(-stop // 8)], bitorder="little")
        return present[first % 8 : first % 8 + stop - first].view(np.bool_)

    def to_bool(self) -> NDArray[np.bool_]:
        """Unpack into a new boolean array of `shape`."""
        return self.unpacked(0, self.size).reshape(self.shape)

    def __eq__(self, other: object) -> bool:
        """Two tensors are equal if the same elements of the same shape are present."""
        if not isinstance(other, BitTensor) or self.shape != other.shape:
            return False
        if self.packed is None or other.packed is None:
            return self.nonzeros == other.nonzeros == self.size
        return np.array_equal(self.packed, other.packed)

    def __hash__(self) -> int:
        return hash((self.shape, self.nonzeros))

    def __reduce__(self) -> tuple[Callable[..., BitTensor], tuple[Any, ...]]:
        """Pickled, the bits are there once: `packed` may be a part of `words`."""
        if self.packed is None:
            return partial(BitTensor, shape=self.shape, packed=None), ()
        return BitTensor.of_words, (self.shape, self.words)


def count_ones(packed: NDArray[np.uint8]) -> int:
    """How many bits of whole bytes are set."""
    whole = packed.size // 8 * 8
    count = np.bitwise_count(packed[:whole].view(np.uint64)).sum(dtype=np.int64)
    return int(count + np.bitwise_count(packed[whole:]).sum(dtype=np.int64))


def kept_count(sparsity: Fraction, elements: int) -> int:
    """K = ceil((1 - s) * elements): how many a selection at a sparsity keeps."""
    return math.ceil((1 - sparsity) * elements)
