"""Readers whose input must be nearly right to get far: documents, YAML, ONNX and PyTorch files are made, then damaged.

Each maker draws from a `random.Random`, so that a number names an input.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from fuzz import byte_targets
from fuzz.judging import accepts
from fuzz.seeds import CORPUS, ROOT
from swatsim.sources.onnx_model import read_onnx
from swatsim.sources.source import Request
from swatsim.sources.state_dict import read_state_dict
from swatsim.sweeping.grid import read_grid

_INTEGERS = (0, 1, -1, 2, 255, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**12, 10**19, -(2**63))
_SCALARS: tuple[Any, ...] = (
    *_INTEGERS, None, True, False, 0.5, 1e308, float("inf"), float("nan"), "", "x", "a\nb", "\ud800", "é" * 300, "1/3",
    [], {}, [[]], [{}], {"": None},
)  # fmt: skip
_YAML_VALUES = (
    "", "~", "{}", "[]", "0", "-1", "1e30", "1e31", "1e400", "0x10", "017", ".nan", ".inf", "9" * 39, "9" * 5000, "1_0",
    "true", "yes", "'a'", '"a\\nb"', '"\\ud800"', '"\\x00"', "&a 1", "*a", "!!python/object/apply:os.system [x]",
    "!x y",
    "<<", "|", ">", "[1, 2", "{a: 1, a: 2}", "{<<: *a}", "[" * 40 + "]" * 40, "- 1", "? a", "2026-11-27", "1:30", "é",
    "\u2028", "\x85", "*", "**", "a/*", "//", "[[1, 0], [0, 1]]", "{kind: lanes}", "a" * 3000, "%", "@", "`",
)  # fmt: skip
_YAML_LINES = (
    "---", "...", "%YAML 9.9", "%YAML 1." + "9" * 5000, "\ufeff", "\tx: 1", "a: &a [*a, *a]", "<<: {a: 1}", "? [a]",
    ": 1",
    "name: name", "#", "x:", "- a", "'", '"', "{", "}", "!", "a: b: c", "arch: dadiannao", "trace: [a, b]", "layers: 5",
    "trace: '**x'", "trace: '*/../*'", "set: {tile.rows: [1, 2]}", "objective: energy",
)  # fmt: skip
_GRIDS = (
    "arch: dadiannao\ntrace: small\n",
    "arch: [dadiannao, a/b.yaml]\ntrace: traces/*\nset:\n  tile.rows: [4, 8]\n  datapath.moves: [[[1, 0]], []]\n",
    "arch: tensordash\ntrace: [x, y]\nobjective: [cycles, energy]\nlayers: 'conv*'\n",
)


def tree(number: int) -> bytes:
    """A report, or now and then a point, one to three values of which are replaced, dropped, doubled or nested."""
    draw = random.Random(number)
    document = json.loads(draw.choice(_documents()))
    for _ in range(draw.randint(1, 3)):
        _damage(document, draw)
    return json.dumps(document).encode("utf-8", "surrogatepass")


@cache
def _documents() -> tuple[str, ...]:
    small = (CORPUS / "saved" / "seed_report").read_text(encoding="utf-8")
    whole = (ROOT / "tests" / "baselines" / "smallcnn.json").read_text(encoding="utf-8")
    return (small,) * 9 + (whole,)


def _damage(document: Any, draw: random.Random) -> None:
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = draw.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and draw.random() < 0.85:
            place = place[key]
            continue
        match draw.randrange(6):
            case 0:
                del place[key]
            case 1 if isinstance(place, dict):
                place[draw.choice(("x", "", "\n", "layer", str(key) * 100))] = place[key]
            case 2:
                place[key] = [place[key], place[key]]
            case 3 if type(place[key]) is int:
                place[key] += draw.choice((1, -1, 2**40))
            case 4:
                place[key] = place[draw.choice(keys)]
            case _:
                # A copy: what is changed in it later is not for the inputs after this one.
                place[key] = deepcopy(draw.choice(_SCALARS))
        return


def saved_tree(data: bytes, folder: Path) -> bool:
    """As the target `saved`."""
    return byte_targets.saved(data, folder)


def point_tree(number: int) -> bytes:
    """A finished point of a sweep, damaged."""
    draw = random.Random(number)
    document = json.loads((CORPUS / "sweep_point" / "seed_point").read_text(encoding="utf-8"))
    for _ in range(draw.randint(1, 2)):
        _damage(document, draw)
    return json.dumps(document).encode("utf-8", "surrogatepass")


def architecture_text(number: int) -> bytes:
    """A shipped architecture whose lines and values are replaced, or YAML from nothing."""
    draw = random.Random(number)
    text = draw.choice(_shipped()) if draw.random() < 0.8 else _made_yaml(draw, 0)
    return _damaged_text(text, draw)


@cache
def _shipped() -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8") for path in sorted((ROOT / "arch").glob("*.yaml")))


def grid_text(number: int) -> bytes:
    """A grid of a sweep, damaged."""
    draw = random.Random(number)
    text = draw.choice(_GRIDS) if draw.random() < 0.8 else _made_yaml(draw, 0)
    return _damaged_text(text, draw)


def grid(data: bytes, folder: Path) -> bool:
    """The grid and its points."""
    path = folder / "grid.yaml"
    path.write_bytes(data)

    def read() -> None:
        found = read_grid(str(path))
        assert len(found) >= 1
        assert isinstance(found.layers, str)
        next(found.points())

    return accepts(read, several_lines=True)


def _made_yaml(draw: random.Random, depth: int) -> str:
    lines = []
    for _ in range(draw.randint(0, 4)):
        name = draw.choice(("name", "tile", "datapath", "arch", "set", "a", "kind", draw.choice(_YAML_VALUES)))
        deeper = depth < 20 and draw.random() < 0.6
        value = "\n" + _made_yaml(draw, depth + 1) if deeper else draw.choice(_YAML_VALUES)
        lines.append("  " * depth + f"{name}: {value}")
    return "\n".join(lines)


def _damaged_text(text: str, draw: random.Random) -> bytes:
    lines = text.split("\n")
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3, 8))):
        index = draw.randrange(len(lines))
        key, colon, _ = lines[index].partition(":")
        match draw.randrange(7):
            case 0:
                lines.insert(index, draw.choice(_YAML_LINES))
            case 1:
                lines.insert(draw.randrange(len(lines)), lines[index])
            case 2:
                del lines[index]
                lines = lines or [""]
            case 3:
                lines[index] = " " * draw.randrange(4) + lines[index]
            case _ if colon:
                lines[index] = f"{key}: {draw.choice(_YAML_VALUES)}"
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    return damaged_bytes(data, draw) if draw.random() < 0.2 else data


def damaged_bytes(data: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, dropped, doubled, or replaced by an integer that is rarely tried."""
    content = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        if not content:
            break
        start = draw.randrange(len(content))
        end = min(len(content), start + draw.choice((1, 1, 2, 4, 8, 64)))
        match draw.randrange(5):
            case 0:
                content[start] ^= 1 << draw.randrange(8)
            case 1:
                del content[start:end]
            case 2:
                content[start:start] = content[start:end]
            case 3:
                content[start:end] = (draw.choice(_INTEGERS) % 2**64).to_bytes(8, "little")[: end - start]
            case _:
                content[start:end] = draw.randbytes(end - start)
    return bytes(content)


