"""On a GPU every scheme selects and learns what it does on the processor, and a capture packs the same bits."""

from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
if not torch.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from swatsim.schemes import SCHEMES, scheme_names  # noqa: E402
from swatsim.schemes.selection import keep_from, magnitude_mask, top_k_threshold  # noqa: E402
from swatsim.torch import capture, sparsify  # noqa: E402
from swatsim.trace import load_trace  # noqa: E402

STEPS = 5
NAMES = [*scheme_names(), "cases:aw/wg/ag"]


def settings_of(name):
    """Selections at every step, and the length of the run where the scheme asks for it."""
    known = {field.name for field in fields(SCHEMES[name.partition(":")[0]])}
    return {"period": 1} | ({"total_steps": STEPS} if "total_steps" in known else {})


def trained(scheme, device, path):
    """A network after some steps in float64, where order of summation seldom matters, and a trace of the next one."""
    torch.manual_seed(11)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10),
    ).double()  # fmt: skip
    for norm in (model[1], model[4]):
        # Else a filter without weights is rounding noise around 0 behind it, of which ReLU makes what it likes.
        nn.init.uniform_(norm.bias, 0.1, 0.5)
    model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sparsify(model, optimizer, scheme=scheme, **settings_of(scheme))

    def step(number):
        source = torch.Generator().manual_seed(number)
        images = torch.randn(4, 3, 8, 8, generator=source, dtype=torch.float64).to(device)
        optimizer.zero_grad()
        functional.cross_entropy(model(images), torch.arange(4, device=device)).backward()
        optimizer.step()

    for number in range(STEPS - 1):
        step(number)
    with capture(model, path):
        step(STEPS - 1)
    return {name: values.cpu() for name, values in model.state_dict().items()}


@pytest.mark.parametrize("scheme", NAMES)
def test_a_scheme_does_the_same(scheme, tmp_path):
    mine = trained(scheme, "cuda", tmp_path / "mine")
    expected = trained(scheme, "cpu", tmp_path / "expected")
    assert mine.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(mine[name], values, rtol=1e-9, atol=1e-12, msg=lambda text, name=name: name + text)
    for layer, reference in zip(load_trace(tmp_path / "mine"), load_trace(tmp_path / "expected"), strict=True):
        assert layer.spec == reference.spec
        for pass_name, operands in reference.passes.items():
            assert layer.passes[pass_name] == operands, f"{layer.spec.name} {pass_name}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_selection_is_the_processors(dtype):
    source = torch.Generator().manual_seed(3)
    values = torch.randn(40_001, generator=source).to(dtype)  # bfloat16 has many ties
    for sparsity in (Fraction(0), Fraction(1, 4), Fraction(9, 10)):
        threshold = top_k_threshold(values, sparsity)
        assert top_k_threshold(values.cuda(), sparsity) == threshold
        assert torch.equal(keep_from(values.cuda(), threshold).cpu(), keep_from(values, threshold))
        assert torch.equal(magnitude_mask(values.cuda(), sparsity).cpu(), magnitude_mask(values, sparsity))


def test_autocast_trains_what_it_selects(tmp_path):
    """Half precision, as a user trains: the operands that a capture holds have the scheme's share of zeros."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1)).cuda()
    model = model.to(memory_format=torch.channels_last)
    sparsify(model, torch.optim.SGD(model.parameters(), lr=0.01), scheme="swat-u", sparsity=0.75)
    images = torch.randn(4, 8, 16, 16, device="cuda").contiguous(memory_format=torch.channels_last)
    with capture(model, tmp_path / "trace"), torch.autocast("cuda", torch.bfloat16):
        model(images).float().square().sum().backward()
    layer = list(load_trace(tmp_path / "trace"))[1]
    weight = layer.passes["forward"].operands["weight"].bits.to_bool()
    assert weight.mean() == 0.25
    np.testing.assert_array_equal(layer.passes["input_grad"].operands["weight"].bits.to_bool(), weight)
    kept = layer.passes["weight_grad"].operands["input"].bits.to_bool().mean()
    assert 0.25 <= kept < 0.27  # values equal to the threshold stay
