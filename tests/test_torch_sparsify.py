"""SWAT-U's gradients against its definition in plain autograd, and how selections are made and reused."""

import copy
import math
from fractions import Fraction

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from swatsim.bits import kept_count  # noqa: E402
from swatsim.budgets import exact_sparsity  # noqa: E402
from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.schemes.selection import keep_from, top_k_threshold  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402


def top_k(values, sparsity):
    """The definition, by sorting: K = ceil((1-s)·numel) largest magnitudes, ties kept."""
    count = math.ceil((1 - Fraction(str(sparsity))) * values.numel())
    smallest = values.abs().flatten().sort(descending=True).values[count - 1]
    return torch.where(values.abs() >= smallest, values, torch.zeros_like(values))


def defined_step(layer, input, sparsity, output_grad):
    """Output and gradients by the definition: each pass is one call of plain autograd."""
    weight = layer.weight.detach()
    dense = copy.deepcopy(layer)

    def product(activation, used_weight, bias):
        parameters = {"weight": used_weight} | ({} if bias is None else {"bias": bias})
        return torch.func.functional_call(dense, parameters, (activation,))

    bias = None if layer.bias is None else layer.bias.detach().clone().requires_grad_()
    activation = input.detach().clone().requires_grad_()
    output = product(activation, top_k(weight, sparsity), bias)
    output.backward(output_grad)
    learned = weight.clone().requires_grad_()
    product(top_k(input.detach(), sparsity), learned, bias).backward(output_grad)
    # The bias has now had its gradient twice.
    return output.detach(), activation.grad, learned.grad, None if bias is None else bias.grad / 2


LAYERS = {
    "plain": (lambda: nn.Conv2d(6, 8, 3, padding=1), (2, 6, 9, 9)),
    "groups": (lambda: nn.Conv2d(6, 8, 3, groups=2), (2, 6, 9, 9)),
    "depthwise": (lambda: nn.Conv2d(6, 6, 3, groups=6, padding=1), (2, 6, 9, 9)),
    "stride": (lambda: nn.Conv2d(6, 8, 3, stride=(2, 3), padding=1), (2, 6, 9, 11)),
    "dilation": (lambda: nn.Conv2d(6, 8, 3, dilation=(1, 2), padding=2), (2, 6, 9, 9)),
    "rectangular": (lambda: nn.Conv2d(6, 8, (1, 4), padding=(0, 2), bias=False), (2, 6, 5, 13)),
    "same, even kernel": (lambda: nn.Conv2d(6, 8, (2, 4), padding="same"), (2, 6, 7, 9)),
    "valid": (lambda: nn.Conv2d(6, 8, 3, padding="valid"), (2, 6, 7, 9)),
    "one image, no batch": (lambda: nn.Conv2d(6, 8, 3), (6, 9, 9)),
    "conv1d": (lambda: nn.Conv1d(6, 8, 5, stride=2, padding=2), (2, 6, 17)),
    "linear": (lambda: nn.Linear(12, 7), (5, 12)),
    "linear, leading dimensions": (lambda: nn.Linear(12, 7), (2, 3, 4, 12)),
    "linear, one vector": (lambda: nn.Linear(12, 7, bias=False), (12,)),
}


def sparse_layer(make, sparsity=0.8, period=1):
    """A sparse layer in float64 behind a first convolution, its twin that stays dense, and the optimiser."""
    torch.manual_seed(3)
    layer = make().double()
    dense = copy.deepcopy(layer)
    model = nn.Sequential(nn.Conv2d(1, 1, 1).double(), layer)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = sparsify(model, optimizer, sparsity=sparsity, period=period)
    return layer, dense, optimizer, sparsifier


