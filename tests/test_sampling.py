"""Batches of which a sample is simulated: the truth, the whole batch simulated, is where the intervals say."""

from __future__ import annotations

import json
import math
from functools import cache
from random import Random

import numpy as np
import pytest
from command_line import in_process

import swatsim
from swatsim.contraction import contract
from swatsim.datapaths import arranged
from swatsim.errors import SwatsimError
from swatsim.report.document import to_json
from swatsim.sampling import SampledContraction, SampledSchedule, Sampling, student_quantile
from swatsim.sampling.design import cut_into_groups, draw
from swatsim.sampling.errors import Estimate, combined, slowest_set, stratified_error
from swatsim.schedule import schedule
from swatsim.sides import Order

SEEDS = 200
FRACTION = 0.1


def batch(images, channels, size, seed=0, groups=1):
    """A layer whose images differ in density and have places in common."""
    random = np.random.default_rng(seed)
    density = random.uniform(0.15, 0.6, images)[:, None, None, None]

    def values(count):
        shared = random.random((1, count, size, size))
        return (shared + random.random((images, count, size, size))) / 2 < density

    return swatsim.Layer.from_arrays(
        "conv", input=values(channels), weight=random.random((channels, channels // groups, 3, 3)) < 0.3,
        output_grad=values(channels), padding=1, groups=groups,
    )  # fmt: skip


@cache
def machine(name):
    # Several tiles where the shipped machine has several.
    tiles = min(2, swatsim.load_architecture(name).tiles)
    return swatsim.load_architecture(name, overrides={"tiles": tiles, "tile.rows": 2, "tile.columns": 2})


@cache
def trace(images=64):
    return swatsim.Trace("batch", [batch(images, 8, 16)])


def run(name="tensordash", images=64, **keywords):
    return swatsim.simulate(machine(name), trace(images), workers=1, **keywords)


# All shipped machines of which schedules are ever sampled.
SAMPLED = ("cambricon-s", "cnvlutin", "sparten", "tensordash")


def fewest(contraction, name):
    return min(schedule(contraction, machine(name)).actual, key=lambda way: way.compute_cycles)


@cache
def truth_and_estimates(name):
    """Compute cycles of a forward pass, and those of each seed with half the width of their interval."""
    keys = machine(name).mapping
    (found,) = contract(trace().layer(0), "forward", Order(steps=keys.step_order, windows=keys.window_order))
    contraction = arranged(found, machine(name))
    sampled = [
        fewest(SampledContraction.of(contraction, Sampling(fraction=FRACTION, seed=seed), "conv"), name)
        for seed in range(SEEDS)
    ]
    truth = fewest(contraction, name).compute_cycles
    # What is simulated whole since its slowest set is not known well enough has no error.
    widths = [each.error.half_width if isinstance(each, SampledSchedule) else 0.0 for each in sampled]
    return truth, (np.array([each.compute_cycles for each in sampled]), np.array(widths))


@pytest.mark.parametrize("name", SAMPLED)
def test_intervals_hold_the_truth_nearly_always_and_are_narrow(name):
    """95 % of them, more where tiles wait for the slowest: 90 to 100 %."""
    truth, (cycles, half_widths) = truth_and_estimates(name)
    assert np.mean(np.abs(cycles - truth) <= half_widths) >= 0.90
    assert np.mean(half_widths) < 0.05 * truth
    assert abs(cycles.mean() - truth) < 0.3 * np.mean(half_widths)
    assert cycles.std() > 0, "a sample that is always the same is none"


def test_where_nothing_waits_intervals_miss_the_truth_at_times():
    truth, (cycles, half_widths) = truth_and_estimates("cnvlutin")
    assert np.mean(np.abs(cycles - truth) > half_widths) > 0


def test_intervals_of_a_step_hold_its_truth():
    truth = run().records[-1].cycles
    found = [run(sample=FRACTION, seed=seed).records[-1].interval for seed in range(40)]
    assert (run().records[-1].layer, run().records[-1].pass_name) == ("total", "step")
    assert sum(each.low <= truth <= each.high for each in found) >= 36
    assert all(each.low < each.high for each in found)


@pytest.mark.parametrize("name", SAMPLED)
def test_convolutions_with_groups_are_sampled(name):
    grouped = swatsim.Trace("batch", [batch(64, 8, 16, groups=4)])
    (truth,) = swatsim.simulate(machine(name), grouped, passes="forward", workers=1).records[:1]
    found = [
        swatsim.simulate(machine(name), grouped, passes="forward", workers=1, sample=FRACTION, seed=seed).records[0]
        for seed in range(10)
    ]
    # Intervals are of compute cycles: when these fall decides a little where the memory bounds.
    low, high = (np.array([getattr(each.interval, end) for each in found]) for end in ("low", "high"))
    apart = truth.cycles // 1000
    assert np.sum((low - apart <= truth.cycles) & (truth.cycles <= high + apart)) >= 8
    assert any(each.interval.groups for each in found)


@pytest.mark.parametrize("name", ["cambricon-s", "sparten"])
def test_many_inner_rounds_are_kept_as_their_sum(name, monkeypatch):
    apart = run(name, sample=FRACTION).records[0]
    monkeypatch.setattr("swatsim.sampling.windows.MOST_CYCLES", 1)
    together = run(name, sample=FRACTION).records[0]
    assert together.interval.groups == apart.interval.groups > 0
    assert abs(together.compute_cycles - apart.compute_cycles) <= 2


def test_what_is_no_estimate_has_an_interval_of_nothing():
    for row in run("dadiannao", sample=FRACTION).records:
        assert (row.interval.low, row.interval.high, row.interval.groups) == (row.cycles, row.cycles, 0)


def test_bytes_and_dense_cycles_are_those_of_the_whole_batch():
    exact, sampled = run(), run(sample=FRACTION)
    for one, other in zip(exact.layer_records, sampled.layer_records, strict=True):
        assert one.dense_cycles == other.dense_cycles
        assert (one.macs, one.effectual_macs, one.compulsory_dram_bytes) == (
            other.macs, other.effectual_macs, other.compulsory_dram_bytes
        )  # fmt: skip


def test_all_of_a_batch_is_the_batch():
    assert to_json(run(sample=1)) == to_json(run()) == to_json(run(sample=1.0, seed=7))


def test_too_few_windows_are_all_simulated():
    """A small image has fewer groups of windows than may be drawn from."""
    small = swatsim.Trace("small", [batch(1, 8, 4)])
    exact, sampled = (
        swatsim.simulate(machine("tensordash"), small, workers=1, **sample) for sample in ({}, {"sample": 0.05})
    )
    assert [row.cycles for row in exact.records] == [row.cycles for row in sampled.records]
    assert all(row.interval.groups == 0 for row in sampled.records)


def test_a_seed_decides_alone():
    one = to_json(run(sample=FRACTION, seed=1))
    assert one == to_json(run(sample=FRACTION, seed=1))
    assert one == to_json(swatsim.simulate(machine("tensordash"), trace(), sample=FRACTION, seed=1, workers=2))
    assert json.loads(one)["rows"] != json.loads(to_json(run(sample=FRACTION, seed=2)))["rows"]


def test_the_report_says_what_was_sampled():
    report = run(sample=FRACTION, seed=3)
    document = json.loads(to_json(report))
    assert document["simulation"]["sample"] == {"fraction": FRACTION, "seed": 3, "confidence": 0.95}
    row = document["rows"][0]
    assert row["cycles_low"] < row["cycles"] < row["cycles_high"]
    assert row["speedup_low"] < row["speedup"] < row["speedup_high"]
    assert 0 < row["sampled_groups"] < row["groups"]
    assert "cycles_low" not in json.loads(to_json(run()))["rows"][0]


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, math.nan, math.inf, True, "half"])
def test_what_is_no_part_is_refused(fraction):
    with pytest.raises(SwatsimError, match=r"^sample: got .*, expected a number above 0 and at most 1$"):
        run(sample=fraction)


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(SwatsimError, match=r"^seed: got .*, expected an integer from 0$"):
        run(sample=0.5, seed=seed)


