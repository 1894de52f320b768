"""AlexNet.

Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", NeurIPS 2012: two groups
in its second, fourth and fifth convolution, 227 x 227 pixels. Its local response normalisations are left out.
"""

from __future__ import annotations

from swatsim.networks.builder import Builder
from swatsim.networks.registry import register

_SOURCE = (
    "Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, NeurIPS 2012; without its "
    "local response normalisations"
)


@register("alexnet", title="AlexNet", source=_SOURCE, input_shape=(3, 227, 227), classes=1000)
def _alexnet(net: Builder, classes: int) -> None:
    output = net.relu("relu1", net.convolution("conv1", "input", 96, 11, stride=4, padding=0, bias=True))
    output = net.max_pool("pool1", output, 3, 2)
    output = net.relu("relu2", net.convolution("conv2", output, 256, 5, groups=2, bias=True))
    output = net.max_pool("pool2", output, 3, 2)
    output = net.relu("relu3", net.convolution("conv3", output, 384, 3, bias=True))
    output = net.relu("relu4", net.convolution("conv4", output, 384, 3, groups=2, bias=True))
    output = net.relu("relu5", net.convolution("conv5", output, 256, 3, groups=2, bias=True))
    output = net.flatten("flatten", net.max_pool("pool5", output, 3, 2))
    output = net.relu("relu6", net.linear("fc6", output, 4096))
    output = net.relu("relu7", net.linear("fc7", output, 4096))
    net.linear("fc8", output, classes)
