"""The architecture files that come with swatsim, and the reference of their keys."""

from __future__ import annotations

import itertools
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from swatsim.architecture import OPERANDS, Architecture, load_architecture, shipped_architectures
from swatsim.architecture import shipped as shipped_module
from swatsim.architecture.documentation import document
from swatsim.architecture.keys import all_keys, part_of
from swatsim.datapaths import datapaths
from swatsim.dram_standards import STANDARDS
from swatsim.errors import ArchitectureError

ROOT = Path(__file__).parent.parent
NAMES = ("bit-tactical", "dadiannao", "dadiannao-dense", "global-buffer", "tensordash")


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
    """Each key that states a number or a mechanism has a comment behind it or above it, or a source of its own."""
    architecture = load_architecture(name)
    assert architecture.sources
    assert architecture.description
    lines = (ROOT / "arch" / f"{name}.yaml").read_text().split("\n")
    commented = {
        "name", "description", "sources", "kind", "lockstep", "barrier", "barrier_tiles", "reach", "step_order",
        "window_order", "holds", "per",
    }  # fmt: skip
    for key, line in leaves("\n".join(lines)):
        # These have a key for their source, which the next test reads.
        if key not in commented and not re.match("(energy|mac|area)_|source$", key):
            assert "# " in lines[line] or lines[line - 1].strip().startswith("#"), f"{name}: {lines[line]}"


def leaves(text: str) -> list[tuple[str, int]]:
    """The last name of each key that holds a value, and its line, counted from 0."""
    found, nodes = [], [yaml.compose(text)]
    for node in nodes:
        for key, value in node.value:
            if isinstance(value, yaml.MappingNode):
                nodes.append(value)
            else:
                found.append((key.value, key.start_mark.line))
    return found


@pytest.mark.parametrize("name", shipped_architectures())
def test_every_energy_and_area_has_a_source_and_a_band(name: str) -> None:
    architecture = load_architecture(name)
    levels, energy, area = architecture.memory.levels, architecture.energy, architecture.area
    for level in levels.values():
        assert level.energy_source
        assert level.energy_low_pj_per_bit is not None
        assert level.energy_high_pj_per_bit is not None
        assert level.energy_low_pj_per_bit <= level.energy_pj_per_bit <= level.energy_high_pj_per_bit
        assert level.energy_low_pj_per_bit < level.energy_high_pj_per_bit
    for level in list(levels.values())[1:]:
        assert level.energy_node_nm
        assert level.area_mm2_per_mib
        assert level.area_source
    assert energy.mac_source
    assert energy.mac_node_nm
    assert energy.mac_low_pj is not None
    assert energy.mac_high_pj is not None
    assert energy.mac_low_pj <= energy.mac_pj <= energy.mac_high_pj
    assert area.multiplier_mm2
    assert area.node_nm
    assert area.source
    for kind in ("energy_source", "area_source"):
        for level in levels.values():
            if (match := re.fullmatch("As ([a-z_]+)", getattr(level, kind))) is not None:
                assert not getattr(levels[match[1]], kind).startswith("As ")


@pytest.mark.parametrize("name", shipped_architectures())
def test_other_readers_of_yaml_read_the_same(name: str) -> None:
    """Editors and other tools use common readers: nothing in our files may mean something else to them."""
    text = (ROOT / "arch" / f"{name}.yaml").read_text()
    assert Architecture.model_validate(yaml.safe_load(text)) == load_architecture(name)


def test_the_published_numbers() -> None:
    """DaDianNao, MICRO 2014: 5.58 TOPS at 16 bit, 36 MB in all, SB delivers 4096 bit/cycle a tile."""
    for name in ("dadiannao", "dadiannao-dense"):
        node = load_architecture(name)
        sb, central = node.memory.levels["sb"], node.memory.levels["central"]
        assert sb.capacity_bytes is not None
        assert central.capacity_bytes is not None
        assert node.macs_per_cycle == 4096
        # 5.58 TOPS are 576 operations a tile and cycle: more than the 256 multiplications and as many additions.
        assert 5.58e12 / node.clock_hz / node.tiles == pytest.approx(576, rel=1e-3)
        assert 2 * node.tile.macs_per_cycle == 512
        assert node.tiles * sb.capacity_bytes + central.capacity_bytes == 36 << 20
        step_bytes = node.tile.rows * node.tile.lanes * node.datapath.value_bytes
        assert step_bytes == 4096 // 8
        assert sb.width_bytes_per_cycle == step_bytes
    tensordash = load_architecture("tensordash")
    assert (tensordash.macs_per_cycle, tensordash.tile.macs_per_cycle) == (4096, 256)


