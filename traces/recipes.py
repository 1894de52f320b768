"""How the network of each shipped trace is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Some steps at one resolution; the learning rate goes geometrically from first to last."""

    pixels: int
    batch: int
    steps: int
    rate: tuple[float, float]
    bfloat16: bool = True  # autocast; the captured step is float32
    outputs: int | None = None  # widen the last layer to this at the phase's start; None: as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A trace's training; counted in steps, so that the same seed gives the same run on the same machine."""

    network: str
    data: str
    scheme: str
    sparsity: float
    phases: tuple[Phase, ...]
    weight_decay: float  # of convolutions and linear layers
    initial_scale: float = 1.0  # of the convolutions' first weights: under batch norm it sets how soon they turn
    period: int = 10  # optimiser steps between selections
    settings: Mapping[str, object] = field(default_factory=dict)  # the scheme's own
    warm_up_steps: int = 100
    seed: int = 1
    captured_images: int = 2

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase_at(self, step: int) -> tuple[Phase, int]:
        """The phase of one of the steps, and how far into it that step is."""
        before = 0
        for phase in self.phases:
            if step < before + phase.steps:
                return phase, step - before
            before += phase.steps
        raise IndexError(f"step {step} of {before}")


def _low_to_high(low: int, middle: int, high: int, last: int, *, last_low_rate: float) -> tuple[Phase, ...]:
    """Low resolution first: ten times the steps in the same time, and weights mature by steps.

    In the last phase the last layer has ImageNet's 1000 outputs, so that the network is the published one.
    """
    return (
        Phase(pixels=64, batch=32, steps=low, rate=(0.1, last_low_rate)),
        Phase(pixels=112, batch=16, steps=middle, rate=(0.02, 0.01)),
        Phase(pixels=224, batch=8, steps=high, rate=(0.01, 0.003)),
        Phase(pixels=224, batch=8, steps=last, rate=(0.01, 0.003), outputs=1000),
    )


def _settle(steps: int) -> Phase:
    return Phase(pixels=224, batch=8, steps=steps, rate=(0.005, 0.001), outputs=1000)


def _cifar(network: str, scheme: str, sparsity: float) -> Recipe:
    """A network of CIFAR's shape: as many steps as take some minutes of one core, at a rate that its start survives."""
    steps, rate = {
        "resnet18-cifar": (400, 0.01),
        "vgg16-cifar": (600, 0.005),  # no shortcuts: 0.01 did not learn at 90 %
        "densenet121-cifar": (160, 0.01),
    }[network]
    # Ten changes of the masks, the last at three quarters of the run.
    rigl = {"period": steps * 3 // 40, "settings": {"total_steps": steps}}
    return Recipe(
        network=network, data="patches", scheme=scheme, sparsity=sparsity, weight_decay=5e-4, warm_up_steps=20,
        captured_images=1 if network == "densenet121-cifar" else 2,  # its 120 activations are most of its traces
        phases=(Phase(pixels=32, batch=32, steps=steps, rate=(rate, 0.002)),),
        **(rigl if scheme == "rigl" else {}),
    )  # fmt: skip


CIFAR_NETWORKS = ("resnet18-cifar", "vgg16-cifar", "densenet121-cifar")
CIFAR_SCHEMES = (("swat-erk", 0.9), ("rigl", 0.9), ("swat-structured", 0.7))

RECIPES = {
    "resnet50": Recipe(
        network="resnet50", data="photographs", scheme="swat-u", sparsity=0.8, weight_decay=1e-3, initial_scale=0.5,
        phases=(*_low_to_high(2000, 200, 60, 40, last_low_rate=0.029), _settle(120)),
    ),
    "resnet50-90": Recipe(
        network="resnet50", data="photographs", scheme="swat-u", sparsity=0.9, weight_decay=1e-3, initial_scale=0.5,
        phases=(*_low_to_high(1200, 100, 40, 40, last_low_rate=0.03807), _settle(60)),
    ),
    "resnet50-dense": Recipe(
        network="resnet50", data="photographs", scheme="dense", sparsity=0.0, weight_decay=1e-3, initial_scale=0.5,
        phases=(*_low_to_high(800, 100, 30, 40, last_low_rate=0.03), _settle(60)),
    ),
    "resnet50-thin": Recipe(
        network="resnet50-thin", data="photographs", scheme="swat-u", sparsity=0.8, weight_decay=1e-4, warm_up_steps=20,
        phases=(
            Phase(pixels=112, batch=16, steps=120, rate=(0.01, 0.01)),
            Phase(pixels=224, batch=8, steps=80, rate=(0.01, 0.003)),
            Phase(pixels=224, batch=8, steps=150, rate=(0.005, 0.001)),
        ),
    ),
    "smallcnn": Recipe(
        network="smallcnn", data="digits", scheme="swat-u", sparsity=0.8, weight_decay=5e-4, captured_images=8,
        phases=(Phase(pixels=28, batch=64, steps=1500, rate=(0.1, 0.01), bfloat16=False),),
    ),
    **{
        f"{network}/{scheme}-{sparsity * 100:.0f}": _cifar(network, scheme, sparsity)
        for network in CIFAR_NETWORKS
        for scheme, sparsity in CIFAR_SCHEMES
    },
}  # fmt: skip
