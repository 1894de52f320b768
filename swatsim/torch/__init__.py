"""Sparse training and trace capture for PyTorch models (the extra `torch`)."""

try:
    import torch  # noqa: F401
except ImportError:
    raise ImportError("swatsim.torch needs PyTorch: pip install 'swatsim[torch]'") from None

from swatsim.torch.capture import capture
from swatsim.torch.networks import build
from swatsim.torch.sparsify import sparsify
from swatsim.torch.training import Sparsifier

__all__ = ["Sparsifier", "build", "capture", "sparsify"]
