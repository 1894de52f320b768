"""`swatsim explain`: its words against the report, the trace and simulations of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import in_process, swatsim
from test_imports import modules_after

import swatsim as package
from swatsim.datapaths import datapaths, lanes
from swatsim.explain import MOST_LAYERS, explain
from swatsim.explain.trials import RELAXATIONS, changed
from swatsim.layer import Layer
from swatsim.passes import PASSES
from swatsim.report.explanation import LEAST_GAIN, text_lines, to_json
from swatsim.trace import Trace
from swatsim.way import Relaxation

TRACE = Path(__file__).parent.parent / "traces" / "smallcnn"
MACHINE = package.load_architecture("dadiannao")
LOST = re.compile(r"    ([a-z_0-9]+) +([0-9,]+) +([0-9]+)%  (.+)")


@pytest.fixture(scope="module")
def trace():
    return package.load_trace(TRACE)


@pytest.fixture(scope="module")
def explained(trace):
    return explain(MACHINE, trace, "conv2")


@pytest.fixture(scope="module")
def rows(trace):
    """The report that the explanation is about, simulated apart."""
    report = package.simulate(MACHINE, trace, layers="conv2")
    return {record.pass_name: record.as_dict() for record in report.layer_records}


@pytest.fixture
def run(capsys):
    def call(*arguments, arch="dadiannao"):
        return in_process(capsys, "explain", *arguments, "--arch", arch, "--trace", TRACE)

    return call


def number(text):
    return int(text.replace(",", ""))


def told(explanation):
    """By pass: its lines, those that continue a line joined to it."""
    found, lines = {}, []
    for line in text_lines(explanation):
        if line and not line.startswith(" "):
            lines = found.setdefault(line.split(":")[0].split(", ")[-1], [])
        if line.startswith(" " * 9):
            lines[-1] += " " + line.strip()
        elif line:
            lines.append(line)
    return found


def small(name="one", **fields):
    random = np.random.default_rng(5)
    given = {
        "input": random.random((2, 4, 6, 6)) < 0.5, "weight": random.random((6, 4, 3, 3)) < 0.3,
        "output_grad": random.random((2, 6, 4, 4)) < 0.5,
    }  # fmt: skip
    return Layer.from_arrays(name, **given | fields)


# -------------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("pass_name", PASSES)
def test_the_words_tell_the_figures_of_the_report(explained, rows, pass_name):
    lines, row = told(explained)[pass_name], rows[pass_name]
    title = re.fullmatch(r"conv2, \w+: ([0-9,]+) cycles; with skipping off ([0-9,]+): speedup ([0-9.]+)x", lines[0])
    assert (number(title[1]), number(title[2])) == (row["cycles"], row["dense_cycles"])
    assert title[3] == f"{row['speedup']:.2f}"
    by_label = {line.split()[0]: line for line in lines[1:] if line.startswith("  ") and line[2] != " "}
    dense, ideal, actual = (by_label[label] for label in ("dense", "ideal", "actual"))
    expected = [row[f"{name}_cycles"] for name in ("dense_compute", "ideal", "compute")]
    assert [number(line.split()[1]) for line in (dense, ideal, actual)] == expected
    for line, cycles in ((ideal, expected[1]), (actual, expected[2])):
        assert f", {expected[0] / cycles:.2f}x the speed of dense" in line
    assert number(by_label["lost"].split()[1]) == expected[2] - expected[1]
    assert number(by_label["stalls"].split()[1]) == row["stall_cycles"]
    assert row["mapping"] in by_label["tiles"]


@pytest.mark.parametrize("pass_name", PASSES)
def test_causes_are_those_of_the_report_largest_first(explained, rows, pass_name):
    row, found = rows[pass_name], [LOST.fullmatch(line) for line in told(explained)[pass_name]]
    found = [(match[1], number(match[2]), int(match[3])) for match in found if match]
    lost = {name[5:-7]: cycles for name, cycles in row.items() if re.fullmatch("lost_.+_cycles", name) and cycles}
    stalls = {name[6:-7]: cycles for name, cycles in row.items() if re.fullmatch("stall_.+_cycles", name) and cycles}
    assert lost
    assert stalls
    first, rest = found[: len(lost)], found[len(lost) :]
    for part, expected, whole in ((first, lost, row["compute_cycles"]), (rest, stalls, row["cycles"])):
        assert {cause: cycles for cause, cycles, _ in part} == expected
        assert [cycles for _, cycles, _ in part] == sorted(expected.values(), reverse=True)
        assert all(share == round(100 * cycles / whole) for _, cycles, share in part)
    assert sum(lost.values()) == row["compute_cycles"] - row["ideal_cycles"]


def test_what_is_multiplied(explained, trace, rows):
    layer = trace.layer([spec.name for spec in trace.specs].index("conv2"))
    images, channels, height, width = layer.spec.input_shape
    filters, _, kernel, _ = layer.spec.weight_shape
    positions = height * width  # stride 1, padding 1
    expected = {
        "forward": (filters, images * positions, kernel**2, channels),
        "input_grad": (channels, images * positions, kernel**2, filters),
        "weight_grad": (filters, channels * kernel**2, images, positions),
    }
    for found in explained.passes:
        (product,) = found.work.products
        factors = (product.rows.count, product.columns.count, product.segments.count, product.elements.count)
        assert factors == expected[found.row.pass_name]
        assert product.macs == np.prod(factors) == rows[found.row.pass_name]["macs"]
        counts = {each.role: (each.nonzeros, each.elements) for each in found.work.operands}
        bits = {role: each.bits for role, each in layer.passes[found.row.pass_name].operands.items()}
        assert counts == {role: (int(each.to_bool().sum()), each.size) for role, each in bits.items()}
        assert {each.role for each in found.work.operands if each.skipped} == {rows[found.row.pass_name]["scheduled"]}
    assert f"{filters} filters x {images * positions:,} windows x 144 (9 taps x 16 channels)" in " ".join(
        told(explained)["forward"]
    )


def test_who_is_fullest(explained, trace):
    """Filters by hand: 16 to a tile, the fullest first."""
    layer = trace.layer([spec.name for spec in trace.specs].index("conv2"))
    filters = layer.passes["forward"].operands["weight"].bits.to_bool()
    counts = sorted((int(each.sum()) for each in filters), reverse=True)
    found = explained.passes[0]
    share = found.work.shares[0]
    assert (share.vectors, share.per_tile, share.at_once, share.rounds) == (len(counts), 16, 16 * share.tiles, 1)
    assert share.tiles == int(re.match("([0-9]+)x", found.row.mapping)[1]) == 2
    tiles = [counts[:16], counts[16:]]
    means = [sum(tile) / 16 for tile in tiles]
    expected = sum(map(max, tiles)) / sum(means)
    assert found.work.imbalance.vectors == pytest.approx(expected)
    assert found.work.imbalance.tiles == pytest.approx(max(means) / (sum(means) / 2))
    rows = next(line for line in told(explained)["forward"] if line.startswith("    rows"))
    assert "some of the 16 rows of a tile have more work than others: they wait for each other at the end of" in rows
    assert "datapath.barrier: chunk, datapath.chunk_steps: 32" in rows
    assert f"the fullest has {expected:.2f} times the non-zeros of the mean" in rows


def test_rounds_that_are_not_full_and_unequal_tiles():
    """Seven filters on two tiles of two rows: the second round has one filter on the second tile."""
    weight = np.zeros((7, 16, 1, 1), dtype=bool)
    for filter_number, count in enumerate([8, 4, 1, 1, 3, 5, 7]):
        weight[filter_number, :count] = True
    layer = Layer.from_arrays("fc", input=np.ones((1, 16, 3, 3)), weight=weight, output_grad=np.ones((1, 7, 3, 3)))
    machine = MACHINE
    keys = {"tile.rows": 2, "tiles": 2, "datapath.skip": "rows", "mapping.tile_split": "rows"}
    for key, value in (keys | {"datapath.balance": "none"}).items():
        machine = changed(machine, key, value)
    (found,) = explain(machine, Trace("t", [layer]), "fc", ["forward"]).passes
    # Rounds: (8 4) (1 1) | (3 5) (7).
    assert found.work.imbalance.vectors == pytest.approx((8 + 1 + 5 + 7) / (6 + 1 + 4 + 7))
    assert found.work.imbalance.tiles == pytest.approx((6 + 4) / ((6 + 4 + 1 + 7) / 2))
    share = found.work.shares[0]
    assert (share.vectors, share.at_once, share.rounds, share.filled) == (7, 4, 2, 7 / 8)


# --------------------------------------------------------------------------------------------------------------- advice


def test_advice_is_measured(explained, trace, rows):
    lines = told(explained)
    for found in explained.passes:
        assert found.trials
        assert [each.cycles for each in found.trials] == sorted(each.cycles for each in found.trials)
        best = found.trials[0]
        gains = rows[found.row.pass_name]["cycles"] / best.cycles >= LEAST_GAIN
        assert (found.best is not None) == gains
        assert f"{best.override}: {best.cycles:,} cycles" in lines[found.row.pass_name][-1]
    for override in ("datapath.barrier=pass", "memory.dram.banks=32"):
        key, value = override.split("=")
        machine = package.load_architecture("dadiannao", {key: int(value) if value.isdigit() else value})
        again = package.simulate(machine, trace, layers="conv2").layer_records
        found = {each.row.pass_name: trial.cycles for each in explained.passes for trial in each.trials
                 if trial.override == override}  # fmt: skip
        assert found
        assert found.items() <= {row.pass_name: row.cycles for row in again}.items()


def only(monkeypatch, relaxations):
    """Nothing else is tried."""
    monkeypatch.setattr("swatsim.explain.trials.RELAXATIONS", relaxations)
    for module in datapaths().values():
        monkeypatch.delattr(module, "RELAXATIONS", raising=False)


def test_only_keys_that_may_help_are_tried(explained, trace):
    for found in explained.passes:
        large = {cause for cause, cycles in found.row.losses._asdict().items() if cycles > 0.01 * found.row.cycles}
        may_help = {each.key for each in (*lanes.RELAXATIONS, *RELAXATIONS) if large & set(each.losses)}
        tried = {each.override.split("=")[0] for each in found.trials}
        assert {key for key in tried if not key.startswith("memory.")} <= may_help
    free = explain(changed(MACHINE, "datapath.barrier", "pass"), trace, "conv2", ["forward"])
    assert not any(each.override.startswith("datapath.barrier=") for each in free.passes[0].trials)


def test_keys_of_other_families_and_refused_values_are_passed_over(trace, monkeypatch):
    losses = ("reach", "rows", "tiles", "barriers", "edges")
    strange = [("datapath.no_such_key", 1), ("datapath.reach", "none"), ("memory.dram.latency_cycles", None)]
    relaxations = tuple(Relaxation(key=key, value=value, losses=losses) for key, value in strange)
    only(monkeypatch, relaxations)
    monkeypatch.setattr("swatsim.explain.trials._of_memory", lambda *_: ())
    (found,) = explain(MACHINE, trace, "conv2", ["forward"]).passes
    # Without a reach nothing can be skipped.
    assert [each.override for each in found.trials] == ["memory.dram.latency_cycles=120"]


def test_a_machine_that_fits_no_layer_is_no_advice(trace, monkeypatch):
    relaxation = Relaxation(key="memory.central.capacity_bytes", value=8, losses=("rows",))
    only(monkeypatch, (relaxation,))
    monkeypatch.setattr("swatsim.explain.trials._of_memory", lambda *_: ())
    explained = explain(MACHINE, trace, "conv2", ["forward"])
    assert explained.passes[0].trials == ()
    assert text_lines(explained)[-1] == "  advice   nothing to try: no key that could be relaxed is at fault"


# ---------------------------------------------------------------------------------------------------------------- words


def test_a_family_may_have_its_own_words(trace, monkeypatch):
    own = {"rows": "the {tile.rows} filters of a tile stop at a {datapath.barrier}"}
    monkeypatch.setattr(datapaths()["lanes"], "EXPLAIN", own, raising=False)
    lines = told(explain(MACHINE, trace, "conv2", ["forward"]))["forward"]
    rows = next(LOST.fullmatch(line)[4] for line in lines if line.startswith("    rows"))
    assert rows.startswith("the 16 filters of a tile stop at a chunk; the fullest has ")
    assert any("multipliers find no value" in line for line in lines)


@pytest.mark.parametrize("name", package.shipped_architectures())
def test_every_machine_can_be_explained(name, trace, monkeypatch):
    """Whatever its family."""
    only(monkeypatch, ())
    monkeypatch.setattr("swatsim.explain.trials._of_memory", lambda *_: ())
    explained = explain(package.load_architecture(name), trace, "fc")
    lines = text_lines(explained)
    assert max(map(len, lines)) <= 100
    assert not any("{" in line or "None" in line for line in lines)
    for found in explained.passes:
        assert sum(product.macs for product in found.work.products) == found.row.macs
        assert sum(cycles for _, cycles, _ in explained.losses(found)) == (
            found.row.compute_cycles - found.row.ideal_cycles
        )


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"weight": np.zeros((6, 4, 3, 3))}, "0.0% non-zero"),
        ({"weight": np.ones((6, 2, 3, 3)), "groups": 2}, "2 groups of 3 filters x 32 windows x 18"),
        ({"output_grad": np.ones((2, 6, 2, 2)), "stride": 2}, "6 filters x 8 windows x 36 (9 taps x 4 channels)"),
        ({"kind": "conv_transpose2d", "weight": np.ones((4, 6, 3, 3)), "output_grad": np.ones((2, 6, 8, 8))},
         "6 channels x 128 positions x 36 (9 taps x 4 filters)"),
        ({"input": np.ones((9, 5)), "weight": np.ones((7, 5)), "output_grad": np.ones((9, 7))},
         "7 outputs x 9 positions x 5 (5 inputs)"),
    ],
)  # fmt: skip
def test_layers_of_every_kind(fields, part):
    explained = explain(MACHINE, Trace("t", [small("x" * 150, **fields)]), "x*")
    lines = text_lines(explained)
    assert max(map(len, lines)) <= 100
    assert part in " ".join(" ".join(lines).split())
    for found in explained.passes:
        assert sum(product.macs for product in found.work.products) == found.row.macs
    json.loads(to_json(explained), parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


def test_what_skips_nothing_says_so(trace):
    dense = explain(changed(MACHINE, "datapath.skip", "none"), trace, "fc", ["forward"])
    assert "nothing is skipped: this machine skips nothing" in " ".join(" ".join(text_lines(dense)).split())
    full = Trace("t", [small(weight=np.ones((6, 4, 3, 3)), input=np.ones((2, 4, 6, 6)))])
    useless = " ".join(" ".join(text_lines(explain(MACHINE, full, "one", ["forward"]))).split())
    assert ("nothing is skipped: with skipping it would take no fewer cycles" in useless) == (
        "its zeros are skipped" not in useless
    )


# -------------------------------------------------------------------------------------------------------------- command


def test_json_has_everything(run, explained, rows, tmp_path):
    code, text, err = run("conv2", "--json", tmp_path / "e.json")
    assert (code, err) == (0, "")
    assert text.splitlines() == text_lines(explained)
    out = (tmp_path / "e.json").read_text()
    assert out == to_json(explained)
    document = json.loads(out)
    assert (document["format"], document["version"]) == ("swatsim-explanation", 1)
    assert document["text"] == text_lines(explained)
    assert [each["row"] for each in document["passes"]] == list(rows.values())
    for each in document["passes"]:
        assert sum(cause["cycles"] for cause in each["losses"]) == (
            each["row"]["compute_cycles"] - each["row"]["ideal_cycles"]
        )
        assert sum(cause["cycles"] for cause in each["stalls"]) == each["row"]["stall_cycles"]
        assert {"products", "operands", "shares", "imbalance", "may_skip"} == set(each["work"])
        assert each["advice"] in (None, each["trials"][0]["override"])
    code, out, err = run("fc", "--json", "-", "--pass", "forward")
    assert (code, err) == (0, "")
    assert [each["row"]["layer"] for each in json.loads(out)["passes"]] == ["fc"]


def test_a_pattern_and_some_passes(run):
    code, out, err = run("conv[12]", "--pass", "forward", "--set", "mapping.tile_split=rows")
    assert (code, err) == (0, "")
    titles = [line.split(":")[0] for line in out.splitlines() if "with skipping off" in line and line[0] != " "]
    assert titles == ["conv1, forward", "conv2, forward"]
    assert "mapping.tile_split: rows" in out


def test_a_name_that_looks_like_a_pattern():
    layers = Trace("t", [small("a[1]"), small("a1")])
    assert [each.row.layer for each in explain(MACHINE, layers, "a[1]", ["forward"]).passes] == ["a[1]"]


def test_mistakes(run):
    code, out, err = run("conv22")
    assert (code, out) == (2, "")
    expected = "layer: got 'conv22', which matches none of the 4 layers of smallcnn, expected one such as conv2, "
    assert err.startswith(expected)
    assert len(err.splitlines()) == 1
    code, out, err = run("conv2", "--set", "tile.rows=1", "--set", "tile.rows=2")
    assert (code, out, err) == (2, "", "--set tile.rows: got it twice, expected each key once\n")
    code, out, err = run("conv2", "--json", "no/such/folder/e.json")
    assert (code, out) == (2, "")
    assert "no/such/folder/e.json: cannot be written" in err
    many = Trace("many", [small(f"layer{index}") for index in range(MOST_LAYERS + 1)])
    with pytest.raises(package.SwatsimError, match=r"'layer\*', which matches 9 layers, expected at most 8, as in l"):
        explain(MACHINE, many, "layer*")


def test_a_reader_that_leaves_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    arguments = ["explain", "fc", "--arch", "dadiannao-dense", "--trace", TRACE, "--pass", "forward"]
    result = swatsim(*arguments, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


def test_help_loads_nothing_heavy():
    assert not modules_after("import swatsim.explain_command") & {"numpy", "numba", "pandas", "pydantic", "rich"}
