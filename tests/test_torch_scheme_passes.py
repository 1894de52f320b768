"""Schemes that mask weights: each layer's three passes, what a capture holds of them, and a run that is resumed."""

import copy
import math
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_training import LAYERS, network, sgd, train_step  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from swatsim.torch import capture, sparsify  # noqa: E402
from swatsim.trace import load_trace  # noqa: E402

STEPS = 12
# Settings with which something changes within a few steps.
SCHEMES = {
    "set": {"sparsity": 0.6, "period": 3},
    "rigl": {"sparsity": 0.6, "period": 3, "total_steps": STEPS, "keep_dense": ()},
    "snfs": {"sparsity": 0.6, "period": 3, "total_steps": STEPS},
    "dsr": {"sparsity": 0.6, "period": 3, "keep_dense": (), "first_threshold": 0.02},
    "gmp": {"sparsity": 0.6, "period": 3, "end_step": STEPS, "keep_dense": ()},
    "str": {"s_init": -3.0, "s_weight_decay": 0.02},
    "cs": {"total_steps": STEPS, "keep_dense": ()},
    "dst": {"penalty": 0.05},
}
ACTIVE_ONLY = {"set", "rigl", "dsr"}  # whose weight gradient is needed at active weights only
STRAIGHT = {"set", "rigl", "snfs", "dsr"}  # where a dropped weight's gradient is that of the used one, or none
# What a module keeps beside its weight: what the definitions below read.
KEPT = {"str": "s", "cs": "s", "dst": "thresholds"}


class Step(torch.autograd.Function):
    """DST's unit step and the derivative that its paper puts in its place."""

    @staticmethod
    def forward(ctx, distance):
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, grad):
        far = ctx.saved_tensors[0].abs()
        return grad * torch.where(far > 1, 0.0, torch.where(far > 0.4, 0.4, 2 - 4 * far))


def definition(scheme, weight, kept, step):
    """The used weight, in plain autograd."""
    if scheme == "str":
        return torch.where(weight.abs() > torch.sigmoid(kept), weight - weight.sign() * torch.sigmoid(kept), 0.0)
    if scheme == "cs":
        return weight * (torch.sigmoid(200.0 ** (step / STEPS) * kept) if step < STEPS else kept.detach() > 0)
    if scheme == "dst":
        return weight * Step.apply(weight.abs() - kept.reshape([-1] + [1] * (weight.dim() - 1)))
    return weight * kept


def kept_by(model, scheme, layer):
    return model.state_dict()[f"{layer}.swatsim_{KEPT.get(scheme, 'mask')}"]


def trained(scheme, steps):
    """A sparse model after some steps, its optimiser and sparsifier."""
    model = network()
    optimizer = sgd(model)
    sparsifier = sparsify(model, optimizer, scheme=scheme, **SCHEMES[scheme])
    for step in range(steps):
        train_step(model, optimizer, step)
    return model, optimizer, sparsifier


INPUTS = {"first": (2, 3, 7, 6), "middle": (2, 6, 7, 6), "last": (2, 3, 72)}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_output_and_gradients_are_the_definitions(scheme, layer):
    steps = 7
    model, optimizer, _ = trained(scheme, steps)
    optimizer.zero_grad()
    module = model.get_submodule(layer)
    activation = torch.randn(INPUTS[layer], dtype=torch.float64).relu()
    got = activation.clone().requires_grad_()
    output = module(got)
    output_grad = torch.randn_like(output)
    output.backward(output_grad)

    expected = activation.clone().requires_grad_()
    weight, kept = module.weight.detach().clone().requires_grad_(), kept_by(model, scheme, layer).clone()
    kept.requires_grad_(scheme in KEPT)
    used = definition(scheme, weight, kept, steps)
    if scheme in STRAIGHT:
        used = used.detach().requires_grad_()
    if layer == "last":
        defined = functional.linear(expected, used, module.bias.detach())
    else:
        geometry = {"padding": 1, "stride": 2 if layer == "middle" else 1, "groups": 2 if layer == "middle" else 1}
        defined = functional.conv2d(expected, used, module.bias.detach(), **geometry)
    defined.backward(output_grad)
    weight_grad = used.grad if scheme in STRAIGHT else weight.grad
    if scheme in ACTIVE_ONLY:
        weight_grad = weight_grad * kept
    pairs = [(output, defined), (got.grad, expected.grad), (module.weight.grad, weight_grad)]
    if scheme in KEPT:
        pairs.append((dict(module.named_parameters())[f"swatsim_{KEPT[scheme]}"].grad, kept.grad))
    for mine, theirs in pairs:
        torch.testing.assert_close(mine.detach(), theirs.detach(), rtol=1e-10, atol=1e-12)
    if scheme != "cs":
        assert 0 < int((used == 0).sum()) < used.numel()


