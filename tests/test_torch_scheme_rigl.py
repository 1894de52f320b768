"""RigL against Algorithm 1 of its paper, by hand."""

import math

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_training import LAYERS, Plain, half_cosine, mask_of, network, sgd, smallest, train_step, with_, without  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.schemes import scheme_named  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402


def rewire(weight, mask, gradient, fraction):
    """Drop the k smallest active magnitudes, grow the k largest gradients among all that is then inactive."""
    moved = math.floor(fraction * int(mask.sum()))
    kept = without(mask, smallest(weight.abs(), mask, moved))
    return with_(kept, smallest(-gradient.abs(), ~kept, moved))


@pytest.mark.parametrize("settings", [{"keep_dense": ()}, {"budget": "erk", "keep_dense": ()}, {}])
def test_masks_and_weights_are_the_algorithms(settings):
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="rigl", sparsity=0.8, period=3, drop_fraction=0.4, total_steps=16, **settings)
    plain = Plain(model)
    masks = {layer: mask_of(model, layer) for layer in LAYERS if f"{layer}.swatsim_mask" in model.state_dict()}
    assert ("first" in masks) == ("keep_dense" in settings)  # uniform: the first convolution is dense
    moved = back = 0
    for step in range(16):
        gradients = plain.gradients({layer: plain.weight(layer) * mask for layer, mask in masks.items()}, step)
        if step > 0 and step % 3 == 0 and step < 12:  # T_end = 0.75 * 16
            for layer, mask in masks.items():
                name = layer + ".weight"
                masks[layer] = rewire(plain.values[name], mask, gradients[name], half_cosine(0.4, step, 12))
                grown, dropped = masks[layer] & ~mask, mask & ~masks[layer]
                # What leaves is 0, and so is all that comes; what stays keeps its momentum.
                plain.values[name] = plain.values[name] * ~(grown | dropped)
                plain.velocity[name] = plain.velocity[name] * ~(grown | dropped)
                moved += int(grown.sum())
                back += math.floor(half_cosine(0.4, step, 12) * int(mask.sum())) - int(grown.sum())
        else:
            plain.update(gradients, masks=masks)
        train_step(model, optimizer, step)
        for layer, mask in masks.items():
            assert torch.equal(mask_of(model, layer), mask), (step, layer)
        plain.assert_equal(model, step)
    assert moved > 20
    assert back > 0  # some were dropped and grown in the same update


def test_dense_steps_are_those_that_change_masks():
    scheme = scheme_named("rigl", period=100, total_steps=1000)
    assert [step for step in range(1000) if scheme.is_dense_step(step)] == [100, 200, 300, 400, 500, 600, 700]
    assert scheme_named("rigl").is_dense_step(1_000_000)  # described without a run


def test_a_step_that_changes_masks_updates_nothing():
    model = network()
    optimizer = sgd(model)
    sparsifier = sparsify(model, optimizer, scheme="rigl", period=2, total_steps=8)
    for step in range(2):
        train_step(model, optimizer, step)
    before, mask = model.first.weight.detach().clone(), mask_of(model, "middle")
    train_step(model, optimizer, 2)
    assert torch.equal(before, model.first.weight)  # a dense layer's weights, too
    assert not torch.equal(mask, mask_of(model, "middle"))
    assert sparsifier.step == 3
    train_step(model, optimizer, 3)
    assert not torch.equal(before, model.first.weight)


def test_the_length_of_the_run_is_needed():
    model = network()
    with pytest.raises(SwatsimError, match=r"^total_steps: got none, expected the optimiser steps of the run"):
        sparsify(model, sgd(model), scheme="rigl")
    assert type(model.middle) is torch.nn.Conv2d
    assert not [key for key in model.state_dict() if "swatsim" in key]


def test_loaded_weights_are_masked():
    model = network()
    sparsify(model, sgd(model), scheme="rigl", total_steps=8)
    model.load_state_dict(network(seed=3).state_dict(), strict=False)  # dense, without a mask
    assert torch.equal(model.middle.weight != 0, mask_of(model, "middle"))
