"""VGG-16.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015. For
CIFAR with batch norm and, as usual, one linear layer instead of three.
"""

from __future__ import annotations

from swatsim.networks.builder import Builder
from swatsim.networks.registry import register

_SOURCE = "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015"
_CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0: pooling


def _features(net: Builder, *, norm: bool) -> str:
    output, index = "input", 0
    for filters in _CHANNELS:
        if filters == 0:
            output = net.max_pool(f"features.{index}", output, 2, 2)
            index += 1
            continue
        output = net.convolution(f"features.{index}", output, filters, 3, bias=not norm)
        if norm:
            output = net.batch_norm(f"features.{index + 1}", output)
        index += 2 if norm else 1
        output = net.relu(f"features.{index}", output)
        index += 1
    return output


def _three_linear(net: Builder, of: str, classes: int) -> None:
    output = net.flatten("flatten", of)
    for index in (0, 3):  # a dropout stands behind each ReLU
        output = net.relu(f"classifier.{index + 1}", net.linear(f"classifier.{index}", output, 4096))
    net.linear("classifier.6", output, classes)


@register("vgg16", title="VGG-16", source=_SOURCE, input_shape=(3, 224, 224), classes=1000)
def _vgg16(net: Builder, classes: int) -> None:
    _three_linear(net, _features(net, norm=False), classes)


@register(
    "vgg16-cifar", title="VGG-16 with batch norm for 32 x 32", source=_SOURCE, input_shape=(3, 32, 32), classes=10
)
def _vgg16_cifar(net: Builder, classes: int) -> None:
    net.linear("classifier", net.flatten("flatten", _features(net, norm=True)), classes)


@register(
    "vgg16-4096-cifar", title="VGG-16 with batch norm and its three linear layers for 32 x 32", source=_SOURCE,
    input_shape=(3, 32, 32), classes=10,
)  # fmt: skip
def _vgg16_4096_cifar(net: Builder, classes: int) -> None:
    """The one whose multiplications SWAT's figures for VGG-16 count."""
    _three_linear(net, _features(net, norm=True), classes)
