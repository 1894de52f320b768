"""Schedules of large batches, estimated from a stratified sample (docs/sampling.md)."""

from swatsim.sampling.contraction import SampledContraction, SampledSchedule
from swatsim.sampling.design import Sampling
from swatsim.sampling.errors import CONFIDENCE, EXACT, Estimate, combined, student_quantile

__all__ = [
    "CONFIDENCE",
    "EXACT",
    "Estimate",
    "SampledContraction",
    "SampledSchedule",
    "Sampling",
    "combined",
    "student_quantile",
]
