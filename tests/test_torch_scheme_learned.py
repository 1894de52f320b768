"""STR, CS and DST: what is learned beside the weights, against gradients that are derived by hand from their papers."""

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_training import LAYERS, Plain, network, sgd, train_step  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.schemes import scheme_named  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402


def learned(model, layer, name):
    return model.state_dict()[f"{layer}.swatsim_{name}"].clone()


class Extra:
    """A learned tensor beside the weights: momentum SGD without the optimiser's weight decay."""

    def __init__(self, value):
        self.value, self.velocity = value, 0

    def update(self, gradient):
        self.velocity = 0.9 * self.velocity + gradient
        self.value = self.value - 0.05 * self.velocity


def assert_same(model, plain, extras, name, step):
    plain.assert_equal(model, step)
    for layer, extra in extras.items():
        torch.testing.assert_close(learned(model, layer, name), extra.value, rtol=1e-12, atol=1e-13)


def test_str_is_its_soft_threshold():
    # dS/dW = 1 where |W| > σ(s), else 0; dS/ds = -σ'(s)·sign(W) there; weight decay λ·s.
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="str", s_init=-2.5, s_weight_decay=0.03)
    plain = Plain(model)
    extras = {layer: Extra(learned(model, layer, "s")) for layer in LAYERS}
    densities = []
    for step in range(8):
        thresholds = {layer: 1 / (1 + (-extra.value).exp()) for layer, extra in extras.items()}
        above = {layer: plain.weight(layer).abs() > thresholds[layer] for layer in LAYERS}
        signs = {layer: torch.where(plain.weight(layer) > 0, 1.0, -1.0).double() for layer in LAYERS}
        used = {layer: (plain.weight(layer) - signs[layer] * thresholds[layer]) * above[layer] for layer in LAYERS}
        densities += [float(above[layer].double().mean()) for layer in LAYERS]
        gradients = plain.gradients(used, step)
        for layer in LAYERS:
            gradient = gradients[layer + ".weight"]
            slope = thresholds[layer] * (1 - thresholds[layer])
            by_s = -slope * (gradient * signs[layer])[above[layer]].sum()
            extras[layer].update(by_s + 0.03 * extras[layer].value)
            gradients[layer + ".weight"] = gradient * above[layer]
        plain.update(gradients)
        train_step(model, optimizer, step)
        assert_same(model, plain, extras, "s", step)
    assert 0.1 < min(densities) < 0.9  # thresholds that matter


def test_cs_is_its_soft_mask_until_it_hardens():
    # dL/dW = G·σ(βs); dL/ds = G·W·β·σ(1 - σ), plus λ·β·σ(1 - σ) of the penalty; then W·1[s > 0].
    model = network()
    optimizer = sgd(model)
    sparsifier = sparsify(model, optimizer, scheme="cs", total_steps=8, final_beta=50.0, penalty=1e-4)
    masked = LAYERS[:2]  # the last linear layer has no mask
    assert list(sparsifier.modules) == list(masked)
    plain = Plain(model)
    extras = {layer: Extra(learned(model, layer, "s")) for layer in masked}
    for step in range(11):
        beta, hard = 50 ** (step / 8), step >= 8
        soft = {layer: 1 / (1 + (-beta * extras[layer].value).exp()) for layer in masked}
        masks = {layer: (extras[layer].value > 0).double() if hard else soft[layer] for layer in masked}
        gradients = plain.gradients({layer: plain.weight(layer) * masks[layer] for layer in masked}, step)
        for layer in masked:
            gradient = gradients[layer + ".weight"]
            if not hard:
                slope = beta * soft[layer] * (1 - soft[layer])
                extras[layer].update(gradient * plain.weight(layer) * slope + 1e-4 * slope)
            gradients[layer + ".weight"] = gradient * masks[layer]
        plain.update(gradients)
        for layer in masked:
            dropped = float(next(iter(sparsifier.layers[masked.index(layer)].rule.sparsity.values())))
            assert dropped == (float((masks[layer] == 0).double().mean()) if hard else 0)
        train_step(model, optimizer, step)
        assert_same(model, plain, extras, "s", step)
    assert all(0.05 < float((extra.value > 0).double().mean()) < 0.95 for extra in extras.values())


