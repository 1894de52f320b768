"""The synthetic twin of a trace: the same layers, shapes and densities, other bits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np

from swatsim.bits import BitTensor
from swatsim.errors import SwatsimError
from swatsim.layer import Layer, LayerSpec, PassOperands
from swatsim.passes import RESULTS
from swatsim.synthesis.generate import generate
from swatsim.synthesis.scattered import bernoulli
from swatsim.synthesis.statistics import measure
from swatsim.trace import Trace

CLUSTERED = "clustered"
BERNOULLI = "bernoulli"
KINDS = (CLUSTERED, BERNOULLI)


def like(trace: Trace, seed: int, kind: str = CLUSTERED) -> Trace:
    """Make a trace whose every tensor is drawn with the statistics of the real one's; the rest is the same.

    Where the real trace uses one tensor twice, so does the twin, and where one lies within another, so it does there.
    The bits depend on the seed and on the names of layers, passes and roles.

    Parameters
    ----------
    kind : clustered, or bernoulli: elements that are present anywhere, as many as in the real tensor.

    Raises SwatsimError for another kind, or where a tensor is damaged.
    """
    check_kind(kind)
    drawn = _Drawn(seed=seed, kind=kind)
    layers = [drawn.layer(layer) for layer in trace]
    provenance = marked(kind, seed) | {"statistics of": trace.digest or trace.name}
    manifest = replace(trace.manifest, name=f"{trace.name}-{kind}", provenance=provenance)
    return Trace(manifest.name, layers, manifest=manifest, graph=trace.graph)


def check_kind(kind: str) -> None:
    """Raise SwatsimError where masks of this kind are unknown."""
    if kind not in KINDS:
        raise SwatsimError(f"kind: got {kind!r}, expected one of {', '.join(KINDS)}")


def marked(kind: str, seed: int) -> dict[str, str]:
    """What the provenance of every synthetic trace says."""
    return {"source": "synthetic", "masks": kind, "seed": str(seed)}


def stream(seed: int, *names: str) -> np.random.Generator:
    """The random numbers of one tensor: no other tensor's, whatever the order in which they are made."""
    digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16], "little")])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    real: BitTensor
    drawn: BitTensor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """The tensors so far, by shape and contents of the real one."""

    seed: int
    kind: str
    pairs: dict[tuple[int, ...], dict[bytes, _Pair]] = field(default_factory=dict)

    def layer(self, layer: Layer) -> Layer:
        """Draw what no earlier layer has, the sparsest first: what lies within another is there before it."""
        tensors = [
            (pass_name, role, operand.bits)
            for pass_name in layer.spec.passes for role, operand in layer.passes[pass_name].operands.items()
        ] + [
            (pass_name, RESULTS[pass_name], mask)
            for pass_name in layer.spec.passes if (mask := layer.passes[pass_name].result_mask) is not None
        ]  # fmt: skip
        for pass_name, role, bits in sorted(tensors, key=lambda tensor: tensor[2].nonzeros):
            self._draw(layer.spec, pass_name, role, bits)
        return Layer(spec=layer.spec, passes={name: self._pass(layer.passes[name]) for name in layer.spec.passes})

    def _pass(self, given: PassOperands) -> PassOperands:
        operands = {role: replace(operand, bits=self._of(operand.bits)) for role, operand in given.operands.items()}
        mask = None if given.result_mask is None else self._of(given.result_mask)
        return PassOperands(operands=operands, result_mask=mask)

    def _of(self, bits: BitTensor) -> BitTensor:
        return self.pairs[bits.shape][_contents(bits)].drawn

    def _draw(self, spec: LayerSpec, pass_name: str, role: str, bits: BitTensor) -> None:
        found = self.pairs.setdefault(bits.shape, {})
        if _contents(bits) in found:
            return
        least = [pair for pair in found.values() if not pair.real.outside(bits)]
        most = [pair for pair in found.values() if not bits.outside(pair.real) and pair.drawn.packed is not None]
        limits = {
            "least": max(least, key=lambda pair: pair.real.nonzeros).drawn if least else None,
            "most": min(most, key=lambda pair: pair.real.nonzeros).drawn if most else None,
        }
        random = stream(self.seed, spec.name, pass_name, role)
        if bits.nonzeros in (0, bits.size):
            drawn = bits
        elif self.kind == BERNOULLI:
            drawn = bernoulli(bits.nonzeros / bits.size, bits.shape, random, **limits)
        else:
            last = channels_last(spec, role)
            drawn = generate(measure(bits, channels_last=last), bits.shape, random, channels_last=last, **limits)
        found[_contents(bits)] = _Pair(real=bits, drawn=drawn)


def channels_last(spec: LayerSpec, role: str) -> bool:
    """Whether a tensor's channels are its last dimension, and not its second."""
    return spec.kind == "linear" and role != "weight"


def _contents(bits: BitTensor) -> bytes:
    return b"" if bits.nonzeros == bits.size else hashlib.sha256(bits.packed.tobytes()).digest()  # type: ignore[union-attr]
