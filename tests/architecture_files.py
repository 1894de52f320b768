"""A small valid architecture file, edits of it and the errors they give."""

from __future__ import annotations

import pytest

from swatsim.architecture import read_architecture
from swatsim.errors import ArchitectureError

# Line numbers in the tests count from the line of `name`.
VALID = """\
name: small
clock_hz: 606_000_000
tiles: 4
tile:
  rows: 16
  columns: 1
  lanes: 16
datapath:
  kind: lanes
  skip: rows
  reach: moves
  moves: [[1, -1], [1, 0]]
  lockstep: tile
  barrier: buffer
mapping:
  tile_split: rows
  flatten: never
  step_order: rsc
  window_order: npq
memory:
  dram: {holds: [rows, columns, results], per: node, capacity_bytes: null, LEVEL}
  central: {holds: [columns, results], per: node, capacity_bytes: 64, LEVEL}
  sb: {holds: [rows], per: tile, capacity_bytes: 4096, LEVEL}
  nbin: {holds: [columns], per: tile, capacity_bytes: 128, LEVEL}
  nbout: {width_bytes_per_cycle: 5, energy_pj_per_bit: 70, holds: [results], per: tile, capacity_bytes: 128, REST}
"""
VALID = VALID.replace("LEVEL", "width_bytes_per_cycle: 4, energy_pj_per_bit: 0.5, REST")
VALID = VALID.replace("REST", "banks: 1, latency_cycles: 8, format: dense")


def errors(text: str | bytes, overrides: dict[str, object] | None = None) -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(ArchitectureError) as caught:
        read_architecture(content, "arch/foo.yaml", overrides)
    return str(caught.value).split("\n")


def marked(text: str) -> tuple[str, str]:
    """The text without its one @, and the line:column where that stood."""
    before, after = text.split("@")
    lines = before.split("\n")
    return before + after, f"{len(lines)}:{len(lines[-1]) + 1}"


def edited(*replacements: tuple[str, str]) -> str:
    text = VALID
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} must stand once in the file"
        text = text.replace(old, new)
    return text
