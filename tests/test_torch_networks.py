"""Networks as torch modules: what is captured of a step is what the shapes say, and outputs are those of plain code."""

import pickle

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

import swatsim  # noqa: E402
from swatsim.errors import SwatsimError  # noqa: E402
from swatsim.networks import NETWORKS, network_names, network_shapes  # noqa: E402
from swatsim.torch import capture  # noqa: E402
from swatsim.torch.networks import build  # noqa: E402

# A second or so each; the larger ones have the same blocks.
QUICK = [name for name in network_names() if network_shapes(name).macs < 1_600_000_000]
COMPOUND = ("other:Tokens", "other:Attention")  # several nodes to autograd


@pytest.mark.parametrize("name", QUICK)
def test_a_captured_step_is_the_description(tmp_path, name):
    torch.manual_seed(1)
    shapes = network_shapes(name, images=2)
    model = build(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == shapes.parameters
    with capture(model, tmp_path / "trace"):
        output = model(torch.randn(2, *NETWORKS[name].input_shape))
        functional.cross_entropy(output, torch.tensor([0, 1])).backward()
    trace = swatsim.load_trace(tmp_path / "trace")
    assert tuple(trace.specs) == shapes.layers
    simple = {node.name for node in shapes.graph if node.op not in COMPOUND}
    assert _only(simple, trace.graph) == _only(simple, shapes.graph)


def _only(names, graph):
    """Operation, inputs and shape of the named nodes; an input that is not among them is what it reads."""
    stands_for = {}
    for node in graph:
        inputs = dict.fromkeys(name for each in node.inputs for name in stands_for[each])
        stands_for[node.name] = (node.name,) if node.name in names else tuple(inputs)
    return {
        node.name: (node.op, tuple(name for each in node.inputs for name in stands_for[each]), node.shape)
        for node in graph
        if node.name in names
    }


class Plain:
    """A model's parameters, read by name; everything in float64."""

    def __init__(self, name):
        torch.manual_seed(2)
        self.model = build(name).double().eval()
        for parameter in self.model.parameters():
            if parameter.dim() == 1:  # those that begin as 0 or 1 hide which one they are
                nn.init.uniform_(parameter, 0.5, 1.5)
        self.state = self.model.state_dict()
        for key, values in self.state.items():
            if "running" in key:
                values.uniform_(0.5, 1.5)

    def conv(self, name, input, **settings):
        return functional.conv2d(input, self.state[f"{name}.weight"], **settings)

    def norm(self, name, input):
        keys = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(input, *(self.state[f"{name}.{key}"] for key in keys))

    def norm_relu(self, name, input):
        return functional.relu(self.norm(name, input))

    def linear(self, name, input):
        return functional.linear(input, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def check(self, function, *shape):
        input = torch.randn(2, *shape, dtype=torch.float64)
        with torch.no_grad():
            assert torch.allclose(self.model(input), function(self, input), rtol=1e-9)


def resnet50(net, hidden):
    hidden = functional.max_pool2d(net.norm_relu("bn1", net.conv("conv1", hidden, stride=2, padding=3)), 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            output = net.norm_relu(f"{at}.bn1", net.conv(f"{at}.conv1", hidden))
            output = net.norm_relu(f"{at}.bn2", net.conv(f"{at}.conv2", output, stride=stride, padding=1))
            output = net.norm(f"{at}.bn3", net.conv(f"{at}.conv3", output))
            if block == 0:
                hidden = net.norm(f"{at}.downsample.1", net.conv(f"{at}.downsample.0", hidden, stride=stride))
            hidden = functional.relu(output + hidden)
    return net.linear("fc", hidden.mean((2, 3)))


def wrn_16_8(net, hidden):
    hidden = net.conv("conv1", hidden, padding=1)
    for stage in (1, 2, 3):
        for block in range(2):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            ready = net.norm_relu(f"{at}.bn1", hidden)
            output = net.norm_relu(f"{at}.bn2", net.conv(f"{at}.conv1", ready, stride=stride, padding=1))
            shortcut = net.conv(f"{at}.shortcut", ready, stride=stride) if block == 0 else hidden
            hidden = net.conv(f"{at}.conv2", output, padding=1) + shortcut
    return net.linear("fc", net.norm_relu("bn1", hidden).mean((2, 3)))


def densenet(net, hidden):
    hidden = net.conv("features.conv0", hidden, padding=1)
    for block, layers in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, layers + 1):
            at = f"features.denseblock{block}.denselayer{layer}"
            output = net.norm_relu(f"{at}.norm2", net.conv(f"{at}.conv1", net.norm_relu(f"{at}.norm1", hidden)))
            hidden = torch.cat([hidden, net.conv(f"{at}.conv2", output, padding=1)], 1)
        if block < 4:
            at = f"features.transition{block}"
            hidden = functional.avg_pool2d(net.conv(f"{at}.conv", net.norm_relu(f"{at}.norm", hidden)), 2)
    return net.linear("classifier", net.norm_relu("features.norm5", hidden).mean((2, 3)))


def mobilenet(net, hidden):
    def relu6(name, input):
        return net.norm(name, input).clamp(0, 6)

    hidden = relu6("features.0.1", net.conv("features.0.0", hidden, padding=1))
    strides = [1, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    for index, stride in enumerate(strides, start=1):
        at, output = f"features.{index}.conv", hidden
        if index > 1:
            output = relu6(f"{at}.0.1", net.conv(f"{at}.0.0", output))
        first = int(index > 1)
        output = net.conv(f"{at}.{first}.0", output, stride=stride, padding=1, groups=output.shape[1])
        output = net.conv(f"{at}.{first + 1}", relu6(f"{at}.{first}.1", output))
        output = net.norm(f"{at}.{first + 2}", output)
        hidden = output + hidden if output.shape == hidden.shape else output
    hidden = relu6("features.18.1", net.conv("features.18.0", hidden))
    return net.linear("classifier.1", hidden.mean((2, 3)))


def blocks(net, hidden, count, heads):
    """torch's own encoder layer, given the weights."""
    width = hidden.shape[-1]
    theirs = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    names = {
        "self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.", "linear1.": "mlp.fc1.",
        "linear2.": "mlp.fc2.", "norm1.": "norm1.", "norm2.": "norm2.",
    }  # fmt: skip
    for block in range(count):
        theirs.load_state_dict({
            their + what: net.state[f"blocks.{block}.{our}{what}"]
            for their, our in names.items() for what in ("weight", "bias")
        })  # fmt: skip
        hidden = theirs(hidden)
    return functional.layer_norm(hidden, (width,), net.state["norm.weight"], net.state["norm.bias"])


def vit_tiny(net, images):
    patches = images.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 1, 4, 5).reshape(2, 196, 768)
    hidden = patches @ net.state["patch_embed.proj.weight"].reshape(192, 768).T + net.state["patch_embed.proj.bias"]
    hidden = torch.cat([net.state["tokens.cls_token"].repeat(2, 1, 1), hidden], 1) + net.state["tokens.pos_embed"]
    return net.linear("head", blocks(net, hidden, 12, 3)[:, 0])


def transformer_encoder(net, sequences):
    return net.linear("head", blocks(net, net.linear("embed", sequences), 4, 4).mean(1))


@pytest.mark.parametrize(
    ("name", "function", "shape"),
    [
        ("resnet50", resnet50, (3, 64, 64)),
        ("wrn-16-8-cifar", wrn_16_8, (3, 32, 32)),
        ("densenet121-cifar", densenet, (3, 32, 32)),
        ("mobilenet-v2-cifar", mobilenet, (3, 32, 32)),
        ("vit-tiny", vit_tiny, (3, 224, 224)),
        ("transformer-encoder", transformer_encoder, (128, 64)),
    ],
)
def test_outputs_are_those_of_plain_code(name, function, shape):
    Plain(name).check(function, *shape)


def test_a_module_is_copied_like_any_other():
    model = build("mobilenet-v2-cifar", classes=3).eval()
    images = torch.randn(1, 3, 32, 32)
    copy = pickle.loads(pickle.dumps(model))
    assert copy(images).shape == (1, 3)
    assert torch.equal(copy(images), model(images))


def test_mistakes_are_named():
    with pytest.raises(SwatsimError, match="network: got 'resnet51', expected one of "):
        build("resnet51")
    with pytest.raises(SwatsimError, match="classes: got 3 beside the shapes of resnet18, expected them in the shapes"):
        build(network_shapes("resnet18"), classes=3)