def onnx_file(number: int) -> bytes:
    """A small model, damaged."""
    draw = random.Random(number)
    return damaged_bytes(draw.choice(_files("onnx")), draw)


def onnx(data: bytes, folder: Path) -> bool:
    """A model of ONNX."""
    path = folder / "model.onnx"
    path.write_bytes(data)
    return accepts(lambda: _read(read_onnx, path, Request(images=2)))


def state_dict_file(number: int) -> bytes:
    """A small state_dict: one member of its archive damaged and put together anew, or the archive itself damaged."""
    draw = random.Random(number)
    data = draw.choice(_files("state_dict"))
    if draw.random() < 0.2:
        return damaged_bytes(data, draw)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [(info.filename, archive.read(info)) for info in archive.infolist()]
    chosen = next(index for index, (name, _) in enumerate(parts) if name.endswith("data.pkl"))
    if draw.random() < 0.3:
        chosen = draw.randrange(len(parts))
    parts[chosen] = (parts[chosen][0], damaged_bytes(parts[chosen][1], draw))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts:
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def state_dict(data: bytes, folder: Path) -> bool:
    """A state_dict of PyTorch."""
    path = folder / "model.pt"
    path.write_bytes(data)
    return accepts(lambda: _read(read_state_dict, path, Request(positions=2)))


def _read(read: Callable[[Path, Request], object], path: Path, request: Request) -> None:
    read(path, request)


@cache
def _files(target: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((CORPUS / target).iterdir()))
