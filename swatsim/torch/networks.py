"""The networks of swatsim.networks as torch modules: the same description, executed node by node.

Attention is torch's scaled_dot_product_attention: its two products have no weights, and are captured as no layers.
"""

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from swatsim.errors import SwatsimError
from swatsim.networks import NetworkShapes, Node, network_shapes

# The place of a node whose name is the beginning of another's, such as blocks.0.attn of blocks.0.attn.qkv.
_OWN = "own"


def build(network: str | NetworkShapes, *, classes: int | None = None) -> nn.Module:
    """A torch module of a network: any batch size, usual initialisation (He's for convolutions).

    Every node is a submodule under its own name, so that a captured step has the description's names.
    Raises SwatsimError for an unknown name, and for `classes` beside shapes, which have theirs.
    """
    if isinstance(network, str):
        return GraphModule(network_shapes(network, classes=classes))
    if not isinstance(network, NetworkShapes):
        raise SwatsimError(f"network: got {network!r}, expected a name or shapes")
    if classes is not None:
        raise SwatsimError(f"classes: got {classes} beside the shapes of {network.name}, expected them in the shapes")
    return GraphModule(network)


class GraphModule(nn.Module):
    """Executes a network's nodes in order; the result is the last node's."""

    def __init__(self, shapes: NetworkShapes) -> None:
        super().__init__()
        self.nodes = shapes.nodes
        shape_of = {node.name: node.shape for node in self.nodes}
        folders = {name[:end] for name in shape_of for end, letter in enumerate(name) if letter == "."}
        self._paths = {name: f"{name}.{_OWN}" if name in folders else name for name in shape_of}
        for node in self.nodes[1:]:
            before = shape_of[node.inputs[0]]
            module = _MODULES[node.op](node, before) if node.op in _MODULES else _Function(node)
            self._attach(self._paths[node.name], module)

    def forward(self, input: Tensor) -> Tensor:
        """One image or sequence a row of the batch."""
        results = {self.nodes[0].name: input}
        for node in self.nodes[1:]:
            module = self.get_submodule(self._paths[node.name])
            results[node.name] = module(*(results[name] for name in node.inputs))
        return results[self.nodes[-1].name]

    def _attach(self, path: str, module: nn.Module) -> None:
        *folders, last = path.split(".")
        parent: nn.Module = self
        for folder in folders:
            if folder not in parent._modules:
                parent.add_module(folder, nn.Module())
            parent = parent.get_submodule(folder)
        parent.add_module(last, module)


class _Function(nn.Module):
    """A node without parameters that torch has no module for."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node

    def forward(self, *inputs: Tensor) -> Tensor:
        return _FUNCTIONS[self.node.op](self.node, *inputs)


class _Tokens(nn.Module):
    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, length, width), std=0.02))

    def forward(self, input: Tensor) -> Tensor:
        positions = input.flatten(2).transpose(1, 2)
        return torch.cat([self.cls_token.expand(len(input), -1, -1), positions], 1) + self.pos_embed


def _attention(node: Node, input: Tensor) -> Tensor:
    images, length, width = input.shape
    heads = node.settings["heads"]
    split = input.view(images, length, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(split[0], split[1], split[2])
    return mixed.transpose(1, 2).reshape(images, length, width // 3)


def _convolution(node: Node, before: tuple[int, ...]) -> nn.Module:
    settings = node.settings
    module = nn.Conv2d(
        before[1], node.shape[1], settings["kernel"], settings["stride"], settings["padding"],
        groups=settings["groups"], bias=bool(settings["bias"]),
    )  # fmt: skip
    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return module


def _max_pool(node: Node, _: tuple[int, ...]) -> nn.Module:
    return nn.MaxPool2d(node.settings["kernel"], node.settings["stride"], node.settings["padding"])


def _avg_pool(node: Node, _: tuple[int, ...]) -> nn.Module:
    kernel = node.settings["kernel"]
    return (
        nn.AvgPool2d(kernel, node.settings["stride"], node.settings["padding"]) if kernel else nn.AdaptiveAvgPool2d(1)
    )


# From the node and the shape of what it reads first.
_MODULES: dict[str, Callable[[Node, tuple[int, ...]], nn.Module]] = {
    "conv2d": _convolution,
    "linear": lambda node, before: nn.Linear(before[-1], node.shape[-1], bias=bool(node.settings["bias"])),
    "batch_norm": lambda _, before: nn.BatchNorm2d(before[1]),
    "layer_norm": lambda _, before: nn.LayerNorm(before[-1]),
    "relu": lambda *_: nn.ReLU(),
    "other:Hardtanh": lambda *_: nn.ReLU6(),
    "gelu": lambda *_: nn.GELU(),
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "flatten": lambda *_: nn.Flatten(),
    "other:Tokens": lambda node, _: _Tokens(*node.shape[1:]),
}

_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": lambda _, *inputs: reduce(torch.add, inputs),
    "concatenate": lambda _, *inputs: torch.cat(inputs, 1),
    "other:Attention": _attention,
    "other:Select": lambda _, input: input[:, 0],
    "other:Mean": lambda _, input: input.mean(1),
}
