"""The pipeline: plan every pass of a trace, add the rest of the step, place all of it on the timeline, report."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from swatsim.apart import Progress
from swatsim.architecture import FORMATS, Architecture, load_architecture
from swatsim.area import area_of
from swatsim.errors import SwatsimError
from swatsim.footprint import footprint_of
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.compile import link_runtime
from swatsim.layer import Layer, LayerSpec
from swatsim.layer_plans import LayerPlans, Node, PassPlans, plan_layer, shape_of
from swatsim.mapper import OBJECTIVES
from swatsim.paper_macs import dense_paper_macs
from swatsim.passes import PASSES
from swatsim.plan import Plan
from swatsim.profile import stage
from swatsim.report import OTHER, Interval, Report, machine_of, pass_row, stream_row, totals
from swatsim.sampling import CONFIDENCE, EXACT, Sampling
from swatsim.step import step_operations, step_order
from swatsim.stream_plan import plan_stream
from swatsim.streaming import StreamOperation
from swatsim.timeline import PlacedPass, Scheduled, place_passes
from swatsim.trace import Trace, load_trace
from swatsim.version import __version__
from swatsim.workers import in_order, thread_count

MachineLike = Architecture | str | os.PathLike[str]
TraceLike = Trace | str | os.PathLike[str]
Key = tuple[str, str]  # layer and pass
TENSORS = ("input", "weight", "output")
# Into which the work is cut at least for each worker, so that all end at about the same time.
PIECES_OF_A_WORKER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a simulation is asked for, checked."""

    layers: str
    passes: tuple[str, ...]
    objective: str
    formats: Mapping[str, str]
    keep_timeline: bool
    sampling: Sampling | None  # None: all is simulated


