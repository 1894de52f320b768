"""What must hold of the bytes of any pass on any machine: compulsory traffic counted from arrays, and conservation."""

from __future__ import annotations

import itertools

import numpy as np
from oracle_vectors import OracleLayer, convolution_of, phase_taps

RESULTS = {"forward": "output", "input_grad": "input", "weight_grad": "weight"}


def oracle_layer(layer, pass_name):
    """The operands of one pass; of the tensor that it makes only the shape counts."""
    spec = layer.spec
    operands = {role: operand.bits.to_bool() for role, operand in layer.passes[pass_name].operands.items()}
    shapes = {"input": spec.input_shape, "weight": spec.weight_shape, "output_grad": spec.output_shape}
    arrays = {role: operands.get(role, np.zeros(shape, dtype=bool)) for role, shape in shapes.items()}
    convolution = spec.convolution
    return OracleLayer(
        kind=spec.kind, **arrays, stride=convolution.stride, padding=convolution.padding,
        dilation=convolution.dilation, groups=convolution.groups,
    )  # fmt: skip


def sized(pieces, form, full):
    """Bytes of pieces [piece, value]; form: name and bytes of a value."""
    (name, value_bytes), values = form, pieces.shape[1]
    if name == "dense" or full:
        return np.full(len(pieces), value_bytes * values)
    if name == "bitmap":
        return value_bytes * np.count_nonzero(pieces, axis=1) + -(-values // 8)
    raise AssertionError(name)


def image_lines(tensor, groups, windows, axis):
    """(pieces [group · image · line, value], which of them windows touch); lines are rows (axis 0) or columns."""
    images, channels, *sizes = tensor.shape
    pieces = tensor.reshape(images, groups, channels // groups, *sizes).transpose(1, 0, 3 + axis, 4 - axis, 2)
    touched = np.zeros(sizes[axis], dtype=bool)
    for at in itertools.chain.from_iterable(windows):
        if 0 <= at < sizes[axis]:
            touched[at] = True
    return pieces.reshape(groups * images * sizes[axis], -1), np.tile(touched, groups * images)


def once(conv, form, axis):
    """(bytes of all lines that a pass touches, results that it computes): each operand once, as it is stored."""
    if conv.what == "output":
        stride, step, before = conv.stride[axis], conv.dilation[axis], conv.padding[2 * axis]
        taps, places = range(conv.shape_w[2 + axis]), range(conv.shape_y[2 + axis])
        windows = [[place * stride + tap * step - before for tap in taps] for place in places]
        pieces, touched = image_lines(conv.x, conv.groups, windows, axis)
        filters = sized(conv.w.reshape(len(conv.w), -1), form, conv.w.all()).sum()
        return filters + sized(pieces, form, conv.x.all())[touched].sum(), np.prod(conv.shape_y)
    if conv.what == "w_grad":
        tensors = (conv.x, conv.g)
        lines = [(tensor.transpose(1, 0, 2, 3).reshape(tensor.shape[1], -1), tensor.all()) for tensor in tensors]
        return sum(sized(pieces, form, full).sum() for pieces, full in lines), np.prod(conv.shape_w)
    pieces, seen, filters, values = None, False, 0, 0
    for phase in itertools.product(range(conv.stride[0]), range(conv.stride[1])):
        (high, r_taps, _), (wide, s_taps, _) = (phase_taps(conv, axis, phase[axis]) for axis in (0, 1))
        if not (r_taps and s_taps and high and wide):
            continue
        at = [phase[axis] + u * conv.stride[axis] + conv.padding[2 * axis] for u in range((high, wide)[axis])]
        windows = [[(h - r * conv.dilation[axis]) // conv.stride[axis] for r in (r_taps, s_taps)[axis]] for h in at]
        pieces, touched = image_lines(conv.g, conv.groups, windows, axis)
        seen = seen | touched
        taps = conv.w[:, :, r_taps][:, :, :, s_taps].reshape(
            conv.groups, -1, conv.shape_w[1], len(r_taps) * len(s_taps)
        )
        by_channel = taps.transpose(0, 2, 3, 1).reshape(conv.shape_x[1], -1)
        filters += sized(by_channel, form, conv.w.all()).sum()
        values += high * wide * conv.shape_x[0] * conv.shape_x[1]
    return filters + (sized(pieces, form, conv.g.all())[seen].sum() if values else 0), values


def least_read(conv, form, loaded):
    """Bytes that are read at least: in weight_grad, parts of the reduction leave out what a stride passes over."""
    if conv.what != "w_grad" or conv.stride == (1, 1):
        return loaded
    axes = [
        [place * conv.stride[axis] + tap * conv.dilation[axis] - conv.padding[2 * axis]
         for place in range(conv.shape_y[2 + axis]) for tap in range(conv.shape_w[2 + axis])]
        for axis in (0, 1)
    ]  # fmt: skip
    rows, columns = (
        sorted({at for at in found if 0 <= at < size}) for found, size in zip(axes, conv.shape_x[2:], strict=True)
    )
    found = 0
    for tensor in (conv.x[:, :, rows][:, :, :, columns], conv.g):
        dense = form[0] == "dense" or (conv.x if tensor is not conv.g else conv.g).all()
        found += form[1] * tensor.size if dense else form[1] * np.count_nonzero(tensor) + tensor.size // 8
    return found


def check_row(row, layer, architecture):
    """What must hold of any pass of any layer on any machine."""
    names = list(architecture.memory.levels)
    levels = architecture.memory.levels
    result = RESULTS[row.pass_name]
    conv = convolution_of(oracle_layer(layer, row.pass_name), row.pass_name)
    size = architecture.datapath.value_bytes
    form = (levels[names[0]].format, size)
    spilled = "spilled" in row.mapping
    if form[0] in ("dense", "bitmap"):
        axis = 0 if architecture.mapping.window_order == "npq" else 1
        loaded, values = map(int, once(conv, form, axis))
        least = least_read(conv, form, loaded) if " parts" in row.mapping else loaded
        assert least + size * values <= row.compulsory_dram_bytes <= loaded + size * values
        results_read = row.as_dict().get(f"{names[0]}_read_{result}_bytes", 0) if spilled else 0
        assert row.moved(names[0], "read") - results_read >= least_read(conv, form, loaded)
        written = row.as_dict()[f"{names[0]}_write_{result}_bytes"]
        assert written >= size * values if spilled else written == size * values
        dense_loaded, _ = map(int, once(conv, ("dense", size), axis))
        assert row.dense_dram_bytes >= least_read(conv, ("dense", size), dense_loaded) + size * values
    for moved in (row.moved_bytes, row.dense_moved_bytes):
        check_results(moved, result, architecture)
    check_broadcasts(row.dense_moved_bytes, result, architecture)
    assert row.stall_cycles == sum(row.stalls.values()) >= 0
    assert row.dense_stall_cycles == sum(row.dense_stalls.values()) >= 0


def check_results(moved, result, architecture):
    """What comes to an on-chip level as a sum or a result leaves it again, but sums that end where they are kept."""
    for name in architecture.memory.path("results")[1:]:
        assert moved[name, "read", result] == moved[name, "write", result]


def check_broadcasts(moved, result, architecture):
    """Of the dense machine, where no level changes the format: bytes into a level and out of the one above.

    A level of the node gives to each of the tiles that share it; levels of one instance take what they are given.
    """
    levels, tiles = architecture.memory.levels, architecture.tiles
    paths = [architecture.memory.path(operand) for operand in ("rows", "columns")]
    for tensor in {"input", "weight", "output"} - {result}:
        for above, below in {pair for path in paths for pair in itertools.pairwise(path)}:
            given, taken = moved[above, "read", tensor], moved[below, "write", tensor]
            if levels[above].per == levels[below].per == "node" and above == architecture.memory.outermost:
                continue  # see test_what_is_loaded_is_what_arrives
            if above != architecture.memory.outermost and taken and given:
                assert taken <= given * (tiles if levels[above].per == "node" else 1)
