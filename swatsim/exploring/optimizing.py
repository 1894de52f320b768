"""Which machine to try next where there are too many to try all: by optuna, of which nothing else knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from swatsim.errors import SwatsimError
from swatsim.exploring.candidates import Choice, Space, Tried

# Machines that are asked for before any of them is told: so many whatever the workers, so that all find the same.
AT_ONCE = 8
# What a machine that cannot be is above its budgets.
_REFUSED = 1e6
_EXCESS = "excess"


class Optimizer:
    """Asks for machines, and learns from what is told of them.

    One objective: a tree-structured Parzen estimator (J. Bergstra et al., NeurIPS 2011); several: NSGA-II (K. Deb et
    al., IEEE TEC 2002).
    """

    def __init__(self, space: Space, seed: int) -> None:
        """Begin; raises SwatsimError where optuna is not installed."""
        self._space = space
        optuna = imported()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        own: dict[str, Any] = {"seed": seed}
        if space.budgets:
            own["constraints_func"] = lambda trial: (trial.user_attrs[_EXCESS],)
        if len(space.objectives) == 1:
            sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, n_startup_trials=16, **own)
        else:
            sampler = optuna.samplers.NSGAIISampler(population_size=2 * AT_ONCE, **own)
        self._study = optuna.create_study(sampler=sampler, directions=["minimize"] * len(space.objectives))

    def ask(self) -> list[tuple[Any, Choice]]:
        """Trials to be told of, each with its choice; some may have been tried before."""
        trials = [self._study.ask() for _ in range(AT_ONCE)]
        return [(trial, tuple(_suggested(trial, *axis) for axis in self._space.axes.items())) for trial in trials]

    def tell(self, trial: Any, tried: Tried) -> None:
        """What was found of a trial's choice."""
        trial.set_user_attr(_EXCESS, tried.excess if tried.refused is None else _REFUSED)
        values = [tried.values.get(name, math.inf) if tried.refused is None else math.inf
                  for name in self._space.objectives]  # fmt: skip
        self._study.tell(trial, values)


def _suggested(trial: Any, key: str, values: Sequence[object]) -> int:
    """The number of a value: neighbours are alike where all are numbers."""
    if all(type(value) in (int, float) for value in values) and list(values) == sorted(values):  # type: ignore[type-var]
        return int(trial.suggest_int(key, 0, len(values) - 1))
    return int(trial.suggest_categorical(key, range(len(values))))


def imported() -> Any:
    """Optuna; raises SwatsimError where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise SwatsimError("explore needs optuna: pip install 'swatsim[explore]'") from None
    return optuna
