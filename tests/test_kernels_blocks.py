"""The kernels that lay out blocks, against loops over bundles, parts, outer and inner blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from memory_cases import computation_of, mappings, plain_blocks, results_of, side_blocks_of, side_totals_of
from twins import lay_out

from swatsim.kernels.blocks import Blocks, Computation, deal_cycles
from swatsim.kernels.search import Choice, lay_mapping


def laid(mapping):
    """All blocks as the kernel lays them out: the second cut of each side, the first one is another."""
    rows, columns, results, compute, columns_outside = mapping
    sides = tuple(side_blocks_of([*side[::-1], *side]) for side in (rows, columns))
    totals = tuple(side_totals_of([len(side[0])] * 2, [sum(map(len, side))] * 2) for side in (rows, columns))
    work = results_of(results), computation_of(compute)
    choice = Choice(1, 1, columns_outside, 0, 0, 0)
    return plain_blocks(Blocks(lay_mapping(sides, totals, work, choice, len(results["in_tiles"]))))


@given(mappings())
def test_lay_mapping(mapping):
    assert laid(mapping) == lay_out(*mapping)[0]


@given(mappings())
def test_nothing_is_lost(mapping):
    """Compute cycles are those of the slowest set; outer blocks are loaded once, inner ones for each, or once alone."""
    rows, columns, _, compute, columns_outside = mapping
    blocks = laid((*mapping[:2], mapping[2] | {"load": [dict.fromkeys(mapping[2]["load"][0], 0)] * 2}, *mapping[3:]))
    sets = range(len(compute["cycles"][0]))
    assert sum(block["compute"] for block in blocks) == max(
        sum(sum(map(sum, part[number])) for part in compute["cycles"]) for number in sets
    )
    outer, inner = (columns, rows) if columns_outside else (rows, columns)
    once = sum(sum(block["load"]) for bundle in outer for block in bundle)
    streamed = sum(
        sum(block["load"]) * (len(outers) if len(inners) > 1 else 1)
        for outers, inners in zip(outer, inner, strict=True)
        for block in inners
    )
    assert sum(block["own"] + block["ahead"] for block in blocks) == once + streamed
    assert not blocks[-1]["ahead"]


@pytest.mark.parametrize("columns_outside", [False, True])
def test_both_orders_load_what_they_stream_again(columns_outside):
    """2 x 3 blocks of 5 and 7 cycles: the outer side once, its second block beside all of the first but the last."""

    def blocks(count, load):
        return [[{
            "load": [load], "level": [0], "busy": [[[[0, 0]] * 3]], "start": place, "stop": place + 1, "rounds": 1,
            "vectors": 1, "tile_vectors": 1, "groups": 1, "kind": 0,
        } for place in range(count)]]  # fmt: skip

    results = {
        "store": [{(0, 0): 1}] * 2, "load": [{(0, 0): 0}] * 2, "per_value": [[[(0, 0)]] * 2] * 2, "in_tiles": [False]
    }  # fmt: skip
    compute = {"cycles": [[[[6], [6]]]], "columns_outer": False, "inner_rounds": 3}
    found = laid((blocks(2, 5), blocks(3, 7), results, compute, columns_outside))
    assert [block["compute"] for block in found] == [2] * 6
    if columns_outside:
        assert [block["own"] for block in found] == [5 + 7, 5, 5, 5, 5, 5]
        assert [block["ahead"] for block in found] == [7, 0, 7, 0, 0, 0]
    else:
        assert [block["own"] for block in found] == [5 + 7, 7, 7, 7, 7, 7]
        assert [block["ahead"] for block in found] == [2, 3, 0, 0, 0, 0]


def test_sets_run_on_across_blocks():
    """Two barrier sets of 4 and 0, then 0 and 4 cycles: the slower one of each round, if they waited for each other."""
    sums = np.zeros((1, 2, 3, 2), dtype=np.int64)
    sums[0, :, :, 1] = [[0, 4, 4], [0, 0, 4]]
    done = np.zeros(2, dtype=np.int64)
    computation = Computation(sums=sums, columns_outer=False, inner_rounds=1)
    assert deal_cycles(computation, 0, (0, 1, 0, 1), done) == 4
    assert deal_cycles(computation, 0, (1, 2, 0, 1), done) == 0
    assert done.tolist() == [4, 4]