def simulate(  # noqa: PLR0913  each is a keyword of its own
    architecture: MachineLike,
    trace: TraceLike,
    *,
    layers: str = "*",
    passes: Sequence[str] = PASSES,
    objective: str = "cycles",
    formats: Mapping[str, str] | None = None,
    keep_timeline: bool = False,
    sample: float | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Simulate one training step of `trace` on `architecture`.

    Parameters
    ----------
    architecture, trace : what `load_architecture` and `load_trace` return, or what these are given.
    layers : pattern of layer names, as in a shell (`layer1.*`).
    passes : which of forward, input_grad and weight_grad. Only all layers and passes together are a step, which has
        its streaming work and a footprint too.
    objective : what mappings are chosen by: cycles, dram_bytes or energy.
    formats : storage formats of tensors (`{"weight": "bitmap"}`) in place of the levels' where blocks are kept.
    keep_timeline : whether the report has the timeline, block by block.
    sample : simulate about this part of what depends on the images, estimate the rest (docs/sampling.md); by default
        everything is simulated.
    seed : of the sample.
    workers : processes (threads where none can be forked); by default one per processor. The report does not depend on
        it.
    progress : called with layers done and in all: at the beginning, at least once a second, and at the end.

    Raises
    ------
    SwatsimError : an argument is wrong, nothing matches, a tensor is damaged, or a layer fits no buffer.
    """
    architecture, trace = loaded_machine("architecture", architecture), loaded_trace(trace)
    if not isinstance(layers, str):
        raise SwatsimError(f"layers: got {layers!r}, expected a pattern of layer names")
    options = Options(
        layers=layers, passes=_passes(passes), objective=_objective(objective), formats=_formats(formats),
        keep_timeline=keep_timeline, sampling=_sampling(sample, seed),
    )  # fmt: skip
    threads = thread_count(workers)
    chosen = [index for index, spec in enumerate(trace.specs) if fnmatchcase(spec.name, layers)]
    if not chosen:
        raise SwatsimError(f"layers: got {layers!r}, which matches none of the {len(trace)} layers of {trace.name}")
    node = Node.of(architecture, options.formats, options.objective, options.sampling)
    planned = _plan(node, trace, chosen, options, threads, progress)
    if not any(each.passes for each in planned):
        raise SwatsimError(f"passes: got {', '.join(options.passes)}, expected one that the chosen layers make")
    return _report(node, trace, options, planned)


def _plan(
    node: Node, trace: Trace, chosen: Sequence[int], options: Options, workers: int, progress: Progress | None
) -> list[LayerPlans]:
    """Plan layers in parallel, those of one shape together: they share a dense plan."""
    alike: dict[LayerSpec, list[int]] = {}
    for index in chosen:
        alike.setdefault(shape_of(trace.specs[index]), []).append(index)
    most = -(-len(chosen) // (PIECES_OF_A_WORKER * workers))
    batches = [layers[first : first + most] for layers in alike.values() for first in range(0, len(layers), most)]
    # The longest come first, so that none is left at the end.
    batches.sort(key=lambda batch: -len(batch) * dense_paper_macs(trace.specs[batch[0]], "forward"))
    link_runtime()
    found = in_order(
        lambda batch: [(index, plan_layer(node, _read(trace, index), options.passes)) for index in batch],
        batches, workers, progress, [len(batch) for batch in batches],
    )  # fmt: skip
    plans = dict(itertools.chain.from_iterable(found))
    return [plans[index] for index in chosen]


@stage("reading tensors")
def _read(trace: Trace, index: int) -> Layer:
    return trace.layer(index)


def _passes(passes: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(passes, Iterable):
        raise SwatsimError(f"passes: got {passes!r}, expected some of {', '.join(PASSES)}")
    found = (passes,) if isinstance(passes, str) else tuple(passes)
    unknown = [str(name) for name in found if name not in PASSES]
    if unknown or not found:
        raise SwatsimError(f"passes: got {', '.join(unknown) or 'none'}, expected some of {', '.join(PASSES)}")
    return found


def _objective(objective: str) -> str:
    if not isinstance(objective, str) or objective not in OBJECTIVES:
        raise SwatsimError(f"objective: got {objective!r}, expected one of {', '.join(OBJECTIVES)}")
    return objective


def _formats(formats: Mapping[str, str] | None) -> dict[str, str]:
    if formats is None:
        return {}
    if not isinstance(formats, Mapping):
        raise SwatsimError(f"formats: got {formats!r}, expected formats by tensor, as in {{'weight': 'bitmap'}}")
    for tensor, name in formats.items():
        if tensor not in TENSORS:
            raise SwatsimError(f"format: got {tensor!r}, expected one of {', '.join(TENSORS)}")
        if not isinstance(name, str) or name not in FORMATS:
            raise SwatsimError(f"format of {tensor}: got {name!r}, expected one of {', '.join(FORMATS)}")
    return dict(formats)


def _sampling(sample: float | None, seed: int) -> Sampling | None:
    sampling = Sampling(fraction=1 if sample is None else sample, seed=seed)
    return None if sampling.whole else sampling


def loaded_machine(argument: str, given: MachineLike) -> Architecture:
    """The machine, read where it is a name or a path; raises SwatsimError."""
    machine = load_architecture(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(machine, Architecture):
        raise SwatsimError(f"{argument}: got {given!r}, expected a name, a path or what load_architecture returns")
    return machine


def loaded_trace(given: TraceLike) -> Trace:
    """The trace, likewise."""
    trace = load_trace(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(trace, Trace):
        raise SwatsimError(f"trace: got {given!r}, expected a path or what load_trace returns")
    return trace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """All that is placed: passes of layers and streams, by name and pass, and in which order."""

    node: Node
    passes: Mapping[Key, PassPlans]
    streams: Mapping[Key, StreamOperation]
    order: Sequence[Key]
    keep_spans: bool  # of the machine as it is: for its timeline

    @stage("timeline")
    def place(self, *, dense: bool, end: int = 0) -> tuple[Mapping[Key, Plan], Mapping[Key, PlacedPass]]:
        """Plans, and when each runs; with what is estimated at the lower (-1) or upper (1) end of its interval."""
        hierarchy = self.node.dense if dense else self.node.actual
        plans = {key: self._plan(key, hierarchy, dense=dense, end=end) for key in self.order}
        before = [None, *self.order[:-1]]
        scheduled = [
            Scheduled(layer=key[0], pass_name=key[1], plan=plans[key], made_before=_made_before(key, previous))
            for key, previous in zip(self.order, before, strict=True)
        ]
        placed = place_passes(scheduled, hierarchy, keep_spans=self.keep_spans and not dense and end == 0)
        return plans, dict(zip(self.order, placed, strict=True))

    def intervals(self, placed: Mapping[Key, PlacedPass]) -> Mapping[Key, Interval] | None:
        """Of the cycles of each pass and stream; None where all is simulated."""
        if self.node.sampling is None:
            return None
        low, high = (self.place(dense=False, end=end)[1] for end in (-1, 1))
        errors = {key: self.passes[key].error if key in self.passes else EXACT for key in self.order}
        return {
            key: Interval.of((low[key].cycles, each.cycles, high[key].cycles), errors[key])
            for key, each in placed.items()
        }

    def _plan(self, key: Key, hierarchy: Hierarchy, *, dense: bool, end: int) -> Plan:
        if key in self.passes:
            return self.passes[key].dense if dense else self.passes[key].bound(end)
        return plan_stream(self.streams[key], hierarchy, dense=dense)


def _made_before(key: Key, previous: Key | None) -> frozenset[str]:
    """Tensors that a pass reads and that are there before the work just before it begins.

    A layer's input is made just before its forward pass, and its output gradient before its weight gradient, which
    comes before its input gradient. All else is older.
    """
    layer, pass_name = key
    found = {"forward": {"weight"}, "weight_grad": {"input"}, "input_grad": {"weight"}}.get(pass_name, set())
    if pass_name == "input_grad" and previous == (layer, "weight_grad"):
        found = found | {"output"}
    return frozenset(found)


@stage("report")
def _report(node: Node, trace: Trace, options: Options, planned: Sequence[LayerPlans]) -> Report:
    whole = len(planned) == len(trace) and set(options.passes) == set(PASSES)
    sizes = [each.sizes for each in planned]
    operations = step_operations(sizes, trace.graph, trace.manifest, node.architecture) if whole else ()
    passes = {(each.layer, found.pass_name): found for each in planned for found in each.passes}
    streams = {(each.name, each.pass_name): each for each in operations}
    order = [key for key in step_order(trace.specs, trace.graph, operations) if key in passes or key in streams]
    work = _Work(node=node, passes=passes, streams=streams, order=order, keep_spans=options.keep_timeline)
    (plans, placed), (dense_plans, dense_placed) = work.place(dense=False), work.place(dense=True)
    machine, intervals = machine_of(node.architecture), work.intervals(placed)
    rows = [pass_row(found, placed[key], dense_placed[key], machine) for key, found in passes.items()]
    rows += [
        stream_row(streams[key], (placed[key], dense_placed[key]), (plans[key], dense_plans[key]), machine)
        for key in order if key in streams
    ]  # fmt: skip
    if intervals is not None:
        rows = [replace(row, interval=intervals[row.layer, row.pass_name]) for row in rows]
    uncomputed = sum(each.uncomputed_paper_macs for each in planned)
    return Report(
        swatsim_version=__version__,
        architecture=node.architecture.model_dump(mode="json"),
        trace=_provenance(trace),
        simulation={
            "objective": options.objective, "formats": dict(options.formats), "layers": options.layers,
            "passes": list(options.passes), **_sample_of(options.sampling),
        },
        records=(*rows, *totals(rows, (*options.passes, *([OTHER] if whole else [])), uncomputed)),
        area=area_of(node.architecture),
        footprint=footprint_of(sizes, trace.graph, node.architecture) if whole else None,
        timeline=tuple(placed[key] for key in order) if options.keep_timeline else None,
    )  # fmt: skip


def _sample_of(sampling: Sampling | None) -> dict[str, object]:
    if sampling is None:
        return {}
    return {"sample": {"fraction": sampling.fraction, "seed": sampling.seed, "confidence": CONFIDENCE}}


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
