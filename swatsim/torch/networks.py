"""The networks of swatsim.networks as torch modules: the same description, executed node by node."""

from collections.abc import Callable
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from swatsim.networks import NetworkShapes, Node, network_shapes


def build(network: str | NetworkShapes, *, classes: int | None = None) -> nn.Module:
    """A torch module of a network: any batch size, usual initialisation (He's for convolutions).

    Every node with parameters is a submodule under its own name. Raises SwatsimError for an unknown name.
    """
    shapes = network_shapes(network, classes=classes) if isinstance(network, str) else network
    return GraphModule(shapes)


class GraphModule(nn.Module):
    """Executes a network's nodes in order; the result is the last node's."""

    def __init__(self, shapes: NetworkShapes) -> None:
        super().__init__()
        self.nodes = shapes.nodes
        before = {node.name: node.shape for node in shapes.nodes}
        for node in self.nodes[1:]:
            _attach(self, node.name, _MODULES[node.op](node, *(before[name] for name in node.inputs)))

    def forward(self, input: Tensor) -> Tensor:
        """One image or sequence a row of the batch."""
        results = {self.nodes[0].name: input}
        for node in self.nodes[1:]:
            module = self.get_submodule(f"{node.name}.{_OWN}" if _shadowed(node.name, self.nodes) else node.name)
            results[node.name] = module(*(results[name] for name in node.inputs))
        return results[self.nodes[-1].name]


# A node whose name is the beginning of another's, such as blocks.0.attn of blocks.0.attn.qkv.
_OWN = "own"


def _shadowed(name: str, nodes: tuple[Node, ...]) -> bool:
    return any(node.name.startswith(f"{name}.") for node in nodes)


def _attach(root: nn.Module, name: str, module: nn.Module) -> None:
    *path, last = name.split(".")
    parent = root
    for part in path:
        if part not in parent._modules:
            parent.add_module(part, nn.Module())
        parent = cast(nn.Module, parent._modules[part])
    if last in parent._modules:
        cast(nn.Module, parent._modules[last]).add_module(_OWN, module)
    else:
        parent.add_module(last, module)


class _Apply(nn.Module):
    """A function without parameters."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._function(*inputs)


class _Tokens(nn.Module):
    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, length, width), std=0.02))

    def forward(self, input: Tensor) -> Tensor:
        positions = input.flatten(2).transpose(1, 2)
        return torch.cat([self.cls_token.expand(len(input), -1, -1), positions], 1) + self.pos_embed


def _attention(input: Tensor, heads: int) -> Tensor:
    images, length, width = input.shape
    split = input.view(images, length, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(split[0], split[1], split[2])
    return mixed.transpose(1, 2).reshape(images, length, width // 3)


def _convolution(node: Node, before: tuple[int, ...]) -> nn.Module:
    module = nn.Conv2d(
        before[1], node.shape[1], node.setting("kernel"), node.setting("stride"), node.setting("padding"),
        groups=node.setting("groups"), bias=bool(node.setting("bias")),
    )  # fmt: skip
    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return module


def _pool(function: Callable[..., Tensor]) -> Callable[..., nn.Module]:
    def make(node: Node, _: tuple[int, ...]) -> nn.Module:
        kernel = node.setting("kernel")
        if kernel == 0:
            return nn.AdaptiveAvgPool2d(1)
        stride, padding = node.setting("stride"), node.setting("padding")
        return _Apply(lambda input: function(input, kernel, stride, padding))

    return make


_MODULES: dict[str, Callable[..., nn.Module]] = {
    "conv2d": _convolution,
    "linear": lambda node, before: nn.Linear(before[-1], node.shape[-1], bias=bool(node.setting("bias"))),
    "batch_norm": lambda node, before: nn.BatchNorm2d(before[1]),
    "layer_norm": lambda node, before: nn.LayerNorm(before[-1]),
    "relu": lambda node, before: nn.ReLU(),
    "other:Hardtanh": lambda node, before: nn.ReLU6(),
    "gelu": lambda node, before: nn.GELU(),
    "max_pool": _pool(functional.max_pool2d),
    "avg_pool": _pool(functional.avg_pool2d),
    "add": lambda node, *before: _Apply(lambda *inputs: reduce(torch.add, inputs)),
    "concatenate": lambda node, *before: _Apply(lambda *inputs: torch.cat(inputs, 1)),
    "flatten": lambda node, before: nn.Flatten(),
    "other:Tokens": lambda node, before: _Tokens(*node.shape[1:]),
    "other:Attention": lambda node, before: _Apply(lambda input: _attention(input, node.setting("heads"))),
    "other:Select": lambda node, before: _Apply(lambda input: input[:, 0]),
    "other:Mean": lambda node, before: _Apply(lambda input: input.mean(1)),
}
