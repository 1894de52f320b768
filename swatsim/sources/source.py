"""What a trace source is: one file of this package that reads one format."""

from __future__ import annotations

import importlib
import io
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swatsim.bits import BitTensor
from swatsim.errors import SwatsimError, TraceError
from swatsim.layer import LayerSpec
from swatsim.trace.json_values import shown
from swatsim.trace.records import LONGEST_NAME

MOST_LAYERS = 10_000
LARGEST_FILE_BYTES = 1 << 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user says of what a source does not; None: nothing."""

    network: str | None = None
    images: int | None = None
    classes: int | None = None
    positions: int | None = None  # of linear layers: how many vectors each multiplies
    layers: str = "*"  # pattern of names
    weight_grad_mask: bool = False  # gradients are needed only of the weights that are there


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a source says of a network.

    `weights` are bits by layer; `others` may belong to a layer or not, and are taken only where a network has it.
    `specs` are the layers in order, None where the source has weights only. `remarks` say what was left out.
    """

    weights: Mapping[str, BitTensor] = field(default_factory=dict)
    others: Mapping[str, BitTensor] = field(default_factory=dict)
    specs: tuple[LayerSpec, ...] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A format: what it is told by, and its reader."""

    name: str
    suffixes: tuple[str, ...]
    folder: bool  # whether it may be a folder of such files
    read: Callable[[Path, Request], Contents]


SOURCES: dict[str, Source] = {}


def register(
    name: str, *, suffixes: tuple[str, ...], folder: bool = False
) -> Callable[[Callable[[Path, Request], Contents]], Callable[[Path, Request], Contents]]:
    """Make a reader selectable by this name, and by the suffixes of its files."""

    def add(read: Callable[[Path, Request], Contents]) -> Callable[[Path, Request], Contents]:
        SOURCES[name] = Source(name=name, suffixes=suffixes, folder=folder, read=read)
        return read

    return add


def source_of(path: Path, kind: str) -> Source:
    """The source named `kind`, or for "auto" the one that `path` looks like. Raises SwatsimError."""
    names = ", ".join(sorted(SOURCES))
    if kind != "auto":
        if kind not in SOURCES:
            raise SwatsimError(f"--kind: got {kind!r}, expected auto or one of {names}")
        return SOURCES[kind]
    folder = path.is_dir()
    for source in SOURCES.values():
        if source.folder if folder else path.suffix.lower() in source.suffixes:
            return source
    known = ", ".join(sorted(suffix for source in SOURCES.values() for suffix in source.suffixes))
    raise TraceError(f"{path}: got suffix {path.suffix!r}, expected --kind (one of {names}) or one of {known}")


def open_source(path: Path, expected: str) -> io.BufferedReader:
    """Open a file that the user named: a regular one, or a link to one. Raises TraceError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise TraceError(f"{path}: got what is not a file, expected {expected}")
        if status.st_size > LARGEST_FILE_BYTES:
            raise TraceError(f"{path}: got {status.st_size} bytes, expected at most {LARGEST_FILE_BYTES}")
        return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise TraceError(f"{path}: got {getattr(error, 'strerror', None) or error}, expected {expected}") from None


def file_bytes(path: Path, expected: str) -> int:
    """How large a file is that `open_source` opens. Raises TraceError."""
    with open_source(path, expected) as file:
        return os.fstat(file.fileno()).st_size


def check_name(name: str, where: str) -> None:
    """Refuse the name of an array or a layer that would break a line or fill a screen. Raises TraceError."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise TraceError(f"{where}: got the name {shown(name)}, "
                         f"expected at most {LONGEST_NAME} printable ones, no control characters")  # fmt: skip


def optional_module(name: str) -> Any:
    """A package that an extra of the same name installs; raises SwatsimError where it is not there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = name if isinstance(error, ModuleNotFoundError) and error.name == name else f"{name} ({error})"
        raise SwatsimError(f"import: got no {missing}, expected the extra: pip install 'swatsim[{name}]'") from None
