"""Parts of a reduction, carried out on values, add up to the convolution and its gradients."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle_cases import layers
from oracle_vectors import PASS_OPERANDS, definition

import swatsim
from swatsim.contraction import contract, parts_of
from swatsim.passes import REVERSED
from swatsim.reduction import WHOLE, cut_reduction
from swatsim.sides import Order

WINDOWS = st.sampled_from(("npq", "nqp"))
LANES = st.sampled_from((1, 2, 3, 4, 16))


def product_layer(layer) -> swatsim.Layer:
    return swatsim.Layer.from_arrays(
        "layer", kind=layer.kind, input=layer.input, weight=layer.weight, output_grad=layer.output_grad,
        stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups,
        needs_input_grad=layer.needs_input_grad, operands=layer.operands,
    )  # fmt: skip


def four_dimensional(layer, role, tensor):
    if layer.kind == "linear":
        if role == "weight":
            return tensor[:, :, None, None]
        return tensor.reshape(-1, tensor.shape[-1]).T[None, :, None, :]
    return tensor if tensor.ndim == 4 else tensor[:, :, None, :]


def multiplied(convolution, pass_name, first, second):
    """A pass of a convolution by its definition, from the two operands as `OPERANDS` orders them."""
    conv = convolution
    taps = itertools.product(range(conv.kernel_height), range(conv.kernel_width))
    places = list(itertools.product(range(conv.output_height), range(conv.output_width)))
    group_channels, group_filters = conv.channels // conv.groups, conv.filters // conv.groups
    shapes = {
        "forward": (conv.images, conv.filters, conv.output_height, conv.output_width),
        "input_grad": (conv.images, conv.channels, conv.height, conv.width),
        "weight_grad": (conv.filters, group_channels, conv.kernel_height, conv.kernel_width),
    }
    result = np.zeros(shapes[pass_name], dtype=np.int64)
    for (r, s), (p, q), group in itertools.product(taps, places, range(conv.groups)):
        h = p * conv.stride[0] + r * conv.dilation[0] - conv.padding[0]
        w = q * conv.stride[1] + s * conv.dilation[1] - conv.padding[2]
        if not (0 <= h < conv.height and 0 <= w < conv.width):
            continue
        cs = slice(group * group_channels, (group + 1) * group_channels)
        ks = slice(group * group_filters, (group + 1) * group_filters)
        if pass_name == "forward":
            result[:, ks, p, q] += first[:, cs, h, w] @ second[ks, :, r, s].T
        elif pass_name == "input_grad":
            result[:, cs, h, w] += first[:, ks, p, q] @ second[ks, :, r, s]
        else:
            result[ks, :, r, s] += first[:, ks, p, q].T @ second[:, cs, h, w]
    return result


@settings(max_examples=settings().max_examples)
@given(layer=layers(), count=st.integers(1, 9), lanes=LANES, windows=WINDOWS)
def test_parts_add_up_to_the_pass(layer, count, lanes, windows):
    product = product_layer(layer)
    order = Order(steps="rsc", windows=windows)
    for pass_name in product.passes:
        names, counted = PASS_OPERANDS[pass_name], pass_name
        operands = {role: four_dimensional(layer, role, layer.operand(pass_name, role)) for role in names}
        if product.spec.transposed:
            reverse = {"input": "output_grad", "output_grad": "input", "weight": "weight"}
            operands = {reverse[role]: tensor for role, tensor in operands.items()}
            counted = REVERSED[pass_name]
        first, second = (operands[role] for role in PASS_OPERANDS[counted])
        parts = parts_of(product, pass_name, lanes, order, count)
        event(f"{counted}: {min(len(parts), 3)} parts")
        groups, total = product.spec.convolution.groups, 0
        for part in parts:
            cut = cut_reduction(product.spec.convolution, counted, part)
            chosen = of_images if counted == "weight_grad" else of_filters
            tensors = of_images(first, groups, cut.first), chosen(second, groups, cut.second)
            total = total + multiplied(cut.convolution, counted, *tensors)
            check_window(cut.convolution, part)
            for contraction in contract(product, pass_name, order, part):
                check_tensors(contraction, counted, *tensors)
        whole = multiplied(product.spec.convolution, counted, first, second)
        assert (total == whole).all()
        assert sorted(total.ravel()) == sorted(definition(layer, pass_name).ravel())


def of_images(tensor, groups, ranges):
    """Some images, channels of each group, rows and columns; zeros, one wide, in place of an empty range."""
    images, channels, height, width = tensor.shape
    grouped = tensor.reshape(images, groups, channels // groups, height, width)
    chosen = grouped[np.ix_(ranges[0], range(groups), *ranges[1:])]
    shape = [max(1, size) for size in chosen.shape]
    return (chosen if chosen.size else np.zeros(shape, tensor.dtype)).reshape(shape[0], -1, *shape[3:])


def of_filters(weight, groups, ranges):
    """Some filters of each group, channels and taps."""
    filters, *rest = weight.shape
    chosen = weight.reshape(groups, filters // groups, *rest)[np.ix_(range(groups), *ranges)]
    return chosen.reshape(-1, *chosen.shape[2:])


def check_tensors(contraction, counted, first, second):
    """What a part says of its tensors is said of no more than the part has of them."""
    rows, columns = (first, second) if counted == "weight_grad" else (second, first)
    image = second if counted == "weight_grad" else first
    assert (contraction.image.values == (image != 0)).all()
    for side, tensor in ((contraction.rows, rows), (contraction.columns, columns)):
        assert side.full == bool((tensor != 0).all())
        if side is contraction.columns or counted == "weight_grad":
            assert side.nonzeros == np.count_nonzero(tensor)
        assert side.by_vector.sum() == side.by_element.sum() == nonzeros(side)


def check_window(conv, part):
    """Of a range of output positions, the input that belongs to it has nothing that its windows pass by."""
    if part.rows:
        touched = (conv.output_height - 1) * conv.stride[0] + (conv.kernel_height - 1) * conv.dilation[0] + 1
        assert conv.height + conv.padding[0] + conv.padding[1] == touched
    if part.columns:
        touched = (conv.output_width - 1) * conv.stride[1] + (conv.kernel_width - 1) * conv.dilation[1] + 1
        assert conv.width + conv.padding[2] + conv.padding[3] == touched


@settings(max_examples=settings().max_examples // 2)
@given(layer=layers(), count=st.integers(1, 9), lanes=LANES, windows=WINDOWS)
def test_no_part_ends_within_a_step(layer, count, lanes, windows):
    """As many steps come out as of the whole; non-zeros and multiplications too."""
    product = product_layer(layer)
    order = Order(steps="rsc", windows=windows)
    for pass_name in product.passes:
        whole = contract(product, pass_name, order)
        parts = [
            contract(product, pass_name, order, part) for part in parts_of(product, pass_name, lanes, order, count)
        ]
        assert all(len(part) == len(whole) for part in parts)
        for number, contraction in enumerate(whole):
            pieces = [part[number] for part in parts]
            assert sum(steps(piece, lanes) for piece in pieces) == steps(contraction, lanes)
            assert sum(piece.macs for piece in pieces) == contraction.macs
            for side in ("rows", "columns"):
                assert sum(nonzeros(getattr(piece, side)) for piece in pieces) == nonzeros(getattr(contraction, side))


def steps(contraction, lanes):
    segments, elements = contraction.rows.offset.shape
    return segments * -(-elements // lanes)


def nonzeros(side):
    bits = np.unpackbits(side.words.view(np.uint8), bitorder="little")
    return int(bits[side.base.reshape(-1)[:, None] + side.offset.reshape(-1)].sum())


def test_a_part_is_full_where_none_of_its_filters_has_a_zero():
    """Whatever taps a phase of the stride has: the format is that of the tensor."""
    weight = np.ones((32, 2, 2, 2))
    weight[3, 0, 0, 0] = 0
    layer = swatsim.Layer.from_arrays(
        "layer", input=np.ones((1, 2, 4, 4)), weight=weight, output_grad=np.ones((1, 32, 2, 2)), stride=2
    )
    order = Order(steps="rsc", windows="npq")
    parts = parts_of(layer, "input_grad", 16, order, 2)
    full = [[phase.rows.full for phase in contract(layer, "input_grad", order, part)] for part in (WHOLE, *parts)]
    assert full == [[False] * 4, [False] * 4, [True] * 4]


def test_one_part_is_the_whole():
    layer = swatsim.Layer.from_arrays(
        "layer", input=np.ones((2, 40, 6, 6)), weight=np.ones((8, 40, 3, 3)), output_grad=np.ones((2, 8, 4, 4))
    )
    order = Order(steps="rsc", windows="npq")
    assert [part.channels for part in parts_of(layer, "forward", 16, order, 1)] == [(0, 40)]
    assert [part.channels for part in parts_of(layer, "forward", 16, order, 2)] == [(0, 16), (16, 40)]
    assert [part.channels for part in parts_of(layer, "forward", 16, order, 64)] == [(0, 16), (16, 32), (32, 40)]
    assert [part.images for part in parts_of(layer, "weight_grad", 16, order, 2)] == [(0, 1), (1, 2)]
    # 4 x 4 positions fill a step of 16 lanes just once: an image cannot be cut.
    assert len(parts_of(layer, "weight_grad", 16, order, 4)) == 2
    halves = parts_of(layer, "weight_grad", 8, order, 4)
    assert [(part.images, part.rows) for part in halves] == [((n, n + 1), (p, p + 2)) for n in (0, 1) for p in (0, 2)]
    assert WHOLE.channels is None
