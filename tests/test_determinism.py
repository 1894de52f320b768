"""The same input gives the same bytes: whatever the threads, the process, and where the layers come from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from command_line import environment, swatsim
from trace_files import small_graph, small_layers, write_trace

from swatsim.architecture import load_architecture, shipped_architectures
from swatsim.report.delimited import to_csv
from swatsim.report.document import to_json
from swatsim.simulation import simulate
from swatsim.trace import Trace, load_trace


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_trace(tmp_path_factory.mktemp("traces") / "small")


def written(report):
    return to_json(report), to_csv(report)


@pytest.mark.parametrize("architecture", shipped_architectures())
def test_workers(path, architecture):
    machine = load_architecture(architecture)
    expected = written(simulate(machine, load_trace(path), workers=1))
    for workers in (2, 5):
        assert written(simulate(machine, load_trace(path), workers=workers)) == expected, workers
    assert written(simulate(machine, load_trace(path), progress=lambda done, total: None)) == expected


@pytest.mark.parametrize("output", ["--json", "--csv"])
def test_processes(path, output):
    arguments = ["run", "--arch", "tensordash", "--trace", path, output, "-"]
    first = swatsim(*arguments, "--workers", "1", env=environment(PYTHONHASHSEED="1"))
    second = swatsim(*arguments, "--workers", "2", env=environment(PYTHONHASHSEED="2", LC_ALL="C", TZ="Asia/Tokyo"))
    assert first.returncode == second.returncode == 0
    assert first.stdout == second.stdout != b""


@pytest.mark.parametrize("architecture", ["dadiannao", "bit-tactical"])
def test_layers_in_memory_or_on_disk(path, architecture):
    machine = load_architecture(architecture)
    stored = simulate(machine, load_trace(path))
    in_memory = simulate(machine, Trace("small", small_layers(), graph=small_graph()))
    assert to_csv(in_memory) == to_csv(stored)
    # Only a trace on disk has a digest; of the rest of the document not a byte differs.
    document = to_json(stored).replace(f'"{stored.trace["digest"]}"', "null")
    assert to_json(in_memory) == document != to_json(stored)


def test_a_trace_written_again_is_the_same_trace(path, tmp_path):
    again = write_trace(tmp_path / "again")
    assert load_trace(again).digest == load_trace(path).digest


def test_layers_do_not_influence_each_other():
    """A layer's rows are those that it has alone, and after its neighbours, if nothing is loaded ahead."""
    machine, layers = load_architecture("dadiannao", overrides={"mapping.overlap": "none"}), small_layers()
    together = simulate(machine, Trace("t", layers)).layer_records
    alone = [record for layer in layers for record in simulate(machine, Trace("t", [layer])).layer_records]
    backwards = simulate(machine, Trace("t", layers[::-1])).layer_records
    assert list(together) == alone
    assert sorted(backwards, key=repr) == sorted(together, key=repr)


def test_what_is_loaded_ahead_changes_only_when_things_happen(path):
    """Not what is chosen, computed or moved."""
    when = ("cycles", "dense_cycles", "stalls", "dense_stalls", "prefetched_cycles")
    found = []
    for overlap in ("none", "prefetch"):
        machine = load_architecture("dadiannao", overrides={"mapping.overlap": overlap})
        found.append(simulate(machine, load_trace(path)).layer_records)
    alone, ahead = ([replace(row, **dict.fromkeys(when, 0)) for row in rows] for rows in found)
    assert alone == ahead
    assert all(after.cycles <= before.cycles for before, after in zip(*found, strict=True))
    assert any(after.prefetched_cycles for after in found[1])
    assert not any(before.prefetched_cycles for before in found[0])


def test_compiled_or_interpreted(path):
    """Uncompiled kernels give integers of NumPy's, which no document knows."""
    arguments = ["run", "--arch", "dadiannao", "--trace", path, "--layers", "last", "--json", "-"]
    compiled = swatsim(*arguments)
    interpreted = swatsim(*arguments, env=environment(NUMBA_DISABLE_JIT="1"))
    assert (interpreted.returncode, interpreted.stdout) == (0, compiled.stdout)
