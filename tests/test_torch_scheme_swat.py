"""SWAT's four schemes against §3 of their paper; `test_torch_sparsify` has SWAT-U's passes on layers of every kind."""

import math
from fractions import Fraction

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from plain_passes import (  # noqa: E402
    Definition,
    assert_captured,
    assert_gradients,
    assert_removed,
    assert_resumes,
    assert_trains_as,
    largest,
    start,
)
from plain_training import LAYERS, network, train_step  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402

SPARSITY = 0.7
SIZES = {"first": (6, 3, 3, 3), "middle": (8, 3, 3, 3), "last": (5, 72)}
WEIGHTS = {layer: math.prod(shape) for layer, shape in SIZES.items()}


def spread(raw, density):
    """Densities ε·raw with the network's density; a layer above 1 is full, and ε is found again."""
    full = set()
    while True:
        left = density * sum(WEIGHTS.values()) - sum(WEIGHTS[layer] for layer in full)
        epsilon = left / sum(raw[layer] * WEIGHTS[layer] for layer in LAYERS if layer not in full)
        over = {layer for layer in LAYERS if layer not in full and epsilon * raw[layer] > 1}
        if not over:
            return {layer: 1.0 if layer in full else epsilon * raw[layer] for layer in LAYERS}
        full |= over


class Swat(Definition):
    """Thresholds are kept for `period` steps; one for the weight of both passes, one for the activation."""

    period = 1

    def __init__(self, model):
        super().__init__(model)
        self.density = dict.fromkeys(LAYERS, Fraction(3, 10))
        self.thresholds = {}

    def sizes(self, role, values):
        """What is compared with the threshold."""
        return values.abs()

    def operand(self, layer, pass_name, role, values):
        if (pass_name, role) not in {("forward", "weight"), ("input_grad", "weight"), ("weight_grad", "input")}:
            return values
        sizes = self.sizes(role, values)
        if self.step % self.period == 0 and pass_name != "input_grad":
            kept = largest(sizes, math.ceil(self.density[layer] * sizes.numel()))
            self.thresholds[layer, role] = sizes[kept].min()
        return values * (sizes >= self.thresholds[layer, role])


class Uniform(Swat):
    """The first convolution is dense."""

    def operand(self, layer, pass_name, role, values):
        return values if layer == "first" else super().operand(layer, pass_name, role, values)


class UniformOfThree(Uniform):
    """Selects every third step."""

    period = 3


class Erk(Swat):
    """(C + K + R + S) / (C·K·R·S), the first convolution too."""

    def __init__(self, model):
        super().__init__(model)
        raw = {layer: sum(shape) / math.prod(shape) for layer, shape in SIZES.items()}
        self.density = {layer: 1 - Fraction(f"{1 - d:.6f}") for layer, d in spread(raw, 0.3).items()}


class Momentum(Swat):
    """After every selection's period: the mean |momentum| of the weights that the last selection kept."""

    def after_update(self):
        if self.step % self.period:
            return
        means = {}
        for layer in LAYERS:
            active = self.passes[layer, "forward"]["weight"] != 0  # of the last step, before its update
            means[layer] = float(self.velocity[layer + ".weight"][active].abs().mean())
        self.density = {layer: 1 - Fraction(f"{1 - d:.6f}") for layer, d in spread(means, 0.3).items()}
        self.seen = [*getattr(self, "seen", []), self.density]


class MomentumOfThree(Momentum):
    """Selects every third step."""

    period = 3


class Structured(Uniform):
    """Kernel slices by their L1 norms; activations one by one."""

    def sizes(self, role, values):
        if role == "input" or values.dim() == 2:
            return values.abs()
        return values.abs().sum((2, 3), keepdim=True)


