"""Every scheme trained on real data, and SWAT's claim about gradients put to the test: docs/schemes.md.

    python -m benchmarks.schemes --work DIR            # trains what DIR does not hold yet; an hour or two of two cores
    python -m benchmarks.schemes --work DIR --update   # then writes benchmarks/schemes.json and docs/schemes.md
    python -m benchmarks.schemes                       # prints the page from benchmarks/schemes.json

Several processes may share DIR if --part or --only keeps them apart. Packages: traces/digits.py and traces/patches.py.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import scheme_document
from swatsim.files import write_file
from swatsim.schemes import SCHEMES, scheme_names

RESULTS = Path(__file__).with_suffix(".json")
DOCUMENT = Path(__file__).parent.parent / "docs" / "schemes.md"

SEEDS = {"schemes": (1, 2, 3), "claim-digits": (1, 2, 3, 4, 5), "claim-patches": (1, 2, 3, 4, 5)}
SPARSITY = "0.8"
# By task and sparsity. SWAT's case, alone and with g; g in either pass and in both; w and a alone.
CLAIM: dict[tuple[str, str], tuple[str, ...]] = {
    ("digits", "0.9"): ("w/w/a", "w/w/ag", "w/wg/a", "w/wg/ag", "-/g/g", "-/g/-", "-/-/g", "-/-/a", "w/w/-"),
    ("digits", "0.95"): ("w/w/a", "w/w/ag", "w/wg/a", "w/wg/ag"),
    ("patches", "0.9"): ("w/w/a", "w/wg/ag", "-/g/g", "-/-/a", "w/w/-"),
}
# The same with the last linear layer left alone, as meProp leaves it.
LAST_DENSE = {"keep_dense": "first_convolution last_linear"}
LAST_DENSE_CASES = {"digits": ("w/w/a", "w/wg/ag", "-/g/g"), "patches": ("-/g/g",)}
# Papers change masks every 100 or 1000 steps of runs of tens of thousands; a run of 300 steps has 15 changes.
CHANGES = {"period": 20}
# What else a run of 300 steps needs, where a paper's settings are for a run a hundred times longer.
SHORT: dict[str, dict[str, object]] = {
    "set": CHANGES, "rigl": CHANGES, "snfs": CHANGES, "dsr": CHANGES, "gmp": CHANGES,
    # Not a divisor of the run: budgets taken anew behind the last step would be measured before they are trained.
    "swat-m": {"period": 16},
    # The paper prunes a trained network, once, and trains what is left.
    "filter-pruning": {"begin_step": 150},
    # What is learned moves by the sum of the learning rates, which is a hundredth of a long run's.
    "str": {"s_init": -5.0, "s_weight_decay": 0.012},
    "cs": {"final_beta": 2000.0, "penalty": 1e-5},
    "dst": {"penalty": 7e-3},
}  # fmt: skip


def runs(part: str) -> Iterator[tuple[str, str, dict[str, object], int]]:
    """Task, scheme, settings, seed; what matters most first."""
    seeds = SEEDS[part]
    if part == "schemes":
        for seed in seeds:
            for name in scheme_names():
                if name != "cases":  # they are the claim's
                    target = {"sparsity": SPARSITY} if SCHEMES[name].has_target else {}
                    yield "digits", name, {**target, **SHORT.get(name, {})}, seed
        return
    task = part.removeprefix("claim-")
    for seed in seeds:
        yield task, "dense", {}, seed
    for (claimed, sparsity), cases in CLAIM.items():
        for case in cases if claimed == task else ():
            for seed in seeds:
                yield task, f"cases:{case}", {"sparsity": sparsity}, seed
    for case in LAST_DENSE_CASES[task]:
        for seed in seeds:
            yield task, f"cases:{case}", {"sparsity": "0.9", **LAST_DENSE}, seed


def train(parts: tuple[str, ...], only: str, folder: Path) -> None:
    """Train every run that the folder has no result of."""
    import torch

    from benchmarks import scheme_runs

    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    data: dict[str, object] = {}
    for part in parts:
        for task, scheme, settings, seed in runs(part):
            if not fnmatch.fnmatch(scheme, only):
                continue
            run = scheme_runs.Run(task=task, scheme=scheme, settings=tuple(settings.items()), seed=seed)
            data[task] = data.get(task) or scheme_runs.TASKS[task].load()
            found = scheme_runs.kept_result(run, data[task], folder)
            print(f"{run.file_name}: accuracy {found['accuracy']:.4f}, loss {found['loss']:.4f}", flush=True)


def collect(folder: Path) -> str:
    """The results of all runs as the text of benchmarks/schemes.json, one a line."""
    from benchmarks import scheme_runs

    names = {
        scheme_runs.Run(task=task, scheme=scheme, settings=tuple(settings.items()), seed=seed).file_name
        for part in SEEDS
        for task, scheme, settings, seed in runs(part)
    }
    rows = [json.dumps(json.loads((folder / name).read_text())) for name in sorted(names)]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder of results, one file a run")
    parser.add_argument("--part", choices=SEEDS, action="append", help="train this part; all by default")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="train these schemes")
    parser.add_argument("--update", action="store_true", help="write the results and the page into the repository")
    arguments = parser.parse_args()
    if arguments.work is not None:
        train(tuple(arguments.part or SEEDS), arguments.only, arguments.work)
        if arguments.update:
            write_file(RESULTS, collect(arguments.work).encode())
    text = scheme_document.document(json.loads(RESULTS.read_text())) if RESULTS.exists() else ""
    if arguments.update:
        write_file(DOCUMENT, text.encode())
    elif arguments.work is None:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
