"""The drawings of docs/machine.md: `python -m docs.generate` writes them to docs/drawings/."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

INK, PALE, PAPER = "#1f2933", "#9aa5b1", "#ffffff"
# Near Okabe and Ito's colours, which the colour-blind tell apart: what belongs to which operand.
ROWS, COLUMNS, RESULTS, IDLE = "#e69f00", "#56b4e9", "#4fc3a1", "#e4e7eb"
_FONT = "font-family='system-ui, sans-serif'"
_LETTER = 0.56  # of the font's size, on average


@dataclass(slots=True)
class Drawing:
    """Shapes on white paper, of a size in pixels."""

    width: int
    height: int
    title: str
    description: str
    shapes: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, fill: str = PAPER, *, stroke: str = INK) -> None:
        """A rectangle by its upper left corner."""
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="{fill}" stroke="{stroke}"/>'
        )

    def text(self, x: float, y: float, words: str, *, size: int = 13, anchor: str = "middle") -> None:
        """A line of text on its base line."""
        left = x - {"start": 0, "middle": 0.5, "end": 1}[anchor] * len(words) * size * _LETTER
        assert left >= 0, f"{self.title}: {words!r} begins left of the paper"
        assert left + len(words) * size * _LETTER <= self.width + 1, f"{self.title}: {words!r} ends right of the paper"
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{INK}">{escape(words)}</text>'
        )

    def arrow(self, x: float, y: float, to_x: float, to_y: float, colour: str = INK) -> None:
        """A line with a head at its end, level or upright."""
        self.shapes.append(f'<path d="M{x:g} {y:g}L{to_x:g} {to_y:g}" stroke="{colour}" stroke-width="2" fill="none"/>')
        along = (to_x > x) - (to_x < x), (to_y > y) - (to_y < y)
        across = along[1], along[0]
        points = [(to_x + 3 * along[0], to_y + 3 * along[1])] + [
            (to_x - 6 * along[0] + side * across[0], to_y - 6 * along[1] + side * across[1]) for side in (4, -4)
        ]
        corners = " ".join(f"{corner_x:g},{corner_y:g}" for corner_x, corner_y in points)
        self.shapes.append(f'<polygon points="{corners}" fill="{colour}"/>')

    def svg(self) -> str:
        """The file."""
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'role="img" aria-labelledby="title description" {_FONT}>',
            f'<title id="title">{escape(self.title)}</title>',
            f'<desc id="description">{escape(self.description)}</desc>',
            f'<rect width="{self.width}" height="{self.height}" rx="8" fill="{PAPER}"/>', *self.shapes, "</svg>\n",
        ])  # fmt: skip


def node() -> Drawing:
    """Levels of memory, outermost first, and tiles of multipliers below them."""
    drawn = Drawing(720, 430, "A node", "Operands go down from off-chip memory through levels to tiles, results go up.")
    drawn.box(40, 20, 520, 44)
    drawn.text(300, 47, "dram: the outermost level, off chip, holds everything")
    drawn.box(40, 104, 520, 44)
    drawn.text(300, 131, "central: a level of the node; blocks wait here")
    _paths(drawn, 64, 104, (110, 300, 490))
    for index, x in enumerate((40, 220, 400)):
        name = ("tile 0", "tile 1", "… tile T − 1")[index]
        drawn.box(x, 188, 160, 206, "#f5f7fa", stroke=PALE)
        _paths(drawn, 148, 188, (x + 30, x + 80, x + 130))
        for place, (level, colour) in enumerate((("sb", ROWS), ("nbin", COLUMNS), ("nbout", RESULTS))):
            drawn.box(x + 8 + place * 49, 200, 46, 34, colour)
            drawn.text(x + 31 + place * 49, 221, level, size=12)
        drawn.box(x + 24, 262, 112, 84)
        for row in range(4):
            for lane in range(6):
                drawn.box(x + 31 + lane * 17, 268 + row * 18, 13, 14, IDLE, stroke=PALE)
        drawn.text(x + 80, 364, "multipliers", size=12)
        drawn.text(x + 80, 383, name, size=12)
        drawn.arrow(x + 31, 234, x + 31, 257, ROWS)
        drawn.arrow(x + 80, 234, x + 80, 257, COLUMNS)
        drawn.arrow(x + 129, 262, x + 129, 239, RESULTS)
    for place, (words, colour) in enumerate((("rows", ROWS), ("columns", COLUMNS), ("results", RESULTS))):
        drawn.box(590, 112 + place * 26, 14, 14, colour)
        drawn.text(612, 124 + place * 26, words, anchor="start")
    words = "names of levels are free; each says what it holds, its size, width, latency and format"
    drawn.text(300, 416, words, size=12)
    return drawn


def _paths(drawn: Drawing, top: float, bottom: float, places: Sequence[float]) -> None:
    """Two operands go down, results go up."""
    for x, colour in zip(places, (ROWS, COLUMNS), strict=False):
        drawn.arrow(x, top, x, bottom - 4, colour)
    drawn.arrow(places[2], bottom, places[2], top + 4, RESULTS)


def tile() -> Drawing:
    """Which multipliers a tile has, and what skipping makes of the steps of a row."""
    drawn = Drawing(720, 420, "A tile", "Rows times columns times lanes of multipliers; a row's zeros are skipped.")
    drawn.text(150, 28, "a step: row × column, lane by lane")
    for row in range(3):
        drawn.text(44, 74 + row * 44, f"row {row}", size=12)
        for column in range(2):
            for lane in range(4):
                drawn.box(76 + column * 84 + lane * 18, 60 + row * 44, 15, 22, ROWS if lane in _KEPT[row][0] else IDLE)
    for column in range(2):
        drawn.text(110 + column * 84, 50, f"column {column}", size=12)
    drawn.text(150, 206, "F rows × W columns × L lanes;", size=12)
    drawn.text(150, 224, "here 3 × 2 × 4 = 24 multiplications a cycle", size=12)
    drawn.text(500, 28, "the reduction of each row, step by step")
    for words, skipped, top in (("dense: 6 cycles", False, 44), ("skipping: rows wait at the barrier", True, 236)):
        drawn.text(320, top + 14, words, size=12, anchor="start")
        for row in range(3):
            y = top + 28 + row * 44
            drawn.text(340, y + 18, f"row {row}", size=12)
            for x, kept in _steps(row, skipped):
                for lane in range(4):
                    fill = ROWS if lane in kept else IDLE
                    drawn.box(366 + x * 54 + lane * 11, y, 10, 26, fill, stroke=PALE)
    barrier = 366 + _CYCLES * 54 - 5
    drawn.shapes.append(f'<path d="M{barrier} 256V392" stroke="{INK}" stroke-dasharray="4 3"/>')
    drawn.text(barrier + 9, 276, "next chunk", size=12, anchor="start")
    legend = (("a value of the row that is not zero", ROWS), ("zero, or nothing to do", IDLE))
    for place, (words, colour) in enumerate(legend):
        drawn.box(30, 300 + place * 26, 14, 14, colour)
        drawn.text(52, 312 + place * 26, words, size=12, anchor="start")
    return drawn


# Lanes that are not zero, in each step of each row of a chunk.
_KEPT = (
    ((0, 2), (1,), (), (3,), (0, 1), (2,)),
    ((1,), (0, 1, 3), (2, 3), (0,), (1, 2), (0, 3)),
    ((3,), (), (0,), (), (2,), ()),
)
# Of the chunk, where idle lanes take later values: those of the row that has most.
_CYCLES = max(-(-sum(map(len, row)) // 4) for row in _KEPT)


def _steps(row: int, skipped: bool) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(cycle, lanes that multiply) of a row: as they come, or with the lanes filled from later steps."""
    if not skipped:
        yield from enumerate(_KEPT[row])
        return
    values = sum(map(len, _KEPT[row]))
    for cycle in range(_CYCLES):
        yield cycle, tuple(range(min(4, max(0, values - 4 * cycle))))


