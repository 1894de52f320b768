"""Architecture files: the machine to simulate, read strictly, every error at once."""

from swatsim.architecture.loader import load_architecture, read_architecture
from swatsim.architecture.model import (
    LEVELS,
    Architecture,
    Datapath,
    Dram,
    LanesDatapath,
    Level,
    Mapping,
    Memory,
    Tile,
)
from swatsim.architecture.overrides import parse_override
from swatsim.architecture.shipped import shipped_architectures

__all__ = [
    "LEVELS",
    "Architecture",
    "Datapath",
    "Dram",
    "LanesDatapath",
    "Level",
    "Mapping",
    "Memory",
    "Tile",
    "load_architecture",
    "parse_override",
    "read_architecture",
    "shipped_architectures",
]
