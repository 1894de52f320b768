"""How kernels are compiled: by one decorator, each with a twin, and never from a stale cache."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import shutil
from pathlib import Path

import numba
import numpy as np
import pytest

import swatsim
from swatsim.kernels import compile as kernel_compile

PACKAGE = Path(swatsim.__file__).parent
SOURCES = sorted((PACKAGE / "kernels").glob("*.py"))
# What each kernel is compared with, or that of which it is a part; a kernel that is missing here has no twin.
TWINS = {
    "twins.gather": ["gather_words", "read_bits"],
    "twins.runs": ["list_runs"],
    "twins.chunk_counts": ["count_in_parts", "count_run", "count_ones"],
    "twins.present_counts": ["count_by_element", "count_up", "add_bits"],
    "twins.transposed": ["transpose_bits", "transpose_block", "write_bits"],
    "twins.bordered": ["border_rows"],
    "twins.turned": ["rotate", "rotate_back"],
    "twins.laid_out": ["lay_fields"],
    "twins.fill_fixed": ["fill_in_order"],
    "twins.candidate_counts": ["count_candidates"],
    "twins.served_at_once": ["beat_rivals"],
    "twins.fill_most": ["fill_most_candidates"],
    "twins.compact": ["begin_step"],
    "twins.surviving": ["end_step", "schedule_units"],
    "twins.segment_cycles": ["wait_at_segments"],
    "twins.buffer_cycles": ["wait_at_buffers"],
    "twins.walk": ["served", "served_before"],
    "twins.serve": ["level_cycles", "occupied_cycles"],
    "twins.Engines": [
        "run_blocks", "paused_cycles", "load_block", "compute_block", "store_block", "charge",
        "surely_within",
    ],
    "twins.lay_out": [
        "lay_mapping", "lay_block", "lay_loads", "rounds_of", "rounds_within", "tiling_of"
    ],
    "twins.deal_shares": ["deal_cycles", "sum_cycles"],
    "twins.streams": ["lay_streams"],
    "twins_dram.transfer_ticks": [
        "transfer_picoseconds", "visit", "remember", "comes_again", "later", "repeat_visits", "repeat_runs"
    ],
    "twins_dram.addresses": ["channel_share", "units_touched"],
    "twins_dram.shape_of": ["transfer_cycles", "time_transfers", "clock_cycles"],
    "twins_formats.fillers": ["count_fillers", "fillers_within", "up_to_highest"],
    "twins_memory.tilings": [
        "search", "list_candidates", "next_candidate", "least_cycles", "alternate_cycles", "stores_of", "level_bytes",
        "load_times"
    ],
    "twins_memory.run": ["candidate_cycles", "whole_computation"],
    "twins_memory.carry_out": ["moved_bytes", "energy_of", "candidate_energy"],
    "twins_memory.loads_of": ["touched_bytes", "tied_bytes", "tie_intervals", "sum_lines", "load_bytes"],
    "twins_memory.Operand": [
        "measure_side", "measure_part", "fill_cut", "add_streams", "sum_rounds", "stays", "cut_block"
    ],
    "twins_memory.fits": ["fits", "room_needed", "result_sizes"],
    "twins.united": ["unite_rows"],
    "twins.lane_counts": ["count_by_lane", "fullest_lane"],
    "twins.fullest_groups": ["fullest_group"],
    "twins.chunk_cycles": ["count_in_common", "pair_row"],
    "twins.play": ["advance", "start_clocks", "is_as_before"],
    "twins.elastic_buffer_cycles": ["repeat_buffer", "wait_elastically"],
    "twins.pair_cycles": ["wait_for_pairs", "pair_in_rounds", "run_row", "wait_for_sets", "open_gates"],
    "oracle_outer.run_pe": [
        "multiply_image", "multiply_channel", "pair_group", "met_range", "gather_values", "list_values",
        "list_steps", "is_listed", "run_steps", "drain_banks", "begin_channel", "is_repeated",
    ],
    "oracle_packed.run_pool": ["run_folds"],
    "oracle_row_convolution.execute": ["meet_rows"],
    "oracle_matrix_outer.run_units": ["multiply_pieces"],
}  # fmt: skip
COMPILERS = {"jit", "njit", "vectorize", "guvectorize", "stencil", "cfunc", "jitclass", "generated_jit"}


def kernel_functions():
    for source in SOURCES:
        if source.stem not in ("__init__", "cache_files", "compile"):
            module = importlib.import_module(f"swatsim.kernels.{source.stem}")
            for node in ast.parse(source.read_text()).body:
                if isinstance(node, ast.FunctionDef):
                    yield module, node


def test_every_function_of_the_kernels_is_compiled_by_the_decorator():
    functions = list(kernel_functions())
    assert functions
    for _, node in functions:
        assert [ast.unparse(decorator) for decorator in node.decorator_list] in (["kernel"], ["array_kernel"]), (
            node.name
        )


def test_every_kernel_has_a_twin():
    compared = [name for names in TWINS.values() for name in names]
    assert sorted(node.name for _, node in kernel_functions()) == sorted(compared)
    for name in TWINS:
        module, _, twin = name.partition(".")
        assert hasattr(importlib.import_module(module), twin), name


def test_twins_share_nothing_with_swatsim():
    folder = Path(__file__).parent
    sources = [*sorted(folder.glob("twins*.py")), *sorted(folder.glob("oracle*.py"))]
    found = {f"{source.stem}.{each}" for source in sources for each in top_level_imports(source)}
    assert {name.split(".")[0] for name in TWINS} < {source.stem for source in sources}
    assert not [name for name in found if name.split(".")[1] in ("swatsim", "numba", "benchmarks")]
    assert {name for name in found if name.startswith("twins.")} == {
        "twins.__future__",
        "twins.heapq",
        "twins.collections",
    }


def top_level_imports(source):
    """First parts of the names of all modules that a file imports."""
    for node in ast.walk(ast.parse(source.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        yield from (name.split(".")[0] for name in names)


def test_nothing_else_compiles():
    """A bare njit would have options and a cache of its own."""
    found = []
    for source in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            name = getattr(node, "attr", None) or getattr(node, "id", None) or getattr(node, "name", None)
            if name in COMPILERS:
                found.append((source.relative_to(PACKAGE).as_posix(), name))
    assert found == [("kernels/compile.py", "njit")]


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled with NUMBA_DISABLE_JIT=1")
def test_options_and_cache_of_every_kernel():
    folder = kernel_compile.cache_folder()
    for module, node in kernel_functions():
        dispatcher = getattr(module, node.name)
        assert dispatcher.targetoptions["nogil"], node.name
        # What makes no arrays counts no references.
        counted = ast.unparse(*node.decorator_list) == "array_kernel"
        assert dispatcher.targetoptions["_nrt"] == counted, node.name
        assert Path(dispatcher._cache.cache_path).is_relative_to(folder), node.name


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled with NUMBA_DISABLE_JIT=1")
def test_kernels_whose_references_are_not_counted_make_no_arrays():
    """Nor do they get one from others, or give one back: it would never be freed, or too early."""

    def give(array):
        return array[1:], 0

    def make(array):
        return np.zeros(3)[0] + array[0]

    with pytest.raises(TypeError, match=r"^give: got a kernel that gives an array"):
        kernel_compile.kernel(give)(np.arange(3))
    with pytest.raises(numba.TypingError, match=r"No implementation of function Function\(<built-in function zeros>"):
        kernel_compile.kernel(make)(np.arange(3.0))
    makes = kernel_compile.array_kernel(make)
    assert makes(np.arange(1.0, 3)) == 1
    with pytest.raises(TypeError, match=r"^call: got a kernel that calls makes"):
        kernel_compile.kernel(function_of("def call(array): return makes(array)", makes=makes))


def function_of(source, **names):
    """A function whose global names are these."""
    exec(source, names)
    return names["call"]


@pytest.fixture
def copied_kernels(tmp_path):
    """`cache_folder` as it is in a copy of the kernels, whose sources a test may change."""
    copy = tmp_path / "kernels"
    shutil.copytree(PACKAGE / "kernels", copy, ignore=shutil.ignore_patterns("__pycache__"))
    specification = importlib.util.spec_from_file_location("copied_compile", copy / "compile.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return copy, module.cache_folder


def test_the_cache_folder_changes_with_every_source(copied_kernels):
    copy, folder = copied_kernels
    seen = [folder()]
    assert folder() == kernel_compile.cache_folder()
    for source in SOURCES:
        path = copy / source.name
        path.write_text(path.read_text() + "# another comment\n")
        seen.append(folder())
    assert len(set(seen)) == len(SOURCES) + 1


@pytest.mark.parametrize("setting", ["BOUNDSCHECK", "OPT", "CPU_NAME", "CPU_FEATURES"])
def test_the_cache_folder_changes_with_the_compiler(setting, monkeypatch):
    before = kernel_compile.cache_folder()
    monkeypatch.setattr(numba.config, setting, "something else")
    assert kernel_compile.cache_folder() != before


def test_the_cache_folder_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("SWATSIM_CACHE_DIR", str(tmp_path))
    assert kernel_compile.cache_folder().is_relative_to(tmp_path)
    monkeypatch.delenv("SWATSIM_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert kernel_compile.cache_folder().is_relative_to(tmp_path / "xdg")


def test_the_setting_that_was_asked_for_is_in_force():
    """`test_kernels_settings.py` runs these files under numba's settings: they must reach numba."""
    for name in ("DISABLE_JIT", "BOUNDSCHECK"):
        assert bool(getattr(numba.config, name)) == (os.environ.get(f"NUMBA_{name}", "0") == "1")
