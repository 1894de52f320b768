"""What is kept of a tensor's bits: a few dozen numbers that say how its density varies, and not which bits are set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor
from swatsim.synthesis.fields import Correlation, fit, sums_by_offset
from swatsim.synthesis.margins import Margin, at_density, densities_of, measure_margin
from swatsim.synthesis.normal import cut_pairs, thresholds

Maps = NDArray[np.bool_]  # [filter of a weight or image, channel, row, column]

_LEVELS = 16  # densities of channels over whose pairs expectations are taken


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorStatistics:
    """How the presence of elements varies over a tensor of maps: [slice, channel, row, column].

    Slices are the filters of a weight, the images of an activation or gradient. The correlations are those of normal
    variables that are cut at thresholds, for two elements at some distance on their maps:
    """

    density: float
    slices: Margin
    channels: Margin
    same_map: Correlation
    same_slice: Correlation  # of different channels
    same_channel: Correlation  # of different slices
    elsewhere: Correlation  # of different slices and channels

    def at_density(self, density: float) -> TensorStatistics:
        """The statistics that the tensor would have if more, or fewer, of its elements were kept."""
        return replace(
            self, density=density,
            slices=at_density(self.slices, density), channels=at_density(self.channels, density),
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """As values of JSON."""
        return asdict(self)


def statistics_of_json(values: Mapping[str, Any]) -> TensorStatistics:
    """The statistics of `TensorStatistics.as_json`, read from a file of this package."""

    def margin(given: Mapping[str, Any]) -> Margin:
        return Margin(
            quantiles=tuple(given["quantiles"]), neighbours=given["neighbours"], maxima=tuple(given["maxima"])
        )

    def correlation(given: Mapping[str, Any]) -> Correlation:
        return Correlation(
            at_zero=given["at_zero"], vertical=tuple(given["vertical"]), horizontal=tuple(given["horizontal"])
        )

    return TensorStatistics(
        density=values["density"], slices=margin(values["slices"]), channels=margin(values["channels"]),
        same_map=correlation(values["same_map"]), same_slice=correlation(values["same_slice"]),
        same_channel=correlation(values["same_channel"]), elsewhere=correlation(values["elsewhere"]),
    )  # fmt: skip


def as_maps(present: Maps, *, channels_last: bool) -> Maps:
    """Any operand as [slice, channel, row, column]; of a linear layer's activations the positions are a row."""
    shape = present.shape
    if channels_last:
        rows = present.reshape(shape[0] if len(shape) > 1 else 1, 1, -1, shape[-1])
        return np.ascontiguousarray(rows.transpose(0, 3, 1, 2))
    return present.reshape(*shape[:2], *((1,) * (4 - len(shape))), *shape[2:])


def from_maps(maps: Maps, shape: tuple[int, ...], *, channels_last: bool) -> Maps:
    """The inverse of `as_maps`."""
    return (maps.transpose(0, 2, 3, 1) if channels_last else maps).reshape(shape)


def measure(bits: BitTensor, *, channels_last: bool = False) -> TensorStatistics:
    """Measure a tensor; `channels_last`: an activation or gradient of a linear layer."""
    maps = as_maps(bits.to_bool(), channels_last=channels_last)
    by_slice, by_channel = maps.mean(axis=(1, 2, 3)), maps.mean(axis=(0, 2, 3))
    slices, channels = measure_margin(by_slice), measure_margin(by_channel)
    levels = thresholds(densities_of(channels, _LEVELS))
    same = cut_pairs(levels, levels)
    cross = cut_pairs(*(each.reshape(-1) for each in np.meshgrid(levels, levels)))
    rest = _rest(maps, by_slice, by_channel)
    count, width = maps.shape[:2]
    # Sums over slices or channels hold all pairs of them; less the pairs of one with itself.
    own = sums_by_offset(rest.reshape(-1, *maps.shape[2:]))
    of_slice = sums_by_offset(rest.sum(axis=1)) - own
    of_channel = sums_by_offset(rest.sum(axis=0)) - own
    of_neither = sums_by_offset(rest.sum(axis=(0, 1))[np.newaxis]) - own - of_slice - of_channel
    shape = (maps.shape[2], maps.shape[3])
    return TensorStatistics(
        density=bits.nonzeros / bits.size, slices=slices, channels=channels,
        same_map=replace(fit(own, count * width, shape, same, directed=True), at_zero=1.0),
        same_slice=fit(of_slice, count * width * (width - 1), shape, cross, directed=False),
        same_channel=fit(of_channel, count * width * (count - 1), shape, same, directed=False),
        elsewhere=fit(of_neither, count * width * (width - 1) * (count - 1), shape, cross, directed=False),
    )  # fmt: skip


def _rest(maps: Maps, by_slice: NDArray[np.float64], by_channel: NDArray[np.float64]) -> NDArray[np.float32]:
    """The presence of each element less what its slice and its channel let expect."""
    variance = by_channel * (1 - by_channel)
    share = variance / variance.mean() if variance.any() else variance
    expected = by_channel + (by_slice - by_slice.mean())[:, np.newaxis] * share
    rest: NDArray[np.float32] = maps - expected.astype(np.float32)[:, :, np.newaxis, np.newaxis]
    return rest
