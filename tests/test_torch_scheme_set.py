"""SET against Algorithm 1 of its paper, by hand; where it draws, against what a draw may be."""

import math

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_training import LAYERS, Plain, mask_of, network, sgd, smallest, train_step, without  # noqa: E402

from swatsim.torch import sparsify  # noqa: E402


def dropped(weight, mask, zeta):
    """Active zeros, ζ of the smallest positive and ζ of the largest negative weights."""
    positive, negative = weight > 0, weight < 0
    kept = mask & (positive | negative)
    kept = without(kept, smallest(weight, positive, math.floor(zeta * int(positive.sum()))))
    return without(kept, smallest(-weight, negative, math.floor(zeta * int(negative.sum()))))


def test_masks_and_weights_are_the_algorithms():
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="set", sparsity=0.7, period=4, drop_fraction=0.35)
    plain = Plain(model)
    masks = {layer: mask_of(model, layer) for layer in LAYERS}
    active = {layer: int(mask.sum()) for layer, mask in masks.items()}
    again = 0
    for step in range(13):
        gradients = plain.gradients({layer: plain.weight(layer) for layer in LAYERS}, step)
        plain.update(gradients, masks=masks)
        train_step(model, optimizer, step)
        for layer in LAYERS:
            name = layer + ".weight"
            if (step + 1) % 4 == 0:
                kept = dropped(plain.values[name], masks[layer], 0.35)
                mask = mask_of(model, layer)
                assert bool((mask | ~kept).all())  # what stays is the algorithm's; the rest is drawn
                assert int(mask.sum()) == active[layer]
                again += int((mask & ~kept & masks[layer]).sum())
                masks[layer] = mask
                plain.values[name] = plain.values[name] * kept
                plain.velocity[name] = plain.velocity[name] * kept
            assert torch.equal(mask_of(model, layer), masks[layer])
        plain.assert_equal(model, step)
    assert again > 0  # some of the dropped were drawn, and started again from 0


def test_first_masks_have_the_budgets_count():
    model = network()
    sparsify(model, sgd(model), scheme="set", sparsity=0.7)
    # ER: density ε·(K + C)/(K·C) with the network's K·R·S·C, C per group; ε from the whole network's 30 %.
    shapes = {"first": (6, 3, 9), "middle": (8, 3, 9), "last": (5, 72, 1)}
    weights = {layer: k * c * kernel for layer, (k, c, kernel) in shapes.items()}
    raw = {layer: (k + c) / (k * c) for layer, (k, c, _) in shapes.items()}
    epsilon = 0.3 * sum(weights.values()) / sum(weights[layer] * raw[layer] for layer in LAYERS)
    for layer in LAYERS:
        assert abs(int(mask_of(model, layer).sum()) - epsilon * raw[layer] * weights[layer]) <= 1, layer
        assert model.get_submodule(layer).weight[~mask_of(model, layer)].count_nonzero() == 0


def test_active_weights_that_are_zero_are_dropped():
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="set", sparsity=0.5, period=1, drop_fraction=0.0)
    mask = mask_of(model, "last")
    with torch.no_grad():
        model.last.weight[0] = 0.0
    train = sum(parameter.sum() for parameter in model.parameters()) * 0
    train.backward()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step()
    after = mask_of(model, "last")
    assert after.sum() == mask.sum()
    assert torch.equal(after[1:] & mask[1:], mask[1:])  # nothing else was dropped
    assert not torch.equal(after[0], mask[0])


def test_the_draw_is_uniform_and_the_seeds_own():
    counts = torch.zeros(5, 72)
    for seed in range(200):
        model = network()
        sparsify(model, sgd(model), scheme="set", sparsity=0.5, budget="uniform", seed=seed)
        counts += mask_of(model, "last")
        if seed == 3:
            again = network(seed=11)
            sparsify(again, sgd(again), scheme="set", sparsity=0.5, budget="uniform", seed=seed)
            assert torch.equal(mask_of(again, "last"), mask_of(model, "last"))
    # 200 draws of probability 1/2: six standard deviations of 7.07 about 100.
    assert counts.min() > 57
    assert counts.max() < 143
