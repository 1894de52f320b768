"""Which tests concern which modules, the nearest first."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """Modules by a pattern of their paths, the tests that look at them, and whether kernels are compiled there."""

    modules: str
    group: str
    arguments: list[str]
    compiled: bool = True


def _kernels(name: str, *tests: str, compiled: bool = False) -> Tests:
    arguments = [f"tests/{test}" for test in tests]
    return Tests(modules=f"swatsim/kernels/{name}.py", group="kernels", arguments=arguments, compiled=compiled)


def _mapping(name: str, *tests: str) -> Tests:
    return Tests(modules=f"swatsim/{name}.py", group="mapping", arguments=[f"tests/{test}" for test in tests])


def _traces(arguments: list[str], *names: str) -> list[Tests]:
    return [Tests(modules=f"swatsim/trace/{name}.py", group="readers", arguments=arguments) for name in names]


def _machines(name: str, *arguments: str) -> Tests:
    return Tests(modules=f"swatsim/architecture/{name}.py", group="readers", arguments=list(arguments))


def _readers(name: str, *tests: str) -> Tests:
    return Tests(modules=f"swatsim/{name}.py", group="readers", arguments=[f"tests/{test}" for test in tests])


def _datapaths(name: str, *tests: str) -> Tests:
    arguments = [f"tests/{test}" for test in tests]
    return Tests(modules=f"swatsim/datapaths/{name}.py", group="datapaths", arguments=arguments)


TRACE_FILES = ["tests/test_trace_format.py", "tests/test_trace_round_trip.py", "tests/test_trace_tensors.py"]
# Without those of the largest manifests, which take most of the time and are about it.
FEW_LAYERS = ["-k", "not largest and not thousand and not million"]
MANIFESTS = ["tests/test_trace_format.py", "tests/test_trace_manifest.py", *FEW_LAYERS]
WRITER = ["tests/test_trace_format.py", "tests/test_trace_round_trip.py", "tests/test_trace_writer.py"]
READER_OF_MACHINES = [
    "tests/test_architecture_overrides.py",
    "tests/test_architecture_rules.py",
    "tests/test_architecture_reader.py",
    "tests/test_architecture_memory.py",
    "tests/test_architecture_shipped.py::test_the_reference_is_current",
]
LEAST = "test_of_what_fits_nowhere_the_least_is_asked_for"
# Those of test_memory.py that are not about all machines.
BYTES = [
    "test_memory.py::test_what_is_loaded_is_what_arrives",
    "test_memory.py::test_one_block_takes_load_then_compute_then_store",
    "test_memory.py::test_each_objective_is_best_at_its_own",
    "test_memory.py::test_buffers_too_small_say_what_they_need",
]

REFERENCE = "test_architecture_shipped.py::test_the_reference_is_current"
KEYS = {
    "lanes": ("test_lane_units.py", "test_lanes.py", "test_architecture_reader.py", REFERENCE),
    "outer": ("test_architecture_rules.py", "test_outer.py", REFERENCE),
}

# The first that a module matches counts. Left out: kernels/compile.py (its tests start processes for numba's cache),
# architecture/documentation.py (a page that another test compares). trace/remote.py needs the extra `remote`,
# sources/onnx_*.py the extra `onnx`, and sources/state_dict.py PyTorch.
TESTS = (
    _kernels("barrier", "test_kernels_barrier.py", "test_kernels_elastic.py"),
    _kernels("bits", "test_kernels_bits.py"),
    _kernels("blocks", "test_kernels_blocks.py", "test_kernels_search.py"),
    _kernels("cartesian", "test_kernels_cartesian.py"),
    _kernels("cartesian_steps", "test_kernels_cartesian.py"),
    _kernels("dram", "test_kernels_dram.py"),
    _kernels("elastic", "test_kernels_elastic.py"),
    _kernels("engines", "test_kernels_engines.py"),
    _kernels("folds", "test_kernels_folds.py"),
    _kernels("formats", "test_kernels_formats.py"),
    _kernels("gather", "test_kernels_gather.py"),
    _kernels("matrix_outer", "test_kernels_matrix_outer.py"),
    _kernels("measure", "test_kernels_measure.py"),
    _kernels("moves", "test_kernels_moves.py"),
    _kernels("off_chip", "test_dram.py"),
    _kernels("pairs", "test_kernels_pairs.py"),
    _kernels("row_convolution", "test_kernels_row_convolution.py"),
    _kernels("search", "test_kernels_search.py"),
    _kernels("streams", "test_kernels_streams.py"),
    _kernels("totals", "test_kernels_search.py"),
    _kernels("touched", "test_kernels_touched.py"),
    _mapping("cuts", "test_cuts.py", "test_mapper.py"),
    _mapping("held", "test_held.py", "test_mapper.py"),
    _mapping("mapper", "test_kernels_search.py::" + LEAST, "test_mapper.py", *BYTES),
    *(_mapping(name, "test_mapper.py", *BYTES) for name in ("demand", "arena")),
    _mapping("mapping", "test_lane_units.py", "test_lanes.py", "test_layer.py"),
    _mapping("plan", "test_mapper.py", *BYTES, "test_layer.py", "test_stored.py"),
    _mapping("layer_plans", "test_layer_plans.py", "test_mapper.py", *BYTES, "test_layer.py", "test_stored.py"),
    _datapaths("__init__", "test_lanes.py", "test_systolic.py"),
    *(_datapaths(f"{family}/keys", *tests) for family, tests in KEYS.items()),
    _datapaths("lanes/*", "test_lane_units.py", "test_lanes.py"),
    _datapaths("outer/*", "test_outer.py", "test_datapath_losses.py"),
    _datapaths("packed", "test_packed.py"),
    _datapaths("systolic", "test_systolic.py"),
    _datapaths("row_convolution", "test_row_convolution.py"),
    _datapaths("matrix_outer", "test_matrix_outer.py"),
    Tests(modules="swatsim/timeline.py", group="timeline", arguments=["tests/test_timeline.py"]),
    *_traces(["tests/test_trace_commands.py"], "selection", "measures", "clustering"),
    *_traces(MANIFESTS, "manifest", "json_values", "entries"),
    *_traces(["tests/test_trace_commands.py", *MANIFESTS], "checks"),
    *_traces(WRITER, "writer"),
    *_traces([*TRACE_FILES, "tests/test_trace_writer.py"], "plain_files"),
    *_traces(["tests/test_remote_traces.py"], "remote"),
    *_traces([*TRACE_FILES, "tests/test_trace_commands.py"], "reader"),
    *_traces(TRACE_FILES, "*"),
    _machines("schema", "tests/test_architecture_schema.py"),
    _machines("shipped", "tests/test_architecture_shipped.py", *READER_OF_MACHINES),
    _machines("model", *READER_OF_MACHINES, "tests/test_energy.py"),
    _machines("*", *READER_OF_MACHINES),
    *(_readers(f"sources/{name}", "test_sources_masks.py") for name in ("archive", "arrays", "masks")),
    _readers("sources/smtx", "test_sources_shapes.py"),
    _readers("sources/scalesim", "test_sources_shapes.py", "test_topologies.py"),
    _readers("sources/onnx_*", "test_sources_onnx.py"),
    _readers("sources/state_dict", "test_torch_sources.py"),
    _readers("sources/*", "test_sources_masks.py", "test_sources_shapes.py"),
    _readers("saved/*", "test_saved.py"),
    _readers("report/restoring", "test_restoring.py", "test_differences.py"),
    _readers("budgets/*", "test_budgets.py"),
    *(_readers(f"sweeping/{name}", "test_sweeping.py", "test_python_arguments.py") for name in ("grid", "store")),
)
LEFT_OUT = ("swatsim/architecture/documentation.py",)


def concerned(module: str) -> Tests:
    """The tests that concern a module, which is among those that are examined."""
    return next(tests for tests in TESTS if fnmatch(module, tests.modules))
