"""Each kernel with an input of the size of a layer of ResNet-50, the work in it, and the rate that is its goal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.workload import MAIN_ARCHITECTURE, random_layer
from swatsim.architecture import load_architecture
from swatsim.arena import Piece, Product, arena_of
from swatsim.contraction import Contraction, contract
from swatsim.hierarchy import hierarchy_of
from swatsim.kernels.barrier import wait_at_buffers, wait_at_segments
from swatsim.kernels.blocks import empty_blocks
from swatsim.kernels.compile import kernel
from swatsim.kernels.engines import empty_spans, run_blocks
from swatsim.kernels.gather import count_in_chunks, count_present, gather_words
from swatsim.kernels.moves import (
    MoveRule,
    compact_rows,
    count_surviving_steps,
    fill_in_lane_order,
    fill_most_candidates,
    schedule_units,
)
from swatsim.kernels.search import CYCLES, search
from swatsim.mapper import held_sides
from swatsim.mapping import Mapping, map_contraction
from swatsim.schedule import schedule
from swatsim.sides import Order

LANE = "a lane of a step of a vector"
# The 8-input T shape of TensorDash and Bit-Tactical.
MOVES = ((1, -1), (1, 0), (1, 1), (1, 3), (2, -2), (2, 0), (2, 2))
LANE_ORDER = (0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 8, 13, 4, 9, 14, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One benchmark of one kernel: `call` works on what `arguments` makes anew each time."""

    name: str
    call: Callable[..., Any]
    arguments: Callable[[], tuple[Any, ...]]
    positions: int
    position: str  # what one of them is
    goal_positions_per_second: float


@cache
def contraction() -> tuple[Contraction, Mapping]:
    """The forward pass of a 3x3 convolution of ResNet-50's third stage."""
    architecture = load_architecture(MAIN_ARCHITECTURE)
    layer = random_layer("layer3.1.conv2", (2, 256, 14, 14), (256, 256, 3, 3))
    order = Order(steps=architecture.mapping.step_order, windows=architecture.mapping.window_order)
    (found,) = contract(layer, "forward", order)
    return found, map_contraction(found, architecture)


@cache
def words() -> np.ndarray:
    """[filter, step]: the weights of the layer."""
    found, mapping = contraction()
    gathered = np.empty((found.rows.vectors, mapping.steps), dtype=np.uint64)
    gather_words(found.rows.present, found.rows.base[0], mapping.row_offset, gathered)
    return gathered


@kernel
def fill_every_step_in_lane_order(words, lane_order, moves):  # type: ignore[no-untyped-def]
    for row in range(words.shape[0]):
        for step in range(words.shape[1]):
            fill_in_lane_order(words[row], step, lane_order, moves)


@kernel
def fill_every_step_most_candidates(words, lane_order, moves):  # type: ignore[no-untyped-def]
    for row in range(words.shape[0]):
        for step in range(words.shape[1]):
            fill_most_candidates(words[row], step, lane_order, moves)


def runs() -> Iterator[Run]:
    """All kernels; a goal is about a third of what a quiet core of 2023 reaches."""
    yield from _gather_runs()
    yield from _move_runs()
    yield from _barrier_runs()
    yield from _memory_runs()


def _memory_runs() -> Iterator[Run]:
    random, count, levels = np.random.RandomState(3), 100_000, 4
    blocks = empty_blocks(count, levels)
    for times in (blocks.own, blocks.store, blocks.compute):
        times[:] = random.randint(0, 1000, count)
    blocks.busy[:] = random.randint(0, 30_000, blocks.busy.shape)
    blocks.waits[:] = True
    timing = hierarchy_of(load_architecture(MAIN_ARCHITECTURE), None).timing
    yield Run(
        name="run_blocks", call=run_blocks,
        arguments=lambda: (blocks, 0, timing, empty_spans(count), np.zeros(levels + 4, np.int64)),
        positions=count, position="a block", goal_positions_per_second=8e5,
    )  # fmt: skip
    found, _ = contraction()
    schedules = schedule(found, load_architecture(MAIN_ARCHITECTURE))
    hierarchy = hierarchy_of(load_architecture(MAIN_ARCHITECTURE), {})
    held = held_sides(found, hierarchy, schedules)
    way = schedules.actual[0]
    rows, columns = held[::-1] if way.way.transposed else held
    product = Product(tensor="output", scattered=False, multiplications=schedules.multiplications([way]))
    arena = arena_of([Piece(schedule=way, rows=rows, columns=columns)], product, hierarchy)
    most = (1 << 63) - 1
    yield Run(
        name="search", call=search,
        arguments=lambda: (arena.sides, arena.totals, arena.work, arena.rest, hierarchy.timing, (CYCLES, most, most)),
        positions=arena.totals[0].blocks.size * arena.totals[1].blocks.size, position="a pair of cuts",
        goal_positions_per_second=2e4,
    )  # fmt: skip


