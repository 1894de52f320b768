"""Budgets: exact for uniform, solved for Erdős–Rényi and momentum, read for learned ones."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swatsim.budgets import allocate, budget_names, exact_sparsity, places_of
from swatsim.budgets.momentum import momentum_budget
from swatsim.errors import SwatsimError

LAYERS = (
    ("conv1", "conv2d", (64, 3, 3, 3)),
    ("conv2", "conv2d", (128, 64, 3, 3)),
    ("conv3", "conv2d", (256, 128, 1, 1)),
    ("fc", "linear", (10, 256)),
)
PLACES = places_of(LAYERS)


def raw_density(shape, kernel):
    """The two formulas of RigL's §3, written out."""
    inputs, outputs = shape[1], shape[0]
    if kernel and len(shape) == 4:
        return (inputs + outputs + shape[2] + shape[3]) / (inputs * outputs * shape[2] * shape[3])
    return (inputs + outputs) / (inputs * outputs)


def bisected(shapes, raw, density):
    """The scale by bisection instead of rounds: kept weights grow with it, each layer capped at 1."""
    low, high = 0.0, 1e9
    for _ in range(300):
        scale = (low + high) / 2
        kept = sum(math.prod(shape) * min(1.0, scale * value) for shape, value in zip(shapes, raw, strict=True))
        low, high = (scale, high) if kept < density * sum(map(math.prod, shapes)) else (low, scale)
    return [min(1.0, scale * value) for value in raw]


SHAPES = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 300), st.integers(1, 300)),
        st.tuples(st.integers(1, 300), st.integers(1, 300), st.integers(1, 7), st.integers(1, 7)),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@pytest.mark.parametrize("name", ["er", "erk"])
@given(shapes=SHAPES, sparsity=st.integers(0, 98))
def test_erdos_renyi_is_the_capped_formula(name, shapes, sparsity):
    places = places_of([(f"layer{i}", "linear" if len(s) == 2 else "conv2d", s) for i, s in enumerate(shapes)])
    found = allocate(name, places, Fraction(sparsity, 100))
    expected = bisected(shapes, [raw_density(shape, name == "erk") for shape in shapes], 1 - sparsity / 100)
    for place, density in zip(places, expected, strict=True):
        assert 0 <= found[place.name] < 1
        assert float(1 - found[place.name]) == pytest.approx(density, abs=2e-6)
    kept = sum(place.weights * (1 - found[place.name]) for place in places)
    assert float(kept) == pytest.approx((1 - sparsity / 100) * sum(p.weights for p in places), rel=1e-3, abs=1)


def test_uniform_leaves_dense_layers_and_nothing_else():
    found = allocate("uniform", PLACES, Fraction(4, 5), dense=("first_convolution", "f*"))
    assert found == {"conv1": 0, "conv2": Fraction(4, 5), "conv3": Fraction(4, 5), "fc": 0}


def test_first_convolution_and_last_linear_are_found_among_others():
    places = places_of([("embed", "linear", (4, 4)), *LAYERS, ("late", "conv1d", (4, 4, 3))])
    words = {place.name: set(place.words) for place in places if place.words}
    assert words == {"conv1": {"first_convolution"}, "fc": {"last_linear"}}


def test_dense_layers_count_in_erk():
    found = allocate("erk", PLACES, Fraction(1, 2), dense=("conv1",))
    kept = sum(place.weights * (1 - found[place.name]) for place in PLACES)
    assert found["conv1"] == 0
    assert float(kept) == pytest.approx(sum(place.weights for place in PLACES) / 2, rel=1e-5)


def test_a_budget_that_dense_layers_exceed_is_refused():
    with pytest.raises(SwatsimError, match=r"sparsity: got 0.9, expected at most 0\.3"):
        allocate("erk", PLACES, Fraction(9, 10), dense=("conv2",))


def test_momentum_follows_the_means_and_spreads_what_is_full():
    even = momentum_budget(PLACES, Fraction(4, 5), (), dict.fromkeys(["conv1", "conv2", "conv3", "fc"], 0.25))
    assert set(even.values()) == {Fraction(4, 5)}
    found = momentum_budget(PLACES, Fraction(4, 5), (), {"conv1": 100.0, "conv2": 1.0, "conv3": 2.0, "fc": 0.0})
    assert found["conv1"] == 0
    assert float(1 - found["conv3"]) == pytest.approx(2 * float(1 - found["conv2"]), rel=1e-4)
    kept = sum(place.weights * (1 - found[place.name]) for place in PLACES)
    assert float(kept) == pytest.approx(sum(place.weights for place in PLACES) / 5, rel=1e-4)
    assert momentum_budget(PLACES, Fraction(4, 5), (), dict.fromkeys(found, 0.0)) == allocate(
        "uniform", PLACES, Fraction(4, 5)
    )


