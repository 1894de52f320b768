"""Timelines for the tests of what is drawn from them: engines written plainly, and a report around a timeline."""

from types import SimpleNamespace

import numpy as np

from swatsim.kernels.engines import Spans
from swatsim.timeline import PlacedPass

CLOCK_HZ = 606_000_000  # a cycle is no whole number of nanoseconds


def place_passes(works, latency=0, prefetch=True, held=0):
    """A timeline of passes given as (layer, pass, [(load, compute, store) cycles of each block]).

    One channel serves load 0, load 1, store 0, load 2, store 1 ...; with `prefetch` as much of the first load of a pass
    as the channel rests for comes before the last store of the pass before. A computation is `held` up so many cycles
    by an inner level. The stalls' causes are made up, their sum is not.
    """
    placed, channel, start = [], 0, 0
    rest = (0, 0)
    for layer, name, blocks in works:
        spans, end = {"load": {}, "compute": {}, "store": {}}, start
        early = min(blocks[0][0], rest[1] - rest[0]) if prefetch and blocks else 0
        ahead = (rest[0] - start, rest[0] - start + early) if early else (0, 0)
        arrived = np.zeros(len(blocks), dtype=np.int64)
        computed = rest_start = start
        channel = max(channel, start)
        for turn in range(len(blocks) + 1):
            if turn < len(blocks):
                spans["load"][turn] = (channel, channel + blocks[turn][0] - (0 if turn else early))
                channel = rest_start = spans["load"][turn][1]
            if turn:
                compute, store = blocks[turn - 1][1:]
                loaded = spans["load"][turn - 1]
                ready = loaded[1] + latency if loaded[0] < loaded[1] else start
                arrived[turn - 1] = ready - start
                begin = max(computed, ready)
                computed = begin + compute + held
                spans["compute"][turn - 1] = (begin, computed)
                rest_start = max(rest_start, channel)
                channel = max(channel, computed) if store else channel
                spans["store"][turn - 1] = (channel, channel + store)
                channel += store
                end = max(end, computed, channel if store else 0)
        cycles = end - start
        computing = sum(block[1] for block in blocks)
        waiting = cycles - computing
        stalls = {"dram": waiting - waiting // 3, "central": 0, "latency": waiting // 3}
        placed.append(
            PlacedPass(
                layer=layer,
                pass_name=name,
                start_cycle=start,
                cycles=cycles,
                compute_cycles=computing,
                spans=spans_of(
                    **{engine: _array(found, len(blocks), start) for engine, found in spans.items()}, arrived=arrived
                ),
                stalls=stalls,
                bound_by="compute",
                ahead=ahead,
            )
        )
        start, rest = end, (rest_start, max(rest_start, computed))
    return tuple(placed)


def spans_of(load, compute, store, arrived):
    """The kernels' table of spans."""
    return Spans(np.column_stack([load, compute, store, arrived]).astype(np.int64))


def _array(found, blocks, start):
    return np.array([found[block] for block in range(blocks)], dtype=np.int64).reshape(blocks, 2) - start


def report_of(timeline, clock_hz=CLOCK_HZ, machine="dadiannao", trace="resnet50"):
    """What a renderer reads of a report."""
    return SimpleNamespace(
        swatsim_version="1.2.3",
        architecture={
            "name": machine,
            "clock_hz": clock_hz,
            "memory": {"dram": {"duplex": "half"}, "central": {}, "nbin": {}},
        },
        trace={"name": trace, "digest": "0123", "scheme": "swat-u", "sparsity": 0.9},
        trace_title=trace,
        timeline=timeline,
    )


STEP = (
    ("conv1", "forward", [(10, 40, 7), (10, 45, 7), (10, 0, 7)]),
    ("layer1.0", "forward", [(30, 20, 0), (0, 25, 9)]),
    ("relu", "elementwise_forward", [(64, 8, 64)]),
    ("layer1.0", "weight_grad", [(500, 3, 5)]),
    ("layer1.0", "input_grad", [(5, 60, 5)] * 4),
    ("conv1", "weight_grad", []),
)
