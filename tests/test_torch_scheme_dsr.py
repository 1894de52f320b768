"""DSR against Algorithm 1 of its paper, by hand; where it draws, against what a draw may be."""

import math

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_training import LAYERS, Plain, mask_of, network, sgd, train_step  # noqa: E402

from swatsim.torch import sparsify  # noqa: E402


def threshold_of(model):
    held = {float(model.state_dict()[f"{layer}.swatsim_threshold"]) for layer in LAYERS}
    assert len(held) == 1  # one for the network
    return held.pop()


@pytest.mark.parametrize(("moved", "first"), [(0.05, 0.002), (0.02, 0.1)])
def test_masks_weights_and_threshold_are_the_algorithms(moved, first):
    model = network()
    optimizer = sgd(model)
    sparsify(
        model, optimizer, scheme="dsr", sparsity=0.6, period=3, keep_dense=(), moved_fraction=moved, tolerance=0.2,
        first_threshold=first,
    )  # fmt: skip
    plain = Plain(model)
    masks = {layer: mask_of(model, layer) for layer in LAYERS}
    assert all(int(mask.sum()) == math.ceil(0.4 * mask.numel()) for mask in masks.values())
    total, threshold, thresholds = sum(int(mask.sum()) for mask in masks.values()), first, []
    wanted = moved * sum(mask.numel() for mask in masks.values())
    for step in range(19):
        gradients = plain.gradients({layer: plain.weight(layer) for layer in LAYERS}, step)
        plain.update(gradients, masks=masks)
        train_step(model, optimizer, step)
        if (step + 1) % 3 == 0:
            survivors = {layer: masks[layer] & ~(plain.weight(layer).abs() < threshold) for layer in LAYERS}
            pruned = {layer: int(masks[layer].sum() - survivors[layer].sum()) for layer in LAYERS}
            left = total - sum(pruned.values())
            for layer in LAYERS:
                name, mask = layer + ".weight", mask_of(model, layer)
                assert bool((mask | ~survivors[layer]).all())
                # R_l / R of what was dropped comes back here, rounded either way.
                grown = int(mask.sum() - survivors[layer].sum())
                assert abs(grown - sum(pruned.values()) * int(survivors[layer].sum()) / left) < 1
                plain.values[name] = plain.values[name] * survivors[layer]
                plain.velocity[name] = plain.velocity[name] * survivors[layer]
                masks[layer] = mask
            if sum(pruned.values()) < 0.8 * wanted:
                threshold *= 2
            elif sum(pruned.values()) > 1.2 * wanted:
                threshold /= 2
            thresholds.append(threshold)
        assert threshold_of(model) == threshold
        assert sum(int(mask_of(model, layer).sum()) for layer in LAYERS) == total
        plain.assert_equal(model, step)
    assert len(set(thresholds)) > 2  # it was adapted


def test_a_layer_keeps_its_last_weight():
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="dsr", sparsity=0.6, period=1, keep_dense=(), first_threshold=100.0)
    last = model.last.weight.detach().clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    train_step(model, optimizer, 0)
    kept = model.last.weight.detach() != 0
    assert int(kept.sum()) == 1
    assert float(last.abs().max()) == float(model.last.weight.detach().abs().max())
    assert int(mask_of(model, "last").sum()) > 1  # and others grew there