@pytest.mark.parametrize("name", ["dadiannao", "dadiannao-dense", "bit-tactical"])
def test_edram_is_refreshed_within_its_retention(name: str) -> None:
    """SB has 1024 rows of 4096 bit a bank; 40 us go round all of them."""
    node = load_architecture(name)
    sb, central = node.memory.levels["sb"], node.memory.levels["central"]
    assert sb.capacity_bytes == sb.banks * 1024 * 4096 // 8
    assert central.refresh_period_cycles == int(40e-6 * node.clock_hz / 1024)
    assert central.refresh_cycles == central.bank_cycles
    # SB refreshes unseen: it is read every cycle, so a bank every 4, and a refresh fits between two reads of a bank.
    assert sb.refresh_period_cycles is None
    assert sb.banks - sb.bank_cycles >= sb.bank_cycles


@pytest.mark.parametrize("name", shipped_architectures())
def test_banks_sustain_an_access_a_cycle(name: str) -> None:
    on_chip = list(load_architecture(name).memory.levels.values())[1:]
    assert all(level.banks >= level.bank_cycles for level in on_chip)


@pytest.mark.parametrize(
    ("name", "bytes_per_second"),
    [
        ("dadiannao", 256e9), ("dadiannao-dense", 25.6e9), ("tensordash", 25.6e9), ("bit-tactical", 256e9),
        ("global-buffer", 38.4e9),
    ],
)  # fmt: skip
def test_off_chip_width_is_the_rate_at_the_clock(name: str, bytes_per_second: float) -> None:
    architecture = load_architecture(name)
    off_chip = architecture.memory.levels[architecture.memory.outermost]
    assert off_chip.width_bytes_per_cycle == int(bytes_per_second / architecture.clock_hz)
    if off_chip.standard is not None:
        standard = STANDARDS[off_chip.standard]
        burst_seconds = standard.burst_clocks * standard.clock_picoseconds * 1e-12
        assert off_chip.banks * standard.burst_bytes / burst_seconds == pytest.approx(bytes_per_second, rel=1e-3)


@pytest.mark.parametrize("name", shipped_architectures())
def test_broadcast_feeds_the_dense_datapath(name: str) -> None:
    architecture = load_architecture(name)
    step_bytes = architecture.tile.columns * architecture.tile.lanes * architecture.datapath.value_bytes
    for level in architecture.memory.path("columns")[1:]:
        found = architecture.memory.levels[level]
        widths = (found.width_bytes_per_cycle, found.fill_bytes_per_cycle)
        assert all(width is None or width >= step_bytes for width in widths), level


def test_dadiannao_broadcasts_256_bits() -> None:
    assert load_architecture("dadiannao-dense").memory.levels["nbin"].fill_bytes_per_cycle == 256 // 8


def test_the_skipping_node_doubles_the_leaves_of_the_tree() -> None:
    node = load_architecture("dadiannao")
    levels = node.memory.levels
    assert levels["nbin"].width_bytes_per_cycle == 8 * node.tile.lanes * node.datapath.value_bytes
    leaves = 2 * node.tiles * 256 // 8
    assert levels["central"].width_bytes_per_cycle == leaves
    assert levels["nbin"].fill_bytes_per_cycle == levels["sb"].fill_bytes_per_cycle == leaves


@pytest.mark.parametrize(("name", "level", "chunks"), [("dadiannao", "nbin", 2), ("global-buffer", "column_file", 4)])
def test_the_columns_have_room_for_chunks(name: str, level: str, chunks: int) -> None:
    node = load_architecture(name)
    assert node.datapath.chunk_steps is not None
    chunk_bytes = node.datapath.chunk_steps * node.tile.lanes * node.datapath.value_bytes
    assert node.memory.levels[level].capacity_bytes == chunks * chunk_bytes


def test_a_hierarchy_of_another_kind() -> None:
    memory = load_architecture("global-buffer").memory
    assert memory.outermost == "ddr4"
    assert memory.path("rows") == ("ddr4", "buffer", "row_file")
    assert memory.path("columns") == ("ddr4", "buffer", "column_file")
    assert memory.path("results") == ("ddr4", "buffer", "sum_file")
    assert {memory.resident(operand) for operand in OPERANDS} == {"buffer"}


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
    keys = [all_keys(kind=kind) for kind in datapaths()]
    for path, field in itertools.chain.from_iterable(keys):
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
