"""What a budget and a scheme are told about a layer: where it stands and the shape of its weight, without tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from swatsim.errors import SwatsimError
from swatsim.layer import LayerSpec

FIRST_CONVOLUTION = "first_convolution"
LAST_LINEAR = "last_linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One layer of a network.

    `weight_shape` is PyTorch's: (K, C/groups, R, S), or (out, in); transposed convolutions have C and K exchanged.
    """

    name: str
    kind: str
    weight_shape: tuple[int, ...]
    words: frozenset[str] = frozenset()  # FIRST_CONVOLUTION, LAST_LINEAR

    @property
    def weights(self) -> int:
        """Elements of the weight."""
        return math.prod(self.weight_shape)

    def matches(self, patterns: Sequence[str]) -> bool:
        """Whether one of the patterns is a word for this place or matches its name, as in a shell."""
        return any(pattern in self.words or fnmatchcase(self.name, pattern) for pattern in patterns)


def places_of(layers: Sequence[tuple[str, str, tuple[int, ...]]]) -> tuple[Place, ...]:
    """Places of (name, kind, weight shape) in the order of the network: who is first and last is seen here.

    Raises SwatsimError where there are none.
    """
    if not layers:
        raise SwatsimError("budget: got a network without layers, expected at least one")
    first = next((name for name, kind, _ in layers if kind in ("conv1d", "conv2d")), None)
    last = next((name for name, kind, _ in reversed(layers) if kind == "linear"), None)
    return tuple(
        Place(
            name=name, kind=kind, weight_shape=tuple(shape),
            words=frozenset(word for word, found in ((FIRST_CONVOLUTION, first), (LAST_LINEAR, last)) if found == name),
        )
        for name, kind, shape in layers
    )  # fmt: skip


def places_of_specs(specs: Sequence[LayerSpec]) -> tuple[Place, ...]:
    """Places of the layers of a trace or of a network's shapes."""
    return places_of([(spec.name, spec.kind, spec.weight_shape) for spec in specs])
