"""A topology of SCALE-Sim: one convolution a line, or one matrix product a line (M, N, K).

Source: Samajdar et al., "A systematic methodology for characterizing scalability of DNN accelerators using SCALE-Sim",
ISPASS 2020, and the topologies of versions 2 and 3.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from swatsim.errors import LayerError, TraceError
from swatsim.files import read_at_most
from swatsim.layer import LayerSpec
from swatsim.plain_text import words_of
from swatsim.sources.source import MOST_LAYERS, Contents, Request, check_name, open_source, register

_EXPECTED = "a topology of SCALE-Sim: a header, then a name and 3 (M, N, K), 7 or 8 integers in each line"
_LARGEST_FILE_BYTES = 4 << 20
_INTEGER = re.compile(r"[0-9]{1,10}")
_DIGIT = re.compile(r"\d")
_RATIO = re.compile(r"([0-9]{1,6}):([0-9]{1,6})")
_PRODUCT = ("m", "n", "k")
# SCALE-Sim's word in the name of a depthwise convolution, which it runs channel by channel.
_DEPTHWISE = "DP"


@register("scalesim", suffixes=(".csv",))
def read_topology(path: Path, request: Request) -> Contents:
    """Read the layers' shapes; a topology has no padding, for its ifmap is what the filter slides over."""
    with open_source(path, _EXPECTED) as file:
        data = read_at_most(file, _LARGEST_FILE_BYTES + 1)
    if len(data) > _LARGEST_FILE_BYTES:
        raise TraceError(f"{path}: got more than {_LARGEST_FILE_BYTES} bytes, expected {_EXPECTED}")
    try:
        rows = list(itertools.islice(_rows(data.decode("utf-8-sig")), MOST_LAYERS + 1))
    except (UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path}: got what is no CSV ({words_of(error)}), expected {_EXPECTED}") from None
    if len(rows) > MOST_LAYERS:
        raise TraceError(f"{path}: got more than {MOST_LAYERS} lines, expected {_EXPECTED}")
    if len(rows) < 2 or _INTEGER.fullmatch(rows[0][1][-1]):
        raise TraceError(f"{path}: got {len(rows)} lines, the first of {len(rows[0][1]) if rows else 0} cells, "
                         f"expected {_EXPECTED}")  # fmt: skip
    header = [cell.lower() for cell in rows[0][1]]
    specs: list[LayerSpec] = []
    names: set[str] = set()
    for number, row in rows[1:]:
        where = f"{path}:{number}"
        check_name(row[0], where)
        try:
            specs.append(_layer(row, header, request, where))
        except LayerError as error:
            raise TraceError(f"{where}: {error}") from None
        if specs[-1].name in names:
            raise TraceError(f"{where}: got a second layer named {specs[-1].name!r}, expected each once")
        names.add(specs[-1].name)
    remarks = (
        "no padding; a last window that reaches past the ifmap, which SCALE-Sim counts, left out",
        "no gradient for the input of the first layer",
    )
    return Contents(specs=(replace(specs[0], needs_input_grad=False), *specs[1:]), remarks=remarks)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that hold anything, by number; a file of others may be far longer than a network."""
    for number, cells in enumerate(csv.reader(text.splitlines(), strict=True), start=1):
        if any(map(str.strip, cells)):
            yield number, _cells(cells)


def _cells(cells: Sequence[str]) -> list[str]:
    """Cells without the empty ones that trailing commas make."""
    found = [cell.strip() for cell in cells]
    while not found[-1]:
        found.pop()
    return found


def _layer(cells: list[str], header: list[str], request: Request, where: str) -> LayerSpec:
    name, *rest = cells
    if len(rest) > 3 and not _DIGIT.search(rest[-1]):
        # SCALE-Sim reads nothing that follows the last comma; notes stand there.
        rest.pop()
    if rest and (ratio := _RATIO.fullmatch(rest[-1])):
        kept, of = ratio.groups()
        if int(kept) != int(of):
            raise TraceError(f"{where}: got sparsity {rest[-1]}, which says how many weights stay and not which, "
                             "expected the positions from another source, or no such column")  # fmt: skip
        rest.pop()
    if len(rest) not in (3, 7, 8) or not all(map(_INTEGER.fullmatch, rest)):
        raise TraceError(f"{where}: got {', '.join(cells)[:80]!r}, expected {_EXPECTED}")
    numbers = list(map(int, rest))
    if len(numbers) == 3:
        return _product(name, numbers, header, where, request)
    return _convolution(name, numbers, request.images or 1, where)


def _product(name: str, numbers: list[int], header: list[str], where: str, request: Request) -> LayerSpec:
    """M x K times K x N: M vectors through a linear layer of K inputs and N outputs."""
    if request.images is not None:
        raise TraceError(f"{where}: got a matrix product and --images, expected no --images: M says how many vectors")
    # SCALE-Sim goes by the order M, N, K; a header that says another is believed.
    order = [each for each in header if each in _PRODUCT]
    named = dict(zip(order if sorted(order) == sorted(_PRODUCT) else _PRODUCT, numbers, strict=True))
    m, n, k = (named[each] for each in _PRODUCT)
    return LayerSpec(name=name, kind="linear", input_shape=(m, k), weight_shape=(n, k), output_shape=(m, n))


def _convolution(name: str, numbers: list[int], images: int, where: str) -> LayerSpec:
    height, width, kernel_height, kernel_width, channels, filters = numbers[:6]
    strides = (numbers[6], numbers[-1])
    if min(numbers) < 1 or kernel_height > height or kernel_width > width:
        raise TraceError(f"{where}: got {numbers}, expected integers from 1, and filters no larger than the ifmap")
    groups = channels if _DEPTHWISE in name else 1
    outputs = tuple(
        (size - kernel) // stride + 1
        for size, kernel, stride in zip((height, width), (kernel_height, kernel_width), strides, strict=True)
    )
    return LayerSpec(
        name=name, kind="conv2d", input_shape=(images, channels, height, width),
        weight_shape=(filters * groups, channels // groups, kernel_height, kernel_width),
        output_shape=(images, filters * groups, *outputs), stride=strides, groups=groups,
    )  # fmt: skip
