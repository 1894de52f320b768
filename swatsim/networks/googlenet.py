"""GoogLeNet.

Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, table 1. Without its auxiliary classifiers and
local response normalisations; poolings that round up have a border of 1 instead, which gives the same shapes.
"""

from __future__ import annotations

from swatsim.networks.builder import Builder
from swatsim.networks.registry import register

_SOURCE = (
    "Szegedy et al., Going Deeper with Convolutions, CVPR 2015; without its auxiliary classifiers and local response "
    "normalisations"
)
# Filters of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection; None: a pooling.
_MODULES: dict[str, tuple[int, int, int, int, int, int] | None] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _layer(net: Builder, name: str, of: str, filters: int, kernel: int) -> str:
    return net.relu(f"{name}_relu", net.convolution(name, of, filters, kernel, bias=True))


def _inception(net: Builder, name: str, of: str, filters: tuple[int, int, int, int, int, int]) -> str:
    prefix = f"inception_{name}"
    one, reduce_3, three, reduce_5, five, projection = filters
    branches = (
        _layer(net, f"{prefix}.1x1", of, one, 1),
        _layer(net, f"{prefix}.3x3", _layer(net, f"{prefix}.3x3_reduce", of, reduce_3, 1), three, 3),
        _layer(net, f"{prefix}.5x5", _layer(net, f"{prefix}.5x5_reduce", of, reduce_5, 1), five, 5),
        _layer(net, f"{prefix}.pool_proj", net.max_pool(f"{prefix}.pool", of, 3, 1, 1), projection, 1),
    )
    return net.concatenate(f"{prefix}.output", *branches)


@register("googlenet", title="GoogLeNet", source=_SOURCE, input_shape=(3, 224, 224), classes=1000)
def _googlenet(net: Builder, classes: int) -> None:
    output = net.relu("conv1_relu", net.convolution("conv1", "input", 64, 7, stride=2, bias=True))
    output = net.max_pool("pool1", output, 3, 2, 1)
    output = _layer(net, "conv2", _layer(net, "conv2_reduce", output, 64, 1), 192, 3)
    output = net.max_pool("pool2", output, 3, 2, 1)
    for name, filters in _MODULES.items():
        output = net.max_pool(name, output, 3, 2, 1) if filters is None else _inception(net, name, output, filters)
    net.linear("classifier", net.flatten("flatten", net.global_avg_pool("pool5", output)), classes)
