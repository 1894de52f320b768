"""What is to be sampled, and what was."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from swatsim.contraction import Contraction
from swatsim.sampling.design import Sampling
from swatsim.sampling.errors import Estimate
from swatsim.way import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledContraction(Contraction):
    """A contraction, or a part of one, that may be sampled."""

    sampling: Sampling
    name: str  # its own in the step: another one, another draw

    @staticmethod
    def of(contraction: Contraction, sampling: Sampling, name: str) -> SampledContraction:
        """The same contraction."""
        return SampledContraction(**_fields(contraction), sampling=sampling, name=name)

    @property
    def plain(self) -> Contraction:
        """The contraction alone."""
        own = _fields(self)
        return Contraction(**{each.name: own[each.name] for each in fields(Contraction)})


def _fields(contraction: Contraction) -> dict[str, Any]:
    return {each.name: getattr(contraction, each.name) for each in fields(contraction)}


@dataclass(frozen=True, kw_only=True)
class SampledSchedule(Schedule):
    """A schedule whose cycles are estimated."""

    error: Estimate = field(default_factory=Estimate)

    @staticmethod
    def of(schedule: Schedule, error: Estimate) -> SampledSchedule:
        """The same schedule."""
        own = {each.name: getattr(schedule, each.name) for each in fields(Schedule)}
        return SampledSchedule(**own, error=error)
