"""The networks of the shipped traces, without torchvision."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

RESNET50_BLOCKS = (3, 4, 6, 3)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1; version 1.5 puts the stride on the 3x3."""

    def __init__(self, inputs: int, middle: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * middle
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, input: Tensor) -> Tensor:
        shortcut = input if self.downsample is None else self.downsample(input)
        output = self.relu(self.bn1(self.conv1(input)))
        output = self.relu(self.bn2(self.conv2(output)))
        return self.relu(self.bn3(self.conv3(output)) + shortcut)


class ResNet(nn.Module):
    """ResNet-50 v1.5: 4.089 GMAC forward at 224 x 224 with 1000 classes and full width."""

    def __init__(self, classes: int, *, width: int = 64, blocks: tuple[int, ...] = RESNET50_BLOCKS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for stage, count in enumerate(blocks):
            middle = width << stage
            layers = []
            for block in range(count):
                layers.append(Bottleneck(inputs, middle, 2 if stage and not block else 1))
                inputs = 4 * middle
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)  # a block begins as its shortcut, so a high learning rate holds

    def forward(self, input: Tensor) -> Tensor:
        output = self.maxpool(self.relu(self.bn1(self.conv1(input))))
        for stage in range(1, 5):
            output = self.get_submodule(f"layer{stage}")(output)
        return self.fc(torch.flatten(self.avgpool(output), 1))


def small_cnn(classes: int) -> nn.Sequential:
    """Three convolutions with batch norm and a linear layer, for 28 x 28 digits."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 3, padding=1, bias=False), bn1=nn.BatchNorm2d(16), relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 32, 3, padding=1, bias=False), bn2=nn.BatchNorm2d(32), relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), bn3=nn.BatchNorm2d(64), relu3=nn.ReLU(),
            flatten=nn.Flatten(), fc=nn.Linear(64 * 4 * 4, classes),
        )
    )  # fmt: skip
