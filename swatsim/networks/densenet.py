"""DenseNet-121.

Source: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017. For CIFAR a 3x3 stem of stride 1 and no max
pooling, as usual.
"""

from __future__ import annotations

from swatsim.networks.builder import Builder
from swatsim.networks.registry import register

_SOURCE = "Huang et al., Densely Connected Convolutional Networks, CVPR 2017"
_LAYERS = (6, 12, 24, 16)
_GROWTH = 32


def _dense_layer(net: Builder, prefix: str, of: str) -> str:
    output = net.relu(f"{prefix}.relu1", net.batch_norm(f"{prefix}.norm1", of))
    output = net.convolution(f"{prefix}.conv1", output, 4 * _GROWTH, 1)
    output = net.relu(f"{prefix}.relu2", net.batch_norm(f"{prefix}.norm2", output))
    return net.concatenate(f"{prefix}.cat", of, net.convolution(f"{prefix}.conv2", output, _GROWTH, 3))


def _densenet(net: Builder, classes: int, output: str) -> None:
    for block, count in enumerate(_LAYERS, start=1):
        for index in range(count):
            output = _dense_layer(net, f"features.denseblock{block}.denselayer{index + 1}", output)
        if block < len(_LAYERS):
            prefix = f"features.transition{block}"
            output = net.relu(f"{prefix}.relu", net.batch_norm(f"{prefix}.norm", output))
            output = net.convolution(f"{prefix}.conv", output, net.shape(output)[1] // 2, 1)
            output = net.avg_pool(f"{prefix}.pool", output, 2)
    output = net.relu("features.relu5", net.batch_norm("features.norm5", output))
    net.linear("classifier", net.flatten("flatten", net.global_avg_pool("avgpool", output)), classes)


@register("densenet121", title="DenseNet-121", source=_SOURCE, input_shape=(3, 224, 224), classes=1000)
def _densenet121(net: Builder, classes: int) -> None:
    output = net.convolution("features.conv0", "input", 2 * _GROWTH, 7, stride=2)
    output = net.relu("features.relu0", net.batch_norm("features.norm0", output))
    _densenet(net, classes, net.max_pool("features.pool0", output, 3, 2, 1))


@register("densenet121-cifar", title="DenseNet-121 for 32 x 32", source=_SOURCE, input_shape=(3, 32, 32), classes=10)
def _densenet121_cifar(net: Builder, classes: int) -> None:
    _densenet(net, classes, net.convolution("features.conv0", "input", 2 * _GROWTH, 3))
