"""SCALE-Sim's reports, read as a script for SCALE-Sim does, against the rows and the timeline they are made of."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import in_process
from trace_files import write_trace

import swatsim
from swatsim.report.scalesim_reports import WRITTEN, scalesim_files

TRACE = Path(__file__).parent.parent / "traces" / "smallcnn"
# As scalesim/simulator.py (version 3) writes them.
HEADERS = {
    "COMPUTE_REPORT.csv": "LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util %, "
    "Mapping Efficiency %, Compute Util %,\n",
    "BANDWIDTH_REPORT.csv": "LayerID, Avg IFMAP SRAM BW, Avg FILTER SRAM BW, Avg OFMAP SRAM BW, Avg IFMAP DRAM BW, "
    "Avg FILTER DRAM BW, Avg OFMAP DRAM BW,\n",
    "DETAILED_ACCESS_REPORT.csv": "LayerID, SRAM IFMAP Start Cycle, SRAM IFMAP Stop Cycle, SRAM IFMAP Reads, "
    "SRAM Filter Start Cycle, SRAM Filter Stop Cycle, SRAM Filter Reads, SRAM OFMAP Start Cycle, "
    "SRAM OFMAP Stop Cycle, SRAM OFMAP Writes, DRAM IFMAP Start Cycle, DRAM IFMAP Stop Cycle, DRAM IFMAP Reads, "
    "DRAM Filter Start Cycle, DRAM Filter Stop Cycle, DRAM Filter Reads, DRAM OFMAP Start Cycle, "
    "DRAM OFMAP Stop Cycle, DRAM OFMAP Writes,\n",
}
# The report's column of each tensor off chip: what slides, what it meets, what comes of it.
OFF_CHIP = {
    "forward": ("dram_read_input_bytes", "dram_read_weight_bytes", "dram_write_output_bytes"),
    "input_grad": ("dram_read_output_bytes", "dram_read_weight_bytes", "dram_write_input_bytes"),
    "weight_grad": ("dram_read_input_bytes", "dram_read_output_bytes", "dram_write_weight_bytes"),
}
# The same at the tile's buffers of DaDianNao: forward's weights stand in sb, the inputs in nbin.
ON_CHIP = {
    "forward": ("nbin_read_input_bytes", "sb_read_weight_bytes", "nbout_write_output_bytes"),
    "input_grad": ("nbin_read_output_bytes", "sb_read_weight_bytes", "nbout_write_input_bytes"),
}
MEMORIES = [f"{memory} {tensor}" for memory in ("SRAM", "DRAM") for tensor in ("IFMAP", "Filter", "OFMAP")]


def read(data):
    """The rows by LayerID, as scripts for SCALE-Sim read them: cells between ", ", nothing after the last comma."""
    names, *lines = [line.split(",")[:-1] for line in data.decode().splitlines()]
    names = [name.strip() for name in names]
    assert all(len(line) == len(names) for line in lines)
    return {int(line[0]): dict(zip(names[1:], map(float, line[1:]), strict=True)) for line in lines}


@pytest.fixture(scope="module")
def report():
    machine = swatsim.load_architecture("dadiannao")
    return swatsim.simulate(machine, swatsim.load_trace(TRACE), keep_timeline=True, workers=1)


@pytest.fixture(scope="module")
def files(report):
    return scalesim_files(report)


def passes(report, files, name):
    """(row of ours as a dict, its place on the timeline, row of a SCALE-Sim report) of every layer and pass."""
    placed = {(each.layer, each.pass_name): each for each in report.timeline}
    numbers = {
        row["Layer name"]: int(row["LayerID"]) for row in csv.DictReader(files["LAYERS.csv"].decode().splitlines())
    }
    found = [
        (row.as_dict(), placed[row.layer, row.pass_name], read(files[f"{row.pass_name}/{name}"])[numbers[row.layer]])
        for row in report.layer_records
    ]
    assert len(found) == sum(len(read(files[f"{pass_name}/{name}"])) for pass_name in OFF_CHIP) == 11
    return found


def test_the_files_and_their_first_lines_are_scale_sims(files):
    assert sorted(files) == sorted(WRITTEN)
    for path, data in files.items():
        if path != "LAYERS.csv":
            assert data.decode().startswith(HEADERS[path.rpartition("/")[2]])
            assert all(line.endswith(",") for line in data.decode().splitlines())
    assert files["LAYERS.csv"] == b"LayerID,Layer name\n0,conv1\n1,conv2\n2,conv3\n3,fc\n"
    # The first convolution has no input gradient; the others keep their numbers.
    assert list(read(files["input_grad/COMPUTE_REPORT.csv"])) == [1, 2, 3]


def test_cycles_and_shares_are_the_rows(report, files):
    for row, placed, found in passes(report, files, "COMPUTE_REPORT.csv"):
        peak = 4096
        assert (found["Total Cycles"], found["Stall Cycles"]) == (row["cycles"], row["stall_cycles"])
        first = min([0, placed.ahead[0]] + [start for start, end in placed.spans.load.tolist() if start < end])
        assert found["Total Cycles (incl. prefetch)"] == row["cycles"] - first
        assert found["Overall Util %"] == pytest.approx(100 * row["multiplications"] / row["cycles"] / peak)
        assert found["Compute Util %"] == pytest.approx(100 * row["multiplications"] / row["compute_cycles"] / peak)
        assert 0 < found["Overall Util %"] <= found["Compute Util %"] <= 100
        assert math.isnan(found["Mapping Efficiency %"])
    assert any(row["prefetched_cycles"] for row, _, _ in passes(report, files, "COMPUTE_REPORT.csv"))


def test_words_are_the_bytes_of_the_rows(report, files):
    for row, _, found in passes(report, files, "DETAILED_ACCESS_REPORT.csv"):
        for column, name in zip(("IFMAP Reads", "Filter Reads", "OFMAP Writes"), OFF_CHIP[row["pass"]], strict=True):
            assert found[f"DRAM {column}"] == math.ceil(row[name] / 2), (row["layer"], row["pass"], column)
        if row["pass"] in ON_CHIP and "exchanged" not in row["mapping"]:
            for column, name in zip(("IFMAP Reads", "Filter Reads", "OFMAP Writes"), ON_CHIP[row["pass"]], strict=True):
                assert found[f"SRAM {column}"] == row[name] / 2, (row["layer"], row["pass"], column)


def test_engines_work_from_start_to_stop(report, files):
    for _, placed, found in passes(report, files, "DETAILED_ACCESS_REPORT.csv"):
        engines = {
            "load": [placed.ahead, *placed.spans.load.tolist()], "compute": placed.spans.compute.tolist(),
            "store": placed.spans.store.tolist(),
        }  # fmt: skip
        for memory in MEMORIES:
            engine = "compute" if memory.startswith("SRAM") else "store" if memory.endswith("OFMAP") else "load"
            busy = [(start, end) for start, end in engines[engine] if start < end]
            assert found[f"{memory} Start Cycle"] == min(start for start, _ in busy)
            assert found[f"{memory} Stop Cycle"] == max(end for _, end in busy) - 1


def test_bandwidths_are_scale_sims_quotients(report, files):
    details = [found for _, _, found in passes(report, files, "DETAILED_ACCESS_REPORT.csv")]
    for (row, _, found), detail in zip(passes(report, files, "BANDWIDTH_REPORT.csv"), details, strict=True):
        for memory in MEMORIES:
            words = detail[f"{memory} {'Writes' if memory.endswith('OFMAP') else 'Reads'}"]
            cycles = row["cycles"]
            if memory.startswith("DRAM"):
                cycles = detail[f"{memory} Stop Cycle"] - detail[f"{memory} Start Cycle"] + 1
            shown = f"Avg {memory.partition(' ')[2].replace('Filter', 'FILTER')} {memory.partition(' ')[0]} BW"
            assert found[shown] == pytest.approx(words / cycles)


def test_what_is_not_moved_has_no_cycles(report):
    """As of a machine without levels on the chip: nothing is read there, and no cycle is made up for it."""
    bare = tuple(
        replace(row, moved_bytes={move: count for move, count in row.moved_bytes.items() if move.level == "dram"})
        for row in report.records if row.pass_name == "forward"
    )  # fmt: skip
    files = scalesim_files(replace(report, records=bare))
    assert {path.partition("/")[0] for path in files} == {"LAYERS.csv", "forward"}
    for row in read(files["forward/DETAILED_ACCESS_REPORT.csv"]).values():
        assert (row["SRAM IFMAP Reads"], row["SRAM OFMAP Writes"]) == (0, 0)
        assert math.isnan(row["SRAM IFMAP Start Cycle"])
        assert row["DRAM IFMAP Reads"] > 0
    assert all(row["Avg IFMAP SRAM BW"] == 0 for row in read(files["forward/BANDWIDTH_REPORT.csv"]).values())


# --------------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_trace(tmp_path / "trace")

    def call(*arguments):
        return in_process(
            capsys, "run", "--arch", "systolic", "--trace", "trace", "--workers", 1, "--scalesim-reports", *arguments
        )

    return call


def test_the_folder_is_written_and_replaced(run, tmp_path):
    code, table, err = run("out")
    assert (code, err) == (0, "")
    assert "total" in table
    files = {path.relative_to("out").as_posix(): path.read_bytes() for path in Path("out").rglob("*.csv")}
    assert sorted(files) == sorted(WRITTEN)
    assert run("out", "--pass", "forward")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["LAYERS.csv", "forward"]
    assert Path("out/forward/COMPUTE_REPORT.csv").read_bytes().count(b"\n") == files[
        "forward/COMPUTE_REPORT.csv"
    ].count(b"\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "trace"]


def test_folders_with_anything_else_are_refused(run, tmp_path):
    (tmp_path / "mine" / "forward").mkdir(parents=True)
    (tmp_path / "mine" / "forward" / "notes.txt").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "file").write_text("kept")
    for name, part in {
        "mine": "a folder that holds 'notes.txt'", "link": "what is not a folder", "file": "what is not a folder",
        "": "an empty name", "missing/out": "cannot be written: No such file",
    }.items():  # fmt: skip
        code, out, err = run(name)
        assert (code, out) == (2, "")
        assert part in err
    assert (tmp_path / "mine" / "forward" / "notes.txt").read_text() == "kept"


def test_a_disk_that_fills_up_leaves_the_earlier_reports(run, tmp_path, monkeypatch):
    assert run("out")[0] == 0
    before = {path: path.read_bytes() for path in Path("out").rglob("*.csv")}

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, _, err = run("out")
    assert (code, err) == (2, "out: cannot be written: No space left on device\n")
    assert {path: path.read_bytes() for path in Path("out").rglob("*.csv")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "trace"]
