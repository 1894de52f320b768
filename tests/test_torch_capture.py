"""A captured step holds what was really multiplied; what a trace cannot hold is refused by name."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="capture needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from swatsim.errors import CaptureError  # noqa: E402
from swatsim.passes import OPERANDS  # noqa: E402
from swatsim.schemes.selection import keep_from, top_k_threshold  # noqa: E402
from swatsim.torch import capture, sparsify  # noqa: E402
from swatsim.torch.packing import pack, pack_on_device  # noqa: E402
from swatsim.trace import load_trace  # noqa: E402

# torch's own remark on 'same' padding with an even kernel.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same")


class Network(nn.Module):
    """Every kind of layer that a trace holds, functional calls between them."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 12, (3, 1), groups=4, dilation=(2, 1), padding=(2, 0))
        self.same = nn.Conv2d(12, 8, (2, 3), padding="same")
        self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1)
        self.pool = nn.MaxPool2d(2)
        self.line = nn.Conv1d(6, 5, 3, stride=2, padding=1)
        self.back = nn.ConvTranspose1d(5, 4, 2)
        self.mirrored = nn.Conv1d(4, 4, 3, padding=1, padding_mode="reflect")
        self.last = nn.Linear(4, 7)

    def forward(self, images):
        hidden = functional.relu(self.norm(self.first(images)))
        hidden = functional.relu(self.same(functional.relu(self.grouped(hidden)))) + hidden
        hidden = self.pool(functional.relu(self.up(hidden)))
        hidden = functional.relu(self.back(functional.relu(self.line(hidden.flatten(2)))))
        return self.last(functional.relu(self.mirrored(hidden)).transpose(1, 2))


def network_and_images():
    torch.manual_seed(5)
    return Network(), torch.randn(2, 3, 16, 12)


def step(model, images):
    """A loss of which part of the positions is not reached, so that gradients have zeros of their own."""
    output = model(images)
    functional.relu(output).square().sum().backward()


def seen_by_hooks(model):
    """Independently of the capture: each layer's input, weight and output gradient as plain tensors."""
    seen = {}
    for name, module in model.named_modules():
        if hasattr(module, "weight") and name != "norm":

            def hook(module, args, output, name=name):
                seen[name] = {"input": args[0].detach().clone(), "weight": module.weight.detach().clone()}
                output.register_hook(lambda grad: seen[name].update(output_grad=grad.clone()))

            module.register_forward_hook(hook)
    return seen


def assert_bits(operand, values, where):
    np.testing.assert_array_equal(operand.bits.to_bool(), values.numpy() != 0, err_msg=where)


def test_dense_operands_are_those_that_plain_hooks_see(tmp_path):
    model, images = network_and_images()
    seen = seen_by_hooks(model)
    with capture(model, tmp_path / "trace"):
        step(model, images)
    trace = load_trace(tmp_path / "trace")
    assert [layer.spec.name for layer in trace] == [
        "first", "grouped", "same", "up", "line", "back", "mirrored", "last",
    ]  # fmt: skip
    seen["mirrored"]["input"] = functional.pad(seen["mirrored"]["input"], (1, 1), mode="reflect")
    zeros = 0
    for layer in trace:
        name = layer.spec.name
        for pass_name in layer.spec.passes:
            for role in OPERANDS[pass_name]:
                operand = layer.passes[pass_name].operands[role]
                assert_bits(operand, seen[name][role], f"{name} {pass_name} {role}")
                assert operand.sparsity is None
                zeros += role == "output_grad" and operand.bits.packed is not None
    assert zeros > 4  # the comparison saw gradients with zeros


