"""The three reports that SCALE-Sim writes, of a report of ours: a folder for each pass, a row for each layer.

Names, order and punctuation of the columns are those of scalesim/simulator.py of SCALE-Sim 3 (Raj et al., "SCALE-Sim
v3", ISPASS 2025; version 2 has the same ones without the first cycles). docs/scalesim.md says what each means here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from swatsim.errors import SwatsimError
from swatsim.moves import Move
from swatsim.passes import PASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swatsim.report.records import Row
    from swatsim.report.report import Report
    from swatsim.timeline import PlacedPass

LAYERS_FILE = "LAYERS.csv"
COMPUTE_FILE, BANDWIDTH_FILE, ACCESS_FILE = "COMPUTE_REPORT.csv", "BANDWIDTH_REPORT.csv", "DETAILED_ACCESS_REPORT.csv"
# All files that may be written, by path.
WRITTEN = (LAYERS_FILE, *(f"{name}/{file}" for name in PASSES for file in (COMPUTE_FILE, BANDWIDTH_FILE, ACCESS_FILE)))

_COMPUTE = (
    "LayerID", "Total Cycles (incl. prefetch)", "Total Cycles", "Stall Cycles", "Overall Util %",
    "Mapping Efficiency %", "Compute Util %",
)  # fmt: skip
_BANDWIDTH = (
    "LayerID", "Avg IFMAP SRAM BW", "Avg FILTER SRAM BW", "Avg OFMAP SRAM BW", "Avg IFMAP DRAM BW",
    "Avg FILTER DRAM BW", "Avg OFMAP DRAM BW",
)  # fmt: skip
_ACCESS = (
    "LayerID",
    *(
        f"{memory} {tensor} {what}"
        for memory in ("SRAM", "DRAM")
        for tensor, count in (("IFMAP", "Reads"), ("Filter", "Reads"), ("OFMAP", "Writes"))
        for what in ("Start Cycle", "Stop Cycle", count)
    ),
)
# What slides, what it is multiplied with, and the result of each pass, by shape (swatsim.moves).
_ROLES = {
    "forward": ("input", "weight", "output"),
    "input_grad": ("output", "weight", "input"),
    "weight_grad": ("input", "output", "weight"),
}
_UNKNOWN = float("nan")

Number = int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    """Words that go to or from a memory, between two cycles of the pass, the last included."""

    words: int
    start_cycle: Number
    stop_cycle: Number

    @property
    def cells(self) -> tuple[Number, ...]:
        return (self.start_cycle, self.stop_cycle, self.words)

    @property
    def words_per_cycle(self) -> float:
        return self.words / (self.stop_cycle - self.start_cycle + 1) if self.words else 0.0


def scalesim_files(report: Report) -> dict[str, bytes]:
    """The files by path: LAYERS.csv, and three reports in a folder for each pass that was simulated.

    Streaming work, which SCALE-Sim does not know, is left out. Raises SwatsimError for a report without its timeline.
    """
    if report.timeline is None:
        raise SwatsimError("timeline: got a report without one, expected one of simulate(..., keep_timeline=True)")
    placed = {(each.layer, each.pass_name): each for each in report.timeline}
    layers = {name: number for number, name in enumerate(dict.fromkeys(row.layer for row in report.layer_records))}
    value_bytes = int(report.architecture["datapath"]["value_bytes"])
    files = {LAYERS_FILE: _layer_names(layers)}
    for pass_name in PASSES:
        rows = [row for row in report.layer_records if row.pass_name == pass_name]
        works = [_Work(row=row, placed=placed[row.layer, pass_name], value_bytes=value_bytes) for row in rows]
        if works:
            numbers = [layers[row.layer] for row in rows]
            for name, header, cells in (
                (COMPUTE_FILE, _COMPUTE, (work.compute for work in works)),
                (BANDWIDTH_FILE, _BANDWIDTH, (work.bandwidth for work in works)),
                (ACCESS_FILE, _ACCESS, (work.accesses for work in works)),
            ):
                files[f"{pass_name}/{name}"] = _table(header, zip(numbers, cells, strict=True))
    return files


def _layer_names(layers: Mapping[str, int]) -> bytes:
    text = io.StringIO()
    lines = [("LayerID", "Layer name"), *((number, name) for name, number in layers.items())]
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


def _table(header: Sequence[str], rows: Iterable[tuple[int, Sequence[Number]]]) -> bytes:
    lines = [header, *((number, *cells) for number, cells in rows)]
    return "".join(", ".join(map(str, line)) + ",\n" for line in lines).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A pass of a layer, and where it is placed."""

    row: Row
    placed: PlacedPass
    value_bytes: int

    @property
    def compute(self) -> tuple[Number, ...]:
        row = self.row
        peak = row.machine.peak_macs_per_cycle
        ahead = max(0, -self.placed.ahead[0])
        return (
            row.cycles + ahead, row.cycles, row.stall_cycles, _percent(row.multiplications, row.cycles * peak),
            _UNKNOWN, _percent(row.multiplications, row.compute_cycles * peak),
        )  # fmt: skip

    @property
    def bandwidth(self) -> tuple[Number, ...]:
        cycles = self.row.cycles
        on_chip = tuple(each.words / cycles if each.words else 0.0 for each in self._on_chip())
        return (*on_chip, *(each.words_per_cycle for each in self._off_chip()))

    @property
    def accesses(self) -> tuple[Number, ...]:
        return tuple(cell for each in (*self._on_chip(), *self._off_chip()) for cell in each.cells)

    def _on_chip(self) -> Iterator[_Access]:
        """At the level from which the multipliers read each operand, and to which they write results."""
        for tensor, direction in self._moves():
            moved = [self._bytes(level, direction, tensor) for level in self.row.machine.levels[1:]]
            yield self._access(next((count for count in reversed(moved) if count), 0), self.placed.spans.compute)

    def _off_chip(self) -> Iterator[_Access]:
        outermost = self.row.machine.outermost
        for tensor, direction in self._moves():
            work = self._loads() if direction == "read" else self.placed.spans.store
            yield self._access(self._bytes(outermost, direction, tensor), work)

    def _moves(self) -> Iterator[tuple[str, str]]:
        return zip(_ROLES[self.row.pass_name], ("read", "read", "write"), strict=True)

    def _bytes(self, level: str, direction: str, tensor: str) -> int:
        return self.row.moved_bytes.get(Move(level, direction, tensor), 0)

    def _loads(self) -> NDArray[np.int64]:
        return np.concatenate([[self.placed.ahead], self.placed.spans.load])

    def _access(self, moved_bytes: int, work: NDArray[np.int64]) -> _Access:
        first, last = _first_and_last(work) if moved_bytes else (_UNKNOWN, _UNKNOWN)
        return _Access(words=-(-moved_bytes // self.value_bytes), start_cycle=first, stop_cycle=last)


def _first_and_last(work: NDArray[np.int64]) -> tuple[Number, Number]:
    """The first and the last cycle in which an engine works, of [block, start and end]; NaN where it never does."""
    busy = work[work[:, 0] < work[:, 1]]
    return (int(busy[:, 0].min()), int(busy[:, 1].max()) - 1) if len(busy) else (_UNKNOWN, _UNKNOWN)


def _percent(count: int, of: int) -> float:
    return 100 * count / of if of else 0.0
