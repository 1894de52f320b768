"""Every shipped machine on a real trace, and the published rule of each on a layer small enough to count by hand."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from free_memory import load_with_free_memory
from numpy.typing import NDArray

import swatsim
from swatsim.architecture import shipped_architectures

ROOT = Path(__file__).parent.parent
TRACE = ROOT / "traces" / "smallcnn"
MACHINES = shipped_architectures()
PASSES = ("forward", "input_grad", "weight_grad")

# Present or not: [filter or window, channel, kernel row, kernel column].
Bits = NDArray[np.bool_]


@functools.cache
def simulated(machine: str) -> swatsim.Report:
    return swatsim.simulate(swatsim.load_architecture(machine), swatsim.load_trace(TRACE))


@pytest.mark.parametrize("machine", MACHINES)
def test_the_paper_is_cited_on_top(machine: str) -> None:
    text = (ROOT / "arch" / f"{machine}.yaml").read_text()
    head = " ".join(text[: text.index("\nname: ")].replace("#", " ").split())
    architecture = swatsim.load_architecture(machine)
    venues = [re.findall(r"\w+,? \d{4}$", source) for source in architecture.sources]
    assert all(venues), "a source ends with where and when it was published"
    assert any(found[0] in head for found in venues)
    assert "assumed" in head
    assert architecture.description


@pytest.mark.parametrize("machine", MACHINES)
def test_every_row_keeps_its_bounds(machine: str) -> None:
    report = simulated(machine)
    assert report.layer_records
    for row in (*report.layer_records, *report.totals[:4]):
        assert 0 < row.ideal_cycles <= row.compute_cycles <= row.dense_compute_cycles, (row.layer, row.pass_name)
        assert row.effectual_macs <= row.unskippable_macs <= row.macs
        assert row.multiplications >= row.effectual_macs, (row.layer, row.pass_name)  # in all parts of a reduction


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_lost_adds_up(machine: str) -> None:
    rows = simulated(machine).rows
    lost = rows[[name for name in rows.columns if re.fullmatch("lost_[a-z]+_cycles", name)]]
    assert lost.shape[1] >= 5
    of_layers = rows["pass"].isin([*PASSES, "backward"])
    assert (lost[of_layers] >= 0).all(axis=None)
    missing = rows["compute_cycles"] - rows["ideal_cycles"]
    assert (lost.sum(axis=1)[of_layers] == missing[of_layers]).all()


@pytest.mark.parametrize("machine", MACHINES)
def test_the_same_again(machine: str) -> None:
    """In other company and by other threads; what is prefetched depends on the passes before."""
    load = swatsim.load_architecture(machine)
    again = swatsim.simulate(load, swatsim.load_trace(TRACE), passes=["input_grad"], workers=3)
    before = {row.layer: row for row in simulated(machine).layer_records if row.pass_name == "input_grad"}
    assert len(again.layer_records) == len(before)
    for row in again.layer_records:
        for name in ("mapping", "compute_cycles", "dense_compute_cycles", "losses", "multiplications", "dram_bytes"):
            assert getattr(row, name) == getattr(before[row.layer], name), (row.layer, name)


# Multiplications a cycle, bytes a second off chip.
PEAKS = {
    "cnvlutin": (4096, 256e9),
    "cambricon-x": (256, 256e9),
    "cambricon-s": (256, 256e9),
    "sparten": (1024, 256e9),
    "procrustes": (256, 25.6e9),
    "eager-pruning": (4096, 256e9),
    "sparse-tensor-core": (108 * 4 * 256, 1555e9),
}


@pytest.mark.parametrize("machine", PEAKS)
def test_it_skips(machine: str) -> None:
    """SWAT at 80 %: some row takes fewer cycles than with skipping off."""
    assert any(row.compute_cycles < row.dense_compute_cycles for row in simulated(machine).layer_records)


@pytest.mark.parametrize("machine", PEAKS)
def test_peaks(machine: str) -> None:
    architecture = swatsim.load_architecture(machine)
    off_chip = architecture.memory.levels[architecture.memory.outermost]
    macs_per_cycle, bytes_per_second = PEAKS[machine]
    assert architecture.macs_per_cycle == macs_per_cycle
    assert off_chip.width_bytes_per_cycle == int(bytes_per_second / architecture.clock_hz)


def test_published_rates() -> None:
    """Cambricon-X: 544 GOP/s, a multiplication and an addition each and two more an element; A100: 312 TFLOP/s."""
    cambricon = swatsim.load_architecture("cambricon-x")
    assert (2 * cambricon.macs_per_cycle + 2 * cambricon.tiles) * cambricon.clock_hz == 544e9
    ampere = swatsim.load_architecture("sparse-tensor-core")
    assert 2 * ampere.macs_per_cycle * ampere.clock_hz == pytest.approx(312e12, rel=1e-3)


# ------------------------------------------------------------------- by hand


FILTERS, CHANNELS, SIZE, KERNEL = 48, 32, 5, 3
STEPS = KERNEL * KERNEL * CHANNELS // 16


@functools.cache
def tensors() -> tuple[Bits, Bits]:
    """An input of one image, and filters whose densities differ."""
    random = np.random.default_rng(2019)
    image = random.random((1, CHANNELS, SIZE, SIZE)) < 0.4
    densities = np.linspace(0.05, 0.6, FILTERS).reshape(-1, 1, 1, 1)
    weights = random.permutation(random.random((FILTERS, CHANNELS, KERNEL, KERNEL)) < densities)
    image[:, :, 3, 3] = False  # an activation without any non-zero: bricks that are empty
    return image, weights


def forward(machine: str, image: Bits, weights: Bits, **overrides: Any) -> Any:
    """The forward row of a convolution of stride 1 whose border is as wide as keeps the size."""
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    padding = weights.shape[2] // 2
    gradient = np.ones((image.shape[0], weights.shape[0], *image.shape[2:]))
    layer = swatsim.Layer.from_arrays(
        "layer", input=image, weight=weights, output_grad=gradient, padding=padding, needs_input_grad=False
    )
    report = swatsim.simulate(load_with_free_memory(machine, keys), swatsim.Trace("by hand", [layer]))
    (row,) = (row for row in report.layer_records if row.pass_name == "forward")
    return row


def windows(image: Bits) -> list[Bits]:
    """Each window's [channel, kernel row, kernel column], in the order p, q."""
    padded = np.pad(image[0], ((0, 0), (1, 1), (1, 1)))
    return [padded[:, p : p + KERNEL, q : q + KERNEL] for p in range(SIZE) for q in range(SIZE)]


