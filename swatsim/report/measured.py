"""Rows of what was planned and placed."""

from __future__ import annotations

from collections.abc import Mapping

from swatsim.layer_plans import PassPlans
from swatsim.plan import Plan
from swatsim.report.machine import Machine
from swatsim.report.records import Row
from swatsim.streaming import StreamOperation
from swatsim.timeline import PlacedPass
from swatsim.way import Losses


def pass_row(plans: PassPlans, actual: PlacedPass, dense: PlacedPass, machine: Machine) -> Row:
    """One pass of a layer."""
    ideal = -(-plans.unskippable_macs // machine.peak_macs_per_cycle)
    return _row(actual, dense, (plans.actual, plans.dense), machine, {
        "ideal_cycles": ideal, "losses": plans.losses.within(actual.compute_cycles - ideal),
        "unskippable_macs": plans.unskippable_macs,
        "macs": plans.macs,
        "effectual_macs": plans.effectual_macs,
        "paper_macs": plans.paper_macs,
        "scheduled": plans.scheduled,
        "densities": plans.densities,
    })  # fmt: skip


def stream_row(
    operation: StreamOperation, placed: tuple[PlacedPass, PlacedPass], plans: tuple[Plan, Plan], machine: Machine
) -> Row:
    """One stream of other work, on the machine as it is and on the dense one."""
    assert (placed[0].layer, placed[0].pass_name) == (operation.name, operation.pass_name)
    return _row(*placed, plans, machine, {})


def _row(
    actual: PlacedPass,
    dense: PlacedPass,
    plans: tuple[Plan, Plan],
    machine: Machine,
    counts: dict[str, int | str | Losses | Mapping[str, float]],
) -> Row:
    return Row(
        layer=actual.layer, pass_name=actual.pass_name, machine=machine,
        cycles=actual.cycles, compute_cycles=actual.compute_cycles,
        dense_cycles=dense.cycles, dense_compute_cycles=dense.compute_cycles, bound_by=actual.bound_by,
        moved_bytes=plans[0].moved, dense_moved_bytes=plans[1].moved,
        stalls=actual.stalls, dense_stalls=dense.stalls,
        compulsory_dram_bytes=plans[0].compulsory_bytes, multiplications=plans[0].multiplications,
        mapping=plans[0].mapping, blocks=plans[0].blocks.compute.size, prefetched_cycles=actual.prefetched_cycles,
        **counts,  # type: ignore[arg-type]
    )  # fmt: skip
