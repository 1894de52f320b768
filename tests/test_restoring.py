"""A report that is read back is the report that was written, and shows itself in notebooks."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pandas
import pytest
import report_rows
from rich.console import Console
from saved_documents import small_exploration, small_sweep
from trace_files import small_graph, small_layers
from written_documents import comparison_text, report_text, small

import swatsim
from swatsim.errors import SwatsimError
from swatsim.quantities import cycles_text
from swatsim.report.document import to_json
from swatsim.report.views import energy_view, stalls_view, traffic_view
from swatsim.sweeping.table import print_sweep


@pytest.fixture
def saved(tmp_path):
    def write(change=None, text=None):
        document = json.loads(report_text() if text is None else text)
        if change is not None:
            change(document)
        path = tmp_path / "report.json"
        path.write_text(json.dumps(document))
        return path

    return write


@pytest.mark.parametrize(
    ("machine", "options"),
    [
        ("dadiannao", {}), ("systolic", {}), ("scnn", {"layers": "first"}),
        ("sparsetrain", {"passes": ("forward",), "objective": "energy"}), ("cnvlutin", {"sample": 0.5, "seed": 3}),
    ],
)  # fmt: skip
def test_a_report_that_is_read_back_gives_the_same_bytes(tmp_path, machine, options):
    text = report_text(machine, **options)
    (tmp_path / "report.json").write_text(text)
    report = swatsim.load_report(tmp_path / "report.json")
    assert to_json(report) == text


def test_of_two_keys_that_no_machine_has_the_first_is_named(saved):
    path = saved(
        lambda document: document["architecture"].update(later=1) or document["architecture"]["tile"].update(x=2)
    )
    with pytest.raises(SwatsimError, match=r": architecture\.tile\.x: got 2, expected a machine as"):
        swatsim.load_report(path)


def test_a_report_that_is_read_back_is_the_one_that_was_written(saved):
    """All but the timeline, and moves and stalls of nothing, which are not written."""
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), small(), workers=1)
    back = swatsim.load_report(saved(text=to_json(report)))
    pandas.testing.assert_frame_equal(back.to_dataframe(), report.rows)
    assert back.architecture == report.architecture
    assert (back.area, back.footprint, back.machine) == (report.area, report.footprint, report.machine)
    for one, other in zip(back.records, report.records, strict=True):
        assert (one.unskippable_macs, one.is_total, one.losses) == (
            other.unskippable_macs, other.is_total, other.losses
        )  # fmt: skip
        for name in ("moved_bytes", "dense_moved_bytes", "stalls", "dense_stalls"):
            there = {key: count for key, count in getattr(other, name).items() if count}
            assert dict(getattr(one, name)) == there, name
    for view in (energy_view, stalls_view, traffic_view):
        assert view(back) == view(report)


def test_a_stream_named_total_is_no_total(saved):
    """In rows alone nobody could tell."""
    graph = [
        replace(node, name="total") if node.name == "relu" else
        replace(node, inputs=tuple("total" if name == "relu" else name for name in node.inputs))
        for node in small_graph()
    ]  # fmt: skip
    trace = swatsim.Trace("small", small_layers(), graph=graph)
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), trace, workers=1)
    back = swatsim.load_report(saved(text=to_json(report)))
    named = [row.pass_name for row in back.records if row.layer == "total" and not row.is_total]
    assert named == ["elementwise_forward", "elementwise_backward"]
    assert [row.is_total for row in back.records] == [row.is_total for row in report.records]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda report: report.pop("details"), "details: got none, expected one for each row"),
        (lambda report: report["details"].pop(), r"details: got \d+ for \d+ rows, expected one for each row"),
        (
            lambda report: report["rows"][2].update(energy_pj=1.0),
            r"rows\[2\]\.energy_pj: got 1\.0, expected [\d.]+, which the rest of the row gives",
        ),
        (lambda report: report["rows"][2].update(stall_cycles=1), r"rows\[2\]\.stall_cycles: got 1, expected \d+, wh"),
        (lambda report: report["rows"][2].update(later=1), r'rows\[2\]: got "later", expected only columns of swatsim'),
        (lambda report: report["rows"][2].pop("input_density"), r"rows\[2\]: got no input_density, expected all colum"),
        (
            lambda report: report["details"][0]["dense_moved_bytes"].update(sb_read_output=5),
            r"rows\[0\]\.dense_energy_pj: got [\d.]+, expected",
        ),
        (
            lambda report: report["details"][0]["dense_moved_bytes"].update(nowhere=5),
            r"details\[0\]: got .*, expected .*, as such a row has",
        ),
        (
            lambda report: report["architecture"]["tile"].update(rows=70000),
            r"architecture\.tile\.rows: got 70000, expected a machine as swatsim 0\.1\.0 has them \(an integer",
        ),
        (
            lambda report: report["architecture"]["datapath"].update(kind="\ud800"),
            r"architecture\.datapath: got .*, expected a machine as .* \(Input tag '\\ud800' found",
        ),
        (
            lambda report: report["architecture"].update({"a\nb": 1}),
            r"architecture\.'a\\nb': got 1, expected a machine",
        ),
        (
            lambda report: report["architecture"]["tile"].update({"long" * 900: 1}),
            r"architecture\.tile\.'(long)+lo…: got 1, expected a machine",
        ),
        (
            lambda report: report["architecture"].update(later=1),
            r'architecture\.later: got 1, expected .* it was made by swatsim "0\.1\.0"',
        ),
    ],
)
def test_what_cannot_be_rebuilt_is_refused(saved, change, message):
    path = saved(change)
    with pytest.raises(SwatsimError, match=f"^{re.escape(str(path))}: {message}"):
        swatsim.load_report(path)


def test_a_comparison_is_no_report(tmp_path):
    path = tmp_path / "comparison.json"
    path.write_text(comparison_text())
    with pytest.raises(SwatsimError, match=r"comparison\.json: got a comparison, expected a report, as swatsim run"):
        swatsim.load_report(path)


# ------------------------------------------------------------------------------------------------------------ notebooks


def test_a_report_shows_its_totals_in_a_notebook():
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), small(), workers=1)
    shown = report._repr_html_()
    assert shown.count("<tr>") == 1 + len(report.totals)
    assert f"{report.total('step').cycles:,}" in shown
    assert "DaDianNao" in shown


def test_names_are_escaped_in_a_notebook():
    hostile = "</table><script>alert(1)</script>"
    layer = report_rows.row(layer=hostile, cycles=4, compute_cycles=4)
    report = report_rows.report([layer] * 20, whole=(), architecture={"name": hostile}, trace={
        "name": hostile, "provenance": {"masks": "synthetic"},
    })  # fmt: skip
    shown = report._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 12 + 2
    assert "And 8 more rows" in shown


def test_a_comparison_shows_speedups_in_a_notebook():
    machines = {"<b>": swatsim.load_architecture("dadiannao"), "systolic": swatsim.load_architecture("systolic")}
    comparison = swatsim.compare(machines, small(), workers=1)
    shown = comparison._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
    assert shown.count("<tr>") == 3
    pandas.testing.assert_frame_equal(comparison.to_dataframe(), comparison.rows)


def test_a_sweep_shows_what_is_varied_in_a_notebook():
    sweep = small_sweep()
    shown = sweep._repr_html_()
    headings = re.findall(r"<th [^>]*>(.*?)</th>", shown)
    assert headings == ["arch", "tile.rows", "cycles", "speedup", "energy", "DRAM", ""]
    lines = [re.findall(r"<td [^>]*>(.*?)</td>", line) for line in shown.split("<tr>")[2:]]
    assert [line[:2] for line in lines] == [
        [machine, rows] for machine in ("dadiannao", "tensordash") for rows in ("2", "4", "16")
    ]
    step = next(total for total in sweep.points[0]["totals"] if total["pass"] == "step")
    assert lines[0][2] == cycles_text(step["cycles"])
    assert lines[4][-1] == "second: forward does not fit"
    assert "more points" not in shown
    many = replace(sweep, points=sweep.points * 20)._repr_html_()
    assert many.count("<tr>") == 1 + 60
    assert "And 60 more points" in many


def test_names_of_a_sweep_and_an_exploration_are_escaped_in_a_notebook():
    name = "</table><script>alert(1)</script>[red]"
    sweep = small_sweep()
    points = [
        {**point, "error": point["error"] and name, "parameters": {**point["parameters"], "arch": name},
         "trace": {**point["trace"], "synthetic": True}}
        for point in sweep.points
    ]  # fmt: skip
    sweep = replace(sweep, points=tuple(points))
    shown = sweep._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == len(points) + 1
    assert "A trace is synthetic" in shown
    console = Console(file=io.StringIO(), width=200)
    print_sweep(sweep, console)
    assert console.file.getvalue().count(name) == len(points) + 1

    found = small_exploration()
    refused = replace(found.tried[0], machine={"arch": name}, refused=name)
    shown = replace(found, tried=(refused, *found.tried[1:]))._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 2
    assert shown.count("<tr") == 1 + len(found.tried)
    assert "area_mm2" in shown