def _gather_runs() -> Iterator[Run]:
    found, mapping = contraction()
    windows, filters, offset = found.columns, found.rows, mapping.column_offset
    yield Run(
        name="gather_words", call=gather_words,
        arguments=lambda: (
            windows.present, windows.base[0], offset, np.empty((windows.vectors, mapping.steps), np.uint64),
        ),
        positions=windows.vectors * offset.size, position=LANE, goal_positions_per_second=500e6,
    )  # fmt: skip
    yield Run(
        name="count_in_chunks", call=count_in_chunks,
        arguments=lambda: (
            filters.present, filters.base[0], mapping.row_offset, 32,
            np.empty((filters.vectors, -(-mapping.steps // 32)), np.int64),
        ),
        positions=filters.vectors * offset.size, position=LANE, goal_positions_per_second=500e6,
    )  # fmt: skip
    elements = windows.offset.reshape(-1)
    yield Run(
        name="count_present", call=count_present,
        arguments=lambda: (
            windows.present, windows.base[0], elements, np.empty(windows.vectors, np.int64),
            np.empty(elements.size, np.int64),
        ),
        positions=windows.vectors * elements.size, position="an element of a vector", goal_positions_per_second=600e6,
    )  # fmt: skip


def _move_runs() -> Iterator[Run]:
    moves, lane_order = np.array(MOVES, np.int64), np.array(LANE_ORDER, np.int64)
    positions = words().size * len(LANE_ORDER)
    for name, fill, goal in (
        ("fill_in_lane_order", fill_every_step_in_lane_order, 10e6),
        ("fill_most_candidates", fill_every_step_most_candidates, 8e6),
    ):
        yield Run(
            name=name, call=fill, arguments=lambda: (words().copy(), lane_order, moves),
            positions=positions, position=LANE, goal_positions_per_second=goal,
        )  # fmt: skip
    yield Run(
        name="compact_rows", call=compact_rows, arguments=lambda: (words().copy(), lane_order, moves, False),
        positions=positions, position=LANE, goal_positions_per_second=20e6,
    )  # fmt: skip
    yield Run(
        name="count_surviving_steps", call=count_surviving_steps,
        arguments=lambda: (words(), np.empty(3, np.int64), np.empty(3, np.int64)),
        positions=positions, position=LANE, goal_positions_per_second=5e9,
    )  # fmt: skip
    units = words().shape[0] // 16
    yield Run(
        name="schedule_units", call=schedule_units,
        arguments=lambda: (
            words().copy(), MoveRule(moves, lane_order, True), 16,
            np.empty((units, 3), np.int64), np.empty((units, 3), np.int64),
        ),
        positions=positions, position=LANE, goal_positions_per_second=8e6,
    )  # fmt: skip


def _barrier_runs() -> Iterator[Run]:
    segments = np.random.RandomState(5).randint(0, 33, (1, 4096, 64)).astype(np.int64)
    yield Run(
        name="wait_at_segments", call=wait_at_segments,
        arguments=lambda: (segments, 256, 16, 10, np.empty((16, 16), np.int64)),
        positions=segments.size, position="a segment of a unit", goal_positions_per_second=500e6,
    )  # fmt: skip
    cycles = np.random.RandomState(6).randint(0, 33, (1, 65536, 3)).astype(np.int64)
    after = np.random.RandomState(7).randint(0, 3, cycles.shape).astype(np.int64)
    yield Run(
        name="wait_at_buffers", call=wait_at_buffers,
        arguments=lambda: (cycles, after, 256, 16, 4, np.empty((16, 256), np.int64)),
        positions=cycles.shape[1] * 4, position="a buffer", goal_positions_per_second=100e6,
    )  # fmt: skip
