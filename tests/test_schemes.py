"""What every scheme says of itself, over the registry: a new scheme is tested here without an edit."""

import re
import subprocess
import sys
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import ClassVar

import pytest

from swatsim.budgets import places_of
from swatsim.errors import SwatsimError
from swatsim.passes import OPERANDS, PASSES
from swatsim.schemes import SCHEMES, PassMasks, Scheme, scheme_named, scheme_names
from swatsim.schemes.scheme import ACTIVE_WEIGHTS, LIVE_FILTERS, PREDICTED_OUTPUTS, register

PLACES = places_of([
    ("stem", "conv2d", (16, 3, 3, 3)), ("block.conv", "conv2d", (32, 16, 3, 3)),
    ("block.deep", "conv2d", (32, 1, 3, 3)), ("hidden", "linear", (64, 32)), ("head", "linear", (10, 64)),
])  # fmt: skip
# The passes whose result can be masked so.
RESULTS = {ACTIVE_WEIGHTS: "weight_grad", PREDICTED_OUTPUTS: "forward", LIVE_FILTERS: "forward"}
TENSORS = {"input", "weight", "output", "output gradient", "weight gradient", "momentum"}
SHARED = {field.name for field in fields(Scheme)}


def test_the_schemes_of_the_literature_are_there():
    wanted = (
        "dense swat-u swat-erk swat-m swat-structured meprop dsg set snfs rigl gmp str cs dst dsr activation-sparse "
        "filter-pruning cases"
    )
    assert set(wanted.split()) <= set(scheme_names())


def test_every_scheme_is_a_file_of_its_own():
    modules = [kind.__module__ for kind in SCHEMES.values()]
    assert len(set(modules)) == len(modules)
    assert all(name == kind.name for name, kind in SCHEMES.items())


def test_schemes_are_read_without_torch():
    program = "import sys, swatsim.schemes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("name", scheme_names())
def test_what_a_scheme_declares_is_consistent(name):
    kind, scheme = SCHEMES[name], scheme_named(name)
    assert name == "dense" or re.search(r"\b(19|20)\d\d\b", kind.paper)
    for pass_name in PASSES:
        masks = scheme.masks(pass_name)
        assert set(masks.operands) <= set(OPERANDS[pass_name])
        assert len(set(masks.operands)) == len(masks.operands)
        assert masks.result is None or RESULTS[masks.result] == pass_name
    assert bool(kind.selection) == (name != "dense")
    for cost in kind.selection:
        assert cost.tensor in TENSORS
        assert cost.readings > 0
        assert cost.every in ("period", "step", "once")
        assert cost.what
        assert cost.macs_per_output >= 0


@pytest.mark.parametrize("name", scheme_names())
def test_every_setting_is_documented(name):
    text = SCHEMES[name].__doc__ or ""
    for field in fields(SCHEMES[name]):
        described = re.search(rf"^    (\w+, )*{field.name}(, \w+)* : ", text, re.MULTILINE)
        assert field.name in SHARED or described, field.name


@pytest.mark.parametrize("name", scheme_names())
def test_a_scheme_is_made_with_its_defaults_and_named_by_its_label(name):
    scheme = scheme_named(name)
    assert scheme_named(scheme.label) == scheme
    assert scheme.label.partition(":")[0] == name
    assert scheme.sparsity == (Fraction(4, 5) if SCHEMES[name].has_target else None)
    given = {field.name: getattr(scheme, field.name) for field in fields(scheme)}
    assert scheme_named(name, **given) == scheme


@pytest.mark.parametrize("name", scheme_names())
def test_budgets_of_a_network(name):
    scheme = scheme_named(name)
    budgets = scheme.layer_budgets(PLACES)
    assert list(budgets) == [place.name for place in PLACES]
    assert all(0 <= sparsity < 1 for sparsity in budgets.values())
    assert not any(budgets[place.name] for place in PLACES if place.matches(scheme.keep_dense))
    for place in PLACES:
        if budgets[place.name]:
            assert scheme.covers(place)
            assert scheme.target(budgets[place.name], 10**9) == budgets[place.name]  # every ramp ends there
            assert 0 <= scheme.target(budgets[place.name], 0) <= budgets[place.name]
    if SCHEMES[name].has_target:
        kept = scheme_named(name, keep_dense=("block.*",), sparsity=0.2).layer_budgets(PLACES)
        assert {kept["block.conv"], kept["block.deep"]} == {0}
        assert kept["hidden"] > 0


@pytest.mark.parametrize("name", scheme_names())
def test_refusals_are_one_line(name):
    with pytest.raises(SwatsimError) as error:
        scheme_named(name, colour="red")
    known = ", ".join(field.name for field in fields(SCHEMES[name]))
    assert str(error.value) == f"{name}: got setting 'colour', expected one of {known}"
    with pytest.raises(SwatsimError, match=r"^period: got 0, expected"):
        scheme_named(name, period=0)
    with pytest.raises(SwatsimError, match=r"^sparsity: got 1, expected"):
        scheme_named(name, sparsity=1)
    if not SCHEMES[name].has_target:
        with pytest.raises(SwatsimError, match=f"^sparsity: got 0.5, expected none: {name} learns it"):
            scheme_named(name, sparsity=0.5)


def test_unknown_names():
    with pytest.raises(SwatsimError) as error:
        scheme_named("swat")
    assert str(error.value) == f"scheme: got 'swat', expected one of {', '.join(scheme_names())}"
    with pytest.raises(SwatsimError, match=r"^swat-u: got setting 'case', expected"):
        scheme_named("swat-u:w/w/a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paper": ""}, "mine: expected a paper, and a pattern"),
        ({"pattern": "brick"}, "mine: expected a paper, and a pattern of element, slice, filter"),
        ({"passes": {"forward": PassMasks(operands=("output_grad",))}}, "mine: forward has no operands"),
        ({"passes": {"backward": PassMasks()}}, "mine: backward has no operands"),
    ],
)
def test_a_description_that_contradicts_itself_is_not_registered(changes, message):
    @dataclass(frozen=True, kw_only=True)
    class Mine(Scheme):
        name: ClassVar[str] = "mine"
        paper: ClassVar[str] = "nobody, 2026"
        passes: ClassVar[dict[str, PassMasks]] = {}

    for key, value in changes.items():
        setattr(Mine, key, value)
    with pytest.raises(ValueError, match=message):
        register(Mine)
    assert "mine" not in SCHEMES
