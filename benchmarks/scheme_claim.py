"""The claim that SWAT rests on, a section of docs/schemes.md: output gradients must stay dense, other operands not."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from benchmarks.scheme_results import Group, differences, spread

# Student's t, two-sided 5 %, by the number of seeds.
CRITICAL = {3: 4.303, 4: 3.182, 5: 2.776}
LAST_DENSE = ", last layer dense"
TASKS = {
    "digits": "Digits: the network and data above, {steps} steps.",
    "patches": "Patches: ResNet-8 with batch norm (16, 32, 64 channels) on 32 x 32 patches of ten photographs that\n"
    "foolbox ships (`traces/patches.py`), {steps} steps of batch 32, which is far from converged.",
}

HEAD = """
## Does it hurt to sparsify the output gradient?

SWAT keeps the output gradient g dense and drops values of weights w and activations a, since it found that training
does not converge where g is cut. Each case names what is cut to its top-K in forward / input_grad / weight_grad: w/w/a
is SWAT-U, w/wg/ag is SWAT-U with g cut in both backward passes, -/g/g cuts g alone. The first convolution stays dense
in all of them, the last linear layer where it is said. Every case has the batches and first weights of the dense run of
its seed, so differences are paired; *worse* and *better* are said where Student's t of the paired differences (of the
logarithms, for losses) is beyond its two-sided 5 % bound ({critical} for five seeds). No correction is made for the
number of cases: where only chance differs, one verdict in twenty is still *worse* or *better*.
"""


def section(groups: Sequence[Group]) -> str:
    """The tables and what follows from them; nothing without results."""
    cases = [group for group in groups if group.scheme.startswith("cases:")]
    if not cases:
        return ""
    text = HEAD.format(critical=CRITICAL[5])
    for task, title in TASKS.items():
        dense = next((group for group in groups if (group.task, group.scheme) == (task, "dense")), None)
        if dense is None:
            continue
        found = [group for group in cases if group.task == task and group.runs.keys() == dense.runs.keys()]
        if found:
            text += f"\n{title.format(steps=dense.length)}\n\n" + _table(dense, found) + "\n" + _pairs(found)
    return text + "\n" + _conclusion(groups)


CONCLUSION = """**It does hurt, where all layers are cut and g in both backward passes.** On digits at 90 %, -/g/g ends
{alone} points from dense training with {factor} times its loss, and SWAT-U with g cut too {both} points,
where SWAT-U itself is at {swat}; at 95 % it is {both_95} against {swat_95}.
On patches, runs with g cut in both passes learn nothing ({patches} points; SWAT-U {patches_swat}).
In one backward pass alone, g at 90 % makes no difference in accuracy on digits that five seeds would show ({input_grad}
and {weight_grad} points), as w ({weight}) and a ({activation}) make none. So SWAT's rule is borne out for
what SWAT does: treat all layers alike.