_PASSES = (
    ("forward", "filters", "windows of the input", "taps × channels", "output"),
    ("input_grad", "channels", "windows of the output gradient", "taps × filters", "input gradient"),
    ("weight_grad", "filters (output gradient)", "taps × channels (input)", "images × positions", "weight gradient"),
)


def passes() -> Drawing:
    """Each pass as a product of two matrices."""
    description = "Each of the three passes is rows times columns over a reduction."
    drawn = Drawing(720, 500, "Passes as contractions", description)
    for index, (name, rows, columns, reduction, result) in enumerate(_PASSES):
        top = 16 + index * 160
        drawn.text(20, top + 16, name, size=14, anchor="start")
        drawn.box(60, top + 48, 150, 66, ROWS)
        drawn.text(135, top + 78, "rows")
        drawn.text(135, top + 96, "× reduction", size=12)
        drawn.text(135, top + 132, rows, size=12)
        drawn.text(238, top + 86, "·", size=24)
        drawn.box(266, top + 22, 170, 100, COLUMNS)
        drawn.text(351, top + 68, "reduction")
        drawn.text(351, top + 86, "× columns", size=12)
        drawn.text(351, top + 140, columns, size=12)
        drawn.text(464, top + 86, "=", size=20)
        drawn.box(494, top + 48, 170, 66, RESULTS)
        drawn.text(579, top + 86, result)
        drawn.text(579, top + 132, f"reduction: {reduction}", size=12)
    return drawn


