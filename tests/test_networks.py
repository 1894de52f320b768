"""Networks as shapes: published multiplications and parameters, and shapes that chain along the graph."""

import math

import pytest

from benchmarks.networks import DOCUMENT, document
from swatsim.errors import SwatsimError
from swatsim.layer import KINDS
from swatsim.network import network_of
from swatsim.networks import network_names, network_shapes
from swatsim.networks.builder import Builder

# Parameters as the papers' and torchvision's models have them; multiplications of the forward pass.
PUBLISHED_PARAMETERS = {
    "resnet18": 11_689_512, "resnet50": 25_557_032, "wrn-50-2": 68_883_240, "vgg16": 138_357_544,
    "densenet121": 7_978_856, "mobilenet-v2": 3_504_872, "vit-tiny": 5_717_416,
    "alexnet": 60_965_224, "googlenet": 6_998_552,
}  # fmt: skip
PUBLISHED_MACS = {
    "resnet18": 1_814_073_344, "resnet50": 4_089_184_256, "wrn-50-2": 11_398_021_120, "vgg16": 15_470_264_320,
    "densenet121": 2_834_161_664, "mobilenet-v2": 300_774_272,
    "alexnet": 724_406_816, "googlenet": 1_582_671_872,
}  # fmt: skip


def test_parameters_are_the_published_ones():
    assert {name: network_shapes(name).parameters for name in PUBLISHED_PARAMETERS} == PUBLISHED_PARAMETERS


def test_multiplications_are_the_published_ones():
    assert {name: network_shapes(name).macs for name in PUBLISHED_MACS} == PUBLISHED_MACS


def test_wide_and_cifar_networks_have_their_closed_forms():
    # WRN-16-8 by its paper's table: 16, then two blocks each of 128, 256, 512 at 32, 16 and 8 pixels.
    blocks = sum(
        side * side * ((before * width + 3 * width * width) * 9 + before * width)
        for side, before, width in ((32, 16, 128), (16, 128, 256), (8, 256, 512))
    )
    assert network_shapes("wrn-16-8-cifar").macs == 32 * 32 * 27 * 16 + blocks + 512 * 10
    vgg = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)]
    sides = [32, 32, 16, 16, 8, 8, 8]
    expected = sum(9 * i * o * side * side for (i, o), side in zip(vgg, sides, strict=True))
    expected += 9 * (256 * 512 + 2 * 512 * 512) * 16 + 9 * 3 * 512 * 512 * 4 + 5120
    assert network_shapes("vgg16-cifar").macs == expected


@pytest.mark.parametrize(
    ("name", "stem", "sides"),
    [("densenet121", 112 * 112 * 147, (56, 28, 14, 7)), ("densenet121-cifar", 32 * 32 * 27, (32, 16, 8, 4))],
)
def test_dense_blocks_have_their_closed_form(name, stem, sides):
    # Layer i of a block reads channels + 32·i; a transition halves the channels before it halves the sides.
    macs, channels = 64 * stem, 64
    for side, count in zip(sides, (6, 12, 24, 16), strict=True):
        macs += side * side * 128 * (count * channels + 32 * count * (count - 1) // 2 + count * 9 * 32)
        channels += 32 * count
        macs, channels = (macs + side * side * channels**2 // 2, channels // 2) if count != 16 else (macs, channels)
    shapes = network_shapes(name)
    assert shapes.macs == macs + channels * shapes.layers[-1].output_shape[-1]


def test_inverted_residuals_have_their_closed_form():
    # The paper's table 2 at 32 x 32: stem and second stage with stride 1. Expansion, channels, blocks, sides.
    stages = [
        (1, 16, 1, 32),
        (6, 24, 2, 32),
        (6, 32, 3, 16),
        (6, 64, 4, 8),
        (6, 96, 3, 8),
        (6, 160, 3, 4),
        (6, 320, 1, 4),
    ]
    macs, channels, before = 32 * 32 * 27 * 32, 32, 32
    for expansion, outputs, blocks, side in stages:
        for _ in range(blocks):
            inside = expansion * channels
            macs += before * before * channels * inside * (expansion > 1) + side * side * inside * (9 + outputs)
            channels, before = outputs, side
    assert network_shapes("mobilenet-v2-cifar").macs == macs + 4 * 4 * 320 * 1280 + 1280 * 10


def test_transformers_have_their_closed_form():
    # 12·D² weights a block: three projections and one, and two of four times the width.
    assert network_shapes("vit-tiny").macs == 196 * 192 * 3 * 256 + 197 * 12 * 12 * 192**2 + 192 * 1000
    assert network_shapes("transformer-encoder").macs == 128 * (64 * 256 + 4 * 12 * 256**2) + 256 * 10


@pytest.mark.parametrize("name", network_names())
def test_shapes_chain_along_the_graph(name):
    shapes = network_shapes(name, images=2)
    specs = {spec.name: spec for spec in shapes.layers}
    seen = {}
    for node in shapes.graph:
        assert all(each in seen for each in node.inputs)
        seen[node.name] = node.shape
        assert node.shape[0] == 2
        assert (node.op in KINDS) == (node.name in specs)
        if node.name in specs:
            assert specs[node.name].output_shape == node.shape
            assert specs[node.name].input_shape == seen[node.inputs[0]]
        if node.op == "flatten":
            assert math.prod(node.shape) == math.prod(seen[node.inputs[0]])
    assert [spec.needs_input_grad for spec in shapes.layers] == [False] + [True] * (len(shapes.layers) - 1)
    read = {each for node in shapes.graph for each in node.inputs}
    assert [node.name for node in shapes.graph if node.name not in read] == [shapes.graph[-1].name]
    assert network_of(shapes.layers, shapes.graph).unread == {shapes.graph[-1].name}
    assert shapes.title
    assert any(character.isdigit() for character in shapes.source)  # a year


def test_a_batch_changes_nothing_but_the_images():
    one, four = network_shapes("mobilenet-v2-cifar"), network_shapes("mobilenet-v2-cifar", images=4)
    assert four.macs == 4 * one.macs
    assert four.parameters == one.parameters
    assert network_shapes("resnet18", classes=7).layers[-1].output_shape == (1, 7)


def test_depthwise_layers_are_groups_of_one_channel():
    depthwise = [spec for spec in network_shapes("mobilenet-v2").layers if spec.groups > 1]
    assert len(depthwise) == 17
    assert all(spec.groups == spec.input_shape[1] and spec.weight_shape[1] == 1 for spec in depthwise)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet51"}, "network: got 'resnet51', expected one of alexnet, densenet121, "),
        ({"name": "resnet50", "images": 0}, "images: got 0, expected at least 1"),
        ({"name": "resnet50", "classes": -1}, "classes: got -1, expected at least 1"),
        ({"name": "resnet50", "images": 1.5}, "images: got 1.5, expected an integer"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(SwatsimError, match=message):
        network_shapes(**arguments)


def test_a_description_that_contradicts_itself_is_refused():
    net = Builder((1, 3, 8, 8))
    half = net.convolution("half", "input", 3, 3, stride=2)
    for join in (net.add, net.concatenate):
        with pytest.raises(SwatsimError, match=r"join: got inputs of .*, expected equal shapes"):
            join("join", "input", half)
    with pytest.raises(SwatsimError, match="half: got a second node of this name"):
        net.relu("half", half)


def test_the_page_is_what_its_command_prints():
    assert DOCUMENT.read_text(encoding="utf-8") == document()  # python -m benchmarks.networks --update
