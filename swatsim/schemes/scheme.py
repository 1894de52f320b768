"""What a scheme says of itself, without torch: which operands each pass selects, which results are needed, and when."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

from swatsim.budgets import FIRST_CONVOLUTION, LAST_LINEAR, Place, allocate, exact_sparsity
from swatsim.errors import SwatsimError
from swatsim.passes import OPERANDS, PASSES
from swatsim.schemes.rule import LayerRule, Trained, Training

# What the entries of a result mask are taken from.
ACTIVE_WEIGHTS = "active weights"
PREDICTED_OUTPUTS = "predicted outputs"
LIVE_FILTERS = "live filters"
WORDS = f"{FIRST_CONVOLUTION} or {LAST_LINEAR}"
# In which units weights are kept.
PATTERNS = ("element", "slice", "filter")


@dataclass(frozen=True, slots=True, kw_only=True)
class PassMasks:
    """One pass: the roles of the operands that the scheme makes sparse, and which entries of the result are needed."""

    operands: tuple[str, ...] = ()
    result: str | None = None  # ACTIVE_WEIGHTS, PREDICTED_OUTPUTS, LIVE_FILTERS; None: all


WHOLE = PassMasks()


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionCost:
    """Work that finding the masks takes, in readings of a tensor, every `period` optimiser steps."""

    tensor: str  # input, weight, output, "output gradient", "weight gradient" or "momentum"
    readings: Fraction  # of the whole tensor
    what: str  # top-K, L1 norms of slices, …
    every: str = "period"  # "period", "step", or "once"
    macs_per_output: int = 0  # extra multiplications for each output value and dimension of a projection


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """A method of sparse training. A subclass is one file of this package: its fields are the method's settings.

    sparsity : the fraction that is dropped; None where the method learns it or has none.
    period : optimiser steps between two selections.
    budget : how the sparsity is spread over layers (`swatsim.budgets`).
    keep_dense : layers that are left alone: names, patterns, or the words first_convolution and last_linear.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    passes: ClassVar[Mapping[str, PassMasks]]
    pattern: ClassVar[str] = "element"
    selection: ClassVar[tuple[SelectionCost, ...]] = ()
    has_target: ClassVar[bool] = True  # whether a sparsity can be asked for
    instead_of_target: ClassVar[str | None] = None  # the setting that can be given in place of a sparsity

    sparsity: Fraction | None = None
    period: int = 1
    budget: str | Mapping[str, object] = "uniform"
    keep_dense: tuple[str, ...] = (FIRST_CONVOLUTION,)

    def __post_init__(self) -> None:
        if not is_count(self.period) or self.period < 1:
            raise SwatsimError(f"period: got {self.period}, expected at least 1 optimiser step")
        if self.has_target:
            object.__setattr__(self, "sparsity", exact_sparsity(self.sparsity))
        elif self.sparsity is not None:
            raise SwatsimError(f"sparsity: got {self.sparsity}, expected none: {self.name} learns it")
        if isinstance(self.keep_dense, str):
            object.__setattr__(self, "keep_dense", (self.keep_dense,))
        if not isinstance(self.keep_dense, Sequence) or not all(isinstance(word, str) for word in self.keep_dense):
            raise SwatsimError(f"keep_dense: got {self.keep_dense!r}, expected names, patterns or words")
        if not isinstance(self.budget, (str, Mapping)):
            raise SwatsimError(f"budget: got {self.budget!r}, expected a name, a file or a mapping")

    @property
    def label(self) -> str:
        """What a trace calls the scheme, and `scheme_named` takes."""
        return self.name

    def masks(self, pass_name: str) -> PassMasks:
        """What one pass selects."""
        return self.passes.get(pass_name, WHOLE)

    def layer_budgets(self, places: Sequence[Place]) -> dict[str, Fraction]:
        """The sparsity of each layer at the first step, 0 where it stays dense.

        Raises SwatsimError where a name or pattern of `keep_dense` matches no layer, or the budget does not fit.
        """
        for pattern in self.keep_dense:
            if pattern not in WORDS and not any(place.matches((pattern,)) for place in places):
                raise SwatsimError(f"keep_dense: got {pattern!r}, expected a layer's name, a pattern, or {WORDS}")
        return allocate(self.budget, places, self.sparsity or Fraction(0), dense=self.keep_dense)

    def covers(self, place: Place) -> bool:
        """Whether the layer is trained by the scheme, rather than left alone."""
        return not place.matches(self.keep_dense)

    def is_dense_step(self, step: int) -> bool:
        """Whether all results are needed at this step (0-based) although `passes` says otherwise."""
        return False

    def target(self, final: Fraction, step: int) -> Fraction:
        """The sparsity at a step of a layer whose final one is given: schemes that ramp up begin below it."""
        return final

    def rule(self, layer: Trained, sparsity: Fraction, training: Training) -> LayerRule | None:
        """The dynamics of one layer; None: it stays dense."""
        raise NotImplementedError

    def before_update(self, training: Training) -> None:
        """Gradients are there, the optimiser's step comes next."""
        for layer in training.layers:
            layer.rule.before_update()

    def after_update(self, training: Training) -> None:
        """The optimiser has made its step number `training.step` (from 1)."""
        for layer in training.layers:
            layer.rule.after_update()


