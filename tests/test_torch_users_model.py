"""A user's own model with all that networks have in them: captured, read again, simulated, as plain hooks see it."""

import pytest

torch = pytest.importorskip("torch", reason="capture needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

import numpy as np  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import swatsim  # noqa: E402
from swatsim.errors import CaptureError  # noqa: E402
from swatsim.torch import capture, sparsify  # noqa: E402

LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear)


class Users(nn.Module):
    """Grouped, dilated, depthwise, rectangular, transposed; 3-D, tied, used twice, unused, frozen."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1).requires_grad_(False)
        self.stem_norm = nn.BatchNorm2d(8).requires_grad_(False)
        self.stem_next = nn.Conv2d(8, 8, 1).requires_grad_(False)
        self.grouped = nn.Conv2d(8, 12, 3, padding=1, groups=4)
        self.dilated = nn.Conv2d(12, 8, 3, padding=2, dilation=2)
        self.depthwise = nn.Conv2d(8, 8, (5, 3), padding=(2, 1), groups=8)
        self.frozen = nn.Conv2d(8, 8, (1, 3), padding=(0, 1)).requires_grad_(False)
        self.twice = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.encode, self.decode = nn.Linear(6, 10), nn.Linear(6, 10)
        self.decode.weight = self.encode.weight
        self.unused, self.last = nn.Linear(10, 4), nn.Linear(10, 5)

    def forward(self, images):
        hidden = functional.relu(self.stem_next(functional.relu(self.stem_norm(self.stem(images)))))
        hidden = functional.relu(self.depthwise(functional.relu(self.dilated(functional.relu(self.grouped(hidden))))))
        hidden = functional.relu(self.twice(functional.relu(self.twice(functional.relu(self.frozen(hidden))))))
        tokens = functional.relu(self.up(hidden)).flatten(2).transpose(1, 2)
        mixed = functional.relu(self.encode(tokens)) + functional.relu(self.decode(tokens.flip(1)))
        return self.last(mixed), self.unused(mixed)


def users_model(*, dtype=torch.float32):
    torch.manual_seed(3)
    return Users().to(dtype), torch.randn(2, 3, 12, 10, dtype=dtype)


def seen_by_hooks(model):
    """By layer and number of its call, independently of the capture: input, weight, and output gradient if any came."""
    seen = {}

    def hook(module, args, output, name=None):
        number = 1 + sum(layer == name for layer, _ in seen)
        tensors = seen[name, number] = {"input": args[0].detach().clone(), "weight": module.weight.detach().clone()}
        tensors["trained"], tensors["passes_on"] = module.weight.requires_grad, args[0].requires_grad
        if output.requires_grad:
            output.register_hook(lambda grad: tensors.update(output_grad=grad.clone()))

    for name, module in model.named_modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(lambda m, a, o, name=name: hook(m, a, o, name))
    return seen


def assert_bits(operand, values, where):
    np.testing.assert_array_equal(operand.bits.to_bool(), (values != 0).numpy(), err_msg=where)


def assert_is_what_was_seen(layer, tensors):
    """Operands and needed results of one call, dense."""
    name, passes = layer.spec.name, layer.passes
    grad = tensors.get("output_grad")
    assert layer.spec.needs_input_grad == (grad is not None and tensors["passes_on"]), name
    for pass_name in layer.spec.passes:
        for role, operand in passes[pass_name].operands.items():
            if role != "output_grad":
                assert_bits(operand, tensors[role], f"{name} {pass_name} {role}")
            elif grad is not None:
                assert_bits(operand, grad, f"{name} {pass_name} {role}")
            else:
                assert operand.bits.nonzeros == 0
    mask = passes["weight_grad"].result_mask
    if grad is not None and tensors["trained"]:
        assert mask is None, name
    else:
        assert mask.nonzeros == 0, name


def test_every_layer_is_captured_and_simulated(tmp_path):
    model, images = users_model()
    seen = seen_by_hooks(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with capture(model, tmp_path / "trace"):
        functional.relu(model(images)[0]).square().sum().backward()
        optimizer.step()
    trace = swatsim.load_trace(tmp_path / "trace")
    assert [spec.name for spec in trace.specs] == [
        "stem", "stem_next", "grouped", "dilated", "depthwise", "frozen", "twice", "twice:2", "up", "encode", "decode",
        "last", "unused",
    ]  # fmt: skip
    for layer in trace:
        name, _, number = layer.spec.name.partition(":")
        assert_is_what_was_seen(layer, seen.pop((name, int(number or 1))))
    assert not seen
    computed = {
        "stem": {"forward"}, "stem_next": {"forward"}, "grouped": {"forward", "weight_grad"},
        "frozen": {"forward", "input_grad"}, "unused": {"forward"},
    }  # fmt: skip
    for machine in swatsim.shipped_architectures():
        report = swatsim.simulate(swatsim.load_architecture(machine), trace, workers=1)
        rows = {spec.name: set() for spec in trace.specs}
        for row in report.layer_records:
            rows[row.layer].add(row.pass_name)
        assert rows == {name: computed.get(name, {"forward", "input_grad", "weight_grad"}) for name in rows}
        updated = [row.layer for row in report.streaming_records if row.pass_name == "update"]
        assert updated == ["grouped", "dilated", "depthwise", "twice", "up", "encode", "decode", "last"]
        backward = {row.layer for row in report.streaming_records if row.pass_name == "elementwise_backward"}
        # The frozen stem and what stands between its layers goes forward only.
        assert not backward & {"stem_norm", "relu", "stem"}
        assert "stem_norm" in {row.layer for row in report.streaming_records}


def test_the_graph_of_what_is_frozen_is_complete(tmp_path):
    model, images = users_model()
    with capture(model, tmp_path / "trace"):
        sum(output.sum() for output in model(images)).backward()
    nodes = swatsim.load_trace(tmp_path / "trace").graph
    inputs = {node.name: (node.op, node.inputs) for node in nodes}
    assert list(inputs)[:7] == ["input", "stem", "stem_norm", "relu", "stem_next", "relu_2", "grouped"]
    assert inputs["stem"] == ("conv2d", ("input",))
    assert inputs["stem_norm"] == ("batch_norm", ("stem",))
    assert inputs["relu"] == ("relu", ("stem_norm",))
    assert inputs["stem_next"] == ("conv2d", ("relu",))
    assert inputs["grouped"] == ("conv2d", ("relu_2",))
    assert inputs["twice:2"][0] == "conv2d"
    assert inputs[inputs["twice:2"][1][0]] == ("relu", ("twice",))


def plain_graph(model, images, path):
    with capture(model, path, overwrite=True):
        model(images).sum().backward()
    return [(node.name, node.op, node.inputs, node.shape) for node in swatsim.load_trace(path).graph]


class Backbone(nn.Module):
    """Modules, functions and operations in place, on the way to a head."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.branch, self.pool = nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(2)
        self.dropout, self.head = nn.Dropout(), nn.Linear(4, 2)

    def forward(self, images):
        hidden = self.pool(self.relu(self.norm(self.stem(images))))
        hidden = functional.relu(self.branch(hidden)) + hidden
        hidden = torch.sigmoid(hidden) * 2
        hidden += 1
        return self.head(self.dropout(torch.flatten(functional.adaptive_avg_pool2d(hidden, 1), 1)))