@pytest.mark.filterwarnings("ignore:Using padding=.same")  # torch, of its own even kernels
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("sparsity", [0.5, 0.8])
def test_every_pass_is_the_definition(name, sparsity):
    make, shape = LAYERS[name]
    layer, dense, _, _ = sparse_layer(make, sparsity)
    input = torch.randn(shape, dtype=torch.float64).relu()
    activation = input.clone().requires_grad_()
    output = layer(activation)
    output_grad = torch.randn_like(output)
    output.backward(output_grad)
    expected = defined_step(dense, input, sparsity, output_grad)
    bias_grad = None if layer.bias is None else layer.bias.grad
    for got, wanted in zip((output, activation.grad, layer.weight.grad, bias_grad), expected, strict=True):
        if wanted is not None:
            torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    dropped = top_k(layer.weight.detach(), sparsity) == 0
    assert layer.weight.grad[dropped].count_nonzero() > 0  # weights that forward drops learn too


@pytest.mark.parametrize("mode", ["reflect", "circular", "replicate"])
def test_copied_padding_is_the_selected_activation_padded(mode):
    layer, dense, _, _ = sparse_layer(lambda: nn.Conv2d(4, 5, 3, padding=(1, 2), padding_mode=mode))
    input = torch.randn(2, 4, 7, 8, dtype=torch.float64)
    output = layer(input)
    output_grad = torch.randn_like(output)
    output.backward(output_grad)
    expected = defined_step(dense, input, 0.8, output_grad)
    torch.testing.assert_close(output, expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.weight.grad, expected[2], rtol=1e-12, atol=1e-12)


def test_frozen_operands_get_no_gradient():
    layer, _, _, _ = sparse_layer(lambda: nn.Conv2d(4, 5, 3))
    layer.weight.requires_grad_(False)
    input = torch.randn(2, 4, 7, 8, dtype=torch.float64, requires_grad=True)
    layer(input).sum().backward()
    assert layer.weight.grad is None
    assert input.grad is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("sparsity", ["0.1", "0.7", "0.8", "0.99"])
def test_top_k_keeps_exactly_k_and_every_tie(dtype, sparsity):
    torch.manual_seed(1)
    values = torch.randn(997).to(dtype)
    threshold = top_k_threshold(values, Fraction(sparsity))
    kept = keep_from(values, threshold) != 0
    assert torch.equal(kept, top_k(values.double(), sparsity) != 0)
    at_least = kept_count(Fraction(sparsity), values.numel())
    ties = int((values.abs() == threshold).sum())
    assert at_least <= int(kept.sum()) < at_least + ties


def test_ties_at_the_threshold_are_kept():
    values = torch.tensor([3.0, -2.0, 2.0, 1.0, 2.0])
    kept = keep_from(values, top_k_threshold(values, Fraction(3, 5)))  # K = 2
    assert kept.tolist() == [3.0, -2.0, 2.0, 0.0, 2.0]


def test_zeros_are_never_kept():
    values = torch.tensor([0.0, 1.0, 0.0, 0.0])
    kept = keep_from(values, top_k_threshold(values, Fraction(1, 4)))  # K = 3, one non-zero
    assert kept.count_nonzero() == 1


def test_not_a_number_stays_visible():
    assert keep_from(torch.tensor([float("nan"), 1.0, 3.0]), 2.0).isnan().tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("sparsity", "elements", "kept"), [(0.8, 5, 1), (0.8, 6, 2), (0.7, 10, 3), (0.9, 10, 1), (0.9, 11, 2), (0, 7, 7)]
)
def test_k_is_the_exact_ceiling(sparsity, elements, kept):
    # In floats, (1 - 0.7) * 10 is above 3.
    assert kept_count(exact_sparsity(sparsity), elements) == kept


def test_first_convolution_stays_dense_and_last_linear_does_not():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 10))
    sparsifier = sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert list(sparsifier.modules) == ["2", "4"]
    assert type(model[0]) is nn.Conv2d


def kept_weights(layer, weight):
    """Which weights the forward pass multiplies, read off its products with unit inputs."""
    with torch.no_grad():
        layer.weight.copy_(weight)
        return layer(torch.eye(weight.shape[1], dtype=weight.dtype)).T != 0


