"""What users do with a sparse model beside training it: copies, other normalisations, mistakes."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from torch import nn  # noqa: E402

from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.networks import network_shapes  # noqa: E402
from swatsim.schemes import scheme_named  # noqa: E402
from swatsim.torch import build, sparsify  # noqa: E402


def network(norm=lambda: nn.BatchNorm2d(8), activation=nn.ReLU):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), norm(), activation(), nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(),
        nn.Linear(8 * 16, 5),
    )  # fmt: skip


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.randn(4, 3, 4, 4)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("call", [lambda step, closure: step(closure), lambda step, closure: step(closure=closure)])
def test_a_closure_is_refused(call):
    model = network()
    optimizer = optimizer_of(model)
    sparsify(model, optimizer, scheme="rigl", total_steps=10)
    with pytest.raises(SwatsimError, match=r"^optimizer.step: got a closure, expected the gradients computed before"):
        call(optimizer.step, lambda: model(torch.randn(1, 3, 4, 4)).sum())


@pytest.mark.parametrize("name", ["swat-u", "swat-erk", "swat-structured", "cases:w/w/a"])
def test_a_copy_selects_from_its_own_weights(name):
    model = network()
    optimizer = optimizer_of(model)
    sparsify(model, optimizer, scheme=name, sparsity=0.7)
    copied = copy.deepcopy(model)
    images = torch.randn(4, 3, 4, 4)
    copied(images)
    for _ in range(3):
        step(model, optimizer)
    with torch.no_grad():
        for mine, theirs in zip(copied.parameters(), model.parameters(), strict=True):
            mine.copy_(theirs)  # as a moving average does
        for mine, theirs in zip(copied.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)
    model.eval(), copied.eval()
    torch.testing.assert_close(copied(images), model(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    "norm", [lambda: nn.BatchNorm2d(8), lambda: nn.GroupNorm(2, 8), lambda: nn.LayerNorm([8, 4, 4])]
)
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Hardswish, nn.ELU])
def test_pruned_channels_stay_dead_behind_normalisations(norm, activation):
    model = network(norm, activation)
    sparsify(model, optimizer_of(model), scheme="filter-pruning", sparsity=0.5)
    seen = []
    model[2].register_forward_hook(lambda _, __, output: seen.append(output.detach()))
    model(torch.randn(4, 3, 4, 4))
    assert int((seen[0].abs().sum((0, 2, 3)) == 0).sum()) == 4


def test_dense_layers_are_names_patterns_or_words():
    model = network()
    kept = sparsify(model, optimizer_of(model), scheme="swat-u", keep_dense="3").modules
    assert set(kept) == {"0", "5"}
    with pytest.raises(SwatsimError, match=r"^keep_dense: got 'conv9', expected a layer's name, a pattern, or "):
        sparsify(network(), optimizer_of(network()), scheme="swat-u", keep_dense=("conv9",))


def test_settings_stand_in_one_place():
    scheme = scheme_named("swat-u", sparsity=0.5)
    with pytest.raises(SwatsimError, match=r"^scheme: got a scheme and settings, expected the settings in the scheme$"):
        sparsify(network(), optimizer_of(network()), scheme=scheme, sparsity=0.5)
    shapes = network_shapes("resnet18-cifar")
    with pytest.raises(SwatsimError, match=r"^classes: got 5 beside the shapes of .*, expected them in the shapes$"):
        build(shapes, classes=5)


def test_a_weight_of_two_layers_can_have_no_mask_of_its_own():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    with pytest.raises(SwatsimError, match=r"^2: shares its weight with another layer, expected one of its own$"):
        sparsify(model, optimizer_of(model), scheme="set")
    sparsify(model := copy.deepcopy(network()), optimizer_of(model), scheme="swat-u")  # thresholds alone can be shared


def test_learned_thresholds_have_the_users_rate():
    model = network()
    optimizer = torch.optim.SGD([{"params": model.parameters(), "lr": 0.3}], lr=0.001)
    sparsify(model, optimizer, scheme="str", s_init=-5.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.3] * 4


def test_float64_is_left_alone_by_autocast():
    model = network().double()
    sparsify(model, optimizer_of(model), scheme="swat-u")
    with torch.autocast("cpu", torch.bfloat16):
        assert model[3](torch.randn(1, 8, 4, 4, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"period": "3"}, "period: got 3, expected at least 1 optimiser step"),
        ({"period": 2.5}, "period: got 2.5, expected"),
        ({"period": True}, "period: got True, expected"),
        ({"budget": 5}, "budget: got 5, expected a name, a file or a mapping"),
        ({"keep_dense": 5}, "keep_dense: got 5, expected names, patterns or words"),
        ({"seed": 1.5}, "seed: got 1.5, expected an integer from 0"),
        ({"scheme": "gmp", "begin_step": "3", "end_step": 9}, "begin_step: got 3, expected a step from 0"),
        ({"scheme": "dst", "period": 7}, "period: got 7, expected 1: dst reuses no selection"),
    ],
)
def test_settings_of_the_wrong_kind_are_refused(settings, message):
    model = network()
    with pytest.raises(SwatsimError, match=message):
        sparsify(model, optimizer_of(model), **{"scheme": "swat-u", **settings})
    with pytest.raises(SwatsimError, match="optimizer: got one that has no layer's weight"):
        sparsify(model, optimizer_of(network()), scheme="swat-u")
