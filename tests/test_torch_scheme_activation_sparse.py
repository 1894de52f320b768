"""FATReLU and the L1 penalty on activations, against the definitions of their papers."""

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
    largest,
    start,
)
from plain_training import LAYERS, batch, network, sgd, train_step  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.schemes import scheme_named  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402

SPARSITY = 0.7
PENALTY = 3e-3


class Activations(Definition):
    """Every layer but the first reads FATReLU of what is before it: x where x >= T, else 0."""

    period, fixed, penalty = 1, None, 0.0

    def __init__(self, model):
        super().__init__(model)
        self.thresholds = {}

    def activation(self, layer, input):
        if layer == "first":
            return input, 1
        if self.fixed is not None:
            self.thresholds[layer] = self.fixed
        elif self.step % self.period == 0:
            kept = largest(input, math.ceil((1 - Fraction(str(SPARSITY))) * input.numel()))
            self.thresholds[layer] = input[kept].min()
        above = input >= self.thresholds[layer]
        return input * above, above

    def pull(self, layer, input):
        """The derivative of λ·mean over images of Σ|x|."""
        return 0 if layer == "first" else self.penalty * input.sign() / len(input)


class Penalised(Activations):
    """With the penalty, and a threshold for two steps."""

    period, penalty = 2, PENALTY


class Fixed(Activations):
    """A given threshold."""

    fixed = 0.3


class PenaltyAlone(Activations):
    """Of Georgiadis: nothing is cut."""

    fixed, penalty = 0.0, PENALTY


DEFINITIONS = {
    Activations: {"sparsity": SPARSITY},
    Penalised: {"sparsity": SPARSITY, "l1_penalty": PENALTY, "period": 2},
    Fixed: {"threshold": 0.3},
    PenaltyAlone: {"threshold": 0, "l1_penalty": PENALTY},
}


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_training_is_the_definitions(definition):
    model, defined = assert_trains_as(definition, "activation-sparse", 5, **DEFINITIONS[definition])
    for layer in ("middle", "last"):
        assert model.state_dict()[f"{layer}.swatsim_threshold"] == pytest.approx(float(defined.thresholds[layer]))


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_capture_holds_the_definitions_operands(definition, tmp_path):
    layers = assert_captured(definition, "activation-sparse", 3, tmp_path / "trace", **DEFINITIONS[definition])
    for name, layer in layers.items():
        for pass_name, passed in layer.passes.items():
            for role, operand in passed.operands.items():
                selected = name != "first" and role == "input" and definition.fixed is None
                assert operand.sparsity == (Fraction(7, 10) if selected else None), (name, pass_name, role)
        bits = layer.passes["forward"].operands["input"].bits
        if name != "first" and definition is Activations:
            assert int(bits.to_bool().sum()) == math.ceil(Fraction(3, 10) * bits.size)


def test_the_penalty_is_the_gradient_of_the_papers_loss():
    """Autograd on the loss with its further term, in one step from the same weights."""
    model, optimizer, _, _ = start(PenaltyAlone, "activation-sparse", **DEFINITIONS[PenaltyAlone])
    plain = network()
    images, labels = batch(0)
    first = plain.relu1(plain.first(images))
    second = plain.relu2(plain.middle(first)).flatten(1)
    penalty = PENALTY * (first.abs().flatten(1).sum(1).mean() + second.abs().sum(1).mean())
    (functional.cross_entropy(plain.last(second), labels) + penalty).backward()
    train_step(model, optimizer, 0)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(model.get_parameter(name).grad, parameter.grad, rtol=1e-10, atol=1e-12)


def test_negative_values_are_cut_by_magnitude():
    model = nn.Sequential(nn.Linear(4, 3, bias=False))
    sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="activation-sparse", threshold=0.5)
    for shape in ((4,), (1, 4), (1, 1, 4)):
        input = torch.tensor([0.4, -0.4, 0.5, -2.0]).view(shape).requires_grad_()
        output = model(input)
        expected = input.detach() * torch.tensor([0, 0, 1, 1]) @ model[0].weight.T
        torch.testing.assert_close(output, expected)
        output.sum().backward()
        assert (input.grad != 0).flatten().tolist() == [False, False, True, True]


def test_evaluation_cuts_where_training_did():
    model, optimizer, _, _ = start(Activations, "activation-sparse", sparsity=SPARSITY)
    train_step(model, optimizer, 0)
    threshold = model.middle.swatsim_threshold.clone()
    model.eval()
    model(10 * batch(5)[0])
    assert torch.equal(model.middle.swatsim_threshold, threshold)
    model.train()
    model(10 * batch(5)[0])
    assert model.middle.swatsim_threshold > threshold


def test_a_model_that_is_only_evaluated_has_a_threshold():
    model = network().eval()
    sparsify(model, sgd(model), scheme="activation-sparse", sparsity=SPARSITY)
    with torch.no_grad():
        model(batch(0)[0])
    assert model.middle.swatsim_threshold > 0


def test_penalties_leave_the_users_tensors_alone():
    model, _, _, _ = start(PenaltyAlone, "activation-sparse", **DEFINITIONS[PenaltyAlone])
    hidden = torch.rand(2, 6, 7, 6, dtype=torch.float64, requires_grad=True)
    model.middle(hidden)
    other = (hidden * 2).sum()
    other.backward()
    assert torch.equal(hidden.grad, torch.full_like(hidden, 2))


@pytest.mark.parametrize("settings", DEFINITIONS.values())
def test_a_resumed_run_goes_on(settings):
    assert_resumes("activation-sparse", 3, **settings)  # of period 2: between two selections


def test_remove_leaves_a_plain_model():
    assert_removed("activation-sparse", **DEFINITIONS[Penalised])


def test_a_threshold_replaces_the_sparsity():
    scheme = scheme_named("activation-sparse", threshold=0.1)
    assert (scheme.sparsity, scheme.has_target) == (None, False)
    assert scheme_named("activation-sparse").sparsity == Fraction(4, 5)
    model = network()
    assert set(sparsify(model, sgd(model), scheme=scheme).modules) == set(LAYERS) - {"first"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 0.1, "sparsity": 0.5}, "threshold: got 0.1 and a sparsity, expected one of them"),
        ({"threshold": -1}, "threshold: got -1, expected a number from 0 to 1e+30"),
        ({"l1_penalty": -1e-4}, "l1_penalty: got -0.0001, expected a number from 0 to 1e+30"),
        ({"l1_penalty": "some"}, "l1_penalty: got some, expected a number from 0 to 1e+30"),
        ({"threshold": 0.1, "period": 0}, "period: got 0, expected at least 1 optimiser step"),
    ],
)
def test_refused_settings(settings, message):
    with pytest.raises(SwatsimError) as error:
        scheme_named("activation-sparse", **settings)
    assert str(error.value) == message
