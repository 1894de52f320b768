"""What each cause of lost cycles and of stalls means on a machine, in a sentence.

A datapath's module may have better sentences of its own: `EXPLAIN`, by the names of `Losses`, in which a key in braces
({tile.rows}, {datapath.barrier}) stands for the machine's value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from swatsim.datapaths import datapaths
from swatsim.keys.problems import shown

if TYPE_CHECKING:
    from swatsim.report.explanation import PassExplanation, Share

_CHUNK = "datapath.chunk_steps"
_LOSSES = {
    "reach": "multipliers find no value that they may take",
    "rows": "some {side} of a tile have more work than others: they {waiting}",
    "tiles": "tiles have more work than others, and the one with the most decides",
    "barriers": "waits in between, before the next piece of work begins",
    "edges": "padding, and places of the machine that have nothing in the last rounds",
}
_OTHER_SLOWEST = "at each wait another one is the slowest: waiting once, at the end, would cost less"
# The keys that have to do with a cause, where the family has them.
_KEYS = {
    "reach": ("datapath.reach", _CHUNK, "datapath.n", "datapath.m"),
    "rows": ("datapath.lockstep", "datapath.barrier", _CHUNK),
    "tiles": ("datapath.barrier_tiles", "mapping.tile_split"),
    "barriers": ("datapath.barrier", _CHUNK, "datapath.barrier_tiles"),
    "edges": ("mapping.tile_split", "mapping.flatten"),
}
_WAITING = {
    "step": "wait for each other after every step",
    "chunk": "wait for each other at the end of every chunk",
    "buffer": "wait for each other at the end of every reduction",
    "pass": "end apart, and the pass ends with the last",
}
_STALLS = {
    "conflict": "accesses to banks that are busy with others",
    "refresh": "memory that refreshes, and serves nothing meanwhile",
    "latency": "first values on their way, at the start of blocks and at the end of the pass",
}


def loss_words(cause: str, machine: Any, found: PassExplanation) -> str:
    """One sentence: the family's own or the general one, and what can be counted for it."""
    own = getattr(datapaths()[machine.datapath.kind], "EXPLAIN", {})
    if cause in own:
        sentence = re.sub(r"{([a-z0-9_.]+)}", lambda key: _word(machine, key[1]), own[cause])
    else:
        sentence = _general(cause, machine, found)
    return "; ".join([sentence, *_counted(cause, found)])


def stall_words(cause: str, machine: Any) -> str:
    """One sentence on what is waited for: a level of the machine, or one of the other causes."""
    if cause in _STALLS:
        return _STALLS[cause]
    level = machine.memory.levels[cause]
    width = level.width_bytes_per_cycle
    rate = level.standard or ("unlimited" if width is None else f"{width:,} bytes a cycle")
    if cause == machine.memory.outermost:
        return f"loads and stores off chip ({rate})"
    return f"what this level serves or takes in ({rate})"


def _general(cause: str, machine: Any, found: PassExplanation) -> str:
    barrier = _value(machine, "datapath.barrier")
    sentence = _LOSSES.get(cause, cause)
    if cause == "barriers" and barrier is not None:
        sentence = _OTHER_SLOWEST
    sentence = sentence.replace("{side}", _side(machine, found)).replace("{waiting}", _waiting(machine))
    keys = [
        f"{key}: {_word(machine, key)}"
        for key in _KEYS.get(cause, ())
        # Only a barrier at chunks has to do with their length.
        if _value(machine, key) is not None and (cause == "reach" or key != _CHUNK or barrier == "chunk")
    ]
    return f"{sentence} ({', '.join(keys)})" if keys else sentence


def _side(machine: Any, found: PassExplanation) -> str:
    if _value(machine, "datapath.lockstep") == "lane":
        return "lanes"
    share = _skipped_share(found)
    return "rows" if share is None or share.per_tile == 1 else f"of the {share.per_tile:,} {share.side}"


def _skipped_share(found: PassExplanation) -> Share | None:
    imbalance = found.work.imbalance
    if imbalance is None:
        return None
    return next((share for share in found.work.shares if share.side == imbalance.side), None)


def _waiting(machine: Any) -> str:
    if _value(machine, "datapath.lockstep") == "tile":
        return "advance together"
    return _WAITING.get(str(_value(machine, "datapath.barrier")), "wait for the one with the most")


def _counted(cause: str, found: PassExplanation) -> list[str]:
    if cause == "edges" and found.work.shares:
        return [", ".join(f"{share.side} are filled to {share.filled:.0%}" for share in found.work.shares)]
    imbalance = found.work.imbalance
    ratio = None if imbalance is None else {"rows": imbalance.vectors, "tiles": imbalance.tiles}.get(cause)
    return [] if ratio is None else [f"the fullest has {ratio:.2f} times the non-zeros of the mean"]


def _value(machine: Any, key: str) -> object:
    """The value of a key, or None where the machine has none."""
    found = machine
    for name in key.split("."):
        found = getattr(found, name, None)
    return found


def _word(machine: Any, key: str) -> str:
    value = _value(machine, key)
    return value if isinstance(value, str) else shown(value)
