"""DSG against §2 of its paper: virtual outputs by explicit windows, one threshold for the batch, the mask twice."""

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
)
from plain_training import LAYERS, network, sgd  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.schemes import scheme_named  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402

SPARSITY = 0.7
SETTINGS = {
    "the paper's layers": {"projection_dimensions": 8},
    "all layers": {"projection_dimensions": 8, "keep_dense": ()},
    "epsilon": {"epsilon": 0.9, "keep_dense": ()},
}


class Dsg(Definition):
    """Masks of every layer that has a projection."""

    def __init__(self, model):
        super().__init__(model)
        state = model.state_dict()
        self.projections = {
            layer: state[f"{layer}.swatsim_projection"] for layer in LAYERS if f"{layer}.swatsim_projection" in state
        }

    def outputs(self, layer, input, weight):
        if layer not in self.projections:
            return None
        matrix = self.projections[layer].flatten(1)
        if layer == "last":
            virtual = (input @ matrix.T) @ (weight @ matrix.T).T
        else:
            stride, groups = (2, 2) if layer == "middle" else (1, 1)
            parts = []
            for values, filters in zip(input.chunk(groups, 1), weight.chunk(groups, 0), strict=True):
                windows = functional.unfold(values, 3, padding=1, stride=stride)
                parts.append((filters.flatten(1) @ matrix.T) @ (matrix @ windows))
            side = 6 // stride
            virtual = torch.cat(parts, 1).view(len(input), -1, side, side)
        first = virtual[0]
        threshold = first[largest(first, math.ceil((1 - Fraction(str(SPARSITY))) * first.numel()))].min()
        return virtual >= threshold


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_training_is_the_definitions(settings):
    _, defined = assert_trains_as(Dsg, "dsg", 4, sparsity=SPARSITY, **settings)
    assert defined.projections.keys() == ({"middle"} if "keep_dense" not in settings else set(LAYERS))


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_capture_holds_the_definitions_operands(settings, tmp_path):
    layers = assert_captured(Dsg, "dsg", 2, tmp_path / "trace", sparsity=SPARSITY, **settings)
    for name, layer in layers.items():
        covered = name == "middle" or "keep_dense" in settings
        mask = layer.passes["forward"].result_mask
        assert (mask is not None) == covered
        for pass_name, passed in layer.passes.items():
            for role, operand in passed.operands.items():
                wanted = Fraction(7, 10) if covered and role == "output_grad" else None
                assert operand.sparsity == wanted, (name, pass_name, role)
        if covered:
            needed = mask.to_bool()
            assert int(needed[0].sum()) == math.ceil(Fraction(3, 10) * needed[0].size)
            gradient = layer.passes["weight_grad"].operands["output_grad"].bits.to_bool()
            assert not (gradient & ~needed).any()


def test_the_projection_is_ternary_and_the_seeds_own():
    def drawn(seed):
        model = nn.Sequential(nn.Conv2d(1, 40, 1), nn.Conv2d(40, 30, 3))
        sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="dsg", projection_dimensions=50, seed=seed)
        return model.state_dict()["1.swatsim_projection"]

    matrix = drawn(3)
    assert matrix.shape == (50, 40, 3, 3)
    scaled = matrix * math.sqrt(50)
    values, counts = scaled.double().round(decimals=5).unique(return_counts=True)
    assert values.tolist() == pytest.approx([-math.sqrt(3), 0, math.sqrt(3)], abs=1e-5)
    for count, probability in zip(counts.tolist(), (1 / 6, 2 / 3, 1 / 6), strict=True):
        spread = math.sqrt(scaled.numel() * probability * (1 - probability))
        assert abs(count - scaled.numel() * probability) < 6 * spread
    assert torch.equal(matrix, drawn(3))
    assert not torch.equal(matrix, drawn(4))


def test_dimensions():
    scheme = scheme_named("dsg", epsilon=0.5)
    # ε²/2 - ε³/3 is 1/12.
    assert scheme.dimensions(128, 1152) == math.floor(48 * math.log(128))
    assert scheme.dimensions(128, 100) == 100
    assert scheme.dimensions(1, 100) == 1
    assert scheme_named("dsg", projection_dimensions=7).dimensions(128, 1152) == 7


def predicted(layer, input):
    """The mask, from the layer's own zeros: without a bias an output is 0 where it was not computed."""
    return (layer(input) != 0).detach()


@pytest.mark.parametrize("order", ["normalisation, ReLU", "ReLU, normalisation"])
def test_the_normalisation_is_masked_too(order):
    torch.manual_seed(2)
    convolution, norm = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6)
    nn.init.uniform_(norm.bias, 0.5, 1.0)
    middle = (norm, nn.ReLU()) if order.startswith("norm") else (nn.ReLU(), norm)
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), convolution, *middle, nn.Conv2d(6, 2, 1)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = sparsify(model, optimizer, scheme="dsg", keep_dense=("0", "5"), sparsity=0.6)
    input = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    mask = predicted(convolution, input)
    assert 0.2 < float(mask.double().mean()) < 0.6

    def behind(hidden):
        for module in middle:
            hidden = module(hidden)
        return hidden

    found = behind(convolution(input))
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    gradients = [convolution.weight.grad, norm.weight.grad, norm.bias.grad]
    assert not found[~mask].any()
    model.zero_grad()
    sparsifier.remove()
    hidden = convolution(input) * mask
    expected = (norm(hidden) * mask).relu() if order.startswith("norm") else norm(hidden.relu()) * mask
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    (expected * weights).sum().backward()
    for mine, theirs in zip(gradients, [convolution.weight.grad, norm.weight.grad, norm.bias.grad], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(12,), (5, 12), (2, 3, 12)])
def test_a_linear_layers_first_sample_is_the_first_of_its_leading_dimension(shape):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(12, 20, bias=False), nn.Linear(20, 2)).double()
    sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="dsg", sparsity=0.8)
    kept = predicted(model[0], torch.randn(shape, dtype=torch.float64))
    first = kept if kept.dim() == 1 else kept[0]
    assert int(first.sum()) == first.numel() // 5


def test_an_image_without_a_batch_and_an_empty_batch():
    model = nn.Sequential(nn.Conv2d(3, 5, 1), nn.Conv1d(5, 10, 3, bias=False))
    sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="dsg", sparsity=0.8)
    assert int(predicted(model[1], torch.randn(5, 12)).sum()) == 20
    assert model[1](torch.randn(0, 5, 12)).shape == (0, 10, 10)


def test_masks_do_not_depend_on_the_memory_format():
    torch.manual_seed(6)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 3, groups=2, bias=False)).double()
    sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="dsg", sparsity=0.6)
    input = torch.randn(2, 4, 7, 6, dtype=torch.float64)
    assert torch.equal(
        predicted(model[1], input), predicted(model[1], input.contiguous(memory_format=torch.channels_last))
    )


def test_a_resumed_run_goes_on():
    assert_resumes("dsg", 3, sparsity=SPARSITY)


def test_remove_leaves_a_plain_model():
    assert_removed("dsg", sparsity=SPARSITY)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("epsilon", 0, "a number from 0.01 to 1"),
        ("epsilon", "small", "a number from 0.01 to 1"),
        ("projection_dimensions", 0, "at least 1"),
        ("projection_dimensions", 2.5, "at least 1"),
        ("period", 2, "1: dsg reuses no selection"),
    ],
)
def test_refused_settings(setting, value, expected):
    model = network()
    with pytest.raises(SwatsimError) as error:
        sparsify(model, sgd(model), scheme="dsg", **{setting: value})
    assert str(error.value) == f"{setting}: got {value}, expected {expected}"