**The collapse is the last layer's.** With the last linear layer left alone, as meProp leaves it, cutting g in both
passes of all others costs {last} points on digits, as little as SWAT-U does. On patches it comes to
{patches_last}, and SWAT-U is better by {patches_more}: g is still the dearest operand to cut, but training
survives it. The likely cause of the collapse: only in the last layer is g the error of each class's score, and what
top-K keeps of it is no longer balanced over the classes; losses far above ln 10 = 2.3, that of guessing, show scores
that run away.
"""


def _conclusion(groups: Sequence[Group]) -> str:
    """What the tables come to, with their numbers."""
    found = {(each.task, each.settings.get("sparsity"), _case(each)): each for each in groups}
    dense = {each.task: each for each in groups if each.scheme == "dense"}

    def points(task: str, sparsity: str, case: str) -> str:
        return _compared(dense[task], found[task, sparsity, case])[0]

    return CONCLUSION.format(
        alone=points("digits", "0.9", "-/g/g"),
        factor=_compared(dense["digits"], found["digits", "0.9", "-/g/g"])[2],
        both=points("digits", "0.9", "w/wg/ag"), swat=points("digits", "0.9", "w/w/a"),
        both_95=points("digits", "0.95", "w/wg/ag"), swat_95=points("digits", "0.95", "w/w/a"),
        patches=points("patches", "0.9", "-/g/g"), patches_swat=points("patches", "0.9", "w/w/a"),
        input_grad=points("digits", "0.9", "-/g/-"), weight_grad=points("digits", "0.9", "-/-/g"),
        weight=points("digits", "0.9", "w/w/-"), activation=points("digits", "0.9", "-/-/a"),
        patches_more=_compared(found["patches", "0.9", f"-/g/g{LAST_DENSE}"], found["patches", "0.9", "w/w/a"])[0],
        last=points("digits", "0.9", f"-/g/g{LAST_DENSE}"), patches_last=points("patches", "0.9", f"-/g/g{LAST_DENSE}"),
    )  # fmt: skip


def _table(dense: Group, cases: Sequence[Group]) -> str:
    lines = [
        "| sparsity | case | seeds | held out, % | to dense, points | verdict | loss at the end | × dense | verdict |"
    ]
    lines.append("|---" * 9 + "|")
    accuracy = spread([100 * value for value in dense.values("accuracy")], 2)
    lines.append(f"| – | dense | {len(dense.runs)} | {accuracy} | – | – | {spread(dense.values('loss'), 3)} | – | – |")
    for group in sorted(cases, key=_order):
        accuracy = spread([100 * value for value in group.values("accuracy")], 2)
        points, called, loss, loss_called = _compared(dense, group)
        cells = (
            f"{float(group.settings['sparsity']):.0%}", _case(group), str(len(group.runs)), accuracy, points, called,
            spread(group.values("loss"), 3), loss, loss_called,
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _case(group: Group) -> str:
    """As the tables name it."""
    case = group.scheme.removeprefix("cases:")
    return f"{case}{LAST_DENSE}" if "keep_dense" in group.settings else case


def _compared(base: Group, group: Group) -> tuple[str, str, str, str]:
    """Points of accuracy and their verdict; the factor of the loss and its verdict."""
    points = _points(base, group)
    # Losses that run away differ by factors: their logarithms are compared.
    factors = [math.log(group.runs[seed]["loss"] / base.runs[seed]["loss"]) for seed in sorted(group.runs)]
    factor = f"{math.exp(statistics.fmean(factors)):.2f}"
    return spread(points, 2), verdict(points, higher=True), factor, verdict(factors, higher=False)


def _order(group: Group) -> tuple[float, int, str]:
    # What leaves g alone first, SWAT's own case at the head.
    case = _case(group)
    return float(group.settings["sparsity"]), group.scheme.count("g"), "" if case == "w/w/a" else case


def verdict(paired: Sequence[float], *, higher: bool) -> str:
    """Whether differences to dense training are beyond chance, and in which direction; `higher`: more is better."""
    mean, deviation = statistics.fmean(paired), statistics.stdev(paired)
    # Without any deviation, whatever is not zero is certain.
    if abs(mean) * math.sqrt(len(paired)) <= CRITICAL[len(paired)] * deviation:
        return "no difference seen"
    return "better" if (mean > 0) == higher else "worse"


# What is compared: SWAT's case with the one that cuts g as well.
PAIRS = (
    ("w/w/a", "w/w/ag", "cutting g in weight_grad too"),
    ("w/w/a", "w/wg/a", "cutting g in input_grad too"),
    ("w/w/a", "w/wg/ag", "cutting g in both backward passes too"),
    ("-/-/a", "-/-/g", "cutting g in weight_grad in place of a"),
    ("w/w/a", "-/g/g", "cutting g alone, in place of w and a"),
    ("w/w/a", f"-/g/g{LAST_DENSE}", "cutting g alone, in place of w and a, but not in the last layer"),
    (f"w/w/a{LAST_DENSE}", f"w/wg/ag{LAST_DENSE}", "cutting g in both backward passes too"),
)


def _pairs(cases: Sequence[Group]) -> str:
    lines = ["| sparsity | compared with | change | points | verdict | loss, × | verdict |", "|---" * 7 + "|"]
    by_case = {(group.settings["sparsity"], _case(group)): group for group in cases}
    for sparsity in sorted({key[0] for key in by_case}):
        for without, cut, what in PAIRS:
            if (sparsity, without) not in by_case or (sparsity, cut) not in by_case:
                continue
            base, other = by_case[sparsity, without], by_case[sparsity, cut]
            cells = (f"{float(sparsity):.0%}", without, f"{what} ({cut})", *_compared(base, other))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _points(dense: Group, group: Group) -> list[float]:
    return [100 * value for value in differences(dense, group, "accuracy")]
