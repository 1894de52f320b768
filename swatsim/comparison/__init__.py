"""Machines side by side: one trace, one dense baseline, one way to make them comparable."""

from swatsim.comparison.comparing import compare
from swatsim.comparison.result import Comparison, Contender, Entry

__all__ = ["Comparison", "Contender", "Entry", "compare"]
