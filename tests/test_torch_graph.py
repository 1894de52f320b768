"""The graph between the layers, read from autograd: modules by their names, functional calls too."""

import pytest

torch = pytest.importorskip("torch", reason="capture needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from swatsim.torch import capture, sparsify  # noqa: E402
from swatsim.trace import load_trace  # noqa: E402


class Block(nn.Module):
    """A residual block as users write them: modules, functional calls and operations in place."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.branch = nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, images):
        hidden = functional.max_pool2d(self.relu(self.norm(self.stem(images))), 2)
        hidden = functional.relu(self.branch(hidden)) + hidden
        hidden = torch.sigmoid(hidden)
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(hidden, 1), 1))


def graph_of(model, path, images):
    with capture(model, path):
        model(images).sum().backward()
    return load_trace(path).graph


@pytest.mark.parametrize("sparse", [False, True])
def test_every_node_between_the_layers(tmp_path, sparse):
    model = Block()
    if sparse:
        sparsify(model, torch.optim.SGD(model.parameters(), lr=0.1))
    nodes = graph_of(model, tmp_path / "trace", torch.randn(2, 3, 8, 6))
    assert [(node.name, node.op, node.inputs, node.shape) for node in nodes] == [
        ("input", "input", (), (2, 3, 8, 6)),
        ("stem", "conv2d", ("input",), (2, 4, 8, 6)),
        ("norm", "batch_norm", ("stem",), (2, 4, 8, 6)),
        ("relu", "relu", ("norm",), (2, 4, 8, 6)),
        ("max_pool", "max_pool", ("relu",), (2, 4, 4, 3)),
        ("branch", "conv2d", ("max_pool",), (2, 4, 4, 3)),
        ("relu_2", "relu", ("branch",), (2, 4, 4, 3)),
        ("add", "add", ("relu_2", "max_pool"), (2, 4, 4, 3)),
        ("sigmoid", "other:Sigmoid", ("add",), (2, 4, 4, 3)),
        ("avg_pool", "avg_pool", ("sigmoid",), (2, 4, 1, 1)),
        ("flatten", "flatten", ("avg_pool",), (2, 4)),
        ("fc", "linear", ("flatten",), (2, 2)),
    ]


def test_two_networks_inputs_and_two_outputs(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(3, 4), nn.Linear(5, 4)

        def forward(self, values):
            left, right = self.left(values[0]), self.right(values[1])
            return {"sum": torch.cat([left, right], 1), "left": functional.relu(left)}

    model = Two()
    with capture(model, tmp_path / "trace"):
        output = model((torch.randn(2, 3), torch.randn(2, 5)))
        (output["sum"].sum() + output["left"].sum()).backward()
    nodes = {node.name: node for node in load_trace(tmp_path / "trace").graph}
    assert nodes["left"].inputs == ("input",)
    assert nodes["right"].inputs == ("input_2",)
    assert nodes["concatenate"].inputs == ("left", "right")
    assert nodes["relu"].inputs == ("left",)


def test_attention_by_hand_and_layer_norm(tmp_path):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.all, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

        def forward(self, tokens):
            query, key, value = self.all(self.norm(tokens)).chunk(3, -1)
            return self.out(torch.softmax(query @ key.transpose(1, 2), -1) @ value) + tokens

    nodes = {node.name: node for node in graph_of(Attention(), tmp_path / "trace", torch.randn(2, 5, 8))}
    assert nodes["all"].op == "linear"
    assert nodes["softmax"].inputs
    assert nodes["out"].op == "linear"
    assert nodes["add"].inputs == ("out",)


def test_what_stands_before_the_first_layer(tmp_path):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.fc = nn.Embedding(9, 4), nn.Linear(4, 2)
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, tokens):
            return self.fc(self.embedding(tokens) * torch.sigmoid(self.scale))

    nodes = graph_of(Tokens(), tmp_path / "tokens", torch.tensor([[1, 2, 3]]))
    assert [(node.name, node.inputs, node.shape) for node in nodes] == [
        ("input", (), (1, 3)),
        ("embedding", ("input",), (1, 3, 4)),
        ("mul", ("embedding",), (1, 3, 4)),
        ("fc", ("mul",), (1, 3, 2)),
    ]
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    nodes = graph_of(model, tmp_path / "norm", torch.randn(3, 4))
    assert [(node.op, node.inputs) for node in nodes] == [("input", ()), ("batch_norm", ("input",)), ("linear", ("0",))]


def test_a_deep_network_does_not_exhaust_pythons_recursion(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), *[nn.Tanh() for _ in range(3000)])
    assert len(graph_of(model, tmp_path / "trace", torch.randn(1, 2))) == 3002
