"""Where an extra is not installed, what needs it says which one; what is installed is bounded below."""

from __future__ import annotations

import importlib
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import in_process
from trace_files import small_trace

import swatsim
from swatsim.doctor import _DEVELOPMENT

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def trace(tmp_path):
    return small_trace(tmp_path / "small")


@pytest.fixture
def without(monkeypatch):
    """Makes modules those of a machine that does not have them."""

    def remove(*names):
        for name in [*sys.modules]:
            if name.partition(".")[0] in names or name.startswith("swatsim.torch"):
                monkeypatch.delitem(sys.modules, name)
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return remove


RUN = ROOT / "tests" / "baselines" / "smallcnn.json"
POINTS = ("--arch", "dadiannao", "--trace", "TRACE", "--set", "tile.rows=1,2,3,4", "-o", "FOLDER")
# Modules that are missing, and what needs them; files are made beside.
NEEDS = {
    "onnx": (("onnx",), ("trace", "import", "model.onnx", "-o", "FOLDER")),
    "torch": (("torch",), ("trace", "import", "model.pt", "--network", "resnet50", "-o", "FOLDER")),
    "plot": (("matplotlib",), ("plot", RUN, "out.pdf")),
    "dask": (("distributed",), ("sweep", *POINTS, "--dask", "tcp://127.0.0.1:9")),
    "parquet": (("pyarrow",), ("sweep", *POINTS, "--parquet", "out")),
    "explore": (("optuna",), ("explore", *POINTS, "--objective", "cycles", "--trials", "2")),
    "remote": (("fsspec",), ("run", "--arch", "dadiannao", "--trace", "https://127.0.0.1:9/t")),
    "remote, in part": (("aiohttp",), ("run", "--arch", "dadiannao", "--trace", "https://127.0.0.1:9/t")),
}


IN_PART = "remote, in part"  # says nothing where the other part is missing too


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.extra("fsspec")] if case == IN_PART else []) for case in NEEDS]
)
def test_the_extra_is_named(case, without, trace, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model.onnx", "model.pt"):
        Path(name).write_bytes(b"")
    modules, arguments = NEEDS[case]
    without(*modules)
    if case == IN_PART:  # an earlier test may have asked
        registry = importlib.import_module("fsspec.registry")
        monkeypatch.delitem(registry._registry, "https", raising=False)
        monkeypatch.delitem(sys.modules, "fsspec.implementations.http", raising=False)
    code, out, err = in_process(
        capsys, *({"TRACE": trace, "FOLDER": tmp_path / "made"}.get(each, each) for each in arguments)
    )
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"pip install 'swatsim[{case.partition(',')[0]}]'" in err
    assert not Path("out").exists()


def test_capture_names_its_extra(without):
    without("torch")
    with pytest.raises(ImportError, match=r"^swatsim\.torch needs PyTorch: pip install 'swatsim\[torch\]'$"):
        importlib.import_module("swatsim.torch")


def test_every_extra_has_a_case():
    extras = {case.partition(",")[0] for case in NEEDS}
    assert extras == set(PROJECT["optional-dependencies"]) - _DEVELOPMENT


def test_a_skip_fails_a_run_that_allows_none(tmp_path):
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    (tmp_path / "test_known.py").write_text(
        "import pytest\ndef test_known():\n    pytest.skip('needs a CUDA device')\ndef test_other():\n    pass\n"
    )

    def run(*options):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run().returncode == 0
    assert run("--no-skips", "test_known.py").returncode == 0
    for options in (["-n", "0"], ["-n", "2"]):
        found = run("--no-skips", *options)
        assert found.returncode == 1, options
        assert "--no-skips: a test is skipped: Skipped: could not import 'no_such_module'" in found.stdout


# -------------------------------------------------------------------------------------------------- what is installed


_BOUNDED = r"[\w.-]+(\[\w+\])?>=\d+(\.\d+)*(; python_version < '3\.\d+')?"


def test_dependencies_are_few_and_bounded_below():
    assert len(PROJECT["dependencies"]) <= 8
    groups = PROJECT["optional-dependencies"]
    for requirement in (each for group in (PROJECT["dependencies"], *groups.values()) for each in group):
        if not requirement.startswith("swatsim["):
            # Not from above: whoever installs swatsim beside something else must be able to.
            assert re.fullmatch(_BOUNDED, requirement), requirement


_FETCHED = r"""(src|href)=["']?(https?:)?//|@import|url\(["']?(https?:)?//|fetch\("""


def test_nothing_asks_the_network(trace, tmp_path, capsys, monkeypatch):
    """But for addresses that the user names; a page fetches nothing either."""

    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    page, given = tmp_path / "page.html", ("--arch", "dadiannao", "--trace", trace, "--layers", "last")
    for command in (
        ("run", *given, "--html", page, "--json", tmp_path / "run.json", "--timeline", tmp_path / "timeline.html"),
        ("compare", *given, "--html", tmp_path / "compared.html"),
        ("sweep", *given, "-o", tmp_path / "points", "--html", tmp_path / "sweep.html"),
        ("report", tmp_path / "again.html", tmp_path / "run.json"),
        ("trace", "info", trace), ("list", "machines"), ("schema", "report"),
    ):  # fmt: skip
        assert in_process(capsys, *command)[0] == 0, command
    for made in tmp_path.glob("*.html"):
        text = made.read_text()
        assert not re.search(_FETCHED, text), made
    assert len(list(tmp_path.glob("*.html"))) == 5


# -------------------------------------------------------------------------------------------------- shipped traces


def test_a_shipped_trace_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = swatsim.load_trace("smallcnn")
    assert shipped.digest == swatsim.load_trace(ROOT / "traces" / "smallcnn").digest
    own = small_trace(Path("smallcnn"))
    assert swatsim.load_trace("smallcnn").digest == swatsim.load_trace(tmp_path / own).digest != shipped.digest
    with pytest.raises(swatsim.SwatsimError, match=r"^nothing: got nothing there"):
        swatsim.load_trace("nothing")


def test_a_folder_beside_an_installed_package_is_somebody_elses(tmp_path, monkeypatch):
    monkeypatch.setattr("swatsim.trace.shipped._PACKAGE", tmp_path / "swatsim")
    monkeypatch.chdir(tmp_path)
    small_trace(tmp_path / "traces" / "mine")
    with pytest.raises(swatsim.SwatsimError):
        swatsim.load_trace("mine")
    (tmp_path / "swatsim" / "data").mkdir(parents=True)
    small_trace(tmp_path / "swatsim" / "data" / "traces" / "mine")
    assert len(swatsim.load_trace("mine")) == 3
