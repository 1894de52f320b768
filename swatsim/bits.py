"""Which elements of a tensor are present (non-zero), as packed bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swatsim.errors import LayerError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BitTensor:
    """The positions of a tensor's non-zeros.

    `packed` is in C order of `shape`, the first element in the lowest bit of the first byte,
    with zero bits after the last element; `None` stands for a tensor of all ones.

    Raises LayerError if there are more or fewer bytes than the shape needs.
    """

    shape: tuple[int, ...]
    packed: NDArray[np.uint8] | None

    def __post_init__(self) -> None:
        if self.packed is not None and self.packed.size != -(-self.size // 8):
            raise LayerError(f"bits of {self.shape}: got {self.packed.size} bytes, expected {-(-self.size // 8)}")

    @staticmethod
    def from_array(array: Any) -> BitTensor:
        """Mark every non-zero element of `array` (any dtype) as present."""
        present = np.asarray(array) != 0
        if present.all():
            return BitTensor(shape=present.shape, packed=None)
        packed = np.packbits(present.reshape(-1), bitorder="little")
        packed.setflags(write=False)
        return BitTensor(shape=present.shape, packed=packed)

    @property
    def size(self) -> int:
        """Number of elements, present or not."""
        return math.prod(self.shape)

    @property
    def nonzeros(self) -> int:
        """Number of elements present."""
        return self.size if self.packed is None else int(np.bitwise_count(self.packed).sum(dtype=np.int64))

    def outside(self, other: BitTensor) -> int:
        """Elements that are present here and not in another tensor of the same shape."""
        if other.packed is None:
            return 0
        if self.packed is None:
            return self.size - other.nonzeros
        return int(np.bitwise_count(self.packed & ~other.packed).sum(dtype=np.int64))

    def to_bool(self) -> NDArray[np.bool_]:
        """Unpack into a new boolean array of `shape`."""
        if self.packed is None:
            return np.ones(self.shape, dtype=np.bool_)
        flat = np.unpackbits(self.packed, count=self.size, bitorder="little")
        return flat.view(np.bool_).reshape(self.shape)

    def __eq__(self, other: object) -> bool:
        """Two tensors are equal if the same elements of the same shape are present."""
        if not isinstance(other, BitTensor) or self.shape != other.shape:
            return False
        if self.packed is None or other.packed is None:
            return self.nonzeros == other.nonzeros == self.size
        return np.array_equal(self.packed, other.packed)

    def __hash__(self) -> int:
        return hash((self.shape, self.nonzeros))


def kept_count(sparsity: Fraction, elements: int) -> int:
    """K = ceil((1 - s) * elements): how many a selection at a sparsity keeps."""
    return math.ceil((1 - sparsity) * elements)
