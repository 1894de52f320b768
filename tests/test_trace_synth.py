"""`swatsim trace synth`: the same seed gives the same trace, budgets hold, and reports say what it is."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from swatsim import load_trace
from swatsim.budgets import places_of_specs
from swatsim.cli import cli, main
from swatsim.networks import network_shapes
from swatsim.passes import OPERANDS, PASSES, RESULTS
from swatsim.schemes import SCHEMES, scheme_named, scheme_names
from swatsim.synthesis.under_scheme import layer_masks, scheme_for

TRACES = Path(__file__).parent.parent / "traces"
NETWORK = "transformer-encoder"


def synth(*arguments):
    result = CliRunner().invoke(cli, ["trace", "synth", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return load_trace(arguments[arguments.index("-o") + 1])


def test_a_network_under_a_scheme(tmp_path):
    trace = synth(
        NETWORK, "--scheme", "rigl", "--sparsity", "0.9", "--budget", "erk", "--images", 2, "-o", tmp_path / "t"
    )
    assert trace.specs == network_shapes(NETWORK, images=2).layers
    assert trace.graph == network_shapes(NETWORK, images=2).graph
    assert (trace.manifest.scheme, trace.manifest.sparsity) == ("rigl", Fraction(9, 10))
    facts = trace.manifest.provenance
    assert (facts["source"], facts["masks"], facts["seed"], facts["profile"]) == (
        "synthetic",
        "clustered",
        "0",
        "resnet50",
    )
    budgets = scheme_named("rigl", sparsity="0.9", budget="erk").layer_budgets(places_of_specs(trace.specs))
    for layer in trace:
        weight = layer.passes["forward"].operands["weight"].bits
        kept = -(-weight.size * (1 - budgets[layer.spec.name]).numerator // (1 - budgets[layer.spec.name]).denominator)
        assert weight.nonzeros == kept
        mask = layer.passes["weight_grad"].result_mask
        assert (mask is None and weight.nonzeros == weight.size) or mask == weight


def test_the_seed_decides_and_nothing_else(tmp_path):
    arguments = (NETWORK, "--scheme", "swat-u", "--masks", "bernoulli", "--name", "same")
    first, again = (synth(*arguments, "-o", tmp_path / name) for name in ("a", "b"))
    other = synth(*arguments, "--seed", 1, "-o", tmp_path / "c")
    assert first.digest == again.digest != other.digest
    bits = [trace.layer(3).passes["forward"].operands["weight"].bits for trace in (first, other)]
    assert bits[0].nonzeros == bits[1].nonzeros
    assert bits[0] != bits[1]


def test_a_twin_has_the_shapes_and_densities_of_the_real_one(tmp_path):
    real = load_trace(TRACES / "smallcnn")
    twin = synth("--like", TRACES / "smallcnn", "-o", tmp_path / "twin")
    assert twin.name == "twin"
    assert twin.manifest.provenance["statistics of"] == real.digest
    for mine, theirs in zip(twin, real, strict=True):
        assert mine.spec == theirs.spec
        for name in mine.spec.passes:
            for role in OPERANDS[name]:
                a, b = mine.passes[name].operands[role], theirs.passes[name].operands[role]
                assert (a.bits.nonzeros, a.sparsity) == (b.bits.nonzeros, b.sparsity)


def test_reports_say_that_it_is_synthetic(tmp_path, capsys):
    synth("--like", TRACES / "smallcnn", "-o", tmp_path / "twin")
    main(["run", "--arch", "dadiannao", "--trace", str(tmp_path / "twin"), "--json", str(tmp_path / "report.json")])
    assert "The trace is synthetic: its masks were drawn at random" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["trace"]["provenance"]["source"] == "synthetic"


@pytest.mark.parametrize("name", scheme_names())
def test_every_scheme_says_what_is_drawn(name):
    specs = network_shapes("resnet18-cifar").layers
    settings = {"sparsity": "0.75"} if SCHEMES[name].has_target else {}
    scheme = scheme_named(name, **settings)
    found = layer_masks(specs, scheme, None if scheme.has_target else Fraction(3, 4))
    covered = [place for place in places_of_specs(specs) if scheme.covers(place)]
    assert set(found) == {place.name for place in covered}
    for masks in found.values():
        for pass_name in PASSES:
            record = scheme.masks(pass_name)
            assert {role for each, role in masks.budgets if each == pass_name} == set(record.operands)
            assert masks.results.get(pass_name) == record.result
            assert pass_name in RESULTS
    assert all(0 <= value < 1 for masks in found.values() for value in masks.budgets.values())


def test_schemes_that_learn_their_sparsity_are_told_one():
    scheme, assumed = scheme_for("str", "0.9", None, None)
    assert (scheme.sparsity, assumed) == (None, Fraction(9, 10))
    scheme, assumed = scheme_for("swat-u", None, None, 7)
    assert (scheme.sparsity, scheme.period, assumed) == (Fraction(4, 5), 7, None)


def test_slices_are_drawn_whole(tmp_path):
    trace = synth("mobilenet-v2-cifar", "--scheme", "swat-structured", "--sparsity", "0.7", "-o", tmp_path / "t")
    spec, layer = next(
        (spec, trace.layer(i)) for i, spec in enumerate(trace.specs) if spec.weight_shape[2:] == (3, 3) and i
    )
    kept = layer.passes["forward"].operands["weight"].bits.to_bool().reshape(*spec.weight_shape[:2], 9)
    assert np.array_equal(kept.any(2), kept.all(2))
    assert kept.any(2).sum() == -(-3 * kept.shape[0] * kept.shape[1] // 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet51"], "network: got 'resnet51', expected one of alexnet, densenet121"),
        ([NETWORK, "--scheme", "swot"], "scheme: got 'swot', expected one of "),
        ([NETWORK, "--scheme", "str"], "sparsity: got none, expected the one that str is assumed to have learned"),
        (
            [NETWORK, "--scheme", "dense", "--sparsity", "0.5"],
            "scheme: got dense with a sparsity, budget or period, expected none: it selects nothing",
        ),
        ([NETWORK, "--sparsity", "1.5"], "sparsity: got '1.5', expected a number from 0 to below 1"),
        ([NETWORK, "--budget", "half"], "budget: got 'half', expected one of er, erk, momentum, uniform"),
        ([NETWORK, "--masks", "striped"], "kind: got 'striped', expected one of clustered, bernoulli"),
        ([NETWORK, "--profile", "mine"], "profile: got 'mine'"),
        ([], "give either NETWORK or --like DIR"),
        ([NETWORK, "--like", "x"], "give either NETWORK or --like DIR"),
        (["--like", "x", "--sparsity", "0.5"], "got --sparsity, expected it without"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(["trace", "synth", *arguments, "-o", str(tmp_path / "t")])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "t").exists()
