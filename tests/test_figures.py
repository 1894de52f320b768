"""Figures hold the numbers of their charts, fit their widths, embed their fonts, and are the same bytes each time."""

from __future__ import annotations

import json
import math
import pickle
import re
import subprocess
import sys
import zlib
from itertools import combinations

import pytest
from command_line import in_process
from saved_documents import (
    DOCUMENTS,
    EDGES,
    HOSTILE,
    hostile,
    small_comparison,
    small_exploration,
    small_report,
    small_sweep,
)

from swatsim import plot_command
from swatsim.charts.figures import FIGURES, figure
from swatsim.charts.model import Bar, BarChart, Group, LineChart, Series
from swatsim.errors import SwatsimError
from swatsim.figures import draw, rendered
from swatsim.figures.style import STYLES, WIDTHS
from swatsim.report.document import to_json

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'swatsim[plot]'")

OF_RUN = [name for name in FIGURES if name != "pareto"]
CHARTS = (
    [("run", name) for name in OF_RUN]
    + [("exploration", "pareto")]
    + [(kind, name) for kind in ("comparison", "sweep") for name in ("speedup", "cycles", "traffic", "energy")]
)


def chart(kind, name):
    return figure(DOCUMENTS[kind](), name)


def shown_texts(drawn):
    """Texts that are drawn, with their boxes in dots."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(drawn)
    canvas.draw()
    texts = [text for text in drawn.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts]


@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize(("kind", "name"), CHARTS)
def test_a_figure_is_as_wide_as_its_place_and_nothing_overlaps(kind, name, width):
    drawn = draw(chart(kind, name), width=width)
    inches = drawn.get_size_inches()
    assert inches[0] == WIDTHS[width].inches
    assert WIDTHS[width].plot_inches < inches[1] < 3 * WIDTHS[width].plot_inches
    check_texts(drawn)


def check_texts(drawn):
    """Assert that all texts are inside of the figure, and apart."""
    texts = shown_texts(drawn)
    edge = drawn.bbox
    for text, box in texts:
        assert box.x0 >= -1, text
        assert box.x1 <= edge.x1 + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= edge.y1 + 1, text
    for (one, box), (other, its) in combinations(texts, 2):
        wide, high = min(box.x1, its.x1) - max(box.x0, its.x0), min(box.y1, its.y1) - max(box.y0, its.y0)
        assert wide < 2 or high < 2, (one, other)


def test_bars_are_as_high_as_the_chart_says():
    made = chart("run", "cycles")
    assert isinstance(made, BarChart)
    axes = draw(made).axes[0]
    bars = [bar for group in made.groups for bar in group.bars]
    heights = [[patch.get_height() for patch in container] for container in axes.containers]
    assert [tuple(parts) for parts in zip(*heights, strict=True)] == [bar.parts for bar in bars]
    tops = [sum(parts) for parts in zip(*heights, strict=True)]
    last = axes.containers[-1]
    assert [patch.get_y() + patch.get_height() for patch in last] == pytest.approx(tops)
    assert axes.get_ylim()[1] >= made.most


def test_marks_are_where_the_chart_says():
    made = chart("run", "speedup")
    axes = draw(made).axes[0]
    (lines,) = axes.collections
    assert [segment[0][1] for segment in lines.get_segments()] == [
        bar.mark for group in made.groups for bar in group.bars
    ]  # fmt: skip


def test_points_and_lines_are_those_of_the_chart():
    roof = chart("run", "roofline")
    axes = draw(roof).axes[0]
    found = sorted(tuple(map(float, point)) for points in axes.collections for point in points.get_offsets())
    assert found == sorted((point.x, point.y) for point in roof.points)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    lines = chart("sweep", "cycles")
    assert isinstance(lines, LineChart)
    drawn = draw(lines).axes[0].get_lines()
    assert [tuple(zip(*line.get_data(), strict=True)) for line in drawn] == [line.points for line in lines.lines]


def test_strips_are_those_of_the_chart():
    made = chart("run", "density")
    cells = draw(made).axes[0].images[0].get_array().filled(math.nan)
    for row, values in enumerate(made.values):
        for column, value in enumerate(values):
            shown = float(cells[column, row])
            assert math.isnan(shown) if value is None else shown == value


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
@pytest.mark.parametrize(("of", "name"), [("run", "speedup"), ("run", "density"), ("sweep", "energy")])
def test_the_same_chart_gives_the_same_bytes(of, name, kind):
    data = rendered(draw(chart(of, name)), kind)
    assert rendered(draw(chart(of, name)), kind) == data
    assert data.startswith({"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}[kind])
    assert not re.search(rb"(?i)creationdate|<dc:date>|matplotlib v|202\d-\d\d", data)


def test_fonts_are_embedded():
    data = rendered(draw(chart("run", "speedup")), "pdf")
    streams = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", data, re.DOTALL):
        try:
            streams.append(zlib.decompress(stream))
        except zlib.error:
            continue
    everything = data + b"".join(streams)
    assert b"/FontFile2" in everything  # TrueType
    assert b"/Type3" not in everything
    assert b"<text" not in rendered(draw(chart("run", "speedup")), "svg")  # outlines, which need no font


@pytest.mark.parametrize("style", list(STYLES))
def test_styles(style, tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "a.png").write_bytes(rendered(draw(chart("run", "cycles"), style=style), "png"))
    found = image.open(tmp_path / "a.png").convert("RGB")
    assert found.width == 3.5 * 300
    colors = found.getcolors(found.width * found.height)
    assert (sum(max(colors)[1]) < 3 * 64) == (style == "dark")
    colored = any(max(color) - min(color) > 60 for _, color in colors)
    assert colored == (style != "gray")
    painted = STYLES[style].series(["blue", "orange", "green"])
    assert len(set(painted)) == 3


def test_an_unknown_width_or_style_is_refused():
    with pytest.raises(SwatsimError, match="width: got 'half', expected one of single, double, slide"):
        draw(chart("run", "speedup"), width="half")
    with pytest.raises(SwatsimError, match="style: got 'loud', expected one of paper, dark, gray"):
        draw(chart("run", "speedup"), style="loud")
    with pytest.raises(SwatsimError, match="plot: got 'gif', expected one of pdf, svg, png"):
        rendered(draw(chart("run", "speedup")), "gif")


@pytest.mark.parametrize(
    ("name", "shown"), [("idle", name) for name in OF_RUN] + [("unlimited", "roofline"), ("empty", "speedup")]
)
def test_edges_have_figures(name, shown):
    drawn = draw(figure(EDGES[name](), shown))
    assert rendered(drawn, "png")
    check_texts(drawn)


def bars_named(names):
    groups = tuple(Group(name=name, bars=(Bar(name="", parts=(1.0,)),)) for name in names)
    return BarChart(title="$\\oops{$", unit="cycles", series=(Series(name="$x$", color="blue"),), groups=groups)


@pytest.mark.parametrize("width", list(WIDTHS))
def test_of_many_layers_as_many_are_named_as_fit(width):
    check_texts(draw(bars_named([f"layer{number}.conv" for number in range(200)]), width=width))


def test_names_are_written_as_they_are():
    drawn = draw(bars_named(["$\\oops{$", "a_b$"]), width="slide")
    assert rendered(drawn, "png")
    assert {"\\$\\oops{\\$", "a_b\\$"} <= {text for text, _ in shown_texts(drawn)}


@pytest.mark.parametrize("kind", [kind for kind in DOCUMENTS if kind != "exploration"])  # whose figure names nothing
@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_are_no_formulas(kind):
    drawn = draw(figure(hostile(DOCUMENTS[kind](), f"$ {HOSTILE}")), width="slide")
    assert rendered(drawn, "svg")
    assert any("$" in text for text, _ in shown_texts(drawn))


def test_a_user_s_own_settings_change_nothing():
    import matplotlib as mpl

    data = rendered(draw(chart("run", "speedup")), "pdf")
    with mpl.rc_context(
        {"font.size": 20, "font.family": "serif", "pdf.fonttype": 3, "axes.facecolor": "red", "lines.linewidth": 9}
    ):
        assert rendered(draw(chart("run", "speedup")), "pdf") == data


# -------------------------------------------------------------------------------------------------- python and command


def test_report_and_comparison_have_figures(tmp_path):
    report = small_report()
    for name in OF_RUN:
        drawn = getattr(report.plot, name)(width="double")
        assert drawn.get_size_inches()[0] == WIDTHS["double"].inches
    assert report.plot.speedup()._repr_png_() == rendered(report.plot.speedup(), "png")  # what notebooks show
    assert pickle.loads(pickle.dumps(report.plot.speedup())).axes
    assert small_comparison().plot.speedup(style="dark")
    with pytest.raises(SwatsimError, match="figure: got 'density'"):
        small_comparison().plot.density()
    report.plot.save(tmp_path / "a.PDF", "energy")
    document = json.loads(to_json(report))
    assert (tmp_path / "a.PDF").read_bytes() == rendered(draw(figure(document, "energy")), "pdf")


def test_sweep_and_exploration_have_figures(tmp_path):
    small_sweep().plot.save(tmp_path / "s.pdf", "speedup")
    assert (tmp_path / "s.pdf").read_bytes() == rendered(draw(chart("sweep", "speedup")), "pdf")
    assert small_sweep().plot.energy().axes
    assert small_exploration().plot.pareto().axes
    for result, missing in ((small_sweep(), "pareto"), (small_exploration(), "speedup")):
        with pytest.raises(SwatsimError, match=f"figure: got '{missing}'"):
            result.plot(missing)


def test_choices_are_those_of_the_modules():
    assert plot_command.FIGURES == FIGURES
    assert tuple(WIDTHS) == plot_command.WIDTHS
    assert tuple(STYLES) == plot_command.STYLES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.json").write_text(to_json(small_report()))
    return tmp_path


@pytest.mark.parametrize("end", ["pdf", "svg", "PNG"])
def test_plot_command(folder, capsys, end):
    result = in_process(capsys, "plot", "run.json", f"out.{end}", "--figure", "cycles", "--width", "double")
    assert result == (0, "", "")
    expected = rendered(draw(chart("run", "cycles"), width="double"), end.lower())
    assert (folder / f"out.{end}").read_bytes() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run.json", "out.gif"), "plot: got 'out.gif', expected a name that ends in .pdf, .svg, .png\n"),
        (("none.json", "out.pdf"), "none.json: cannot be read: No such file or directory\n"),
        (("run.json", "no/out.pdf"), "no/out.pdf: cannot be written: No such file or directory\n"),
    ],
)
def test_a_mistake_is_one_line(folder, capsys, arguments, message):
    assert in_process(capsys, "plot", *arguments) == (2, "", message)


def test_without_matplotlib_the_extra_is_named(folder):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from swatsim.cli import main; main(['plot', 'run.json', 'out.pdf'])"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "swatsim plot needs matplotlib: pip install 'swatsim[plot]'\n"
    assert not (folder / "out.pdf").exists()
