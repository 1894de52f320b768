"""Exploration: which machine is best for a set of traces (docs/explore.md)."""

from swatsim.exploring.result import Exploration
from swatsim.exploring.searching import explore

__all__ = ["Exploration", "explore"]
