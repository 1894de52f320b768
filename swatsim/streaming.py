"""Work that streams through the machine beside its multiplications: what it moves, and in which blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import Architecture
from swatsim.moves import Move

IntArray = NDArray[np.int64]

# Bytes that a block loads and stores, about. Long blocks hide latencies, short ones the first load and the last store.
BLOCK_BYTES = (1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10)
# Blocks of the longest streams are longer instead.
MOST_BLOCKS = 4096
MACHINES = ("actual", "dense")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOperation:
    """What one group of nodes, or one tensor of a layer, streams; dense_...: as the machine that stores all dense."""

    name: str
    pass_name: str  # one of passes.STREAMING
    nodes: tuple[str, ...]  # of the graph, whose work it is
    values: int  # that it takes in, or gives out if those are more
    read: Mapping[str, int]  # tensor -> bytes from the outermost level
    write: Mapping[str, int]
    dense_values: int
    dense_read: Mapping[str, int]
    dense_write: Mapping[str, int]


class StreamBlocks(NamedTuple):
    """An operation cut into blocks that follow one another; each array is [block]."""

    load_bytes: IntArray
    values: IntArray
    store_bytes: IntArray


@dataclass(slots=True, kw_only=True)
class Flow:
    """An operation while its streams are collected."""

    name: str
    pass_name: str
    nodes: tuple[str, ...] = ()
    _bytes: dict[tuple[bool, str], Counter[str]] = field(default_factory=dict)
    _values: Counter[tuple[bool, str]] = field(default_factory=Counter)

    def add(
        self,
        direction: str,
        tensor: str,
        values: int,
        size_bytes: int,
        *,
        machines: tuple[str, ...] = ("actual", "dense"),
    ) -> None:
        """Read or write `values` values of a tensor in so many bytes, in the machine as it is and in the dense one."""
        for machine in machines:
            key = (machine == "dense", direction)
            self._bytes.setdefault(key, Counter())[tensor] += size_bytes
            self._values[key] += values

    def operation(self) -> StreamOperation | None:
        """The operation; None where it moves nothing."""
        moved = {key: {tensor: count for tensor, count in found.items() if count} for key, found in self._bytes.items()}
        if not any(moved.values()):
            return None
        return StreamOperation(
            name=self.name, pass_name=self.pass_name, nodes=self.nodes,
            values=max(self._values[False, "read"], self._values[False, "write"]),
            read=moved.get((False, "read"), {}), write=moved.get((False, "write"), {}),
            dense_values=max(self._values[True, "read"], self._values[True, "write"]),
            dense_read=moved.get((True, "read"), {}), dense_write=moved.get((True, "write"), {}),
        )  # fmt: skip


class StreamSizes(NamedTuple):
    """All that decides how a stream is cut."""

    load_bytes: int
    values: int
    store_bytes: int


def stream_sizes(operation: StreamOperation, *, dense: bool) -> StreamSizes:
    """Those of an operation."""
    read, write = _sides(operation, dense=dense)
    values = operation.dense_values if dense else operation.values
    return StreamSizes(sum(read.values()), values, sum(write.values()))


def stream_blocks(sizes: StreamSizes, block_bytes: int) -> StreamBlocks:
    """Cut a stream into blocks of about `block_bytes`; what they load, process and store sums to the whole."""
    blocks = min(-(-(sizes.load_bytes + sizes.store_bytes) // block_bytes), MOST_BLOCKS)
    return StreamBlocks(*(_shares(each, blocks) for each in sizes))


def stream_moves(operation: StreamOperation, architecture: Architecture, *, dense: bool) -> Counter[Move]:
    """Bytes that an operation moves: off chip, and through the on-chip level of the columns and that of the results."""
    read, write = _sides(operation, dense=dense)
    memory = architecture.memory
    moves: Counter[Move] = Counter()
    for moved, operand, direction in ((read, "columns", "read"), (write, "results", "write")):
        level = memory.resident("columns") if operand == "columns" else memory.resident("results")
        for tensor, count in moved.items():
            moves[Move(memory.outermost, direction, tensor)] += count
            moves[Move(level, "write", tensor)] += count
            moves[Move(level, "read", tensor)] += count
    return moves


def _sides(operation: StreamOperation, *, dense: bool) -> tuple[Mapping[str, int], Mapping[str, int]]:
    if dense:
        return operation.dense_read, operation.dense_write
    return operation.read, operation.write


def _shares(total: int, blocks: int) -> IntArray:
    """A total in parts that differ by at most one."""
    numbers = np.arange(blocks + 1, dtype=np.int64)
    # total · number // blocks, without a product that could be too large.
    whole, rest = divmod(total, max(blocks, 1))
    edges = whole * numbers + rest * numbers // max(blocks, 1)
    return np.asarray(edges[1:] - edges[:-1])