# Two-sided 95 % quantiles of Student's t from a printed table (W. H. Beyer, CRC Standard Mathematical Tables, 1984).
@pytest.mark.parametrize(("freedom", "quantile"), [
    (1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (7, 2.365), (10, 2.228), (30, 2.042), (120, 1.980),
    (math.inf, 1.960),
])  # fmt: skip
def test_quantiles_of_student(freedom, quantile):
    assert student_quantile(freedom) == pytest.approx(quantile, rel=1e-3)


def test_every_group_is_stood_for_by_one_of_its_stratum():
    random = Random(0)
    auxiliary = np.array([random.random() for _ in range(150)])
    chosen = draw(auxiliary, 30, random)
    assert chosen.drawn.size == 30
    assert chosen.weights.sum() == auxiliary.size
    assert chosen.donor[chosen.drawn].tolist() == list(range(30))
    order = np.argsort(np.argsort(auxiliary, kind="stable"))
    for group, donor in enumerate(chosen.donor):
        # Strata are neighbours in the order of the auxiliary: 15 of 10 groups each.
        assert order[group] // 10 == order[chosen.drawn[donor]] // 10


def test_groups_are_whole_granules():
    groups = cut_into_groups(units=10003, granule=4, usual=20, fraction=0.1)
    assert groups.size % 4 == 0
    assert groups.size * groups.count + len(groups.rest) == 10003
    assert cut_into_groups(units=60, granule=4, usual=20, fraction=0.05) is None


def test_more_than_a_quarter_is_drawn_only_where_it_is_asked_for():
    # 200 groups, of which the 64 that are drawn at least are more than a quarter.
    assert cut_into_groups(units=800, granule=4, usual=4, fraction=0.05) is None
    assert cut_into_groups(units=800, granule=4, usual=4, fraction=0.5).count == 200


def test_the_variance_of_a_stratified_mean():
    """It is the textbook's (Cochran, 1977, §5.6): by enumeration of all samples of two of six."""
    strata, size = 8, 6
    cycles = np.random.default_rng(0).uniform(0, 9, strata * size) + np.repeat(100 * np.arange(strata), size)
    # Two are drawn of each stratum of six.
    exact = sum(size * (size / 2 - 1) * own.var(ddof=1) for own in cycles.reshape(strata, size))
    found = []
    for seed in range(500):
        chosen = draw(np.repeat(np.arange(strata), size).astype(float), 2 * strata, Random(seed))
        estimate = stratified_error(cycles[chosen.drawn], chosen)
        # One degree of freedom goes to the slope.
        found.append(estimate.variance * estimate.freedom / (estimate.freedom + 1))
    assert np.mean(found) == pytest.approx(exact, rel=0.08)


def test_the_slowest_of_many_sets_is_between_the_bounds():
    """Sets that differ by chance alone: a maximum that was scaled up is too large, one without chance too small."""
    groups, sets = 400, 32
    cycles = np.random.default_rng(0).uniform(50, 150, (groups, sets))
    truth, inside, most = cycles.sum(axis=0).max(), 0, 0.0
    for seed in range(SEEDS):
        chosen = draw(np.arange(groups, dtype=float), 40, Random(seed))
        drawn = cycles[chosen.drawn]
        found, error = slowest_set(np.zeros(sets), drawn, chosen)
        assert found.max() - error.bias <= (chosen.weights @ drawn).max() <= found.max() + error.bias + 1e-6
        inside += abs(found.max() - truth) <= error.half_width
        most += (chosen.weights @ drawn).max() / SEEDS
    assert inside >= 0.9 * SEEDS
    assert most > 1.02 * truth


def test_independent_errors_add_up():
    both = combined([
        Estimate(variance=4.0, freedom=5.0, bias=1.0, drawn=6, groups=9), Estimate(variance=4.0, freedom=5.0, bias=2.0),
    ])  # fmt: skip
    assert (both.variance, both.freedom, both.bias, both.drawn, both.groups) == (8.0, 10.0, 3.0, 6, 9)


def test_the_command_says_so(tmp_path, capsys):
    with swatsim.TraceWriter(tmp_path / "batch", metadata=swatsim.TraceMetadata(name="batch")) as writer:
        writer.add(trace().layer(0))
    command = ("run", "--arch", "cnvlutin", "--trace", tmp_path / "batch", "--sample")
    code, output, _ = in_process(capsys, *command, "0.1", "--seed", "4")
    assert code == 0
    assert "Sampled: --sample 0.1 --seed 4." in output
    assert "Estimated: " in output
    assert in_process(capsys, *command, "2")[::2] == (
        2, "sample: got 2.0, expected a number above 0 and at most 1\n"
    )  # fmt: skip
