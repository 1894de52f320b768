"""Colors beside each other differ for readers who see fewer of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from swatsim.charts.colors import COLORS, IN_ORDER, OF_LINES, OF_PASS, OF_TENSOR

# What is left of linear sRGB: G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, IEEE TVCG 2009, severity 1.0.
SEEN = {
    "all colors": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881),
    ),
}  # fmt: skip
# Linear sRGB to CIE XYZ, D65 (IEC 61966-2-1).
XYZ = np.array(
    ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
)
PALETTES = {"passes": OF_PASS.values(), "tensors": OF_TENSOR.values(), "in order": IN_ORDER, "lines": OF_LINES}
# CIE76 distance: 2.3 is just noticeable (G. Sharma, Digital Color Imaging Handbook, 2003).
LEAST = 13


def lab_of(color, seen):
    """CIE L*a*b* of `#rrggbb`."""
    encoded = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    x, y, z = XYZ @ np.clip(np.array(seen) @ linear, 0, 1) / XYZ.sum(axis=1)
    x, y, z = (t ** (1 / 3) if t > (6 / 29) ** 3 else t * (29 / 6) ** 2 / 3 + 4 / 29 for t in (x, y, z))
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


def test_distances_are_those_of_known_colors():
    everything = SEEN["all colors"]
    assert lab_of("#ffffff", everything) == pytest.approx((100, 0, 0), abs=0.01)
    assert lab_of("#ff0000", everything) == pytest.approx((53.24, 80.09, 67.20), abs=0.05)
    # Grays stay as they are.
    for seen in SEEN.values():
        assert lab_of("#808080", seen) == pytest.approx(lab_of("#808080", everything), abs=0.01)


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("paper", ["white", "black"])
@pytest.mark.parametrize("palette", PALETTES)
def test_colors_of_a_palette_differ(palette, paper, seen):
    found = {name: lab_of(COLORS[name][paper == "black"], SEEN[seen]) for name in dict.fromkeys(PALETTES[palette])}
    for (one, first), (other, second) in itertools.combinations(found.items(), 2):
        assert np.linalg.norm(first - second) >= LEAST, (one, other)
