"""Who stores which copy of a tensor in the outermost memory, each exactly once (docs/training_step.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from swatsim.stored import Copy, StoredSizes
from swatsim.streaming import MACHINES, Flow

_ACTUAL = MACHINES[:1]
_DENSE = MACHINES[1:]


def stream_name(layer: str, tensor: str) -> str:
    """The name of what is streamed for one tensor of a layer: no two layers and tensors have the same."""
    return f"{layer}:{tensor}"


class Tensor(NamedTuple):
    """A tensor that is made in a step, and what reads it."""

    role: str  # input, weight or output (a gradient), as the layers that multiply it call it
    layers: tuple[str, ...]  # that multiply it, in the order in which they do
    values: int
    streamed: bool  # whether anything else reads it, which reads it dense


class Machine(NamedTuple):
    """What the architecture and the trace say of copies and of selections."""

    value_bytes: int
    state_bytes: int  # of a master weight
    select_reads: int
    selection_period: int


class _Resting(NamedTuple):
    """A copy that is in memory."""

    size_bytes: int
    bits: str | None  # of the values that a selection has left; None: no selection has dropped any

    def yields(self, copy: Copy) -> bool:
        """Whether the other copy can be made of this one."""
        return self.bits in (None, copy.bits)


class _Wanted(NamedTuple):
    """A copy that passes of layers read; `layer` is the first one to do so."""

    layer: str
    copy: Copy

    @property
    def resting(self) -> _Resting:
        """What is in memory once it is made."""
        return _Resting(self.copy.stored_bytes, self.copy.bits if self.copy.selected else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Collects the streams that store and copy tensors."""

    sizes: Mapping[str, StoredSizes]  # by layer
    machine: Machine
    flows: dict[tuple[str, str], Flow]  # by name and pass name

    def flow(self, name: str, pass_name: str, nodes: tuple[str, ...]) -> Flow:
        """The operation of a name, a new one at first."""
        return self.flows.setdefault((name, pass_name), Flow(name=name, pass_name=pass_name, nodes=nodes))

    def write(self, flow: Flow, moved: str, tensor: Tensor) -> None:
        """Let the stream that makes a tensor write each layer's first copy, and a dense one if anything reads that.

        `moved` is the tensor's shape as the stream sees it. Later copies are in another order, which takes a stream of
        their own that reads what is there.
        """
        if not tensor.layers and not tensor.streamed:
            return
        first, later = self._wanted(tensor)
        resting = [wanted.resting for wanted in _packed(first)]
        missing = _packed(later)
        # A dense copy has no order: it is written at once, whichever pass reads it.
        dense = tensor.streamed or len(resting) + len(missing) < len(first) + len(later)
        there = [*resting, *self._masters(tensor)]
        # Where a selection has dropped what a later copy needs, only the whole tensor will do.
        if dense or not all(any(each.yields(wanted.copy) for each in there) for wanted in missing):
            resting.append(self._whole(tensor))
        flow.add("write", moved, tensor.values, self._whole(tensor).size_bytes, machines=_DENSE)
        for number, each in enumerate(resting):
            flow.add("write", moved, 0 if number else tensor.values, each.size_bytes, machines=_ACTUAL)
        self._derive(tensor, missing, [*resting, *self._masters(tensor)])

    def convert(self, tensor: Tensor, *, known: bool = True) -> None:
        """Make the copies of a tensor that lies dense in memory; where its maker is not known, that wrote the first."""
        if not known:
            self.write(Flow(name="", pass_name=""), tensor.role, tensor._replace(streamed=False))
            return
        first, later = self._wanted(tensor)
        self._derive(tensor, _packed([*first, *later]), [self._whole(tensor)])

    def _derive(self, tensor: Tensor, missing: Sequence[_Wanted], there: Sequence[_Resting]) -> None:
        """Select what the layers read selected; make each missing copy of the smallest one that has its values."""
        self._select(tensor, [each for each in there if each.bits is None])
        resting = list(there)
        for layer, copy in missing:
            source = min(each.size_bytes for each in resting if each.yields(copy))
            flow = self.flow(stream_name(layer, tensor.role), "reorder", (layer,))
            flow.add("read", tensor.role, tensor.values, source, machines=_ACTUAL)
            flow.add("write", tensor.role, tensor.values, copy.stored_bytes, machines=_ACTUAL)
            resting.append(_Wanted(layer, copy).resting)

    def _select(self, tensor: Tensor, whole: Sequence[_Resting]) -> None:
        """Search a tensor for its thresholds, all in the same readings, every so many steps."""
        selecting = [layer for layer in tensor.layers if self.sizes[layer].selected(tensor.role)]
        readings, period = self.machine.select_reads, self.machine.selection_period
        if not selecting or not readings:
            return
        layer = selecting[0]
        flow = self.flow(stream_name(layer, tensor.role), "select", (layer,))
        size = min((each.size_bytes for each in whole), default=None)
        if size is None:
            # Nothing in memory is whole: where thresholds are searched, the tensor is left there dense for once.
            size = self._whole(tensor).size_bytes
            flow.add("write", tensor.role, -(-tensor.values // period), -(-size // period), machines=_ACTUAL)
        values = -(-readings * tensor.values // period)
        flow.add("read", tensor.role, values, -(-readings * size // period), machines=_ACTUAL)

    def _wanted(self, tensor: Tensor) -> tuple[list[_Wanted], list[_Wanted]]:
        """The different copies that layers read first, and those that they read later besides."""
        user: dict[object, str] = {}
        first: dict[object, Copy] = {}
        later: dict[object, Copy] = {}
        for layer, number, copy in self._copies(tensor):
            user.setdefault(copy.key, layer)
            (later if number else first).setdefault(copy.key, copy)
        return (
            [_Wanted(user[key], copy) for key, copy in first.items()],
            [_Wanted(user[key], copy) for key, copy in later.items() if key not in first],
        )

    def _copies(self, tensor: Tensor) -> Iterator[tuple[str, int, Copy]]:
        for layer in tensor.layers:
            for number, copy in enumerate(self.sizes[layer].of(tensor.role)):
                yield layer, number, copy

    def _whole(self, tensor: Tensor) -> _Resting:
        return _Resting(tensor.values * self.machine.value_bytes, None)

    def _masters(self, tensor: Tensor) -> list[_Resting]:
        """Beside the weights that are used, their masters are in memory."""
        master = _Resting(tensor.values * self.machine.state_bytes, None)
        return [master] if tensor.role == "weight" else []


def _packed(wanted: Sequence[_Wanted]) -> list[_Wanted]:
    return [each for each in wanted if not each.copy.dense]