def test_a_frozen_backbone_has_the_graph_that_it_has_when_it_is_trained(tmp_path):
    torch.manual_seed(0)
    model, images = Backbone(), torch.randn(2, 3, 8, 6)
    trained = plain_graph(model, images, tmp_path / "trace")
    for parameter in (*model.stem.parameters(), *model.norm.parameters(), *model.branch.parameters()):
        parameter.requires_grad_(False)
    # On a CPU autograd records a dropout as the multiplication that it is there.
    trained = [(name, "other:NativeDropout" if name == "dropout" else op, *rest) for name, op, *rest in trained]
    assert plain_graph(model, images, tmp_path / "trace") == trained
    assert len(trained) == 15

    class WithoutGradients(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.head = model, nn.Linear(2, 2)

        def forward(self, images):
            with torch.no_grad():
                features = self.backbone(images)
            return self.head(features)

    whole = WithoutGradients()
    whole.backbone.requires_grad_(False)
    ops = [op for _, op, _, _ in plain_graph(whole, images, tmp_path / "trace")]
    assert ops == [*(op for _, op, *_ in trained), "linear"]
    whole.backbone.eval()  # dropout does nothing
    ops = [op for _, op, _, _ in plain_graph(whole, images, tmp_path / "trace")]
    assert ops == [*(op for _, op, *_ in trained if op != "other:NativeDropout"), "linear"]


def test_an_addition_of_what_is_frozen_and_what_is_not(tmp_path):
    class Adapted(nn.Module):
        def __init__(self):
            super().__init__()
            self.base, self.adapter = nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 4)

        def forward(self, values):
            return self.base(values) + self.adapter(values)

    graph = {name: inputs for name, _, inputs, _ in plain_graph(Adapted(), torch.randn(3, 4), tmp_path / "trace")}
    assert set(graph["add"]) == {"base", "adapter"}


