"""What is counted where bytes go."""

from __future__ import annotations

from typing import NamedTuple

DIRECTIONS = ("read", "write")
# The tensors of a layer by shape (an output gradient has the output's), and what a training step keeps besides.
TENSORS = ("input", "weight", "output", "state")


class Move(NamedTuple):
    """Where bytes go: a level, a direction there, and the shape of the tensor."""

    level: str
    direction: str
    tensor: str
