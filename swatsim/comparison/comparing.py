"""Simulate one trace on several machines and on a baseline."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from swatsim.apart import Progress
from swatsim.architecture import Architecture, load_architecture
from swatsim.comparison.normalization import NORMALIZATIONS, Scale, scale_of
from swatsim.comparison.result import COMPARED, CONVOLUTIONS, Comparison, Contender
from swatsim.errors import MappingError, SwatsimError
from swatsim.report.records import Row, add
from swatsim.report.report import Report
from swatsim.simulation import MachineLike, TraceLike, loaded_machine, loaded_trace, simulate

BASELINE = "dadiannao-dense"
Machines = Mapping[str, MachineLike] | Sequence[MachineLike] | MachineLike


def compare(  # noqa: PLR0913  each is a keyword of its own
    architectures: Machines,
    trace: TraceLike,
    *,
    baseline: MachineLike | None = None,
    normalize: str = "macs",
    layers: str = "*",
    objective: str = "cycles",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compare machines on one training step of `trace`.

    Parameters
    ----------
    architectures : the machines, by a name each; without names, by those that they are given or that they have.
    trace : as of `simulate`.
    baseline : the machine whose dense cycles (skipping off) all are compared with; by default the shipped
        dadiannao-dense.
    normalize : what makes unlike machines comparable: macs (equal peaks, one clock), area or none.
    layers, objective, workers : as of `simulate`.
    progress : called with layers done and in all, of all machines together.

    Raises
    ------
    SwatsimError : an argument is wrong, or a layer fits no buffer of a machine, which is named.
    """
    machines = _named(architectures)
    yardstick = load_architecture(BASELINE) if baseline is None else loaded_machine("baseline", baseline)
    trace = loaded_trace(trace)
    if normalize not in NORMALIZATIONS:
        raise SwatsimError(f"normalize: got {normalize!r}, expected one of {', '.join(NORMALIZATIONS)}")
    # Before anything is simulated: a baseline without an area is refused here.
    scales = [scale_of(machine, yardstick, normalize) for machine in machines.values()]
    distinct: list[tuple[str, Architecture]] = []
    for name, machine in (*machines.items(), (f"baseline {yardstick.name}", yardstick)):
        if all(machine != known for _, known in distinct):
            distinct.append((name, machine))

    def simulated(number: int) -> Report:
        def step(done: int, total: int) -> None:
            if progress is not None:
                progress(number * total + done, len(distinct) * total)

        name, machine = distinct[number]
        try:
            return simulate(machine, trace, layers=layers, objective=objective, workers=workers, progress=step)
        except MappingError as error:
            raise MappingError(f"{name}: {error}") from None

    reports = [simulated(number) for number in range(len(distinct))]

    def contender(name: str, machine: Architecture, scale: Scale) -> Contender:
        report = next(found for found, (_, known) in zip(reports, distinct, strict=True) if known == machine)
        return Contender(name=name, report=report, scale=scale, totals=_totals(report))

    return Comparison(
        machines=tuple(
            contender(name, machine, scale) for (name, machine), scale in zip(machines.items(), scales, strict=True)
        ),
        baseline=contender(yardstick.name, yardstick, Scale(Fraction(1))),
        normalize=normalize, layers=layers, objective=objective,
    )  # fmt: skip


def _named(architectures: Machines) -> dict[str, Architecture]:
    if isinstance(architectures, Mapping):
        pairs = [(str(name), machine) for name, machine in architectures.items()]
    elif isinstance(architectures, Architecture | str | os.PathLike):
        pairs = [(_name(architectures), architectures)]
    elif isinstance(architectures, Iterable):
        pairs = [(_name(machine), machine) for machine in architectures]
    else:
        raise SwatsimError(f"architectures: got {architectures!r}, expected one or several")
    if not pairs:
        raise SwatsimError("architectures: got none, expected at least one")
    found: dict[str, Architecture] = {}
    for name, machine in pairs:
        machine_of_name = loaded_machine("architectures", machine)
        if name in found:
            raise SwatsimError(f"architectures: got {name!r} twice, expected a mapping with a name for each")
        found[name] = machine_of_name
    return found


def _name(machine: MachineLike) -> str:
    return os.fspath(machine) if isinstance(machine, str | os.PathLike) else getattr(machine, "name", "")


def _totals(report: Report) -> dict[str, Row]:
    found = {row.pass_name: row for row in report.totals}
    found[CONVOLUTIONS] = add(CONVOLUTIONS, report.layer_records)
    return {name: found[name] for name in COMPARED if name in found}