# (engine, start, end, block) of two passes; the second begins at 330.
_WORK = (
    ("load", 0, 60, "0"), ("compute", 60, 150, "0"), ("load", 60, 140, "1"), ("compute", 150, 230, "1"),
    ("load", 140, 200, "2"), ("store", 150, 185, "0"), ("compute", 230, 300, "2"), ("store", 230, 262, "1"),
    ("store", 300, 330, "2"), ("load", 262, 300, "ahead"), ("load", 330, 372, "0"), ("compute", 372, 450, "0"),
    ("load", 372, 430, "1"), ("compute", 450, 540, "1"), ("store", 450, 480, "0"), ("store", 540, 570, "1"),
)  # fmt: skip


def timeline() -> Drawing:
    """When the engines work on the blocks of two passes, and where the multipliers wait."""
    description = "Load, compute and store engines work on blocks; the multipliers wait for memory."
    drawn = Drawing(720, 290, "The timeline", description)
    left = 100
    for start, end, name in ((0, 330, "conv1, forward"), (330, 570, "conv2, forward")):
        drawn.box(left + start, 20, end - start, 26, IDLE)
        drawn.text(left + (start + end) / 2, 38, name, size=12)
    engines = {"load": (70, COLUMNS), "compute": (120, ROWS), "store": (170, RESULTS)}
    for engine, (top, _) in engines.items():
        drawn.text(84, top + 20, engine, anchor="end")
    for engine, start, end, block in _WORK:
        top, colour = engines[engine]
        drawn.box(left + start, top, end - start, 30, colour)
        drawn.text(left + (start + end) / 2, top + 19, block, size=10)
    drawn.text(84, 240, "stalls", anchor="end")
    for start, end in ((0, 60), (300, 372), (540, 570)):
        drawn.box(left + start, 220, end - start, 30, PALE)
    words = "cycles: computation and stalls. What is loaded ahead runs under the pass before."
    drawn.text(left + 285, 276, words, size=12)
    return drawn


DRAWINGS = {"node.svg": node, "tile.svg": tile, "passes.svg": passes, "timeline.svg": timeline}
