"""Tensors drawn with measured statistics: exact counts, the statistics come back, nothing else does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swatsim.bits import BitTensor
from swatsim.errors import SwatsimError
from swatsim.synthesis import bernoulli, generate, measure, scattered
from swatsim.synthesis.fields import Correlation, draw, fit, sums_by_offset
from swatsim.synthesis.margins import Bounds, draw_counts, measure_margin
from swatsim.synthesis.normal import cut_pairs, thresholds
from swatsim.synthesis.scattered import largest

SHAPES = st.lists(st.integers(1, 9), min_size=2, max_size=4).map(tuple)


def random(seed=0):
    return np.random.default_rng(seed)


def clustered(shape=(24, 32, 12, 12), density=0.25, seed=0):
    """Blobs, longer to the right, in part common to an image, denser in some channels: made without what is tested."""
    noise = random(seed).standard_normal(shape)
    noise = noise + random(seed + 3).standard_normal((shape[0], 1, *shape[2:]))  # what is seen in all channels
    for _ in range(2):
        noise = noise + np.roll(noise, 1, axis=3) * 0.8 + np.roll(noise, 1, axis=2) * 0.4
    noise = noise + 1.5 * random(seed + 1).standard_normal((1, shape[1], 1, 1))
    noise = noise + 0.8 * random(seed + 2).standard_normal((*shape[:2], 1, 1))
    return BitTensor.from_array(noise > np.quantile(noise, 1 - density))


def pairs_present(bits, down, across):
    """Fraction of places that are present together with the one so far down and across, in the same map."""
    maps = bits.to_bool()
    height, width = maps.shape[2:]
    return float((maps[:, :, down:, across:] & maps[:, :, : height - down, : width - across]).mean())


@given(shape=SHAPES, density=st.floats(0, 1), seed=st.integers(0, 99), channels_last=st.booleans())
@settings(deadline=None, max_examples=60)
def test_as_many_are_present_as_measured(shape, density, seed, channels_last):
    real = BitTensor.from_array(random(seed).random(shape) < density)
    drawn = generate(measure(real, channels_last=channels_last), shape, random(seed), channels_last=channels_last)
    assert (drawn.shape, drawn.nonzeros) == (real.shape, real.nonzeros)


@given(shape=SHAPES, densities=st.tuples(*[st.floats(0, 1)] * 3), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=200)
def test_what_must_be_present_is_and_nothing_else_than_may_be(shape, densities, seed):
    low, middle, high = sorted(densities)
    values = random(seed).random(shape)
    inner, real, outer = (BitTensor.from_array(values < density) for density in (low, middle, high))
    for drawn in (
        generate(measure(real), shape, random(seed), least=inner, most=outer),
        bernoulli(real.nonzeros / real.size, shape, random(seed), least=inner, most=outer),
    ):
        assert drawn.nonzeros == real.nonzeros
        assert (drawn.to_bool() >= inner.to_bool()).all()
        assert (drawn.to_bool() <= outer.to_bool()).all()


def at_once(density, shape, source, least=None, most=None):
    """All scores in memory: what `bernoulli` draws, by its definition."""
    scores = source.standard_normal(shape, dtype=np.float32)
    if least is not None:
        scores[least.to_bool()] = np.inf
    if most is not None:
        scores[~most.to_bool()] = -np.inf
    return BitTensor.from_array(largest(scores, round(density * scores.size)))


@pytest.mark.parametrize("density", [0, 1e-5, 0.3, 0.999, 1 - 1e-5, 1])
@pytest.mark.parametrize("deviations", [scattered._DEVIATIONS, (0.0, 1e-3, math.inf)])
@pytest.mark.parametrize("chunk_elements", [1 << 14, 1 << 22])
def test_pieces_are_of_the_same_stream(monkeypatch, density, deviations, chunk_elements):
    """Whatever is held of a tensor at a time, and however often it is drawn, seeds give the bits that they gave."""
    monkeypatch.setattr(scattered, "_CHUNK_ELEMENTS", chunk_elements)
    monkeypatch.setattr(scattered, "_DEVIATIONS", deviations)
    shape = (3, 5, 81, 173)
    source, expected = random(4), random(4)
    assert bernoulli(density, shape, source) == at_once(density, shape, expected)
    assert source.bit_generator.state == expected.bit_generator.state
    values = random(5).random(shape)
    least, most = (BitTensor.from_array(values < part) for part in (density / 2, (1 + density) / 2))
    assert bernoulli(density, shape, random(6), least=least, most=most) == at_once(
        density, shape, random(6), least, most
    )


def test_equal_scores_are_present_from_the_first(monkeypatch):
    """Of 150,000 scores of which there are few different ones, as of 2^30 in 32 bits."""
    monkeypatch.setattr(scattered, "_CHUNK_ELEMENTS", 1 << 14)

    class Rounded:
        def __init__(self):
            self.random = random(2)
            self.bit_generator = self.random.bit_generator

        def standard_normal(self, size, dtype):
            return np.round(self.random.standard_normal(size, dtype=dtype), 1)

    for density in (0.2, 0.5, 0.81):
        drawn = bernoulli(density, (150_000,), Rounded())
        assert drawn == at_once(density, (150_000,), Rounded())
        assert drawn.nonzeros == round(density * 150_000)


def test_limits_that_cannot_hold_are_refused():
    full = BitTensor.from_array(np.ones((2, 3)))
    with pytest.raises(SwatsimError, match="density: got 3 of 6 elements, expected 6 to 6 as the limits say"):
        bernoulli(0.5, (2, 3), random(), least=full)


def test_the_statistics_come_back():
    real = clustered()
    wanted = measure(real)
    drawn = generate(wanted, real.shape, random(7))
    found = measure(drawn)
    assert not np.array_equal(drawn.packed, real.packed)
    # Counts of slices and channels are drawn from the quantiles, whose steps are interpolated.
    np.testing.assert_allclose(found.channels.quantiles, wanted.channels.quantiles, atol=0.02)
    np.testing.assert_allclose(found.slices.quantiles, wanted.slices.quantiles, atol=0.01)
    np.testing.assert_allclose(found.channels.maxima, wanted.channels.maxima, atol=0.04)
    for name in ("same_map", "same_slice", "same_channel", "elsewhere"):
        one, other = getattr(found, name), getattr(wanted, name)
        np.testing.assert_allclose(one.vertical[:3], other.vertical[:3], atol=0.06, err_msg=name)
        np.testing.assert_allclose(one.horizontal[:3], other.horizontal[:3], atol=0.06, err_msg=name)


@pytest.mark.parametrize("offset", [(0, 1), (1, 0), (0, 2), (2, 0), (4, 0), (0, 6)])
def test_neighbours_are_present_together_as_often(offset):
    real = clustered()
    drawn = generate(measure(real), real.shape, random(3))
    chance = (real.nonzeros / real.size) ** 2
    assert pairs_present(real, *offset) > 1.2 * chance
    assert pairs_present(drawn, *offset) == pytest.approx(pairs_present(real, *offset), rel=0.06)


def test_channels_of_a_slice_are_present_together_as_often():
    real = clustered()
    drawn = generate(measure(real), real.shape, random(3))
    spread = [bits.to_bool().mean(axis=1).var() for bits in (real, drawn)]
    chance = real.nonzeros / real.size * (1 - real.nonzeros / real.size) / real.shape[1]
    assert spread[0] > 3 * chance
    assert spread[1] == pytest.approx(spread[0], rel=0.1)


def test_maps_differ_as_much():
    real = clustered()
    drawn = generate(measure(real), real.shape, random(3))
    spread = [bits.to_bool().mean(axis=(2, 3)).std() for bits in (real, drawn)]
    assert spread[1] == pytest.approx(spread[0], rel=0.05)


def test_few_numbers_are_kept():
    """The statistics cannot hold the mask: they do not grow with slices and channels."""

    def numbers(values):
        if isinstance(values, dict):
            return sum(map(numbers, values.values()))
        return sum(map(numbers, values)) if isinstance(values, tuple | list) else 1

    small, large = (measure(clustered(shape)).as_json() for shape in ((20, 24, 8, 8), (40, 64, 8, 8)))
    assert numbers(small) == numbers(large) < 90


def test_the_same_stream_gives_the_same_bits():
    statistics = measure(clustered())
    first, second, other = (generate(statistics, (24, 32, 12, 12), random(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.packed, second.packed)
    assert not np.array_equal(first.packed, other.packed)


@pytest.mark.parametrize("density", [0.02, 0.1, 0.6])
def test_another_density_moves_all_thresholds(density):
    """The cut of the same values at another density, measured, is what the statistics are moved to."""
    moved = measure(clustered(density=0.25)).at_density(density)
    direct = measure(clustered(density=density))
    assert moved.density == density
    np.testing.assert_allclose(moved.channels.quantiles, direct.channels.quantiles, atol=0.05)
    drawn = generate(moved, (24, 32, 12, 12), random(5))
    assert drawn.nonzeros == round(density * drawn.size)


@pytest.mark.parametrize("correlation", [-0.7, -0.2, 0.0, 0.3, 0.9])
def test_the_correlation_of_cut_pairs_is_found(correlation):
    """Against pairs that are drawn and cut, in which many have each threshold."""
    cut = thresholds(np.array([0.1, 0.5, 0.8]))
    first = random(1).standard_normal((3, 400_000))
    second = correlation * first + np.sqrt(1 - correlation**2) * random(2).standard_normal(first.shape)
    below = first < cut[:, np.newaxis], second < cut[::-1, np.newaxis]
    covariance = np.mean((below[0] & below[1]).mean(axis=1) - below[0].mean(axis=1) * below[1].mean(axis=1))
    table = cut_pairs(cut, cut[::-1])
    assert float(table.correlation_of(covariance)) == pytest.approx(correlation, abs=0.01)


def test_a_field_has_the_correlation_that_is_asked_for():
    """Three octaves along a row, and less down a column: counted pair by pair."""
    wanted = Correlation(at_zero=1.0, vertical=(0.4, 0.2, 0.1, 0.05), horizontal=(0.7, 0.4, 0.2, 0.05))
    field = draw(wanted, 3000, (1, 16), random(4))
    for distance, value in ((0, 1.0), (1, 0.7), (2, 0.4), (4, 0.2)):
        product = field[..., distance:] * field[..., : 16 - distance]
        assert float(product.mean()) == pytest.approx(value, abs=0.02)
    field = draw(wanted, 3000, (9, 16), random(4))
    assert float((field[:, 1:] * field[:, :-1]).mean()) == pytest.approx(0.4, abs=0.03)


def test_sums_by_offset_count_every_pair_once():
    maps = random(1).standard_normal((3, 4, 5)).astype(np.float32)
    found = sums_by_offset(maps)
    for down in range(4):
        for across in range(-4, 5):
            expected = sum(
                maps[m, y, x] * maps[m, y + down, x + across]
                for m in range(3) for y in range(4 - down) for x in range(max(0, -across), min(5, 5 - across))
            )  # fmt: skip
            assert found[down, across] == pytest.approx(expected, abs=1e-4)


def test_a_fit_needs_no_more_than_one_place():
    table = cut_pairs(np.zeros(1), np.zeros(1))
    found = fit(np.array([[0.05]]), 1, (1, 1), table, directed=False)
    assert found.at_zero == pytest.approx(np.sin(2 * np.pi * 0.05), rel=1e-4)  # of a cut at the median: asin(r) / 2 pi


@given(
    counts=st.lists(st.integers(0, 20), min_size=1, max_size=40), low=st.floats(0, 1), high=st.floats(0, 1),
    share=st.floats(0, 1), seed=st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_counts_keep_their_bounds_and_their_total(counts, low, high, share, seed):
    margin = measure_margin(np.array(counts) / 20)
    ends = random(seed).integers(0, 21, (2, len(counts)))
    bounds = Bounds(
        least=(ends.min(axis=0) * low).astype(np.int64), most=(ends.max(axis=0) * (1 + high)).astype(np.int64)
    )
    total = round(bounds.least.sum() + share * (bounds.most.sum() - bounds.least.sum()))
    found = draw_counts(margin, bounds, total, random(seed))
    assert found.sum() == total
    assert (found >= bounds.least).all()
    assert (found <= bounds.most).all()


def test_order_is_kept_where_it_matters():
    """A classifier whose first outputs have classes: dense filters stay together."""
    densities = np.where(np.arange(400) < 60, 0.6, 0.1)
    margin = measure_margin(densities)
    bounds = Bounds(least=np.zeros(400, dtype=np.int64), most=np.full(400, 1000))
    found = draw_counts(margin, bounds, round(densities.sum() * 1000), random(1)) / 1000
    changes = np.count_nonzero(np.abs(np.diff(found)) > 0.3)
    assert changes < 20  # in a random order: about 100


def test_equal_scores_are_chosen_in_order():
    assert largest(np.array([1, 2, 2, 2, 0], dtype=np.float32), 2).tolist() == [False, True, True, False, False]