SCHEMES = {
    "swat-u": (Uniform, {}),
    "swat-u, period 3": (UniformOfThree, {"period": 3}),
    "swat-erk": (Erk, {}),
    "swat-m": (Momentum, {}),
    "swat-m, period 3": (MomentumOfThree, {"period": 3}),
    "swat-structured": (Structured, {}),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_training_is_the_definitions(name):
    definition, settings = SCHEMES[name]
    _, defined = assert_trains_as(definition, name.partition(",")[0], 8, sparsity=SPARSITY, **settings)
    if isinstance(defined, Momentum):  # budgets did change, by layer and over time
        densities = {float(density) for step in defined.seen for density in step.values()}
        assert len(defined.seen) == 8 // defined.period
        assert len(densities) >= len(defined.seen) * 2
        assert max(densities) - min(densities) > 0.05


@pytest.mark.parametrize("name", SCHEMES)
def test_a_capture_holds_the_definitions_operands(name, tmp_path):
    definition, settings = SCHEMES[name]
    layers = assert_captured(definition, name.partition(",")[0], 4, tmp_path / "trace", sparsity=SPARSITY, **settings)
    sparse = {"middle", "last"} if definition in (Uniform, UniformOfThree, Structured) else set(LAYERS)
    for layer, held in layers.items():
        for pass_name, role in (("forward", "weight"), ("input_grad", "weight"), ("weight_grad", "input")):
            if pass_name not in held.passes:
                continue
            operand = held.passes[pass_name].operands[role]
            assert (operand.sparsity is not None) == (layer in sparse), (layer, role)
            if layer in sparse and definition in (Uniform, Erk, Momentum) and role == "weight":
                kept = math.ceil((1 - operand.sparsity) * operand.bits.size)
                assert int(operand.bits.to_bool().sum()) == kept


def test_a_full_layer_gives_its_surplus_to_the_others():
    model, optimizer, sparsifier, _ = start(Momentum, "swat-m", sparsity=0.3)
    train_step(model, optimizer, 0)
    with torch.no_grad():  # a layer whose momentum is far above all others'
        for state in optimizer.state.values():
            state["momentum_buffer"].fill_(1.0)
        optimizer.state[model.first.weight]["momentum_buffer"].fill_(100.0)
    sparsifier.scheme.after_update(sparsifier)
    budgets = {layer.place.name: float(layer.rule.budget) for layer in sparsifier.layers}
    assert budgets["first"] == 0
    rest = 0.7 * sum(WEIGHTS.values()) - WEIGHTS["first"]
    for layer in ("middle", "last"):
        assert budgets[layer] == pytest.approx(1 - rest / (WEIGHTS["middle"] + WEIGHTS["last"]), abs=1e-6)


def test_an_optimizer_without_momentum_is_refused():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    sparsify(model, optimizer, scheme="swat-m", sparsity=0.6)
    with pytest.raises(SwatsimError, match="swat-m: got an optimizer that keeps no momentum"):
        train_step(model, optimizer, 0)


def test_a_frozen_layer_keeps_one_weight():
    model = network()
    model.middle.weight.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sparsifier = sparsify(model, optimizer, scheme="swat-m", sparsity=0.9)
    for step in range(3):
        train_step(model, optimizer, step)
    budgets = {layer.place.name: layer.rule.budget for layer in sparsifier.layers}
    assert 1 - Fraction(1, 10**5) <= budgets["middle"] < 1


def test_a_layer_of_zeros_has_no_share():
    model = network()
    with torch.no_grad():
        model.first.weight.zero_()  # none of its weights is active
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    sparsifier = sparsify(model, optimizer, scheme="swat-m", sparsity=0.6)
    train_step(model, optimizer, 0)
    budgets = {layer.place.name: float(layer.rule.budget) for layer in sparsifier.layers}
    assert 1 - 1e-5 <= budgets["first"] < 1
    train_step(model, optimizer, 1)
    kept = sum((1 - budgets[layer]) * WEIGHTS[layer] for layer in ("middle", "last"))
    assert kept == pytest.approx(0.4 * sum(WEIGHTS.values()), abs=0.01)  # the others have all that is kept


def test_slices_stay_or_go_whole():
    model, _, _, defined = start(Structured, "swat-structured", sparsity=SPARSITY)
    assert_gradients(model, defined)
    slices = defined.passes["middle", "forward"]["weight"].flatten(2).count_nonzero(-1)
    assert set(slices.flatten().tolist()) == {0, 9}
    assert int((slices == 9).sum()) == math.ceil(Fraction(3, 10) * 24)


@pytest.mark.parametrize("name", ["swat-u", "swat-erk", "swat-m", "swat-structured"])
def test_a_resumed_run_goes_on(name):
    assert_resumes(name, 3, sparsity=SPARSITY)


def test_a_run_that_is_resumed_at_a_selection_goes_on():
    assert_resumes("swat-m", 4, sparsity=SPARSITY, period=2)


@pytest.mark.parametrize("name", ["swat-u", "swat-erk", "swat-m", "swat-structured"])
def test_remove_leaves_a_plain_model(name):
    assert_removed(name, sparsity=SPARSITY)
