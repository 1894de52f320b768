"""One layer in one other simulator: `PYTHON peer_programs.py TOOL LAYER`, in an environment that has the tool.

Runs by itself, in the folder where the tool may leave its files; LAYER is JSON with the fields of `Shape`. The last
line that it prints is JSON: the tool's version, and the cycles that it finds.
"""

import contextlib
import csv
import importlib.metadata
import json
import sys
from pathlib import Path
from types import SimpleNamespace as Shape  # name, height, channels, filters, kernel, stride, padding, output

ARRAY = 64  # x 64 multipliers, except where a tool has another one

SCALESIM = f"""[general]
run_name = run
[architecture_presets]
ArrayHeight: {ARRAY}
ArrayWidth: {ARRAY}
IfmapSramSzkB: 1024
FilterSramSzkB: 1024
OfmapSramSzkB: 1024
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: ws
Bandwidth: 10
ReadRequestBuffer: 64
WriteRequestBuffer: 64
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""
ACCELFORGE = """
workload:
  rank_sizes: {{C: {channels}, K: {filters}, {sizes}}}
  bits_per_value: {{All: 8}}
  einsums:
  - name: Conv
    tensor_accesses:
    - {{name: I, projection: {inputs}}}
    - {{name: F, projection: {weights}}}
    - {{name: O, projection: [p, q, k], output: True}}
    renames: {{input: I, weight: F, output: O}}
    iteration_space_shape: {taps}
"""


def scalesim(layer):
    """Cycle by cycle, 64x64, weight-stationary."""
    from scalesim.scale_sim import scalesim as Simulator  # noqa: N812

    Path("run.cfg").write_text(SCALESIM)
    padded = layer.height + 2 * layer.padding
    row = [layer.name, padded, padded, layer.kernel, layer.kernel, layer.channels, layer.filters, layer.stride, "1:1"]
    Path("topology.csv").write_text("name, as SCALE-Sim's own,\n" + "".join(f"{each}," for each in row) + "\n")
    Path("layout.csv").write_text("name,\n")
    run = Simulator(save_disk_space=True, verbose=False, config="run.cfg", topology="topology.csv", layout="layout.csv")
    run.run_scale(top_path="out")
    with Path("out/run/COMPUTE_REPORT.csv").open() as file:
        (found,) = csv.DictReader(file, skipinitialspace=True)
    return int(float(found["Total Cycles"]))


def zigzag(layer):
    """Analytic: its own TPU-like machine with 64x64 multipliers in place of 32x32."""
    import zigzag
    from zigzag.api import get_hardware_performance_zigzag

    inputs = Path(zigzag.__file__).parent / "inputs"
    for kind in ("hardware", "mapping"):
        text = (inputs / kind / "tpu_like.yaml").read_text()
        for old, new in (
            ("[32, 32]", f"[{ARRAY}, {ARRAY}]"),
            ("- K, 32", f"- K, {ARRAY}"),
            ("- C, 32", f"- C, {ARRAY}"),
        ):
            text = text.replace(old, new)
        Path(f"{kind}.yaml").write_text(text)
    workload = [{
        "id": 0, "operator_type": "Conv", "equation": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
        "dimension_relations": [f"ix={layer.stride}*ox+1*fx", f"iy={layer.stride}*oy+1*fy"],
        "loop_dims": ["B", "K", "C", "OY", "OX", "FY", "FX"],
        "loop_sizes": [1, layer.filters, layer.channels, layer.output, layer.output, layer.kernel, layer.kernel],
        "pr_loop_dims": ["IX", "IY"], "pr_loop_sizes": [layer.height, layer.height],
        "padding": [[layer.padding] * 2] * 2, "operand_precision": {"W": 8, "I": 8, "O": 16, "O_final": 8},
        "operand_source": {"I": 0, "W": 0}, "name": "layer",
    }]  # fmt: skip
    _, cycles, _ = get_hardware_performance_zigzag(
        workload, "hardware.yaml", "mapping.yaml", dump_folder="out", loma_show_progress_bar=False
    )
    return int(cycles)


def accelforge(layer):
    """Analytic: its own NVDLA with 64x64 multipliers."""
    import accelforge
    import pydot
    from accelforge.examples import EXAMPLES_DIR

    # It draws each mapping, with a program that pip does not install.
    pydot.Dot.create = lambda *_, **__: b"<svg/>"
    machine = (EXAMPLES_DIR / "arches" / "nvdla.yaml").read_text()
    Path("machine.yaml").write_text(
        machine.replace("fanout: 32", f"fanout: {ARRAY}").replace("fanout: 192", f"fanout: {ARRAY}")
    )
    sizes, inputs, weights, taps = f"P: {layer.output}, Q: {layer.output}", "[p, q, c]", "[c, k]", "[]"
    if layer.kernel > 1:  # without taps, it maps faster
        extent = layer.stride * (layer.output - 1) + layer.kernel
        sizes += f", H: {extent}, W: {extent}"
        inputs, weights = f"{{H: {layer.stride}*p + r, W: {layer.stride}*q + s, C: c}}", "[r, s, c, k]"
        taps = f"[0 <= r < {layer.kernel}, 0 <= s < {layer.kernel}]"
    given = {"channels": layer.channels, "filters": layer.filters, "sizes": sizes, "inputs": inputs, "weights": weights}
    Path("workload.yaml").write_text(ACCELFORGE.format(**given, taps=taps))
    accelforge.set_n_parallel_jobs(1)
    spec = accelforge.Spec.from_yaml("machine.yaml", "workload.yaml")
    spec.mapper.metrics = accelforge.Metrics.LATENCY
    found = spec.map_workload_to_arch(print_progress=False)
    return round(float(found.latency()) * 1e9)  # at 1 GHz


def nn_dataflow(layer):
    """Analytic, row-stationary, 16x16."""
    from nn_dataflow.core import ConvLayer, InputLayer, Network
    from nn_dataflow.nns import resnet50
    from nn_dataflow.tools import nn_dataflow_search as search

    network = Network(layer.name)
    network.set_input_layer(InputLayer(layer.channels, layer.height))
    network.add(layer.name, ConvLayer(layer.channels, layer.filters, layer.output, layer.kernel, layer.stride))
    resnet50.NN = network
    given = [
        "resnet50",
        "--batch",
        "1",
        "--nodes",
        "1",
        "1",
        "--array",
        "16",
        "16",
        "--regf",
        "512",
        "--gbuf",
        "131072",
    ]
    found = search.do_scheduling(search.argparser().parse_args([*given, "-p", "1"]))
    return int(found["total_time"])


PROGRAMS = {"scalesim": scalesim, "zigzag-dse": zigzag, "accelforge": accelforge, "nn-dataflow": nn_dataflow}

if __name__ == "__main__":
    tool, shape = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        cycles = PROGRAMS[tool](Shape(**json.loads(shape)))
    print(json.dumps({"version": importlib.metadata.version(tool), "cycles": cycles}))
