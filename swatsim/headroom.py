"""Whether counts are sure to fit 64 bits: a layer whose cycles, bytes or energy may not is refused, never wrapped."""

from __future__ import annotations

from swatsim.errors import SwatsimError
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.engines import BANK_CYCLES, PERIOD, REFRESH
from swatsim.layer import LayerSpec
from swatsim.plan import Plan

LARGEST_COUNT = 1 << 62
# More than any datapath takes for one multiplication by itself: reduction, an empty chunk, a full bank queue.
_COMPUTE_CYCLES = 1 << 11
# Of the place of a value, in any storage format.
_INDEX_BYTES = 8


def check_layer(spec: LayerSpec, hierarchy: Hierarchy) -> None:
    """Refuse a layer of more multiplications than a machine's slowest mapping can count in 64 bits.

    Slowest: each multiplication by itself, its operands and its result moved at each level, a byte a cycle.

    Raises SwatsimError.
    """
    datapath, timing = hierarchy.architecture.datapath, hierarchy.timing
    moved = 2 * (datapath.value_bytes + _INDEX_BYTES) + 2 * max(datapath.accumulator_bytes, datapath.value_bytes)
    cycles, slowed = _COMPUTE_CYCLES + timing.load_latency + timing.start_latency + timing.store_latency, 1
    for level in timing.levels.tolist():
        cycles += 2 * moved * level[BANK_CYCLES]
        if level[PERIOD]:
            slowed = max(slowed, -(-level[PERIOD] // max(1, level[PERIOD] - level[REFRESH])))
    most = LARGEST_COUNT // max(cycles * slowed, hierarchy.mac_energy)
    macs = max(spec.convolution.macs, spec.convolution.dilated_input_grad_macs)
    if macs > most:
        raise SwatsimError(
            f"{spec.name}: got {macs} multiplications, expected at most {most}, of which cycles on "
            f"{hierarchy.architecture.name} are sure to fit 64 bits"
        )


def check_energy(name: str, plan: Plan, hierarchy: Hierarchy) -> None:
    """Refuse a mapping of least energy whose femtojoules do not fit; no other mapping's can have been taken for less.

    Raises SwatsimError.
    """
    energy = plan.multiplications * hierarchy.mac_energy
    for move, count in plan.moved.items():
        energy += 8 * int(count) * int(hierarchy.bit_energy[hierarchy.index[move.level]])
    if energy > LARGEST_COUNT:
        raise SwatsimError(f"{name}: got {energy} femtojoules, expected at most {LARGEST_COUNT}, which fit 64 bits")
