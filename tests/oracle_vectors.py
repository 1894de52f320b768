"""The first half of the oracle: from a layer's values to the vectors that are multiplied (docs/model.md, 1).

`convolution_of` says which plain convolution a layer is, `definition` computes a pass without any machine, and
`contractions` builds the vectors of each pass by direct indexing. Nothing here is shared with swatsim.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

PASS_OPERANDS = {
    "forward": ("input", "weight"),
    "input_grad": ("output_grad", "weight"),
    "weight_grad": ("output_grad", "input"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What of a machine decides how vectors are cut into steps, and in which order they come."""

    lanes: int
    flatten: str
    step_order: str
    window_order: str
    lane_channels: str = "interleaved"


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleLayer:
    """A layer's values in PyTorch's shapes; `operands[pass][role]` replaces a tensor in one pass."""

    kind: str
    input: np.ndarray
    weight: np.ndarray
    output_grad: np.ndarray
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    needs_input_grad: bool = True
    operands: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)

    def operand(self, pass_name: str, role: str) -> np.ndarray:
        return self.operands.get(pass_name, {}).get(role, getattr(self, role))


# ---------------------------------------------------------------------------------------------- layer to convolution


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """x (N, C, H, W) * w (K, C/g, R, S) -> y (N, K, P, Q), and which of its passes is meant."""

    what: str  # "output", "x_grad" or "w_grad"
    shape_x: tuple[int, ...]
    shape_w: tuple[int, ...]
    shape_y: tuple[int, ...]
    x: np.ndarray | None = None
    w: np.ndarray | None = None
    g: np.ndarray | None = None
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def result_shape(self) -> tuple[int, ...]:
        return {"output": self.shape_y, "x_grad": self.shape_x, "w_grad": self.shape_w}[self.what]


def four_dimensional(kind: str, role: str, tensor: np.ndarray) -> np.ndarray:
    """A linear layer is one image of height 1 with its positions along the width; 1-d has height 1."""
    if kind == "linear" and role == "weight":
        return tensor[:, :, None, None]
    if kind == "linear":
        features = tensor.shape[-1]
        return tensor.reshape(-1, features).T.reshape(1, features, 1, -1)
    return tensor[:, :, None, :] if tensor.ndim == 3 else tensor


