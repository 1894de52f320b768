"""MobileNetV2: inverted residuals with depthwise convolutions.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, table 2. For CIFAR the
stem and the second stage have stride 1, as usual.
"""

from __future__ import annotations

from swatsim.networks.builder import Builder
from swatsim.networks.registry import register

_SOURCE = "Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018"
# Expansion, channels, blocks, stride of the first block.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _normalised(net: Builder, prefix: str, convolution: str) -> str:
    return net.relu6(f"{prefix}.2", net.batch_norm(f"{prefix}.1", convolution))


def _pointwise(net: Builder, prefix: str, of: str, filters: int) -> str:
    return _normalised(net, prefix, net.convolution(f"{prefix}.0", of, filters, 1))


def _depthwise(net: Builder, prefix: str, of: str, stride: int) -> str:
    channels = net.shape(of)[1]
    return _normalised(net, prefix, net.convolution(f"{prefix}.0", of, channels, 3, stride=stride, groups=channels))


def _inverted_residual(net: Builder, prefix: str, of: str, outputs: int, expansion: int, stride: int) -> str:
    inputs = net.shape(of)[1]
    output, index = of, 0
    if expansion > 1:
        output, index = _pointwise(net, f"{prefix}.conv.0", of, expansion * inputs), 1
    output = _depthwise(net, f"{prefix}.conv.{index}", output, stride)
    output = net.convolution(f"{prefix}.conv.{index + 1}", output, outputs, 1)
    output = net.batch_norm(f"{prefix}.conv.{index + 2}", output)
    return net.add(f"{prefix}.add", of, output) if stride == 1 and inputs == outputs else output


def _mobilenet(net: Builder, classes: int, *, cifar: bool) -> None:
    stem = net.convolution("features.0.0", "input", 32, 3, stride=1 if cifar else 2)
    output = _normalised(net, "features.0", stem)
    index = 1
    for stage, (expansion, channels, count, first_stride) in enumerate(_STAGES):
        for block in range(count):
            stride = 1 if block or (cifar and stage == 1) else first_stride
            output = _inverted_residual(net, f"features.{index}", output, channels, expansion, stride)
            index += 1
    output = _pointwise(net, f"features.{index}", output, 1280)
    net.linear("classifier.1", net.flatten("flatten", net.global_avg_pool("avgpool", output)), classes)


@register("mobilenet-v2", title="MobileNetV2", source=_SOURCE, input_shape=(3, 224, 224), classes=1000)
def _mobilenet_v2(net: Builder, classes: int) -> None:
    _mobilenet(net, classes, cifar=False)


@register("mobilenet-v2-cifar", title="MobileNetV2 for 32 x 32", source=_SOURCE, input_shape=(3, 32, 32), classes=10)
def _mobilenet_v2_cifar(net: Builder, classes: int) -> None:
    _mobilenet(net, classes, cifar=True)