def test_geometry_is_the_modules(tmp_path):
    model, images = network_and_images()
    with capture(model, tmp_path / "trace"):
        step(model, images)
    specs = {spec.name: spec for spec in load_trace(tmp_path / "trace").specs}
    assert not specs["first"].needs_input_grad
    assert all(spec.needs_input_grad for name, spec in specs.items() if name != "first")
    assert (specs["first"].stride, specs["first"].padding) == ((2, 2), (1, 1, 1, 1))
    grouped = specs["grouped"]
    assert (grouped.groups, grouped.dilation, grouped.padding) == (4, (2, 1), (2, 2, 0, 0))
    assert specs["same"].padding == (0, 1, 1, 1)  # an even kernel: one zero more after
    assert (specs["up"].kind, specs["up"].padding) == ("conv_transpose2d", (1, 1, 1, 1))
    assert (specs["line"].kind, specs["line"].stride, specs["line"].padding) == ("conv1d", (1, 2), (0, 0, 1, 1))
    assert specs["mirrored"].padding == (0, 0, 0, 0)  # its copies are values of the input
    assert specs["last"].input_shape == (2, 25, 4)


def test_sparse_operands_are_the_selected_ones(tmp_path):
    model, images = network_and_images()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sparsify(model, optimizer, sparsity=0.7, period=4)
    seen = seen_by_hooks(model)
    with capture(model, tmp_path / "trace"):
        step(model, images)
        optimizer.step()
    trace = load_trace(tmp_path / "trace")
    sparse = {"grouped", "same", "line", "mirrored", "last"}
    for layer in trace:
        name, tensors = layer.spec.name, seen[layer.spec.name]
        used = dict(tensors)
        kept_input = tensors["input"]
        if name in sparse:
            budget = layer.passes["forward"].operands["weight"].sparsity
            assert str(budget) == "7/10"
            used["weight"] = keep_from(tensors["weight"], top_k_threshold(tensors["weight"], budget))
            kept_input = keep_from(tensors["input"], top_k_threshold(tensors["input"], budget))
        if name == "mirrored":
            used["input"] = functional.pad(used["input"], (1, 1), mode="reflect")
            kept_input = functional.pad(kept_input, (1, 1), mode="reflect")
        for pass_name in layer.spec.passes:
            operands = layer.passes[pass_name].operands
            for role in OPERANDS[pass_name]:
                values = kept_input if (pass_name, role) == ("weight_grad", "input") else used[role]
                assert_bits(operands[role], values, f"{name} {pass_name} {role}")
                selected = name in sparse and (pass_name, role) in {
                    ("forward", "weight"), ("input_grad", "weight"), ("weight_grad", "input"),
                }  # fmt: skip
                assert (operands[role].sparsity is not None) == selected
    metadata = trace.manifest
    assert (metadata.scheme, str(metadata.sparsity), metadata.selection_period) == ("swat-u", "7/10", 4)
    assert metadata.optimizer == "SGD(lr=0.05, momentum=0.9)"


def test_capture_changes_nothing(tmp_path):
    model, images = network_and_images()
    step(model, images)
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model, images = network_and_images()
    with capture(model, tmp_path / "trace"):
        step(model, images)
    for parameter, grad in zip(model.parameters(), expected, strict=True):
        assert torch.equal(parameter.grad, grad)
    assert not any(module._forward_hooks for module in model.modules())
    step(model, images)  # the hooks are gone: nothing refuses a second step


def test_an_unbatched_image_is_one_image(tmp_path):
    for index, model in enumerate((nn.Conv2d(2, 3, 3), nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 3, 3)))):
        if index:
            sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1))
        with capture(model, tmp_path / str(index)):
            model(torch.randn(2, 6, 6)).sum().backward()
        assert load_trace(tmp_path / str(index)).specs[-1].input_shape == (1, 2, 6, 6)


def test_float16_autocast_flushes_small_values(tmp_path):
    model = nn.Linear(4, 3, bias=False)
    images = torch.tensor([[1.0, 1e-12, 0.0, 2.0]])
    with capture(model, tmp_path / "trace"), torch.autocast("cpu", torch.float16):
        model(images).float().sum().backward()
    forward = load_trace(tmp_path / "trace").layer(0).passes["forward"]
    assert forward.operands["input"].bits.to_bool().tolist() == [[True, False, False, True]]


def test_packing_is_c_order_lowest_bit_first_for_any_memory_format():
    values = (torch.rand(2, 3, 5, 7) > 0.5).float()
    expected = np.packbits((values.numpy() != 0).ravel(), bitorder="little")
    for same in (values, values.contiguous(memory_format=torch.channels_last), values.double(), values.bfloat16()):
        np.testing.assert_array_equal(pack(same).packed, expected)
    np.testing.assert_array_equal(pack_on_device(values.flatten() != 0).numpy(), expected)  # as a GPU does it
    assert pack(torch.ones(3, 3)).packed is None