def test_learned_budgets_come_from_a_file_or_a_mapping(tmp_path):
    path = tmp_path / "learned.csv"
    path.write_text("layer,sparsity\nconv1,0\nconv2,0.9\nconv3,2/3\nfc,0.5\n")
    expected = {"conv1": 0, "conv2": Fraction(9, 10), "conv3": Fraction(2, 3), "fc": Fraction(1, 2)}
    assert allocate(str(path), PLACES, Fraction(0)) == expected
    assert allocate(expected, PLACES, Fraction(0)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer;sparsity\n", r"learned.csv:1: got columns 'layer;sparsity', expected layer,sparsity"),
        ("layer,sparsity\nconv1\n", r"learned.csv:2: got 1 values"),
        ("layer,sparsity\nconv1,0.5\nconv1,0.5\n", r"learned.csv:3: got layer 'conv1' twice"),
        ("layer,sparsity\n", "got no layers"),
        ("layer,sparsity\nconv9,0.5\n", "got layer 'conv9', expected a layer of the network"),
        ("layer,sparsity\nconv1,0.5\n", "got no sparsity for layer 'conv2'"),
        ("layer,sparsity\nconv1,1\nconv2,0\nconv3,0\nfc,0\n", "conv1: got '1', expected a number from 0 to below 1"),
        ("layer,sparsity\nconv1,1/0\nconv2,0\nconv3,0\nfc,0\n", "conv1: got '1/0'"),
        ("layer,sparsity\nconv1,\xff", None),
    ],
)
def test_files_with_mistakes_are_refused_with_their_line(tmp_path, text, message):
    path = tmp_path / "learned.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SwatsimError, match=message or "not UTF-8"):
        allocate(str(path), PLACES, Fraction(0))


REST = "conv2,0\nconv3,0\nfc,0\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\ufeff\ufefflayer,sparsity\n", r":1: got columns '\\ufefflayer,sparsity', expected layer,sparsity"),
        ("layer,sparsity\nconv1," + "1" * 200_000, r":2: got what is no CSV \(field larger .*\), expected a CSV file"),
        ('layer,sparsity\nconv1,"0', r":2: got what is no CSV"),
        (f"layer,sparsity\nconv1,0\x0b{REST}", r"got '0\\x0bconv2', expected|got 3 values"),
        (f"layer,sparsity\nconv1,0.5\u2028\nconv1\x85,0\n{REST}", r"got layer 'conv1\\x85', expected a layer"),
        ("layer,sparsity\n" + "x" * 9000 + ",0\n", "got layer 'xxx"),
        (f"layer,sparsity\nconv1,{'9' * 9000}\n{REST}", "conv1: got '999"),
        ("x" * ((1 << 20) + 1), "got more than 1048576 bytes, expected a budget of layers"),
    ],
)
def test_hostile_files_are_refused_in_a_short_line(tmp_path, text, message):
    path = tmp_path / "learned.csv"
    path.write_bytes(text.encode())
    with pytest.raises(SwatsimError, match=message) as raised:
        allocate(str(path), PLACES, Fraction(0))
    said = str(raised.value).replace(str(tmp_path), "")
    assert said.isprintable()
    assert len(said) < 200


def test_a_spreadsheets_file_is_read(tmp_path):
    """With a byte order mark, line ends of Windows, and what Unicode has for spaces around a number."""
    path = tmp_path / "learned.csv"
    path.write_bytes(f"\ufefflayer,sparsity\r\nconv1,0.5\u2028\r\n{REST}".encode())
    assert allocate(str(path), PLACES, Fraction(0))["conv1"] == Fraction(1, 2)


def test_unknown_budgets_and_files_are_refused(tmp_path):
    with pytest.raises(SwatsimError, match=r"budget: got 'mine', expected one of er, erk, momentum, uniform"):
        allocate("mine", PLACES, Fraction(0))
    with pytest.raises(SwatsimError, match="cannot be read: No such file"):
        allocate(str(tmp_path / "none.csv"), PLACES, Fraction(0))
    with pytest.raises(SwatsimError, match="got a network without layers"):
        places_of([])


@pytest.mark.parametrize("value", [-0.1, 1, "1/0", "most", ".", "1e-400000000", float("nan"), None])
def test_sparsities_out_of_range_are_refused(value):
    with pytest.raises(SwatsimError, match="from 0 to below 1"):
        exact_sparsity(value)


def test_every_budget_serves_every_network():
    for name in budget_names():
        found = allocate(name, PLACES, Fraction(9, 10))
        assert list(found) == [place.name for place in PLACES]
        assert all(isinstance(value, Fraction) and 0 <= value < 1 for value in found.values())
