"""SNFS against Algorithm 1 of its paper, by hand."""

import math

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_training import LAYERS, Plain, half_cosine, mask_of, network, sgd, smallest, train_step, with_, without  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402


def parts(total, shares):
    """Whole numbers near total·share: rounded down, and what is missing goes to the largest fractions."""
    exact = [total * share / sum(shares) for share in shares]
    counts = [math.floor(value) for value in exact]
    for _ in range(total - sum(counts)):
        fractions = [value - count for value, count in zip(exact, counts, strict=True)]
        counts[fractions.index(max(fractions))] += 1
    return counts


@pytest.mark.parametrize("steps", [40, 14])
def test_masks_and_weights_are_the_algorithms(steps):
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="snfs", sparsity=0.75, period=3, drop_fraction=0.3, total_steps=steps)
    plain = Plain(model)
    masks = {layer: mask_of(model, layer) for layer in LAYERS}
    assert all(int(mask.sum()) == math.ceil(mask.numel() / 4) for mask in masks.values())
    first, between, again = sum(int(mask.sum()) for mask in masks.values()), 0, 0
    for step in range(14):
        gradients = plain.gradients({layer: plain.weight(layer) for layer in LAYERS}, step)
        plain.update(gradients)  # dense: the momentum of dropped weights grows on
        for layer in LAYERS:
            plain.values[layer + ".weight"] = plain.weight(layer) * masks[layer]
        if (step + 1) % 3 == 0:
            rate = half_cosine(0.3, step + 1, steps)
            momenta = {layer: plain.velocity[layer + ".weight"].abs() for layer in LAYERS}
            contribution = [sum(momenta[layer][masks[layer]].tolist()) / int(masks[layer].sum()) for layer in LAYERS]
            removed = [math.floor(rate * int(masks[layer].sum())) for layer in LAYERS]
            for layer, out, in_ in zip(LAYERS, removed, parts(sum(removed), contribution), strict=True):
                kept = without(masks[layer], smallest(plain.weight(layer).abs(), masks[layer], out))
                mask = with_(kept, smallest(-momenta[layer], ~kept, in_))
                between += abs(in_ - out)
                again += int((mask & ~kept & masks[layer]).sum())
                plain.values[layer + ".weight"] = plain.weight(layer) * mask * masks[layer]
                masks[layer] = mask
        train_step(model, optimizer, step)
        for layer, mask in masks.items():
            assert torch.equal(mask_of(model, layer), mask), (step, layer)
        plain.assert_equal(model, step)
    assert sum(int(mask.sum()) for mask in masks.values()) == first
    assert between > 4  # weights moved from layer to layer
    assert again > 0 or steps == 14


def test_an_optimizer_without_momentum_is_refused():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsify(model, optimizer, scheme="snfs", period=2, total_steps=8)
    with pytest.raises(SwatsimError, match=r"^snfs: got an optimizer that keeps no momentum, expected one that does$"):
        train_step(model, optimizer, 0)


def test_adams_mean_gradient_is_a_momentum():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    sparsify(model, optimizer, scheme="snfs", period=2, total_steps=8)
    before = {layer: mask_of(model, layer) for layer in LAYERS}
    for step in range(2):
        train_step(model, optimizer, step)
    assert any(not torch.equal(mask_of(model, layer), before[layer]) for layer in LAYERS)