def tap_by_tap(vector: Bits) -> list[bool]:
    """A filter or window in the order r, s, c."""
    return [bool(vector[c, r, s]) for r in range(KERNEL) for s in range(KERNEL) for c in range(CHANNELS)]


def dealt(items: list[Any], size: int) -> list[list[Any]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def rounded_up(amount: int, by: int) -> int:
    return -(-amount // by)


def cnvlutin(image: Bits, weights: Bits) -> int:
    """Each window: the slowest of 16 lanes, a lane's bricks of 16 values costing their non-zeros, at least 1."""
    share = CHANNELS // 16
    cycles = 0
    for window in windows(image):
        lanes = []
        for lane in range(16):
            own = window[lane * share : (lane + 1) * share]
            stream = [bool(own[c, r, s]) for r in range(KERNEL) for s in range(KERNEL) for c in range(share)]
            lanes.append(sum(max(1, sum(brick)) for brick in dealt(stream, 16)))
        cycles += max(lanes)
    return cycles * rounded_up(len(weights), 256)


def cambricon_x(image: Bits, weights: Bits) -> int:
    """Each output: ceil(non-zero weights / 16); 16 outputs wait for the slowest."""
    cycles = sum(max(rounded_up(int(each.sum()), 16) for each in group) for group in dealt(list(weights), 16))
    return cycles * len(windows(image))


def cambricon_s(image: Bits, weights: Bits) -> int:
    """Of every 256 positions those count at which the activation and any of 16 filters are present."""
    cycles = 0
    for group in dealt(list(weights), 16):
        needed = tap_by_tap(np.logical_or.reduce(group))
        for window in windows(image):
            both = [a and b for a, b in zip(needed, tap_by_tap(window), strict=True)]
            cycles += sum(rounded_up(sum(chunk), 16) for chunk in dealt(both, 256))
    return cycles


def sparten(image: Bits, weights: Bits) -> int:
    """A pair of a filter and a window takes as many cycles as both have in common; 32 filters wait for the slowest."""
    by_density = sorted(weights, key=lambda each: -int(each.sum()))  # stable
    clusters = [0] * 32
    for group in dealt(by_density, 32):
        for number, window in enumerate(windows(image)):
            clusters[number % 32] += max(int((each & window).sum()) for each in group)
    return max(clusters)


def procrustes(image: Bits, weights: Bits) -> int:
    """Halves of 16 filters, by channels, are paired, the fullest with the emptiest; all wait for the fullest pair."""
    cycles = 0
    for group in dealt(list(weights), 16):
        halves = sorted(int(half.sum()) for each in group for half in np.split(each, 2))
        cycles += max(halves[at] + halves[-1 - at] for at in range(16))
    return cycles * rounded_up(len(windows(image)), 16)


BY_HAND: dict[str, Callable[[Bits, Bits], int]] = {
    "cnvlutin": cnvlutin, "cambricon-x": cambricon_x, "cambricon-s": cambricon_s, "sparten": sparten,
    "procrustes": procrustes,
}  # fmt: skip


@pytest.mark.parametrize("machine", BY_HAND)
def test_by_hand(machine: str) -> None:
    image, weights = tensors()
    expected = BY_HAND[machine](image, weights)
    row = forward(machine, image, weights)
    assert row.compute_cycles == expected
    assert row.ideal_cycles < expected < row.dense_compute_cycles


def test_an_empty_brick_takes_its_slot() -> None:
    """Cnvlutin: without any activation a window takes a cycle for each brick, two of them to 18 steps."""
    image, weights = tensors()
    row = forward("cnvlutin", np.zeros_like(image), weights)
    assert row.compute_cycles == SIZE * SIZE * rounded_up(STEPS, 16)
    assert row.dense_compute_cycles == SIZE * SIZE * STEPS


def test_a_shared_selector_keeps_what_any_filter_needs() -> None:
    """Cambricon-S: filters that are alike share all of their zeros, filters that differ hardly any."""
    image, weights = tensors()
    alike = np.repeat(weights[:1], 16, axis=0)
    differing = np.stack([np.roll(weights[0], turn, axis=0) for turn in range(16)])
    full = np.ones_like(image)
    assert forward("cambricon-s", full, alike).compute_cycles == cambricon_s(full, alike)
    assert forward("cambricon-s", full, differing).compute_cycles == cambricon_s(full, differing)
    assert cambricon_s(full, alike) < cambricon_s(full, differing)


def test_filters_of_like_density_work_together() -> None:
    """SparTen: however filters are shuffled, greedy balancing deals them alike."""
    image, weights = tensors()
    turned = weights[np.random.default_rng(7).permutation(FILTERS)]
    balanced = forward("sparten", image, weights).compute_cycles
    assert forward("sparten", image, turned).compute_cycles == balanced
    assert balanced < forward("sparten", image, turned, datapath__balance="none").compute_cycles


@pytest.mark.parametrize("machine", ["procrustes", "eager-pruning"])
def test_pairs_even_out_a_dense_half(machine: str) -> None:
    """Each filter has all its weights in one half of its channels, half of the filters in the first."""
    weights = np.zeros((16, CHANNELS, 1, 1), dtype=bool)
    weights[:4, : CHANNELS // 2] = True  # 4 rows with twice the mean of 8
    weights[4:8, CHANNELS // 2 :] = True
    image = np.ones((1, CHANNELS, 16, 1), dtype=bool)
    keys = {"tiles": 1, "tile__lanes": 1}
    row = forward(machine, image, weights, **keys)
    windows_at_once = swatsim.load_architecture(machine).tile.columns
    # 8 full halves of 16 weights go to 8 of 16 rows; unpaired they do, too: nothing is gained, nothing lost.
    assert row.compute_cycles == 16 * 16 // windows_at_once
    weights[:4] = True  # 4 rows with 32 weights: 12 full halves
    row = forward(machine, image, weights, **keys)
    assert row.compute_cycles == 16 * 16 // windows_at_once
    alone = forward(machine, image, weights, **keys, datapath__balance="none")
    assert alone.compute_cycles == 2 * row.compute_cycles


@pytest.mark.parametrize(("kept", "of_dense"), [(0, 0.5), (1, 0.5), (2, 0.5), (3, 1), (4, 1)])
def test_two_of_four_take_half(kept: int, of_dense: float) -> None:
    """Sparse tensor cores: exactly twice as fast with at most 2 non-zeros in every 4, and not at all with 3."""
    order = np.argsort(np.random.default_rng(4).random((32, CHANNELS // 4, 4, KERNEL, KERNEL)), axis=2)
    weights = (order < kept).reshape(32, CHANNELS, KERNEL, KERNEL)
    image, _ = tensors()
    row = forward("sparse-tensor-core", image, weights, tiles=1)
    assert row.dense_compute_cycles == 2 * rounded_up(SIZE * SIZE, 8) * KERNEL * KERNEL * CHANNELS // 8
    assert row.compute_cycles == of_dense * row.dense_compute_cycles


def test_one_row_holds_up_its_tile() -> None:
    """Sparse tensor cores: where one of 16 filters has three weights in a group, its pair of steps gains nothing."""
    weights = np.zeros((16, CHANNELS, KERNEL, KERNEL), dtype=bool)
    weights[:, ::2] = True
    image, _ = tensors()
    windows_at_once = rounded_up(SIZE * SIZE, 8)
    before = forward("sparse-tensor-core", image, weights, tiles=1).compute_cycles
    # A step is 8 channels of a tap: channels 0 to 15 of the middle tap are one pair of steps, 16 to 31 the next.
    for channel, pairs in ((1, 1), (9, 1), (21, 2)):
        weights[channel % 16, channel, 1, 1] = True
        after = forward("sparse-tensor-core", image, weights, tiles=1).compute_cycles
        assert after == before + pairs * windows_at_once, channel
