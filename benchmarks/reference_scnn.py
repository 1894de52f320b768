"""SCNN's counts by the rules of the reference simulator, through our kernel: `python -m benchmarks.reference_scnn`.

The reference pairs an activation with a weight where x mod stride = r mod stride, x being its coordinate without
padding, and divides x + padding - r by the stride towards zero. With an odd padding and stride 2 those are not the
pairs of the convolution: all have a remainder, and -1/2 counts as 0. Ours have none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import swatsim
from benchmarks.published_counts import PUBLISHED, SCNN_OF_THE_REFERENCE, SHAPES, layer
from swatsim.architecture import Architecture
from swatsim.contraction import Contraction, contract
from swatsim.datapaths.outer.exchange import round_cycles
from swatsim.datapaths.outer.geometry import Pairing, geometry, pair
from swatsim.datapaths.outer.work import count
from swatsim.layer import Layer
from swatsim.sides import Order
from swatsim.way import Split


class Counts(NamedTuple):
    """Of the forward pass."""

    cycles: int
    dense: int
    products: int  # that add to a result


def machine() -> Architecture:
    """The shipped one as the reference has it."""
    return swatsim.load_architecture("scnn", overrides=SCNN_OF_THE_REFERENCE)


def reference_pairing(contraction: Contraction, axis: int) -> Pairing:
    """The reference's pairs along one axis, of a convolution without dilation."""
    windows = contraction.windows
    stride, padding = windows.stride[axis], -int(windows.starts[axis].min())
    coordinates, taps = np.arange(contraction.image.shape[2 + axis]), np.arange(windows.starts[axis].size)
    order = np.argsort(taps % stride, kind="stable")
    position = np.trunc((coordinates[:, None] + padding - order) / stride).astype(np.int64)
    last = np.cumsum(np.bincount(taps % stride, minlength=stride)) - 1
    return Pairing(
        result=np.where((position >= 0) & (position < windows.counts[axis]), position, -1),
        phase=coordinates % stride, phase_places=np.stack([np.append(0, last[:-1] + 1), last], axis=1), order=order,
    )  # fmt: skip


def reference_counts(of: Layer) -> Counts:
    """By the reference's pairs."""
    return _counts(of, reference=True)


def our_counts(of: Layer) -> Counts:
    """By the convolution's."""
    return _counts(of, reference=False)


def _counts(of: Layer, *, reference: bool) -> Counts:
    architecture = machine()
    (contraction,) = contract(of, "forward", Order("crs", "npq"))
    pairing = (reference_pairing(contraction, 0), reference_pairing(contraction, 1)) if reference else pair(contraction)
    shape = geometry(contraction, architecture, Split(row_tiles=1, column_tiles=architecture.tiles), pairing)
    found = [count(contraction, shape, architecture, dense=dense) for dense in (False, True)]
    cycles = [int(round_cycles(each.cycles, contraction, shape, architecture.datapath).sum()) for each in found]
    return Counts(cycles[0], cycles[1], found[0].inside)


def table() -> str:
    """Published, by the reference's pairs, and ours where they differ."""
    lines = ["| | published | by the reference's pairs | ours |", "|---|---|---|---|"]
    for name in SHAPES:
        published = Counts(*(PUBLISHED[key][name] for key in ("scnn", "scnn dense", "scnn products")))
        cells = [_cell(each) for each in (published, reference_counts(layer(name)), our_counts(layer(name)))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(counts: Counts) -> str:
    return f"{counts.cycles} ({counts.dense}; {counts.products})"


if __name__ == "__main__":
    print(table(), end="")