# Before a selection, at one (RigL's dense step is 6), and behind the end, where CS is hard.
@pytest.mark.parametrize("steps", [2, 6, STEPS])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_capture_holds_the_definitions_operands(scheme, steps, tmp_path):
    model, optimizer, _ = trained(scheme, steps)
    used, kept_before, seen = {}, {}, {}
    for layer in LAYERS:
        module, kept = model.get_submodule(layer), kept_by(model, scheme, layer).clone()
        used[layer] = definition(scheme, module.weight.detach(), kept, steps).numpy() != 0
        kept_before[layer] = kept.numpy()

        def hook(module, args, output, layer=layer):
            seen[layer, "input"] = args[0].detach().numpy() != 0
            output.register_hook(lambda grad: seen.update({(layer, "output_grad"): grad.numpy() != 0}))

        module.register_forward_hook(hook)
    with capture(model, tmp_path / "trace"):
        train_step(model, optimizer, steps)
    for layer in load_trace(tmp_path / "trace"):
        name = layer.spec.name
        expected = {"weight": used[name], "input": seen[name, "input"], "output_grad": seen[name, "output_grad"]}
        for pass_name, given in layer.passes.items():
            for role, operand in given.operands.items():
                np.testing.assert_array_equal(operand.bits.to_bool(), expected[role], f"{name} {pass_name} {role}")
            masked = pass_name == "weight_grad" and scheme in ACTIVE_ONLY and not (scheme == "rigl" and steps == 6)
            assert (given.result_mask is not None) == masked, (name, pass_name)
            if masked:
                np.testing.assert_array_equal(given.result_mask.to_bool(), kept_before[name])
        budget = layer.passes["forward"].operands["weight"].sparsity
        # Weights that have just grown are active, but 0 still.
        active = used[name].sum() if scheme in KEPT else kept_before[name].sum()
        assert math.ceil((1 - budget) * used[name].size) == active >= used[name].sum()
        if scheme == "rigl":
            assert budget == Fraction(3, 5)
        assert layer.passes["weight_grad"].operands["input"].sparsity is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_resumed_run_goes_on_as_if_nothing_had_been(scheme):
    model, optimizer, sparsifier = trained(scheme, 5)
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict(), sparsifier.state_dict()))
    resumed = network(seed=99)
    again = sgd(resumed)
    other = sparsify(resumed, again, scheme=scheme, seed=5, **SCHEMES[scheme])
    for target, state in zip((resumed, again, other), saved, strict=True):
        target.load_state_dict(state)
    assert other.step == 5
    for step in range(5, STEPS + 2):
        train_step(model, optimizer, step)
        train_step(resumed, again, step)
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("scheme", SCHEMES)
def test_remove_leaves_a_plain_model(scheme):
    model, optimizer, sparsifier = trained(scheme, 4)
    weights = {name: value.clone() for name, value in model.state_dict().items() if "swatsim" not in name}
    sparsifier.remove()
    assert model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert [type(model.get_submodule(layer)) for layer in LAYERS] == [nn.Conv2d, nn.Conv2d, nn.Linear]
    assert len(optimizer.param_groups) == 1
    twin = network(seed=1)
    twin.load_state_dict(weights)
    for each, updates in ((model, optimizer), (twin, sgd(twin))):
        updates.state.clear()
        train_step(each, updates, 4)
    assert all(torch.equal(value, twin.state_dict()[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("scheme", "setting", "value", "expected"),
    [
        ("set", "drop_fraction", 1.5, "a number from 0 to 1"),
        ("rigl", "drop_fraction", -0.1, "a number from 0 to 1"),
        ("rigl", "end_fraction", "half", "a number from 0 to 1"),
        ("rigl", "total_steps", 0, "at least 1 optimiser step"),
        ("snfs", "total_steps", 2.5, "at least 1 optimiser step"),
        ("dsr", "first_threshold", 0, "a number from 1e-30 to 1e+30"),
        ("dsr", "tolerance", None, None),
        ("dst", "least_density", 2, "a number from 0 to 1"),
        ("set", "period", 0, "at least 1 optimiser step"),
    ],
)
def test_settings_are_checked(scheme, setting, value, expected):
    model = network()
    settings = SCHEMES[scheme] | {setting: value}
    if expected is None:  # None stands for the default everywhere
        sparsify(model, sgd(model), scheme=scheme, **settings)
        return
    with pytest.raises(Exception, match=setting) as error:
        sparsify(model, sgd(model), scheme=scheme, **settings)
    assert str(error.value) == f"{setting}: got {value}, expected {expected}"
    assert type(model.middle) is nn.Conv2d
