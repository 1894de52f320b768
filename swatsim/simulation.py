"""The pipeline: for each layer and pass of a trace contract, schedule, cut, move, place on the timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from swatsim.architecture import Architecture
from swatsim.blocks import cut, prepare_work
from swatsim.contraction import contract
from swatsim.errors import SwatsimError
from swatsim.layer import Layer
from swatsim.passes import OPERANDS, PASSES, RESULTS, REVERSED
from swatsim.report import Report, Row, paper_macs, totals
from swatsim.schedule import PairedSchedule, schedule
from swatsim.sides import Order
from swatsim.timeline import Timeline, place
from swatsim.trace import Trace
from swatsim.traffic import BlockTimes, Move, measure
from swatsim.version import __version__
from swatsim.workers import Progress, in_order, thread_count


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """The rows of one layer, and the paper's count of an input gradient that no pass computes."""

    rows: tuple[Row, ...]
    uncomputed_paper_macs: int


def simulate(
    architecture: Architecture,
    trace: Trace,
    *,
    layers: str = "*",
    passes: Sequence[str] = PASSES,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Simulate one training step of `trace` on `architecture`.

    Parameters
    ----------
    layers : pattern of layer names, as in a shell (`layer1.*`).
    passes : which of forward, input_grad and weight_grad.
    workers : threads; by default one per processor. The report does not depend on it.
    progress : called with the layers done and the layers in all, after each layer.

    Raises
    ------
    SwatsimError : an argument is wrong, nothing matches, a tensor is damaged, or a layer is too large to hold.
    """
    _check_types(architecture, trace, layers)
    passes = (passes,) if isinstance(passes, str) else tuple(passes)
    unknown = [str(name) for name in passes if name not in PASSES]
    if unknown or not passes:
        raise SwatsimError(f"passes: got {', '.join(unknown) or 'none'}, expected some of {', '.join(PASSES)}")
    threads = thread_count(workers)
    chosen = [index for index, spec in enumerate(trace.specs) if fnmatchcase(spec.name, layers)]
    if not chosen:
        raise SwatsimError(f"layers: got {layers!r}, which matches none of the {len(trace)} layers of {trace.name}")

    def work(index: int) -> LayerResult:
        return simulate_layer(architecture, trace.layer(index), passes)

    results = in_order(work, chosen, threads, progress)
    rows = [row for result in results for row in result.rows]
    if not rows:
        raise SwatsimError(f"passes: got {', '.join(passes)}, expected one that the chosen layers make")
    uncomputed = sum(result.uncomputed_paper_macs for result in results)
    return Report(
        swatsim_version=__version__,
        architecture=architecture.model_dump(mode="json"),
        trace=_provenance(trace),
        records=(*rows, *totals(rows, passes, uncomputed)),
    )


def _check_types(architecture: object, trace: object, layers: object) -> None:
    for name, value, expected in (("architecture", architecture, Architecture), ("trace", trace, Trace)):
        if not isinstance(value, expected):
            raise SwatsimError(f"{name}: got {value!r}, expected what load_{name} returns")
    if not isinstance(layers, str):
        raise SwatsimError(f"layers: got {layers!r}, expected a pattern of layer names")


def simulate_layer(architecture: Architecture, layer: Layer, passes: Sequence[str] = PASSES) -> LayerResult:
    """Simulate the passes that a training step makes through one layer."""
    rows = tuple(_simulate_pass(architecture, layer, name) for name in layer.spec.passes if name in passes)
    uncomputed = 0
    if "input_grad" in passes and not layer.spec.needs_input_grad:
        # The weight is the operand that a forward pass and an input gradient share.
        weight = layer.passes["forward"].operands["weight"]
        uncomputed = paper_macs(layer.spec.convolution.dilated_input_grad_macs, [weight.sparsity])
    return LayerResult(rows=rows, uncomputed_paper_macs=uncomputed)


def _simulate_pass(architecture: Architecture, layer: Layer, pass_name: str) -> Row:
    order = Order(steps=architecture.mapping.step_order, windows=architecture.mapping.window_order)
    schedules = [schedule(contraction, architecture) for contraction in contract(layer, pass_name, order)]
    moved: Counter[Move] = Counter()
    actual = _run(schedules, RESULTS[pass_name], architecture, moved, dense=False)
    dense = _run(schedules, RESULTS[pass_name], architecture, Counter(), dense=True)
    peak = architecture.macs_per_cycle
    unskippable = sum(paired.ideal_positions for paired in schedules)
    return Row(
        layer=layer.spec.name,
        pass_name=pass_name,
        cycles=actual.cycles,
        compute_cycles=actual.compute_cycles,
        dense_cycles=dense.cycles,
        dense_compute_cycles=dense.compute_cycles,
        ideal_cycles=-(-unskippable // peak),
        peak_macs_per_cycle=peak,
        unskippable_macs=unskippable,
        macs=sum(paired.macs for paired in schedules),
        effectual_macs=sum(paired.effectual_macs for paired in schedules),
        paper_macs=_paper_macs(layer, pass_name),
        bound_by=actual.bound_by,
        scheduled=_scheduled(schedules, pass_name),
        moved_bytes=moved,
    )


def _run(
    schedules: Sequence[PairedSchedule], result: str, architecture: Architecture, moved: Counter[Move], *, dense: bool
) -> Timeline:
    """Cut all contractions of a pass into blocks, count what they move into `moved`, and run them."""
    blocks: list[BlockTimes] = []
    resident: str | None = None
    for paired in schedules:
        work = prepare_work(paired, architecture, dense=dense)
        streamed = work.schedule.mapping.columns.role
        pieces = cut(work, architecture, columns_resident=resident == streamed)
        traffic = measure(work, pieces, result, architecture)
        moved.update(traffic.moved)
        blocks.extend(traffic.blocks)
        # The phases of an input gradient share its windows' tensor, not the taps: what fits stays for the next phase.
        whole = len({piece.column_rounds.start for piece in pieces}) == 1 and work.schedule.mapping.groups == 1
        resident = streamed if whole and streamed != "weight" else None
    return place(blocks, architecture)


def _scheduled(schedules: Sequence[PairedSchedule], pass_name: str) -> str:
    """The roles of the operands that are skipped, over the contractions of a pass."""
    roles = {"input": "input", "weight": "weight", "output": "output"}
    for role in OPERANDS[pass_name]:
        roles[role.removesuffix("_grad")] = role
    found = {roles[paired.actual.scheduled.role] if paired.actual.scheduled else "none" for paired in schedules}
    return "+".join(sorted(found))


def _paper_macs(layer: Layer, pass_name: str) -> int:
    convolution = layer.spec.convolution
    # The paper has no transposed convolution: its rule is kept for the convolution that this one reverses.
    counted = REVERSED[pass_name] if layer.spec.transposed else pass_name
    macs = convolution.dilated_input_grad_macs if counted == "input_grad" else convolution.macs
    return paper_macs(macs, (operand.sparsity for operand in layer.passes[pass_name].operands.values()))


def _provenance(trace: Trace) -> dict[str, object]:
    metadata = trace.manifest
    return {
        "name": trace.name,
        "network": metadata.network,
        "scheme": metadata.scheme,
        "sparsity": None if metadata.sparsity is None else float(metadata.sparsity),
        "selection_period": metadata.selection_period,
        "optimizer": metadata.optimizer,
        "provenance": dict(metadata.provenance),
        "layers": len(trace.specs),
        "digest": trace.digest,
    }
