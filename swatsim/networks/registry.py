"""Networks by name, and what a file of this package says of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swatsim.networks.builder import Builder


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """How a network is built."""

    title: str
    source: str
    input_shape: tuple[int, ...]  # of one image, or one sequence
    classes: int
    build: Callable[[Builder, int], None]  # adds all nodes behind "input", for so many classes


NETWORKS: dict[str, Definition] = {}


def register(
    name: str, *, title: str, source: str, input_shape: tuple[int, ...], classes: int
) -> Callable[[Callable[[Builder, int], None]], Callable[[Builder, int], None]]:
    """Make a network selectable by this name."""

    def add(build: Callable[[Builder, int], None]) -> Callable[[Builder, int], None]:
        NETWORKS[name] = Definition(title=title, source=source, input_shape=input_shape, classes=classes, build=build)
        return build

    return add