def test_a_hard_mask_does_not_move():
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="cs", total_steps=2)
    for step in range(2):
        train_step(model, optimizer, step)
    before = learned(model, "middle", "s")
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)  # as zero_grad(set_to_none=False) leaves them, but worse
    optimizer.step()
    assert torch.equal(learned(model, "middle", "s"), before)


def test_cs_is_dense_in_its_target_until_it_is_hard():
    scheme = scheme_named("cs", total_steps=100)
    assert [scheme.target(0.75, step) for step in (0, 99, 100)] == [0, 0, 0.75]
    assert scheme_named("cs").target(0.75, 0) == 0.75  # described without a run
    assert scheme.beta(0) == 1
    assert scheme.beta(100) == 200


def long_tail(distance):
    """H of DST, value by value."""
    if distance <= 0.4:
        return 2 - 4 * distance
    return 0.4 if distance <= 1 else 0.0


def test_dst_is_its_masked_layer():
    # dL/dW = G·M + G·W·H·sign(W); dL/dt_i = -Σ_j G·W·H, minus α·exp(-t_i) of the penalty.
    model = network()
    with torch.no_grad():
        model.first.weight.mul_(8)  # distances beyond 0.4 and beyond 1
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="dst", penalty=0.05)
    plain = Plain(model)
    extras = {layer: Extra(learned(model, layer, "thresholds")) for layer in LAYERS}
    for step in range(10):
        gradients_of_threshold, used, slopes, masks = {}, {}, {}, {}
        for layer in LAYERS:
            weight = plain.weight(layer)
            distance = torch.stack([
                row.abs() - threshold for row, threshold in zip(weight, extras[layer].value, strict=True)
            ])  # fmt: skip
            masks[layer] = (distance >= 0).double()
            slopes[layer] = distance.clone().apply_(lambda value: long_tail(abs(value)))
            used[layer] = weight * masks[layer]
        gradients = plain.gradients(used, step)
        for layer in LAYERS:
            gradient, weight = gradients[layer + ".weight"], plain.weight(layer)
            learning = gradient * weight * slopes[layer]
            penalty = -0.05 * (-extras[layer].value).exp()
            gradients_of_threshold[layer] = -learning.flatten(1).sum(1) + penalty
            gradients[layer + ".weight"] = gradient * masks[layer] + learning * weight.sign()
        plain.update(gradients)
        for layer in LAYERS:
            extras[layer].update(gradients_of_threshold[layer])
            left = (plain.weight(layer).abs().flatten(1) >= extras[layer].value[:, None]).double().mean()
            if float(left) <= 0.01:
                extras[layer].value = torch.zeros_like(extras[layer].value)
        train_step(model, optimizer, step)
        assert_same(model, plain, extras, "thresholds", step)
    assert all(0 < float((used[layer] == 0).double().mean()) < 1 for layer in LAYERS)
    assert {0.0, 0.4} <= set(slopes["first"].flatten().tolist())


def test_dst_resets_a_layer_that_would_be_masked_away():
    model = network()
    optimizer = sgd(model)
    sparsify(model, optimizer, scheme="dst")
    with torch.no_grad():
        model.state_dict()["middle.swatsim_thresholds"].fill_(5.0)
        model.state_dict()["last.swatsim_thresholds"][0] = 5.0
    train_step(model, optimizer, 0)
    assert learned(model, "middle", "thresholds").count_nonzero() == 0
    assert float(learned(model, "last", "thresholds")[0]) > 4  # one neuron may be masked away


@pytest.mark.parametrize(
    ("scheme", "settings", "message"),
    [
        ("str", {"sparsity": 0.9}, "sparsity: got 0.9, expected none: str learns it"),
        ("str", {"s_init": "low"}, "s_init: got low, expected a number from -1e+06 to 1e+06"),
        ("cs", {}, "total_steps: got none, expected the optimiser steps of the run: cs changes over it"),
        ("cs", {"final_beta": 0.5}, "final_beta: got 0.5, expected a number from 1 to 1e+06"),
        ("dst", {"penalty": float("nan")}, "penalty: got nan, expected a number from 0 to 1e+06"),
        ("dst", {"alpha": 1}, "dst: got setting 'alpha', expected one of"),
    ],
)
def test_settings_that_cannot_be_are_refused(scheme, settings, message):
    model = network()
    with pytest.raises(SwatsimError) as error:
        sparsify(model, sgd(model), scheme=scheme, **settings)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert type(model.middle) is torch.nn.Conv2d
