"""Gradual pruning against equation 1 of its paper, by hand."""

import math
from fractions import Fraction

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_training import LAYERS, Plain, mask_of, network, sgd, smallest, train_step, without  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.schemes import scheme_named  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402


def ramp(final, step, begin, selections, period):
    """s_t = s_f·(1 - (1 - (t - t_0)/(n·Δt))³), with t the last t_0 + k·Δt, k up to n."""
    reached = min(max((step - begin) // period, 0), selections)
    return final * (1 - (1 - Fraction(reached, selections)) ** 3)


def test_masks_and_weights_are_the_equations():
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="gmp", sparsity=0.85, period=3, begin_step=2, end_step=13, keep_dense=())
    plain = Plain(model)
    masks = {layer: plain.weight(layer) == plain.weight(layer) for layer in LAYERS}
    back, sparsities = 0, []
    for step in range(20):
        gradients = plain.gradients({layer: plain.weight(layer) * masks[layer] for layer in LAYERS}, step)
        for layer in LAYERS:
            gradients[layer + ".weight"] *= masks[layer]
        plain.update(gradients)
        train_step(model, optimizer, step)
        if step + 1 in (2, 5, 8, 11, 14):  # n = 4: the end is rounded up to whole periods
            sparsity = ramp(Fraction("0.85"), step + 1, 2, 4, 3)
            sparsities.append(sparsity)
            for layer in LAYERS:
                weight = plain.weight(layer)
                everywhere = torch.ones_like(masks[layer])
                dropped = smallest(
                    weight.abs(), everywhere, weight.numel() - math.ceil((1 - sparsity) * weight.numel())
                )
                mask = without(everywhere, dropped)
                back += int((mask & ~masks[layer]).sum())
                masks[layer] = mask
        for layer in LAYERS:
            assert torch.equal(mask_of(model, layer), masks[layer]), (step, layer)
        plain.assert_equal(model, step)  # masked weights keep their values
    assert sparsities[0] == 0
    assert sparsities[-1] == Fraction("0.85")
    assert back > 0  # a masked weight came back


def test_the_ramp_by_steps():
    scheme = scheme_named("gmp", sparsity="0.9", period=100, begin_step=200, end_step=1000)
    for step in range(0, 1400, 7):
        target = scheme.target(Fraction("0.9"), step)
        assert abs(target - ramp(Fraction("0.9"), step, 200, 8, 100)) < Fraction(1, 10**6)
    assert scheme.target(Fraction("0.9"), 1000) == Fraction("0.9")
    by_run = scheme_named("gmp", sparsity="0.9", period=50, total_steps=400)
    assert by_run.target(Fraction("0.9"), 299) < Fraction("0.9") == by_run.target(Fraction("0.9"), 300)
    assert scheme_named("gmp").target(Fraction("0.9"), 5) == Fraction("0.9")  # described without a run


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "gmp: got neither end_step nor total_steps, expected the step at which its ramp ends"),
        ({"begin_step": 5, "end_step": 5}, "begin_step: got 5, expected a step from 0 to before the ramp's end"),
        ({"begin_step": -1, "end_step": 5}, "begin_step: got -1, expected a step from 0 to before the ramp's end"),
        ({"end_step": 0}, "end_step: got 0, expected at least 1 optimiser step"),
        ({"total_steps": "ten"}, "total_steps: got ten, expected at least 1 optimiser step"),
    ],
)
def test_ramps_without_an_end_are_refused(settings, message):
    model = network()
    with pytest.raises(SwatsimError) as error:
        sparsify(model, sgd(model), scheme="gmp", **settings)
    assert str(error.value) == message
    assert type(model.middle) is torch.nn.Conv2d
