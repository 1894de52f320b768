"""Traces that nobody trained: masks drawn with the statistics of real ones, or at random."""

from swatsim.synthesis.generate import generate
from swatsim.synthesis.network import LayerMasks, synthesise
from swatsim.synthesis.profile import Profile, load_profile, profile_names
from swatsim.synthesis.scattered import bernoulli
from swatsim.synthesis.statistics import TensorStatistics, measure
from swatsim.synthesis.twin import KINDS, like

__all__ = [
    "KINDS", "LayerMasks", "Profile", "TensorStatistics", "bernoulli", "generate", "like", "load_profile", "measure",
    "profile_names", "synthesise",
]  # fmt: skip
