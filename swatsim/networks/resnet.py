"""Residual networks.

Sources: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; version 1.5 puts the stride of a
bottleneck on its 3x3. Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016. For CIFAR a 3x3 stem of stride 1
and no max pooling, as usual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from swatsim.networks.builder import Builder
from swatsim.networks.registry import register

_HE = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016"
_WIDE = "Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016"
Block = Callable[[Builder, str, str, int, int], str]
_IMAGENET = (3, 224, 224)
_CIFAR = (3, 32, 32)


def _normalised(net: Builder, names: tuple[str, str], of: str, filters: int, kernel: int, stride: int = 1) -> str:
    conv, norm = names
    return net.batch_norm(norm, net.convolution(conv, of, filters, kernel, stride=stride))


def _step(prefix: str, index: int) -> tuple[str, str]:
    return f"{prefix}.conv{index}", f"{prefix}.bn{index}"


def _shortcut(net: Builder, prefix: str, of: str, outputs: int, stride: int) -> str:
    if stride == 1 and net.shape(of)[1] == outputs:
        return of
    return _normalised(net, (f"{prefix}.downsample.0", f"{prefix}.downsample.1"), of, outputs, 1, stride)


def _basic(net: Builder, prefix: str, of: str, width: int, stride: int) -> str:
    output = net.relu(f"{prefix}.relu1", _normalised(net, _step(prefix, 1), of, width, 3, stride))
    output = _normalised(net, _step(prefix, 2), output, width, 3)
    return net.relu(f"{prefix}.relu2", net.add(f"{prefix}.add", output, _shortcut(net, prefix, of, width, stride)))


def _bottleneck(net: Builder, prefix: str, of: str, width: int, stride: int, *, widening: int = 1) -> str:
    """The 1x1 and the 3x3 have `widening` times `width`, the result four times `width`."""
    inside = width * widening
    output = net.relu(f"{prefix}.relu1", _normalised(net, _step(prefix, 1), of, inside, 1))
    output = net.relu(f"{prefix}.relu2", _normalised(net, _step(prefix, 2), output, inside, 3, stride))
    output = _normalised(net, _step(prefix, 3), output, 4 * width, 1)
    return net.relu(f"{prefix}.relu3", net.add(f"{prefix}.add", output, _shortcut(net, prefix, of, 4 * width, stride)))


def _resnet(net: Builder, classes: int, block: Block, blocks: Sequence[int], *, cifar: bool = False) -> None:
    output = _normalised(net, ("conv1", "bn1"), "input", 64, 3 if cifar else 7, 1 if cifar else 2)
    output = net.relu("relu", output)
    if not cifar:
        output = net.max_pool("maxpool", output, 3, 2, 1)
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if stage and not index else 1
            output = block(net, f"layer{stage + 1}.{index}", output, 64 << stage, stride)
    net.linear("fc", net.flatten("flatten", net.global_avg_pool("avgpool", output)), classes)


@register("resnet18", title="ResNet-18", source=_HE, input_shape=_IMAGENET, classes=1000)
def _resnet18(net: Builder, classes: int) -> None:
    _resnet(net, classes, _basic, (2, 2, 2, 2))


@register("resnet18-cifar", title="ResNet-18 for 32 x 32", source=_HE, input_shape=_CIFAR, classes=10)
def _resnet18_cifar(net: Builder, classes: int) -> None:
    _resnet(net, classes, _basic, (2, 2, 2, 2), cifar=True)


@register("resnet50", title="ResNet-50 v1.5", source=_HE, input_shape=_IMAGENET, classes=1000)
def _resnet50(net: Builder, classes: int) -> None:
    _resnet(net, classes, _bottleneck, (3, 4, 6, 3))


@register("wrn-50-2", title="WRN-50-2", source=_WIDE, input_shape=_IMAGENET, classes=1000)
def _wrn_50_2(net: Builder, classes: int) -> None:
    _resnet(net, classes, partial(_bottleneck, widening=2), (3, 4, 6, 3))


@register("wrn-16-8-cifar", title="WRN-16-8", source=_WIDE, input_shape=_CIFAR, classes=10)
def _wrn_16_8(net: Builder, classes: int) -> None:
    """Blocks normalise before they convolve; a shortcut that changes channels reads what the block has normalised."""
    output = net.convolution("conv1", "input", 16, 3)
    for stage in range(3):
        for index in range(2):
            prefix, width, stride = f"layer{stage + 1}.{index}", 128 << stage, 2 if stage and not index else 1
            ready = net.relu(f"{prefix}.relu1", net.batch_norm(f"{prefix}.bn1", output))
            inside = net.convolution(f"{prefix}.conv1", ready, width, 3, stride=stride)
            inside = net.relu(f"{prefix}.relu2", net.batch_norm(f"{prefix}.bn2", inside))
            inside = net.convolution(f"{prefix}.conv2", inside, width, 3)
            if net.shape(output)[1] != width:
                output = net.convolution(f"{prefix}.shortcut", ready, width, 1, stride=stride)
            output = net.add(f"{prefix}.add", inside, output)
    output = net.relu("relu", net.batch_norm("bn1", output))
    net.linear("fc", net.flatten("flatten", net.global_avg_pool("avgpool", output)), classes)
