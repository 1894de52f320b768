"""Sparse training and trace capture for PyTorch models (the extra `torch`)."""

from swatsim.torch.capture import capture
from swatsim.torch.networks import build
from swatsim.torch.sparsify import sparsify
from swatsim.torch.training import Sparsifier

__all__ = ["Sparsifier", "build", "capture", "sparsify"]
