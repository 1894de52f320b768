"""Filter pruning against §3.1 of its paper: filters by L1 norm, their outputs, and the next layer's channels."""

import math
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
)
from plain_training import network, sgd, smallest  # noqa: E402
from torch import nn  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402

SPARSITY = 0.5
FILTERS = {"first": 6, "middle": 8, "last": 5}


class Pruned(Definition):
    """Once, at step `begin`; the classes' filters stay."""

    begin = 0

    def __init__(self, model):
        super().__init__(model)
        self.live = {layer: torch.ones(count).bool() for layer, count in FILTERS.items()}
        self.active = {}

    def operand(self, layer, pass_name, role, values):
        if role == "input" and pass_name == "forward" and self.step >= self.begin:
            self._look(layer, values)
        return values * self.active.get(layer, 1) if role == "weight" else values

    def _look(self, layer, input):
        """What is pruned, and which channels of the input have a value."""
        weight = self.weight(layer)
        if self.step == self.begin and layer != "last":
            norms = torch.tensor([float(filter.abs().sum()) for filter in weight])
            self.live[layer][smallest(norms, torch.ones(len(norms)), math.floor(SPARSITY * len(norms)))] = False
        reached = [bool(channel.any()) for channel in input.transpose(0, 1)]
        groups = 2 if layer == "middle" else 1
        active = torch.zeros(weight.shape).bool()
        for index in range(len(weight)):
            for channel in range(weight.shape[1]):
                group = index // (len(weight) // groups)
                active[index, channel] = self.live[layer][index] and reached[group * weight.shape[1] + channel]
        self.active[layer] = active

    def outputs(self, layer, input, weight):
        live = self.live[layer]
        return None if live.all() else (live if layer == "last" else live[:, None, None])

    def needed(self, layer):
        return self.active.get(layer)

    def after_update(self):
        for layer, live in self.live.items():
            name = layer + ".weight"
            self.values[name] = self.values[name] * live.view(-1, *[1] * (self.values[name].dim() - 1))


class Later(Pruned):
    """Dense for two steps."""

    begin = 2


@pytest.mark.parametrize("definition", [Pruned, Later])
def test_training_is_the_definitions(definition):
    model, defined = assert_trains_as(definition, "filter-pruning", 6, sparsity=SPARSITY, begin_step=definition.begin)
    for layer, live in defined.live.items():
        assert torch.equal(model.state_dict()[f"{layer}.swatsim_live"], live)
        assert int(live.sum()) == (5 if layer == "last" else FILTERS[layer] // 2)
    assert not defined.active["middle"][defined.live["middle"]].all()  # channels of the first's pruned filters
    assert model.middle.weight[~defined.live["middle"]].count_nonzero() == 0


@pytest.mark.parametrize(("definition", "steps"), [(Pruned, 0), (Pruned, 3), (Later, 1), (Later, 2)])
def test_a_capture_holds_the_definitions_operands(definition, steps, tmp_path):
    layers = assert_captured(
        definition, "filter-pruning", steps, tmp_path / "trace", sparsity=SPARSITY, begin_step=definition.begin
    )
    for name, layer in layers.items():
        for pass_name, passed in layer.passes.items():
            for role, operand in passed.operands.items():
                pruned = role == "weight" and steps >= definition.begin
                dropped = Fraction(operand.bits.size - int(operand.bits.to_bool().sum()), operand.bits.size)
                assert operand.sparsity == (dropped if pruned else None), (name, pass_name, role)
        if name == "first" and steps >= definition.begin:
            assert layer.passes["forward"].operands["weight"].sparsity == Fraction(1, 2)


def test_a_normalisation_does_not_bring_a_filter_back_but_a_shortcut_does():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(2, 4, 1)
            self.inner, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
            self.behind, self.joined = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 3, 1)

        def forward(self, images):
            stem = self.stem(images)
            hidden = self.norm(self.inner(stem))
            return hidden, self.behind(hidden), self.joined(hidden + stem)

    torch.manual_seed(4)
    model = Block()
    nn.init.ones_(model.norm.bias)
    with torch.no_grad():
        for index in range(4):
            model.inner.weight[index].fill_(1.0 + (index == 2) - (index == 1) * 0.5)
    keep = ("stem", "behind", "joined")
    sparsifier = sparsify(
        model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="filter-pruning", sparsity=0.75, keep_dense=keep
    )
    hidden, behind, joined = model(torch.randn(3, 2, 5, 5))
    assert [bool(channel.any()) for channel in hidden.transpose(0, 1)] == [False, False, True, False]
    rules = {layer.place.name: layer.rule for layer in sparsifier.layers}
    weight = model.behind.weight.detach()
    used = rules["behind"].used_weight(weight, hidden)
    assert torch.equal(used, weight * torch.tensor([0, 0, 1, 0]).view(1, 4, 1, 1))
    assert torch.equal(rules["joined"].used_weight(weight, hidden + model.stem(torch.randn(3, 2, 5, 5))), weight)
    (behind.sum() + joined.sum() + hidden.square().sum()).backward()
    assert (model.norm.bias.grad != 0).tolist() == [False, False, True, False]
    assert model.inner.bias.grad[[0, 1, 3]].count_nonzero() == 0
    assert model.inner.weight.grad[[0, 1, 3]].count_nonzero() == 0


def test_weights_that_are_loaded_before_the_first_call_are_the_ones_that_are_pruned():
    model = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.Conv2d(4, 2, 1))
    sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="filter-pruning", sparsity=0.5)
    state = model.state_dict() | {"0.weight": torch.tensor([3.0, -0.1, 0.2, -4.0]).view(4, 1, 1, 1)}
    model.load_state_dict(state)
    model(torch.ones(1, 1, 2, 2))
    assert model[0].swatsim_live.tolist() == [True, False, False, True]


@pytest.mark.parametrize("settings", [{}, {"begin_step": 4}])
def test_a_resumed_run_goes_on(settings):
    assert_resumes("filter-pruning", 3, sparsity=SPARSITY, **settings)


def test_remove_leaves_a_plain_model():
    assert_removed("filter-pruning", sparsity=SPARSITY)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("begin_step", -1, "an optimiser step from 0"),
        ("begin_step", "soon", "an optimiser step from 0"),
        ("period", 2, "1: filter-pruning reuses no selection"),
    ],
)
def test_refused_settings(setting, value, expected):
    model = network()
    with pytest.raises(SwatsimError) as error:
        sparsify(model, sgd(model), scheme="filter-pruning", **{setting: value})
    assert str(error.value) == f"{setting}: got {value}, expected {expected}"
