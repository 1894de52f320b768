"""meProp against §2.1 of its paper: each example's largest gradients, in both backward passes."""

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
    top,
)
from torch import nn  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.torch import sparsify  # noqa: E402

SPARSITY = 0.7


class Meprop(Definition):
    """The output layer's gradient is whole."""

    def operand(self, layer, pass_name, role, values):
        if role != "output_grad" or layer == "last":
            return values
        return torch.stack([top(image, SPARSITY) for image in values])


def test_training_is_the_definitions():
    assert_trains_as(Meprop, "meprop", 4, sparsity=SPARSITY)


def test_a_capture_holds_the_definitions_operands(tmp_path):
    layers = assert_captured(Meprop, "meprop", 2, tmp_path / "trace", sparsity=SPARSITY)
    for name, layer in layers.items():
        for pass_name, passed in layer.passes.items():
            for role, operand in passed.operands.items():
                selected = name != "last" and role == "output_grad"
                assert operand.sparsity == (Fraction(7, 10) if selected else None), (name, pass_name, role)
        gradient = layer.passes["weight_grad"].operands["output_grad"].bits
        if name != "last":
            per_image = gradient.to_bool().reshape(gradient.shape[0], -1).sum(1)
            assert max(per_image) == math.ceil(0.3 * gradient.size / gradient.shape[0])


def test_every_vector_of_a_linear_layer_is_an_example():
    torch.manual_seed(0)
    layer = nn.Linear(4, 10, bias=False).double()
    model = nn.Sequential(layer, nn.Linear(10, 2).double())
    sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="meprop", sparsity=0.8)
    for shape in ((4,), (3, 4), (2, 3, 4)):
        input = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        output_grad = torch.randn(*shape[:-1], 10, dtype=torch.float64)
        layer.weight.grad = None
        layer(input).backward(output_grad)
        rows = torch.stack([top(row, 0.8) for row in output_grad.reshape(-1, 10)])
        assert (rows != 0).sum(1).tolist() == [2] * len(rows)
        torch.testing.assert_close(layer.weight.grad, rows.T @ input.detach().reshape(-1, 4), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(input.grad, (rows @ layer.weight.detach()).view(shape), rtol=1e-12, atol=1e-12)


def test_a_resumed_run_goes_on():
    assert_resumes("meprop", 3, sparsity=SPARSITY)


def test_remove_leaves_a_plain_model():
    assert_removed("meprop", sparsity=SPARSITY)


def test_another_period_is_refused():
    model = nn.Linear(3, 3)
    with pytest.raises(SwatsimError) as error:
        sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), scheme="meprop", period=4)
    assert str(error.value) == "period: got 4, expected 1: meprop reuses no selection"
