"""SWAT's sensitivity cases: exactly the operands that a case names are top-K, in the passes that it names."""

from fractions import Fraction

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_passes import (  # noqa: E402
    Definition,
    assert_captured,
    assert_removed,
    assert_resumes,
    assert_trains_as,
    start,
    top,
)
from plain_training import train_step  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.schemes import scheme_named  # noqa: E402

SPARSITY = 0.7
CASES = ("w/w/a", "-/g/g", "wa/-/-", "a/gw/ag", "-/w/-", "w/-/g", "aw/wg/a", "-/-/-")
LETTERS = {"weight": "w", "input": "a", "output_grad": "g"}


def case_of(case):
    """The definition of a case; the first convolution is dense."""
    letters = dict(zip(("forward", "input_grad", "weight_grad"), case.split("/"), strict=True))

    class Case(Definition):
        def operand(self, layer, pass_name, role, values):
            return top(values, SPARSITY) if layer != "first" and LETTERS[role] in letters[pass_name] else values

    return Case


@pytest.mark.parametrize("case", CASES)
def test_training_is_the_definitions(case):
    assert_trains_as(case_of(case), f"cases:{case}", 3, sparsity=SPARSITY)


@pytest.mark.parametrize("case", CASES)
def test_a_capture_holds_the_definitions_operands(case, tmp_path):
    layers = assert_captured(case_of(case), f"cases:{case}", 1, tmp_path / "trace", sparsity=SPARSITY)
    parts = dict(zip(("forward", "input_grad", "weight_grad"), case.split("/"), strict=True))
    for name, layer in layers.items():
        for pass_name, passed in layer.passes.items():
            for role, operand in passed.operands.items():
                selected = name != "first" and LETTERS[role] in parts[pass_name]
                assert operand.sparsity == (Fraction(7, 10) if selected else None), (name, pass_name, role)


@pytest.mark.parametrize("period", [1, 3])
def test_swat_u_is_one_of_them_to_the_bit(period):
    states = []
    for scheme in ("swat-u", "cases:w/w/a"):
        model, optimizer, _, _ = start(Definition, scheme, sparsity=SPARSITY, period=period)
        for step in range(7):
            train_step(model, optimizer, step)
        states.append(model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


class Reused(Definition):
    """-/g/g with thresholds that are kept for three steps."""

    def __init__(self, model):
        super().__init__(model)
        self.thresholds = {}

    def operand(self, layer, pass_name, role, values):
        if layer == "first" or role != "output_grad":
            return values
        if self.step % 3 == 0 and pass_name == "weight_grad":
            kept = top(values, SPARSITY)
            self.thresholds[layer] = kept[kept != 0].abs().min()
        return values * (values.abs() >= self.thresholds[layer])


def test_the_gradients_threshold_is_reused_for_a_period():
    assert_trains_as(Reused, "cases:-/g/g", 8, sparsity=SPARSITY, period=3)


def test_loaded_weights_are_selected_anew():
    model, optimizer, sparsifier, _ = start(Definition, "cases:-/g/-", sparsity=SPARSITY, period=100)
    rule = sparsifier.layers[0].rule
    gradient = torch.arange(1.0, 11.0)
    counts = []
    for scale, load in ((1.0, False), (5.0, False), (5.0, True)):
        if load:
            model.load_state_dict(model.state_dict())
        counts.append(int(rule.output_grad("input_grad", scale * gradient).count_nonzero()))
        optimizer.step()
    assert counts == [3, 9, 3]  # at the first threshold, 8, all but the first of 5, 10, 15 … stay


def test_a_resumed_run_goes_on():
    assert_resumes("cases:w/wg/ag", 3, sparsity=SPARSITY)


def test_remove_leaves_a_plain_model():
    assert_removed("cases:w/wg/ag", sparsity=SPARSITY)


def test_labels_and_masks():
    scheme = scheme_named("cases:aw/-/g", sparsity="0.9")
    assert scheme.label == "cases:aw/-/g"
    assert scheme_named(scheme.label, sparsity="0.9") == scheme == scheme_named("cases", sparsity="0.9", case="aw/-/g")
    assert set(scheme.masks("forward").operands) == {"weight", "input"}
    assert scheme.masks("input_grad").operands == ()
    assert scheme.masks("weight_grad").operands == ("output_grad",)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("w/w", "case: got 'w/w', expected FORWARD/INPUT_GRAD/WEIGHT_GRAD, such as w/w/a"),
        ("w/w/a/g", "case: got 'w/w/a/g', expected FORWARD/INPUT_GRAD/WEIGHT_GRAD, such as w/w/a"),
        ("g/w/a", "case: got g in forward, expected w or a: it multiplies no output gradient"),
        ("w/a/a", "case: got a in input_grad, expected w or g: it multiplies no activation"),
        ("w/w/w", "case: got w in weight_grad, expected a or g: it multiplies no weight"),
        ("ww/w/a", "case: got 'ww' for forward, expected w, a, both, or -"),
        ("w//a", "case: got '' for input_grad, expected w, g, both, or -"),
        ("w/w-/a", "case: got 'w-' for input_grad, expected w, g, both, or -"),
        ("x/w/a", "case: got 'x' for forward, expected w, a, both, or -"),
    ],
)
def test_refused_cases(case, message):
    with pytest.raises(SwatsimError) as error:
        scheme_named("cases", case=case)
    assert str(error.value) == message