def test_recomputation_by_checkpointing_counts_once(tmp_path):
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
    images = torch.randn(1, 4, 9, 9)

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.block = nn.Conv2d(4, 4, 1), block

        def forward(self, images):
            return checkpoint(self.block, self.stem(images), use_reentrant=False)

    model = Checkpointed()
    for index in range(2):
        if index:
            sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1))
        plain = nn.Sequential()
        plain.stem, plain.block = model.stem, model.block
        with capture(plain, tmp_path / f"plain{index}"):
            plain(images).sum().backward()
        with capture(model, tmp_path / f"checkpointed{index}"):
            model(images).sum().backward()
        ours, theirs = load_trace(tmp_path / f"checkpointed{index}"), load_trace(tmp_path / f"plain{index}")
        assert len(ours) == 3
        for mine, expected in zip(ours, theirs, strict=True):
            assert mine.spec == expected.spec
            assert mine.passes == expected.passes
        assert [node.op for node in ours.graph] == [node.op for node in theirs.graph]


@pytest.mark.parametrize("sparse", [False, True])
def test_two_calls_of_one_module_are_each_recomputed(tmp_path, sparse):
    torch.manual_seed(0)
    layer, images = nn.Conv2d(3, 3, 3, padding=1), torch.randn(1, 3, 6, 6)
    whole = nn.Sequential(layer, nn.ReLU(), layer)
    if sparse:
        sparsify(whole, torch.optim.SGD(whole.parameters(), lr=0.1))
    with capture(whole, tmp_path / "plain"):
        whole(images).sum().backward()
    with capture(whole, tmp_path / "checkpointed"):
        checkpoint(whole, images, use_reentrant=False).sum().backward()
    trace = load_trace(tmp_path / "checkpointed")
    assert [spec.name for spec in trace.specs] == ["0", "0:2"]
    for mine, expected in zip(trace, load_trace(tmp_path / "plain"), strict=True):
        assert mine.spec == expected.spec
        assert mine.passes == expected.passes


def test_what_is_recomputed_with_other_values_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    def changed():
        output = checkpoint(model, torch.randn(3, 4), use_reentrant=False)
        with torch.no_grad():
            model[0].weight.zero_()
        output.sum().backward()

    refused(model, tmp_path / "trace", changed, "^0: recomputed with other values")


def refused(model, path, body, message):
    with pytest.raises(CaptureError, match=message), capture(model, path):
        body()
    assert not path.exists()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("sparse", [False, True])
def test_steps_that_one_trace_cannot_hold_are_refused_by_name(tmp_path, sparse):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    if sparse:
        sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1))
    images, path = torch.randn(3, 4), tmp_path / "trace"

    def accumulated():
        model(images).sum().backward()
        model(images).sum().backward()

    refused(model, path, accumulated, r"^0: called again after its backward \(gradient accumulation\)")
    refused(model, path, lambda: model(images), "^0: its output did not reach the loss in backward, nor did any other")

    def twice_backward():
        loss = model(images).sum()
        loss.backward(retain_graph=True)
        loss.backward()

    refused(model, path, twice_backward, "^1: backward reached it twice")

    def without_gradients():
        with torch.no_grad():
            model(images)

    refused(model, path, without_gradients, "^0: called without gradients")
    refused(
        model, path, lambda: checkpoint(model, images.clone().requires_grad_(), use_reentrant=True).sum().backward(),
        "^0: called without gradients .*use_reentrant",
    )  # fmt: skip

    def input_gradient_only():
        given = images.clone().requires_grad_()
        torch.autograd.grad(model(given).sum(), given)

    refused(model, path, input_gradient_only, "^0: backward computed no weight_grad")
    refused(model, path, lambda: None, "got a step that calls no layer")


