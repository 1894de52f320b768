"""Correlation by distance on maps (height, width): measured, and random fields that have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.synthesis.normal import CutPairs, Floats

Array = NDArray[np.float32]

_AT_ONCE = 1 << 20  # values that are transformed at a time
_NOTHING = 1e-4  # a variance that is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Correlation of two places of a map: `at_zero` for the same place, then at doubling distances from 1.

    Between the distances it is linear in their logarithm, beyond the last it stays; between the two directions it
    turns with the square of the cosine.
    """

    at_zero: float
    vertical: tuple[float, ...]
    horizontal: tuple[float, ...]

    def plus(self, other: Correlation, factor: float = 1.0) -> Correlation:
        """The sum with a multiple of another one, which has as many distances."""
        return Correlation(
            at_zero=self.at_zero + factor * other.at_zero,
            vertical=tuple(a + factor * b for a, b in zip(self.vertical, other.vertical, strict=True)),
            horizontal=tuple(a + factor * b for a, b in zip(self.horizontal, other.horizontal, strict=True)),
        )

    def without_mean(self, places: int) -> Correlation:
        """Less its value at the largest distance, which a shift of the whole map gives."""
        if places == 1:
            return self
        far = (self.vertical[-1] + self.horizontal[-1]) / 2
        level = Correlation(at_zero=far, vertical=(far,) * len(self.vertical), horizontal=(far,) * len(self.horizontal))
        return self.plus(level, -1.0)


def distances(height: int, width: int) -> int:
    """How many of the distances 1, 2, 4, … a map has; at least one."""
    return max(1, (max(height, width) - 1).bit_length())


def sums_by_offset(maps: Array) -> Floats:
    """Products of values at all pairs of places, summed over maps (map, height, width) and by offset.

    The offsets are those of a torus twice as large, so that no pair is counted round its edge.
    """
    count, height, width = maps.shape
    torus = _torus(height, width)
    step = max(1, _AT_ONCE // (torus[0] * torus[1]))
    power: Floats | float = 0.0
    for start in range(0, count, step):
        spectrum = np.fft.rfft2(maps[start : start + step], s=torus)
        power = power + (spectrum.real**2 + spectrum.imag**2).sum(axis=0, dtype=np.float64)
    return np.asarray(np.fft.irfft2(power, s=torus), dtype=np.float64)


def fit(sums: Floats, pairs: int, shape: tuple[int, int], cut: CutPairs, *, directed: bool) -> Correlation:
    """The correlation by least squares over all offsets, each weighted by its pairs over its distance.

    `sums` are of 0 or 1 less their means, each from `pairs` pairs of maps; `directed`: with the two directions apart.
    """
    steps = distances(*shape)
    if pairs == 0:
        return Correlation(at_zero=0.0, vertical=(0.0,) * steps, horizontal=(0.0,) * steps)
    vertical, horizontal, distance, places = _offsets(shape, steps)
    found = cut.correlation_of(sums / (pairs * np.maximum(places, 1)))
    used = (places > 0) & (distance > 0)
    design = np.concatenate([vertical, horizontal], axis=-1) if directed else vertical + horizontal
    weight = np.sqrt(places[used] / distance[used])
    values = np.linalg.lstsq(design[used] * weight[:, np.newaxis], found[used] * weight, rcond=None)[0]
    first, second = (values[:steps], values[steps:]) if directed else (values, values)
    return Correlation(
        at_zero=float(found[0, 0]), vertical=tuple(map(float, first)), horizontal=tuple(map(float, second))
    )


def draw(correlation: Correlation, count: int, shape: tuple[int, int], random: np.random.Generator) -> Array | None:
    """Normal fields (count, height, width) with this correlation; None where their variance is nothing."""
    variance = correlation.at_zero
    if variance < _NOTHING:
        return None
    if shape == (1, 1):
        return np.float32(np.sqrt(variance)) * random.standard_normal((count, 1, 1), dtype=np.float32)
    steps = len(correlation.vertical)
    vertical, horizontal, _, _ = _offsets(shape, steps)
    covariance = vertical @ np.array(correlation.vertical) + horizontal @ np.array(correlation.horizontal)
    covariance[0, 0] = variance
    # What was measured need not be a covariance: its negative powers are left out, and its variance is kept.
    power = np.maximum(np.fft.fft2(covariance).real, 0)
    power *= variance / power.mean()
    return _with_power(power, count, shape, random)


def _with_power(power: Floats, count: int, shape: tuple[int, int], random: np.random.Generator) -> Array:
    amplitude = np.sqrt(power * power.size).astype(np.float32)
    step = max(1, _AT_ONCE // power.size)
    fields = np.empty((count, *shape), dtype=np.float32)
    for start in range(0, count, 2 * step):
        # The real and the imaginary part of a transform are two independent fields.
        part = fields[start : start + 2 * step]
        half = (len(part) + 1) // 2
        noise = random.standard_normal((half, *power.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        made = np.fft.ifft2(noise * amplitude)[:, : shape[0], : shape[1]]
        part[:half], part[half:] = made.real, made.imag[: len(part) - half]
    return fields


def _torus(height: int, width: int) -> tuple[int, int]:
    return (2 * height if height > 1 else 1, 2 * width if width > 1 else 1)


def _offsets(shape: tuple[int, int], steps: int) -> tuple[Floats, Floats, Floats, Floats]:
    """By offset of the torus: weights of the vertical and of the horizontal values, distance, pairs of places."""
    down, across = (np.minimum(np.arange(size), size - np.arange(size)).astype(np.float64) for size in _torus(*shape))
    down, across = np.broadcast_arrays(down[:, np.newaxis], across[np.newaxis, :])
    distance = np.hypot(down, across)
    position = np.log2(np.maximum(distance, 1)).clip(0, steps - 1)
    hats = np.maximum(0, 1 - np.abs(position[..., np.newaxis] - np.arange(steps)))
    turned = np.where(distance > 0, down**2 / np.maximum(distance, 1) ** 2, 0.5)[..., np.newaxis]
    places = np.maximum(shape[0] - down, 0) * np.maximum(shape[1] - across, 0)
    return hats * turned, hats * (1 - turned), distance, places
