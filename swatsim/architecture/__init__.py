"""Architecture files: the machine to simulate, read strictly, every error at once."""

from swatsim.architecture.loader import load_architecture, read_architecture
from swatsim.architecture.memory import FORMATS, OPERANDS, STANDARDS, Level, Memory, Operand, path_of
from swatsim.architecture.model import (
    Architecture,
    Area,
    Datapath,
    Energy,
    Streaming,
)
from swatsim.architecture.overrides import parse_override
from swatsim.architecture.shipped import shipped_architectures

__all__ = [
    "FORMATS",
    "OPERANDS",
    "STANDARDS",
    "Architecture",
    "Area",
    "Datapath",
    "Energy",
    "Level",
    "Memory",
    "Operand",
    "Streaming",
    "load_architecture",
    "parse_override",
    "path_of",
    "read_architecture",
    "shipped_architectures",
]