def test_a_threshold_is_reused_for_a_period_of_optimiser_steps():
    layer, _, optimizer, _ = sparse_layer(lambda: nn.Linear(10, 10, bias=False), period=3)
    first = torch.randn(10, 10, dtype=torch.float64)
    assert kept_weights(layer, first).sum() == 20
    for step in range(1, 5):
        optimizer.step()
        doubled = kept_weights(layer, 2 * first)  # at the first threshold, more than K of these pass
        expected = first.abs() >= top_k_threshold(first, Fraction(4, 5)) / 2 if step < 3 else top_k(first, 0.8) != 0
        assert torch.equal(doubled, expected), step


def test_the_activation_threshold_is_reused_too():
    layer, _, optimizer, _ = sparse_layer(lambda: nn.Linear(10, 10, bias=False), period=2)
    input = torch.randn(8, 10, dtype=torch.float64)

    def weight_grad(activation):
        layer.weight.grad = None
        layer(activation).sum().backward()
        return layer.weight.grad[0]

    torch.testing.assert_close(weight_grad(input), top_k(input, 0.8).sum(0))
    torch.testing.assert_close(weight_grad(3 * input), top_k(3 * input, 0.8).sum(0))  # same step: its own selection
    weight_grad(input)
    layer.weight.grad = None
    optimizer.step()
    threshold = top_k_threshold(input, Fraction(4, 5))
    doubled = 2 * input
    torch.testing.assert_close(weight_grad(doubled), (doubled * (doubled.abs() >= threshold)).sum(0))
    optimizer.step()
    torch.testing.assert_close(weight_grad(doubled), top_k(doubled, 0.8).sum(0))


def test_loaded_weights_are_selected_anew():
    layer, dense, _, _ = sparse_layer(lambda: nn.Linear(10, 10, bias=False), period=100)
    layer(torch.randn(2, 10, dtype=torch.float64))
    layer.load_state_dict({"weight": 5 * dense.weight.detach()})
    eye = torch.eye(10, dtype=torch.float64)
    assert int((layer(eye) != 0).sum()) == 20


def test_state_dict_and_class_are_the_users():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    before = list(model.state_dict())
    sparsifier = sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert list(model.state_dict()) == before
    assert isinstance(model[1], nn.Conv2d)
    assert repr(model[1]) == "Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1))"
    sparsifier.remove()
    assert type(model[1]) is nn.Conv2d


def test_autocast_multiplies_in_its_own_type_and_selects_before_rounding():
    layer, _, _, _ = sparse_layer(lambda: nn.Linear(64, 64, bias=False))
    layer.float()
    input = torch.randn(4, 64)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(input)
    assert output.dtype == torch.bfloat16
    output.sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    expected = functional.linear(input.bfloat16(), top_k(layer.weight.detach(), 0.8).bfloat16())
    torch.testing.assert_close(output, expected)


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 36, 4),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sparsify(model, optimizer, sparsity=0.8, period=5)
    images, labels = torch.randn(16, 1, 8, 8), torch.arange(16) % 4
    losses = []
    for _ in range(60):
        loss = functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": "swat"}, "scheme: got 'swat', expected one of"),
        ({"sparsity": 1.0}, "sparsity: got 1.0, expected"),
        ({"sparsity": -0.1}, "sparsity: got -0.1, expected"),
        ({"sparsity": "most"}, "sparsity: got 'most', expected"),
        ({"sparsity": float("nan")}, "sparsity: got nan, expected"),
        ({"period": 0}, "period: got 0, expected"),
    ],
)
def test_refused_arguments(arguments, message):
    model = nn.Linear(3, 3)
    with pytest.raises(SwatsimError, match=message):
        sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), **arguments)
    assert type(model) is nn.Linear


def test_refused_models():
    class Own(nn.Linear):
        def forward(self, input):
            return super().forward(input) * 2

    for model, message in (
        (nn.Sequential(Own(3, 3)), "0: got Own, which computes its own forward"),
        (nn.Sequential(nn.LazyLinear(3)), "0: got a lazy layer"),
    ):
        with pytest.raises(SwatsimError, match=message):
            sparsify(model, torch.optim.SGD([torch.zeros(1)], lr=0.1))
    model = nn.Sequential(nn.Linear(3, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsify(model, optimizer)
    with pytest.raises(SwatsimError, match="0: got a layer that is already sparse"):
        sparsify(model, optimizer)