def test_a_scheme_on_the_users_model(tmp_path):
    model, images = users_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsify(model, optimizer, sparsity=0.6)
    seen = seen_by_hooks(model)
    with capture(model, tmp_path / "trace"):
        functional.relu(model(images)[0]).square().sum().backward()
    trace = swatsim.load_trace(tmp_path / "trace")
    layers = {layer.spec.name: layer for layer in trace}
    for name in ("twice", "twice:2", "decode", "last", "frozen"):
        passes, tensors = layers[name].passes, seen[name.partition(":")[0], 2 if name == "twice:2" else 1]
        kept = passes["forward"].operands["weight"]
        assert str(kept.sparsity) == "3/5"
        magnitude = tensors["weight"].abs().flatten()
        count = -(-2 * magnitude.numel() // 5)
        assert_bits(kept, tensors["weight"] * (tensors["weight"].abs() >= magnitude.topk(count).values[-1]), name)
        assert_bits(passes["forward"].operands["input"], tensors["input"], name)
        assert_bits(passes["input_grad"].operands["output_grad"], tensors["output_grad"], name)
        read = passes["weight_grad"].operands["input"]
        if name == "frozen":  # nothing is selected for a pass that nobody computes
            assert read.sparsity is None
            assert passes["weight_grad"].result_mask.nonzeros == 0
        else:
            magnitude = tensors["input"].abs().flatten()
            least = magnitude.topk(-(-2 * magnitude.numel() // 5)).values[-1]
            assert_bits(read, tensors["input"] * (tensors["input"].abs() >= least), name)
    selected = {
        row.layer
        for row in swatsim.simulate(swatsim.load_architecture("dadiannao"), trace, workers=1).streaming_records
        if row.pass_name == "select"
    }
    assert "frozen:input" not in selected
    assert "frozen:weight" not in selected
    assert {"twice:weight", "twice:input"} <= selected
    assert "twice:2:weight" not in selected  # one weight, one search


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_multiplies_what_autocast_rounds(tmp_path, sparse, dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    if sparse:
        sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1), sparsity=0)
    with torch.no_grad():
        model[0].weight[0, 0] = model[2].weight[1, 1] = 1e-9  # 0 in float16
    values, weights = torch.randn(5, 6), torch.tensor([1e-9, 1e-3, 1.0, 1.0])
    values[2, 3] = 1e-10
    seen = {}

    def watch(module, args, output):
        output.register_hook(lambda grad: seen.update(grad=grad))

    model[2].register_forward_hook(watch)
    for scale in (1.0, 65536.0):
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        with capture(model, tmp_path / "trace", overwrite=True):
            with torch.autocast("cpu", dtype):
                output = model(values)
            scaler.scale((output.float() * weights).sum()).backward()
        first, last = swatsim.load_trace(tmp_path / "trace")
        rounded = values.to(dtype)
        assert_bits(first.passes["forward"].operands["input"], rounded, "input")
        assert_bits(first.passes["forward"].operands["weight"], model[0].weight.detach().to(dtype), "weight")
        hidden = functional.relu(functional.linear(rounded, model[0].weight.to(dtype), model[0].bias.to(dtype)))
        assert_bits(last.passes["forward"].operands["input"], hidden.detach(), "hidden")
        assert_bits(last.passes["input_grad"].operands["weight"], model[2].weight.detach().to(dtype), "weight")
        expected = (weights * scale).to(dtype).expand(5, 4)
        assert_bits(last.passes["weight_grad"].operands["output_grad"], expected, "scaled gradient")
        assert torch.equal(seen["grad"], expected)
        # float16 flushes 1e-9 unless the loss is scaled; bfloat16 has float32's exponents.
        flushed = dtype == torch.float16 and scale == 1
        assert last.passes["weight_grad"].operands["output_grad"].bits.nonzeros == (15 if flushed else 20)


def test_autocast_leaves_float64_alone(tmp_path):
    model = nn.Linear(2, 2, bias=False).double()
    with capture(model, tmp_path / "trace"), torch.autocast("cpu", torch.float16):
        model(torch.tensor([[1e-30, 1.0]], dtype=torch.float64)).sum().backward()
    assert swatsim.load_trace(tmp_path / "trace").layer(0).passes["forward"].operands["input"].bits.nonzeros == 2


def test_a_tied_weight_may_be_read_through_one_of_its_modules_alone(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.first, self.again = nn.Embedding(7, 4), nn.Linear(4, 7), nn.Linear(4, 7)
            self.other = nn.Linear(4, 2)
            self.first.weight = self.again.weight = self.words.weight

        def forward(self, tokens):
            return self.first(self.words(tokens))

    model = Tied()
    with capture(model, tmp_path / "trace"):
        model(torch.tensor([[1, 2, 3]])).sum().backward()
    assert [spec.name for spec in swatsim.load_trace(tmp_path / "trace").specs] == ["first"]
    with capture(model, tmp_path / "words"):  # the embedding learns it, and multiplies nothing
        model.other(model.words(torch.tensor([[1, 2, 3]]))).sum().backward()
    assert [spec.name for spec in swatsim.load_trace(tmp_path / "words").specs] == ["other"]


def refused(model, path, body, message):
    with pytest.raises(CaptureError, match=message), capture(model, path):
        body()
    assert list(path.parent.iterdir()) == []


def test_what_is_refused_names_the_module(tmp_path):
    path = tmp_path / "trace"
    model, images = users_model()

    def accumulated():
        for _ in range(2):
            model(images)[0].sum().backward()

    refused(model, path, accumulated, r"^grouped: called again after its backward \(gradient accumulation\)")
    refused(model, path, lambda: model(images), "^stem: its output did not reach the loss in backward, nor did any")

    trained = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    def frozen_within():
        trained[0].requires_grad_(False)
        trained(torch.randn(3, 4)).sum().backward()

    refused(trained, path, frozen_within, "^0: its weight was frozen within the step")
    named = nn.ModuleDict({"fc": nn.Linear(2, 2), "fc:2": nn.Linear(2, 2)})
    refused(named, path, lambda: None, "^fc:2: got a layer of this name")

    block = nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.ReLU())
    whole = nn.Sequential(nn.Linear(4, 4), block)

    def reentrant():
        hidden = whole[0](torch.randn(3, 4))
        torch.utils.checkpoint.checkpoint(block, hidden, use_reentrant=True).sum().backward()

    refused(whole, path, reentrant, r"^1\.0: has gradients only where it is recomputed \(use_reentrant=True\)")