SCHEMES: dict[str, type[Scheme]] = {}
AnyScheme = TypeVar("AnyScheme", bound=Scheme)


def register(scheme: type[AnyScheme]) -> type[AnyScheme]:
    """Make a scheme selectable by its name; raises ValueError where its description contradicts itself."""
    if not scheme.paper or scheme.pattern not in PATTERNS:
        raise ValueError(f"{scheme.name}: expected a paper, and a pattern of {', '.join(PATTERNS)}")
    for pass_name, masks in scheme.passes.items():
        if pass_name not in PASSES or not set(masks.operands) <= set(OPERANDS[pass_name]):
            raise ValueError(f"{scheme.name}: {pass_name} has no operands {masks.operands}")
    SCHEMES[scheme.name] = scheme
    return scheme


def make(kind: type[Scheme], settings: Mapping[str, object]) -> Scheme:
    """A scheme with these settings; raises SwatsimError for one that it does not have."""
    known = [field.name for field in fields(kind)]
    for key in settings:
        if key not in known:
            raise SwatsimError(f"{kind.name}: got setting {key!r}, expected one of {', '.join(known)}")
    build: Callable[..., Scheme] = kind
    return build(**settings)


def cosine(first: float, step: int, steps: int) -> float:
    """Half a cosine from `first` at step 0 to 0 at `steps`, and 0 from there on."""
    return first / 2 * (1 + math.cos(math.pi * min(step, steps) / steps))


def is_count(value: object) -> bool:
    """Whether a setting is an integer from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_range(setting: str, value: object, least: float, most: float) -> None:
    """Raise SwatsimError where a scheme's own setting is not a number in this range."""
    if not isinstance(value, (int, float)) or not least <= value <= most:
        raise SwatsimError(f"{setting}: got {value}, expected a number from {least:g} to {most:g}")


def check_steps(setting: str, value: object) -> None:
    """Raise SwatsimError where a setting is given that is not a number of optimiser steps."""
    if value is not None and (not is_count(value) or not value):
        raise SwatsimError(f"{setting}: got {value}, expected at least 1 optimiser step")


def check_every_step(scheme: Scheme) -> None:
    """Raise SwatsimError where a method that selects at every step, or but once, is given another period."""
    if scheme.period != 1:
        raise SwatsimError(f"period: got {scheme.period}, expected 1: {scheme.name} reuses no selection")


def check_momentum(scheme: Scheme, training: Training) -> None:
    """Raise SwatsimError where the optimiser has made a step and remembers no mean of gradients."""
    if all(training.momentum(layer.weight) is None for layer in training.layers):
        raise SwatsimError(f"{scheme.name}: got an optimizer that keeps no momentum, expected one that does")


def steps_of_run(scheme: Any) -> int:
    """The setting `total_steps`: a scheme may be described without it, but not trained.

    Raises SwatsimError where it is not given.
    """
    steps: int | None = scheme.total_steps
    if steps is None:
        raise SwatsimError(
            f"total_steps: got none, expected the optimiser steps of the run: {scheme.name} changes over it"
        )
    return steps
