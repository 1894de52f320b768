"""Energy: sums of prices, against hand-computed picojoules."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_rows import MACHINE, band, row

import swatsim
from swatsim.energy import EnergyTable, average_power_w, edp_js, energy_table, spent
from swatsim.moves import Move

TABLE = EnergyTable(level_pj_per_bit={"dram": band(10.0, 5.0, 20.0), "buffer": band(0.5)}, mac_pj=band(2.0, 1.0, 3.0))


def test_by_hand():
    moved = {Move("dram", "read", "input"): 3, Move("dram", "write", "output"): 4, Move("buffer", "write", "input"): 6}
    energy = spent(moved, 7, TABLE)
    assert energy.levels["dram"] == band((3 + 4) * 8 * 10.0, (3 + 4) * 8 * 5.0, (3 + 4) * 8 * 20.0)
    assert energy.levels["buffer"] == band(6 * 8 * 0.5)
    assert energy.mac == band(14.0, 7.0, 21.0)
    assert energy.total == band(560 + 24 + 14.0, 280 + 24 + 7.0, 1120 + 24 + 21.0)


def test_nothing_costs_nothing():
    assert spent({}, 0, TABLE).total == band(0.0)


def test_a_level_of_another_machine_is_a_mistake():
    with pytest.raises(KeyError):
        spent({Move("sb", "read", "input"): 1}, 0, TABLE)


def test_product_and_power():
    # 2 J in 2 s.
    assert edp_js(2e12, 4, 2) == 4.0
    assert average_power_w(2e12, 4, 2) == 1.0
    assert average_power_w(2e12, 0, 2) is None
    spending = row(cycles=500_000, moved_bytes={Move("dram", "read", "weight"): 1_000_000}, multiplications=10)
    assert spending.energy.total.value == 80_000_020
    assert spending.edp_js == pytest.approx(80.00002e-6 * 0.5)
    assert spending.average_power_w == pytest.approx(80.00002e-6 / 0.5)
    assert spending.dense_energy.total.value == 0


def test_the_dense_machine_multiplies_everything():
    assert row(macs=100, multiplications=30).energy.mac.value == 60
    assert row(macs=100, multiplications=30).dense_energy.mac.value == 200
    assert row(dense_moved_bytes={Move("file", "write", "input"): 2}).dense_energy.levels["file"].value == 16


@given(st.lists(st.tuples(st.sampled_from(MACHINE.levels), st.integers(0, 2**40), st.integers(0, 2**40)), max_size=8))
def test_the_whole_is_its_parts(parts):
    rows = [
        row(moved_bytes={Move(level, "read", "input"): count}, multiplications=macs) for level, count, macs in parts
    ]
    counts = {level: sum(count for name, count, _ in parts if name == level) for level in MACHINE.levels}
    whole = spent(
        {Move(level, "read", "input"): count for level, count in counts.items()},
        sum(macs for _, _, macs in parts),
        MACHINE.energy,
    )
    for name in ("low", "value", "high"):
        exact = sum((Fraction(getattr(part.energy.total, name)) for part in rows), Fraction())
        assert getattr(whole.total, name) == pytest.approx(float(exact))
    assert whole.total.low <= whole.total.value <= whole.total.high


def test_prices_of_a_file():
    overrides = {
        "memory.dram.energy_pj_per_bit": 4.0, "memory.dram.energy_low_pj_per_bit": 3.0,
        "memory.dram.energy_high_pj_per_bit": None, "energy.mac_pj": 2.0, "energy.mac_low_pj": None,
        "energy.mac_high_pj": 9.0,
    }  # fmt: skip
    architecture = swatsim.load_architecture("dadiannao", overrides=overrides)
    table = energy_table(architecture)
    assert list(table.level_pj_per_bit) == list(architecture.memory.levels)
    assert table.level_pj_per_bit["dram"] == band(4.0, 3.0, 4.0)
    assert table.mac_pj == band(2.0, 2.0, 9.0)


@pytest.mark.parametrize("name", swatsim.shipped_architectures())
def test_shipped_prices_are_bands(name):
    table = energy_table(swatsim.load_architecture(name))
    for price in (*table.level_pj_per_bit.values(), table.mac_pj):
        assert 0 < price.low <= price.value <= price.high
    # What is farther away costs more.
    outermost, *inner = table.level_pj_per_bit.values()
    assert all(outermost.value > price.value for price in inner)
