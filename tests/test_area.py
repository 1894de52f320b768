"""Area: densities times sizes, against hand-computed square millimetres."""

from __future__ import annotations

import pytest

import swatsim
from swatsim.area import Area, area_of

KNOWN = {
    "tiles": 2, "tile.rows": 4, "tile.columns": 2, "tile.lanes": 8,
    "area.multiplier_mm2": 0.25, "area.interconnect_mm2": 3.0, "area.other_mm2": 1.5, "area.overhead_fraction": 0.5,
    "memory.dram.area_mm2_per_mib": None,
    "memory.central.capacity_bytes": 1 << 21, "memory.central.area_mm2_per_mib": 0.5,
    "memory.sb.capacity_bytes": 1 << 19, "memory.sb.area_mm2_per_mib": 2.0,
    "memory.nbin.capacity_bytes": 1 << 20, "memory.nbin.area_mm2_per_mib": 4.0,
    "memory.nbout.area_mm2_per_mib": None,
}  # fmt: skip


def area(**changes):
    return area_of(swatsim.load_architecture("dadiannao", overrides=KNOWN | changes))


def test_by_hand():
    found = area()
    assert found.parts_mm2 == {
        "multipliers": 0.25 * 2 * 4 * 2 * 8,  # 32
        "central": 2 * 0.5,  # once in the node
        "sb": 2 * 0.5 * 2.0,  # in each of two tiles
        "nbin": 2 * 4.0,
        "interconnect": 3.0,
        "other": 1.5,
        "overhead": 0.5 * (32 + 1 + 2 + 8 + 3 + 1.5),
    }
    assert found.total_mm2 == 1.5 * 47.5
    assert found.uncounted == ("nbout",)


def test_what_is_not_known_is_said():
    found = area(**{"area.multiplier_mm2": None, "memory.sb.area_mm2_per_mib": None})
    assert found.uncounted == ("multipliers", "sb", "nbout")
    assert set(found.parts_mm2) == {"central", "nbin", "interconnect", "other", "overhead"}


def test_off_chip_memory_is_no_part_of_the_chip():
    assert "dram" not in area().uncounted
    # Unless the file says how large it is; without a capacity that says nothing.
    assert area(**{"memory.dram.area_mm2_per_mib": 1.0}).uncounted == ("dram", "nbout")
    sized = area(**{"memory.dram.area_mm2_per_mib": 1.0, "memory.dram.capacity_bytes": 5 << 20})
    assert sized.parts_mm2["dram"] == 5.0


def test_nothing_known():
    assert Area(parts_mm2={}, uncounted=("multipliers",)).total_mm2 == 0


def test_the_published_node():
    """DaDianNao states 67.73 mm2 for its node; the file's densities are chosen to make it up."""
    node = swatsim.load_architecture("dadiannao-dense")
    found = area_of(node)
    assert found.total_mm2 == pytest.approx(67.73, abs=0.01)
    assert found.uncounted == ()
    levels = node.memory.levels
    # eDRAM is 2.85 times as dense as SRAM, and all memory is as much as the paper has.
    for name in ("nbin", "nbout"):
        assert levels[name].area_mm2_per_mib == pytest.approx(2.85 * levels["sb"].area_mm2_per_mib, rel=1e-3)
    assert sum(found.parts_mm2[name] for name in list(levels)[1:]) == pytest.approx(32.207, abs=0.01)


@pytest.mark.parametrize(
    ("name", "extra"), [("dadiannao", 0.17), ("bit-tactical", 0.22), ("tensordash", 0.0043), ("dadiannao-dense", 0)]
)
def test_what_skipping_adds(name, extra):
    found = area_of(swatsim.load_architecture(name))
    without = sum(area for part, area in found.parts_mm2.items() if part != "overhead")
    assert found.parts_mm2["overhead"] == pytest.approx(extra * without)
    if name == "tensordash":  # 2.64 mm2 of schedulers and multiplexers (R)
        assert found.parts_mm2["overhead"] == pytest.approx(2.64, rel=0.02)
    else:
        assert without == pytest.approx(67.73, abs=0.01)
