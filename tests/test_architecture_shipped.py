"""The architecture files that come with swatsim, and the reference of their keys."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from swatsim.architecture import Architecture, load_architecture, shipped_architectures
from swatsim.architecture import shipped as shipped_module
from swatsim.architecture.documentation import document
from swatsim.architecture.keys import all_keys, part_of
from swatsim.errors import ArchitectureError

ROOT = Path(__file__).parent.parent
NAMES = ("bit-tactical", "dadiannao", "dadiannao-dense", "tensordash")


def test_names() -> None:
    assert set(NAMES) <= set(shipped_architectures())
    assert list(shipped_architectures()) == sorted(path.stem for path in (ROOT / "arch").glob("*.yaml"))


@pytest.mark.parametrize("name", shipped_architectures())
def test_name_and_path_find_the_same(name: str) -> None:
    architecture = load_architecture(name)
    assert architecture == load_architecture(ROOT / "arch" / f"{name}.yaml")
    assert pickle.loads(pickle.dumps(architecture)) == architecture
    assert Architecture.model_validate_json(architecture.model_dump_json()) == architecture


@pytest.mark.parametrize("name", shipped_architectures())
def test_every_number_has_its_source(name: str) -> None:
    """Each line that states a number or a mechanism ends in a comment, or follows one that is its own line."""
    architecture = load_architecture(name)
    assert architecture.sources
    assert architecture.description
    lines = (ROOT / "arch" / f"{name}.yaml").read_text().split("\n")
    begin = lines.index(next(line for line in lines if line.startswith("clock_hz")))
    commented = {"kind", "lockstep", "barrier", "barrier_tiles", "reach", "step_order", "window_order"}
    for before, line in zip(lines[begin - 1 :], lines[begin:], strict=False):
        key = line.split(":")[0].strip()
        if re.match(r"\s*\w+: *[^#\s]", line) and key not in commented:
            assert "# " in line or before.strip().startswith("#"), f"{name}: {line}"


@pytest.mark.parametrize("name", shipped_architectures())
def test_other_readers_of_yaml_read_the_same(name: str) -> None:
    """Editors and other tools use common readers: nothing in our files may mean something else to them."""
    text = (ROOT / "arch" / f"{name}.yaml").read_text()
    assert Architecture.model_validate(yaml.safe_load(text)) == load_architecture(name)


def test_the_published_numbers() -> None:
    """DaDianNao, MICRO 2014: 5.58 TOPS at 16 bit, 36 MB in all, SB delivers 4096 bit/cycle a tile."""
    for name in ("dadiannao", "dadiannao-dense"):
        node = load_architecture(name)
        assert node.macs_per_cycle == 4096
        # 5.58 TOPS are 576 operations a tile and cycle: more than the 256 multiplications and as many additions.
        assert 5.58e12 / node.clock_hz / node.tiles == pytest.approx(576, rel=1e-3)
        assert 2 * node.tile.macs_per_cycle == 512
        assert node.tiles * node.memory.sb.capacity_bytes + node.memory.central.capacity_bytes == 36 << 20
        step_bytes = node.tile.rows * node.tile.lanes * node.datapath.value_bytes
        # The skipping node also fetches one bit for each of 8 steps a cycle.
        bitmap_bytes = 0 if node.datapath.skip == "none" else 8 * node.tile.rows * node.tile.lanes // 8
        assert step_bytes == 4096 // 8
        assert node.memory.sb.width_bytes_per_cycle == step_bytes + bitmap_bytes
    tensordash = load_architecture("tensordash")
    assert (tensordash.macs_per_cycle, tensordash.tile.macs_per_cycle) == (4096, 256)


@pytest.mark.parametrize(
    ("name", "bytes_per_second"),
    [("dadiannao", 256e9), ("dadiannao-dense", 25.6e9), ("tensordash", 25.6e9), ("bit-tactical", 256e9)],
)
def test_off_chip_width_is_the_rate_at_the_clock(name: str, bytes_per_second: float) -> None:
    architecture = load_architecture(name)
    assert architecture.memory.dram.width_bytes_per_cycle == int(bytes_per_second / architecture.clock_hz)


@pytest.mark.parametrize("name", shipped_architectures())
def test_broadcast_feeds_the_dense_datapath(name: str) -> None:
    architecture = load_architecture(name)
    step_bytes = architecture.tile.columns * architecture.tile.lanes * architecture.datapath.value_bytes
    widths = (architecture.memory.nbin.width_bytes_per_cycle, architecture.memory.central.width_bytes_per_cycle)
    assert all(width is None or width >= step_bytes for width in widths)


def test_every_tile_of_the_skipping_node_has_a_stream_of_its_own() -> None:
    node = load_architecture("dadiannao")
    stream = node.memory.nbin.width_bytes_per_cycle
    assert stream == 8 * node.tile.lanes * node.datapath.value_bytes
    assert node.memory.central.width_bytes_per_cycle == node.tiles * stream


def test_nbin_holds_two_chunks() -> None:
    node = load_architecture("dadiannao")
    assert node.datapath.chunk_steps is not None
    chunk_bytes = node.datapath.chunk_steps * node.tile.lanes * node.datapath.value_bytes
    assert node.memory.nbin.capacity_bytes == 2 * chunk_bytes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dadiano", "no architecture is named 'dadiano', expected one of {names}, or a path (./NAME or NAME.yaml); "
         "did you mean dadiannao?"),
        ("zzz", "no architecture is named 'zzz', expected one of {names}, or a path (./NAME or NAME.yaml)"),
        ("", "no architecture is named '', expected one of {names}, or a path (./NAME or NAME.yaml)"),
        ("a\nb", r"no architecture is named 'a\nb', expected one of {names}, or a path (./NAME or NAME.yaml)"),
        ("dadiannao.yaml", "dadiannao.yaml: cannot be read: No such file or directory"),
        ("./dadiannao", "./dadiannao: cannot be read: No such file or directory"),
        ("x\\y", r"x\y: cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_names_that_are_not_there(name: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArchitectureError) as caught:
        load_architecture(name)
    assert str(caught.value) == expected.format(names=", ".join(shipped_architectures()))


def test_a_name_ignores_what_lies_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dadiannao").write_text("nothing")
    (tmp_path / "arch").mkdir()
    (tmp_path / "arch" / "mine.yaml").write_text("nothing")
    assert load_architecture("dadiannao").tiles == 16
    assert "mine" not in shipped_architectures()


def test_installed_from_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the files are package data; a folder `arch` beside the package belongs to somebody else."""
    package = tmp_path / "swatsim"
    (package / "data" / "arch").mkdir(parents=True)
    (package / "data" / "arch" / "dadiannao.yaml").write_bytes((ROOT / "arch" / "dadiannao.yaml").read_bytes())
    (tmp_path / "arch").mkdir()
    (tmp_path / "arch" / "stray.yaml").write_text("nothing")
    monkeypatch.setattr(shipped_module, "files", lambda _: package)
    assert shipped_architectures() == ("dadiannao",)
    assert load_architecture("dadiannao").tiles == 16
    for file in (package / "data" / "arch").iterdir():
        file.unlink()
    (package / "data" / "arch").rmdir()
    with pytest.raises(ArchitectureError, match="not installed"):
        shipped_architectures()


def test_the_wheel_carries_the_files() -> None:
    settings = (ROOT / "pyproject.toml").read_text()
    assert '[tool.hatch.build.targets.wheel.force-include]\narch = "swatsim/data/arch"' in settings


def test_every_key_has_a_description_and_is_in_the_reference() -> None:
    page = document()
    for path, field in all_keys():
        assert field.description, path
        assert field.description.endswith("."), path
        in_level = path[0] == "memory" and len(path) == 3
        key = f"memory.<level>.{path[2]}" if in_level else ".".join(map(str, path))
        if part_of(field) is None or len(path) == 1:
            assert f"`{key}`" in page, key


def test_the_reference_is_current() -> None:
    written = (ROOT / "docs" / "architecture.md").read_text()
    command = "python -m swatsim.architecture.documentation > docs/architecture.md"
    assert written == document(), f"docs/architecture.md is stale: {command}"
    assert command in written


def test_the_command_writes_the_reference() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swatsim.architecture.documentation"], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout.decode() == document()
