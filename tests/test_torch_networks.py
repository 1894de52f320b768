"""Networks as torch modules: what is captured of one training step is what the shapes say."""

import pytest

torch = pytest.importorskip("torch", reason="sparse training needs the extra: pip install 'swatsim[torch]'")
torch.set_num_threads(1)  # small tensors: more threads only wait for each other

from torch.nn import functional  # noqa: E402

import swatsim  # noqa: E402
from swatsim.layer import KINDS  # noqa: E402
from swatsim.networks import NETWORKS, network_names, network_shapes  # noqa: E402
from swatsim.torch import capture  # noqa: E402
from swatsim.torch.networks import build  # noqa: E402

OPERATIONS = ("batch_norm", "layer_norm", "relu", "other:Hardtanh", "gelu", "max_pool", "avg_pool")
# Of 224 x 224 pixels those that take a second; the others differ by their stems from those for 32 x 32.
QUICK = ("resnet18", "mobilenet-v2", "vit-tiny", "transformer-encoder")


@pytest.mark.parametrize("name", [name for name in network_names() if name.endswith("-cifar") or name in QUICK])
def test_a_captured_step_has_the_shapes(tmp_path, name):
    torch.manual_seed(1)
    shapes = network_shapes(name, images=2)
    model = build(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == shapes.parameters
    with capture(model, tmp_path / "trace"):
        output = model(torch.randn(2, *NETWORKS[name].input_shape))
        functional.cross_entropy(output, torch.tensor([0, 1])).backward()
    trace = swatsim.load_trace(tmp_path / "trace")
    assert {spec.name: spec for spec in trace.specs} == {spec.name: spec for spec in shapes.layers}
    assert _between(trace.graph) == _between(shapes.graph)


def _between(graph):
    """For each layer, the operations on the ways back to the layers before it: whatever the nodes are called."""
    nodes = {node.name: node for node in graph}

    def ways(name):
        node = nodes[name]
        if node.op in KINDS:
            return {(node.name,)}
        if node.op == "input":
            return {("input",)}
        # What attention and tokens do inside has many names.
        own = (node.op,) if node.op in OPERATIONS else ()
        return {way + own for each in node.inputs for way in ways(each)}

    return {node.name: frozenset().union(*map(ways, node.inputs)) for node in graph if node.op in KINDS}
