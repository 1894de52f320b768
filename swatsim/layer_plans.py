"""The passes of one layer, planned: contracted, scheduled and mapped, with and without skipping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from swatsim.architecture import Architecture
from swatsim.contraction import Contraction, contract, parts_of
from swatsim.datapaths import arranged
from swatsim.headroom import check_energy, check_layer
from swatsim.hierarchy import Hierarchy, hierarchy_of
from swatsim.kernels.blocks import COMPUTE, Blocks
from swatsim.layer import Layer, LayerSpec
from swatsim.mapper import Mapped, Work, compulsory_bytes, held_parts, map_pass
from swatsim.paper_macs import dense_paper_macs, paper_macs
from swatsim.passes import OPERANDS, RESULTS, REVERSED
from swatsim.plan import Plan, plan_pass
from swatsim.profile import stage
from swatsim.reduction import WHOLE, Part
from swatsim.sampling import EXACT, Estimate, SampledContraction, SampledSchedule, Sampling, combined
from swatsim.schedule import Schedules, schedule
from swatsim.sides import Order
from swatsim.stored import Copy, StoredSizes, stored_copies
from swatsim.way import NO_LOSSES, Losses


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine as it is and with skipping off, and what mappings are chosen by."""

    architecture: Architecture
    formats: Mapping[str, str]  # the user's own by tensor
    actual: Hierarchy
    dense: Hierarchy
    objective: str
    dense_plans: dict[tuple[LayerSpec, str], Plan]  # made so far: they depend on shapes alone
    sampling: Sampling | None = None  # None: all is simulated

    @staticmethod
    def of(
        architecture: Architecture, formats: Mapping[str, str], objective: str, sampling: Sampling | None = None
    ) -> Node:
        """Number both hierarchies."""
        return Node(
            architecture=architecture, formats=formats, actual=hierarchy_of(architecture, formats),
            dense=hierarchy_of(architecture, None), objective=objective, dense_plans={}, sampling=sampling,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PassPlans:
    """One pass of a layer: both plans, and what its bits say."""

    pass_name: str
    actual: Plan
    dense: Plan
    unskippable_macs: int
    macs: int
    effectual_macs: int
    paper_macs: int  # the count of the SWAT paper: shapes and budgets alone
    scheduled: str  # operands whose zeros are skipped
    losses: Losses  # of compute cycles, as its schedules attribute them
    densities: Mapping[str, float]  # share of non-zeros, by operand
    error: Estimate = EXACT  # of the compute cycles

    def bound(self, end: int) -> Plan:
        """The plan as it is (0), or with its compute cycles at the lower (-1) or upper (1) end of their interval."""
        plan, table = self.actual, np.array(self.actual.table)
        cycles = plan.compute_cycles
        if end == 0 or self.error.half_width == 0 or cycles == 0:
            return plan
        factor = max(0.0, 1 + end * self.error.half_width / cycles)
        done = np.rint(np.cumsum(table[:, COMPUTE]) * factor).astype(np.int64)
        table[:, COMPUTE] = np.diff(done, prepend=0)
        return replace(plan, blocks=Blocks(table))


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlans:
    """The passes of one layer, and its operands off chip."""

    layer: str
    passes: tuple[PassPlans, ...]
    uncomputed_paper_macs: int  # of an input gradient that no pass computes, though the weight is trained
    sizes: StoredSizes


def shape_of(spec: LayerSpec) -> LayerSpec:
    """What is the same for all layers that share their dense plans."""
    return replace(spec, name="any", needs_input_grad=True)


def plan_layer(node: Node, layer: Layer, passes: Sequence[str]) -> LayerPlans:
    """Plan those of the passes that a training step makes through the layer.

    Raises SwatsimError where its counts may not fit 64 bits, or it fits the machine in no way.
    """
    check_layer(layer.spec, node.actual)
    plans: list[PassPlans] = []
    copies: dict[tuple[str, str], Copy] = {}
    for name in layer.computed:
        if name in passes:
            plans.append(_plan(node, layer, name))
        copies |= stored_copies(layer, name, node.architecture, node.formats)
        # No other pass reads its operands in the same order.
        for operand in layer.passes[name].operands.values():
            operand.bits.laid_out.clear()
    return LayerPlans(
        layer=layer.spec.name,
        passes=tuple(plans),
        uncomputed_paper_macs=_uncomputed(layer) if "input_grad" in passes else 0,
        sizes=StoredSizes(spec=layer.spec, copies=copies),
    )


def _plan(node: Node, layer: Layer, pass_name: str) -> PassPlans:
    architecture = node.architecture
    order = Order(steps=architecture.mapping.step_order, windows=architecture.mapping.window_order)
    counted = REVERSED[pass_name] if layer.spec.transposed else pass_name

    @stage("contraction")
    def contracted(part: Part) -> tuple[Contraction, ...]:
        found = (arranged(each, architecture) for each in contract(layer, pass_name, order, part))
        if node.sampling is None:
            return tuple(found)
        name = f"{layer.spec.name} {pass_name} {part}"
        return tuple(
            SampledContraction.of(each, node.sampling, f"{name} {number}") for number, each in enumerate(found)
        )

    # Both machines have the same parts, of which much is counted.
    @cache
    def cut(parts: int) -> list[tuple[Contraction, ...]]:
        return [contracted(part) for part in parts_of(layer, pass_name, architecture.tile.lanes, order, parts)]

    schedules = [schedule(contraction, architecture) for contraction in contracted(WHOLE)]

    @stage("mapping")
    def plan(hierarchy: Hierarchy, *, dense: bool) -> tuple[Plan, tuple[Mapped, ...]]:
        work = Work(
            name=f"{layer.spec.name}: {pass_name}" + (" (skipping off)" if dense else ""), schedules=schedules,
            tensor=RESULTS[pass_name],
            scattered=counted == "input_grad" and layer.spec.convolution.stride != (1, 1), cut=cut, dense=dense,
        )  # fmt: skip
        mapped = map_pass(work, hierarchy, node.objective)
        multiplications = sum(
            each.multiplications(found.arena.pieces.schedules) for each, found in zip(schedules, mapped, strict=True)
        )
        least = _compulsory(schedules, mapped, hierarchy)
        planned = plan_pass(mapped, RESULTS[pass_name], multiplications, least, hierarchy)
        check_energy(work.name, planned, hierarchy)
        return planned, mapped

    actual, mapped = plan(node.actual, dense=False)
    scheduled, losses, error = _scheduled(schedules, mapped, pass_name), _losses(mapped), _error(mapped)
    del mapped  # its arrays, before those of the dense machine come
    shape = (shape_of(layer.spec), pass_name)
    if shape not in node.dense_plans:
        node.dense_plans[shape] = plan(node.dense, dense=True)[0]
    return PassPlans(
        pass_name=pass_name, actual=actual, dense=node.dense_plans[shape],
        unskippable_macs=sum(each.ideal_positions for each in schedules), macs=sum(each.macs for each in schedules),
        effectual_macs=sum(each.effectual_macs for each in schedules), paper_macs=_paper_macs(layer, pass_name),
        scheduled=scheduled, losses=losses, error=error,
        densities={role: operand.bits.density for role, operand in layer.passes[pass_name].operands.items()},
    )  # fmt: skip


def _compulsory(schedules: Sequence[Schedules], mapped: Sequence[Mapped], hierarchy: Hierarchy) -> int:
    """Each operand of a pass once and its result once; what several contractions read is the same tensor.

    Parts of a cut reduction may take less than the whole: lines without what no window touches, fewer fillers.
    """
    found = 0
    shared: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None
    for each, chosen in zip(schedules, mapped, strict=True):
        held, pieces = held_parts([each.contraction], hierarchy), chosen.arena.pieces
        loaded, stored = compulsory_bytes(each, held, hierarchy)
        found += min(loaded, compulsory_bytes(each, (pieces.rows, pieces.columns), hierarchy)[0]) + stored
        if len(schedules) > 1:
            (columns,) = held[1].parts
            name = hierarchy.tensor_format("columns", columns.side.role, full=columns.side.full)[hierarchy.names[0]]
            lines = np.where(columns.touched, columns.all_line_bytes(name), 0)
            if shared is not None:
                found -= int(np.minimum(shared, lines).sum())
            shared = lines if shared is None else np.maximum(shared, lines)
    return found


def _scheduled(schedules: Sequence[Schedules], mapped: Sequence[Mapped], pass_name: str) -> str:
    """The operands that are skipped, over the contractions of a pass."""
    roles = {role.removesuffix("_grad"): role for role in OPERANDS[pass_name]}
    found = set()
    for each, chosen in zip(schedules, mapped, strict=True):
        skips = chosen.schedule.way.skips
        found |= {roles[getattr(each.contraction, side).role] for side in skips} if skips else {"none"}
    return "+".join(sorted(found)) or "none"


def _losses(mapped: Sequence[Mapped]) -> Losses:
    """What the schedules that were taken lose, over the parts of each reduction."""
    lost = NO_LOSSES
    for schedule_taken in (part for each in mapped for part in each.arena.pieces.schedules):
        lost = lost.plus(schedule_taken.losses())
    return lost


def _error(mapped: Sequence[Mapped]) -> Estimate:
    """The error of the compute cycles: contractions and parts of their reductions are drawn from independently."""
    schedules = (schedule for each in mapped for schedule in each.arena.pieces.schedules)
    return combined([each.error for each in schedules if isinstance(each, SampledSchedule)])


def _paper_macs(layer: Layer, pass_name: str) -> int:
    sparsities = (operand.sparsity for operand in layer.passes[pass_name].operands.values())
    return paper_macs(dense_paper_macs(layer.spec, pass_name), sparsities)


def _uncomputed(layer: Layer) -> int:
    computed = layer.computed
    # The paper trains every weight: it says nothing of what a frozen one leaves out.
    if "input_grad" in computed or "weight_grad" not in computed:
        return 0
    # The weight is the operand that a forward pass and an input gradient share.
    weight = layer.passes["forward"].operands["weight"]
    return paper_macs(dense_paper_macs(layer.spec, "input_grad"), [weight.sparsity])