def test_a_second_order_gradient_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))

    def penalty():
        images = torch.randn(3, 4, requires_grad=True)
        (grad,) = torch.autograd.grad(model(images).square().sum(), images, create_graph=True)
        grad.square().sum().backward()

    refused(model, tmp_path / "trace", penalty, "^2: its gradient is differentiated again")


def test_a_weight_multiplied_behind_the_modules_back_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(8, 8), nn.MultiheadAttention(8, 2))

    def attend():
        hidden = model[0](torch.randn(3, 1, 8))
        model[1](hidden, hidden, hidden)[0].sum().backward()

    refused(model, tmp_path / "trace", attend, "^1.out_proj: its weight was multiplied outside")


@pytest.mark.parametrize(
    ("module", "shape"), [(nn.Conv3d(1, 4, 1), (2, 1, 3, 3, 4)), (nn.GRU(4, 4), (3, 4)), (nn.RNNCell(4, 4), (2, 4))]
)
def test_other_modules_that_multiply_weights_are_refused(tmp_path, module, shape):
    model = nn.Sequential(nn.Linear(shape[-1], shape[-1]), module)
    refused(model, tmp_path / "trace", lambda: model(torch.randn(shape)), f"^1: got {type(module).__name__}")


class OptimizedModule(nn.Linear):
    """As what torch.compile returns is called."""


class Pair(nn.Linear):
    def forward(self, images):
        return super().forward(images), None


class Unlearned(nn.Linear):
    def forward(self, images):
        return super().forward(images).detach()


class WithoutGradient(torch.autograd.Function):
    @staticmethod
    def forward(_, images):
        return images.clone()

    @staticmethod
    def backward(*_):
        return None


def test_layers_whose_results_are_no_tensors_that_learn_are_refused(tmp_path):
    images = torch.randn(3, 2)
    for model, message in (
        (OptimizedModule(2, 2), r"^capture: got a model from torch.compile, expected the model that was compiled"),
        (nn.Sequential(Pair(2, 2)), r"^0: got tuple for its output, expected one tensor"),
        (nn.Sequential(Unlearned(2, 2)), r"^0: its output has no gradient, expected one tensor that learns"),
    ):
        refused(model, tmp_path / "trace", lambda model=model: model(images), message)
    model = nn.Sequential(nn.Linear(2, 2))
    refused(
        model, tmp_path / "trace", lambda: WithoutGradient.apply(model(images)).sum().backward(),
        r"^0: its output did not reach the loss in backward",
    )  # fmt: skip


def test_refused_models_and_paths(tmp_path):
    with pytest.raises(CaptureError, match=r"^1: got a lazy layer"):
        capture(nn.Sequential(nn.ReLU(), nn.LazyLinear(3)), tmp_path / "a").__enter__()
    with (
        pytest.raises(CaptureError, match="without any convolution or linear layer"),
        capture(nn.ReLU(), tmp_path / "a"),
    ):
        pass
    (tmp_path / "b").mkdir()
    with pytest.raises(CaptureError, match="exists already"), capture(nn.Linear(2, 2), tmp_path / "b"):
        pytest.fail("the step must not run")
    model = nn.Linear(2, 2)
    with (
        pytest.raises(CaptureError, match="a capture within a capture"),
        capture(model, tmp_path / "c"),
        capture(model, tmp_path / "d"),
    ):
        pass
    with capture(model, tmp_path / "c"):  # and the refusal left nothing behind
        model(torch.randn(1, 2)).sum().backward()


def test_a_step_that_raises_leaves_nothing(tmp_path):
    model, images = network_and_images()
    with pytest.raises(ZeroDivisionError), capture(model, tmp_path / "trace"):
        step(model, images)
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_on_the_gpu_gives_the_same_bits(tmp_path):
    model, images = network_and_images()
    model, images = model.double(), images.double()
    with capture(model, tmp_path / "cpu"):
        step(model, images)
    model.zero_grad()
    with capture(model.cuda(), tmp_path / "gpu"):
        step(model, images.cuda())
    for mine, expected in zip(load_trace(tmp_path / "gpu"), load_trace(tmp_path / "cpu"), strict=True):
        assert mine.spec == expected.spec
        assert mine.passes == expected.passes
