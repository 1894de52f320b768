"""The causes of lost cycles add up to no more than what is lost."""

from __future__ import annotations

from math import ceil

import pytest
from free_memory import load_with_free_memory
from hypothesis import given, settings
from oracle_matrix_outer import Units
from oracle_packed import Pool
from oracle_row_convolution import Elements
from oracle_systolic import Array
from small_layers import small_layers
from test_schedule_oracle import product_layer

from swatsim.contraction import contract
from swatsim.schedule import schedule
from swatsim.sides import Order

MACHINES = {
    "systolic": Array(rows=3, columns=2, tiles=2),
    "sigma": Pool(tiles=2, stationary="sparser", tile_split="best"),
    "sparsetrain": Elements(tiles=4, rows=2, columns=2, tile_split="best"),
    "dual-side-tensor-core": Units(tiles=4, tile_split="best", barrier="block"),
}
ORDER = Order("crs", "npq")


@pytest.mark.parametrize("name", MACHINES)
@settings(max_examples=settings().max_examples // 4)
@given(layer=small_layers())
def test_losses_are_part_of_what_is_lost(name, layer):
    machine = load_with_free_memory(name, MACHINES[name].overrides())
    for pass_name in ("forward", "input_grad", "weight_grad"):
        for contraction in contract(product_layer(layer), pass_name, ORDER):
            schedules = schedule(contraction, machine)
            for each in {id(each): each for each in (*schedules.actual, *schedules.dense)}.values():
                positions = schedules.ideal_positions if each.way.skips else schedules.macs
                lost = each.compute_cycles - ceil(positions / machine.macs_per_cycle)
                causes = each.losses()
                assert min(causes) >= 0
                assert sum(causes) <= lost + 2  # each cause is rounded for itself