def shaped_as(kind: str, role: str, result: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo `four_dimensional`."""
    if kind == "linear" and role != "weight":
        result = result.reshape(shape[-1], -1).T
    return result.reshape(shape)


def convolution_of(layer: OracleLayer, pass_name: str) -> Convolution:
    """The plain convolution behind a pass; a transposed layer's input is its y, and the layer's output its x."""
    names = {"input": "x", "weight": "w", "output_grad": "g"}
    what = {"forward": "output", "input_grad": "x_grad", "weight_grad": "w_grad"}[pass_name]
    if layer.kind.startswith("conv_transpose"):
        names = {"input": "g", "weight": "w", "output_grad": "x"}
        what = {"forward": "x_grad", "input_grad": "output", "weight_grad": "w_grad"}[pass_name]
    shapes = {names[role]: four_dimensional(layer.kind, role, getattr(layer, role)).shape for role in names}
    operands = {
        names[role]: four_dimensional(layer.kind, role, layer.operand(pass_name, role))
        for role in PASS_OPERANDS[pass_name]
    }
    return Convolution(
        what=what, shape_x=shapes["x"], shape_w=shapes["w"], shape_y=shapes["g"], **operands,
        stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups,
    )  # fmt: skip


def definition(layer: OracleLayer, pass_name: str) -> np.ndarray:
    """The pass by its definition: every output position, every tap, whatever is zero."""
    conv = convolution_of(layer, pass_name)
    result = np.zeros(conv.result_shape, np.int64)
    (_, channels, height, width), (filters, per_group, kernel_h, kernel_w) = conv.shape_x, conv.shape_w
    for group in range(conv.groups):
        ks = slice(group * filters // conv.groups, (group + 1) * filters // conv.groups)
        cs = slice(group * per_group, (group + 1) * per_group)
        assert channels == per_group * conv.groups
        for p, q, r, s in itertools.product(*map(range, (*conv.shape_y[2:], kernel_h, kernel_w))):
            h = p * conv.stride[0] + r * conv.dilation[0] - conv.padding[0]
            w = q * conv.stride[1] + s * conv.dilation[1] - conv.padding[2]
            if not (0 <= h < height and 0 <= w < width):
                continue
            if conv.what == "output":
                result[:, ks, p, q] += conv.x[:, cs, h, w] @ conv.w[ks, :, r, s].T
            elif conv.what == "x_grad":
                result[:, cs, h, w] += conv.g[:, ks, p, q] @ conv.w[ks, :, r, s]
            else:
                result[ks, :, r, s] += conv.g[:, ks, p, q].T @ conv.x[:, cs, h, w]
    return layer_result(layer, pass_name, result)


def layer_result(layer: OracleLayer, pass_name: str, result: np.ndarray) -> np.ndarray:
    """The tensor a pass computes, in the layer's own shape."""
    role = {"forward": "output_grad", "input_grad": "input", "weight_grad": "weight"}[pass_name]
    return shaped_as(layer.kind, role, result, getattr(layer, role).shape)


# ------------------------------------------------------------------------------------------ convolution to contractions


@dataclass(frozen=True, slots=True, kw_only=True)
class Contraction:
    """Vectors of values, [group, vector, step, lane], and which result each (group, row, column) adds up."""

    rows: np.ndarray
    columns: np.ndarray
    real: np.ndarray  # [step, lane]: not a lane's padding
    place: Callable[[int, int, int], tuple[int, ...]]
    row_zeros: Fraction
    column_zeros: Fraction
    # In weight_grad: (values of the channel, channel) of the input that a column of a group is shifted from.
    column_channel: Callable[[int, int], tuple[int, int]] | None = None


Element = tuple[int, ...] | None  # one multiply position of the reduction; None pads the lanes


def value_at(tensor: np.ndarray, image: int, channel: int, h: int, w: int) -> int:
    """The element, or the zero that padding is."""
    inside = 0 <= h < tensor.shape[2] and 0 <= w < tensor.shape[3]
    return int(tensor[image, channel, h, w]) if inside else 0


def cut(elements: Sequence[tuple[int, ...]], order: Order) -> list[list[Element]]:
    """Steps of as many elements as there are lanes, the last ones padded."""
    lanes = order.lanes
    padded: list[Element] = [*elements, *[None] * (-len(elements) % lanes)]
    if order.lane_channels == "blocked":
        steps = len(padded) // lanes
        return [padded[step::steps] for step in range(steps)]
    return [padded[start : start + lanes] for start in range(0, len(padded), lanes)]


def steps_of_taps(r_taps: Sequence[int], s_taps: Sequence[int], channels: int, order: Order) -> list[list[Element]]:
    """The reduction over taps and channels, as (r, s, channel)."""
    outer, inner = (axis for axis in order.step_order if axis != "c")
    axes = {"r": r_taps, "s": s_taps, "c": range(-(-channels // order.lanes))}
    if order.flatten == "auto" and len(r_taps) * len(s_taps) > 1 and channels < order.lanes:
        taps = [{outer: i, inner: j} for i in axes[outer] for j in axes[inner]]
        return cut([(tap["r"], tap["s"], channel) for tap in taps for channel in range(channels)], order)
    steps: list[list[Element]] = []
    for indices in itertools.product(*(axes[axis] for axis in order.step_order)):
        at = dict(zip(order.step_order, indices, strict=True))
        brick = cut([(at["r"], at["s"], channel) for channel in range(channels)], order)[at["c"]]
        steps.append(brick)
    return steps


def windows_in_order(images: int, height: int, width: int, order: Order) -> list[tuple[int, int, int]]:
    """All (n, p, q), the last letter of the order fastest."""
    sizes = {"n": images, "p": height, "q": width}
    found = []
    for indices in itertools.product(*(range(sizes[axis]) for axis in order.window_order)):
        at = dict(zip(order.window_order, indices, strict=True))
        found.append((at["n"], at["p"], at["q"]))
    return found


def vectors(
    count: tuple[int, int], steps: list[list[Element]], value: Callable[[int, int, tuple[int, ...]], int]
) -> np.ndarray:
    """Values of `count` = (groups, vectors per group) vectors, [group, vector, step, lane]."""
    shape = (*count, len(steps), len(steps[0]))
    result = np.zeros(shape, np.int64)
    for group, vector, step, lane in itertools.product(*map(range, shape)):
        element = steps[step][lane]
        if element is not None:
            result[group, vector, step, lane] = value(group, vector, element)
    return result


def zero_fraction(tensor: np.ndarray, positions: int) -> Fraction:
    """Share of zeros among `positions`, which the tensor's own and its border's zeros make up."""
    return Fraction(positions - np.count_nonzero(tensor), positions)


def real_positions(steps: list[list[Element]]) -> np.ndarray:
    return np.array([[element is not None for element in step] for step in steps])


def contractions(conv: Convolution, order: Order) -> Iterator[Contraction]:
    """The contractions of a convolution's pass."""
    if conv.what == "output":
        yield forward(conv, order)
    elif conv.what == "w_grad":
        yield weight_grad(conv, order)
    else:
        for phase in itertools.product(range(conv.stride[0]), range(conv.stride[1])):
            yield from input_grad(conv, order, phase)


def forward(conv: Convolution, order: Order) -> Contraction:
    """Filters against windows of the input."""
    (images, channels, height, width), (filters, per_group, kernel_h, kernel_w) = conv.shape_x, conv.shape_w
    steps = steps_of_taps(range(kernel_h), range(kernel_w), per_group, order)
    windows = windows_in_order(images, *conv.shape_y[2:], order)
    own_filters = filters // conv.groups
    top, bottom, left, right = conv.padding

    def input_value(group: int, window: int, element: tuple[int, ...]) -> int:
        (n, p, q), (r, s, c) = windows[window], element
        h, w = p * conv.stride[0] + r * conv.dilation[0] - top, q * conv.stride[1] + s * conv.dilation[1] - left
        return value_at(conv.x, n, group * per_group + c, h, w)

    return Contraction(
        rows=vectors(
            (conv.groups, own_filters), steps, lambda group, k, e: conv.w[group * own_filters + k, e[2], e[0], e[1]]
        ),
        columns=vectors((conv.groups, len(windows)), steps, input_value),
        real=real_positions(steps),
        place=lambda group, k, j: (windows[j][0], group * own_filters + k, *windows[j][1:]),
        row_zeros=zero_fraction(conv.w, conv.w.size),
        column_zeros=zero_fraction(conv.x, images * channels * (height + top + bottom) * (width + left + right)),
    )


def phase_taps(conv: Convolution, axis: int, phase: int) -> tuple[int, list[int], list[int]]:
    """One axis of a phase of the input gradient: windows, taps by increasing output coordinate, coordinates touched."""
    stride, dilation, before = conv.stride[axis], conv.dilation[axis], conv.padding[2 * axis]
    positions = range(phase, conv.shape_x[2 + axis], stride)
    taps, touched = [], []
    for tap in reversed(range(conv.shape_w[2 + axis])):
        coordinates = [Fraction(h + before - tap * dilation, stride) for h in positions]
        whole = [int(coordinate) for coordinate in coordinates if coordinate.denominator == 1]
        if any(0 <= coordinate < conv.shape_y[2 + axis] for coordinate in whole):
            taps.append(tap)
            touched += whole
    return len(positions), taps, touched


def input_grad(conv: Convolution, order: Order, phase: tuple[int, int]) -> Iterator[Contraction]:
    """Channels against windows of the output gradient, for the positions of one phase."""
    filters, per_group = conv.shape_w[:2]
    own_filters = filters // conv.groups
    (high, r_taps, touched_p), (wide, s_taps, touched_q) = (phase_taps(conv, axis, phase[axis]) for axis in (0, 1))
    if not r_taps or not s_taps:
        return
    steps = steps_of_taps(r_taps, s_taps, own_filters, order)
    windows = windows_in_order(conv.shape_x[0], high, wide, order)

    def position(window: int) -> tuple[int, int]:
        _, u, v = windows[window]
        return phase[0] + u * conv.stride[0], phase[1] + v * conv.stride[1]

    def gradient_value(group: int, window: int, element: tuple[int, ...]) -> int:
        (h, w), (r, s, k) = position(window), element
        p, p_rest = divmod(h + conv.padding[0] - r * conv.dilation[0], conv.stride[0])
        q, q_rest = divmod(w + conv.padding[2] - s * conv.dilation[1], conv.stride[1])
        assert p_rest == q_rest == 0, "a zero that dilation would insert"
        return value_at(conv.g, windows[window][0], group * own_filters + k, p, q)

    box_p = max(*touched_p, conv.shape_y[2] - 1) - min(*touched_p, 0) + 1
    box_q = max(*touched_q, conv.shape_y[3] - 1) - min(*touched_q, 0) + 1
    taps = conv.w[:, :, r_taps][:, :, :, s_taps]
    yield Contraction(
        rows=vectors(
            (conv.groups, per_group), steps, lambda group, c, e: conv.w[group * own_filters + e[2], c, e[0], e[1]]
        ),
        columns=vectors((conv.groups, len(windows)), steps, gradient_value),
        real=real_positions(steps),
        place=lambda group, c, j: (windows[j][0], group * per_group + c, *position(j)),
        row_zeros=zero_fraction(taps, taps.size),
        column_zeros=zero_fraction(conv.g, conv.shape_y[0] * filters * box_p * box_q),
    )


def weight_grad(conv: Convolution, order: Order) -> Contraction:
    """Filters of the output gradient against the input shifted by each tap, image by image."""
    (images, channels, height, width), (filters, per_group, kernel_h, kernel_w) = conv.shape_x, conv.shape_w
    own_filters = filters // conv.groups
    top, bottom, left, right = conv.padding
    steps = []
    for image in range(images):
        positions = windows_in_order(1, *conv.shape_y[2:], order)
        steps += cut([(image, p, q) for _, p, q in positions], order)
    sizes = {"r": kernel_h, "s": kernel_w, "c": per_group}
    shifts = [
        dict(zip(order.step_order, indices, strict=True))
        for indices in itertools.product(*(range(sizes[axis]) for axis in order.step_order))
    ]

    def input_value(group: int, column: int, element: tuple[int, ...]) -> int:
        (n, p, q), at = element, shifts[column]
        h = p * conv.stride[0] + at["r"] * conv.dilation[0] - top
        w = q * conv.stride[1] + at["s"] * conv.dilation[1] - left
        return value_at(conv.x, n, group * per_group + at["c"], h, w)

    return Contraction(
        rows=vectors(
            (conv.groups, own_filters), steps, lambda group, k, e: conv.g[e[0], group * own_filters + k, e[1], e[2]]
        ),
        columns=vectors((conv.groups, len(shifts)), steps, input_value),
        real=real_positions(steps),
        place=lambda group, k, j: (group * own_filters + k, shifts[j]["c"], shifts[j]["r"], shifts[j]["s"]),
        row_zeros=zero_fraction(conv.g, conv.g.size),
        column_zeros=zero_fraction(conv.x, images * channels * (height + top + bottom) * (width + left + right)),
        column_channel=lambda group, j: (
            np.count_nonzero(conv.x[:, group * (channels // conv.groups) + shifts[j]["c"]]), shifts[j]["c"]
        ),
    )  # fmt: skip
