"""The machines that are compared with SWAT's published speedups, and their kept results."""

import pytest

import swatsim
from benchmarks import calibration, calibration_sweep
from benchmarks.calibration_sweep import CHOSEN, CLOSER, COUNTINGS, TOLERANCE, WHAT, Candidate, Cycles
from benchmarks.published import PUBLISHED, TRACES


@pytest.fixture(scope="module")
def kept():
    return calibration_sweep.read(calibration.SWEEP)


def computed(trace, *changes):
    architectures = [Candidate(part="", label="", changed=changed).architecture() for changed in changes]
    return calibration_sweep.compute_cycles(architectures, swatsim.load_trace(TRACES / trace))


def test_every_machine_has_a_kept_result(kept):
    machines = list(calibration_sweep.candidates())
    assert [(row.part, row.keys) for row in kept[: len(machines)]] == [(each.part, each.keys) for each in machines]
    assert len({(row.part, row.label, row.keys) for row in kept}) == len(kept)


def agree(rows, machines):
    for row, cycles in zip(rows, computed("resnet50-thin", *machines), strict=True):
        for what in WHAT:
            assert row.speedups["resnet50-thin", what] == pytest.approx(
                calibration_sweep.by_cycles(cycles, what), abs=6e-5
            )


def test_some_kept_results_are_those_of_the_machines(kept):
    machines = list(calibration_sweep.candidates())[::41]
    agree(kept[: len(list(calibration_sweep.candidates()))][::41], [each.changed for each in machines])


def test_kept_results_of_the_machines_looked_at_closely(kept):
    random = [row for row in kept if row.part == "random masks"]
    assert [row.label for row in random] == list(CLOSER)
    real = [row for row in kept if row.part.startswith("counting: ") and row.label == "cycles of all layers"]
    assert [row.part.removeprefix("counting: ") for row in real] == list(CLOSER)
    agree(real, CLOSER.values())


def test_the_balanced_machine_is_within_a_tenth_of_all_four():
    found = {}
    for trace in ("resnet50", "resnet50-90"):
        (cycles,) = computed(trace, CHOSEN)
        found |= {(trace, what): calibration_sweep.by_cycles(cycles, what) for what in ("forward", "backward")}
    assert found.keys() == PUBLISHED.keys()
    for figure, published in PUBLISHED.items():
        assert published * (1 - TOLERANCE) <= found[figure] <= published * (1 + TOLERANCE), figure


CYCLES = [
    Cycles(layer="a", pass_name="forward", dense=100, actual=100),
    Cycles(layer="a", pass_name="weight_grad", dense=100, actual=50),
    Cycles(layer="b", pass_name="forward", dense=300, actual=100),
    Cycles(layer="b", pass_name="input_grad", dense=200, actual=50),
    Cycles(layer="b", pass_name="weight_grad", dense=300, actual=50),
]  # fmt: skip


@pytest.mark.parametrize(
    ("counting", "forward", "backward"),
    [
        ("cycles of all layers", 400 / 200, 600 / 150),
        ("without the first convolution", 300 / 100, 500 / 100),
        ("mean of the two backward passes", 400 / 200, (200 / 50 + 400 / 100) / 2),
        ("mean of the layers", (100 / 100 + 300 / 100) / 2, (100 / 50 + 500 / 100) / 2),
    ],
)
def test_each_counting(counting, forward, backward):
    assert COUNTINGS[counting](CYCLES, "forward") == pytest.approx(forward)
    assert COUNTINGS[counting](CYCLES, "backward") == pytest.approx(backward)


def test_the_worst_of_four_differences():
    row = calibration_sweep.Row(
        part="", label="", keys="", speedups={key: 1.1 * value for key, value in PUBLISHED.items()}
    )
    assert row.worst == pytest.approx(0.1)


def test_results_are_read_as_they_were_written(kept, tmp_path):
    calibration_sweep.write(kept, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == calibration.SWEEP.read_bytes()


def test_what_the_section_says_of_moves_and_tiles_holds(kept):
    assert all(row.worst > TOLERANCE for row in kept if row.part == "moves")
    assert any(row.worst <= TOLERANCE for row in kept if row.part == "grid" and "balance=none" in row.keys)


def test_the_section_has_a_row_for_every_key_and_every_step():
    section = calibration.section()
    for machine in calibration_sweep.candidates():
        if machine.part == "balanced":
            assert f"| {machine.label} |" in section
    for name in calibration_sweep.STEPS:
        assert f"| {name} |" in section
    assert "| published | 3.3 | 3.4 | 5.6 | 6.3 |" in section
