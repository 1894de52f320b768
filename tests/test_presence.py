"""How many values are present, and meet: against loops over vectors."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, randoms

from swatsim.presence import count, count_met
from swatsim.sides import Lines, Side


def side_of(present):
    groups, vectors, elements = present.shape
    return Side(
        role="weight", present=present.reshape(-1).view(np.uint8),
        base=np.arange(groups * vectors).reshape(groups, vectors) * elements, offset=np.arange(elements)[None],
        nonzeros=int(present.sum()), positions=present.size, full=bool(present.all()),
        lines=Lines(
            first=np.arange(vectors), last=np.arange(vectors), shape=(1, elements), nonzeros=present.sum(axis=2),
            bits=lambda: present.reshape(groups * vectors, -1).view(np.uint8),
        ),
    )  # fmt: skip


@given(randoms(), st.tuples(*[st.integers(1, 4)] * 4), DENSITIES)
def test_what_meets(random, sizes, density):
    groups, rows, columns, elements = sizes
    values = [random.random((groups, vectors, elements)) < density for vectors in (rows, columns)]
    expected = sum(
        int((values[0][g, i] & values[1][g, j]).sum()) for g, i, j in np.ndindex(groups, rows, columns)
    )  # fmt: skip
    assert count_met(*map(side_of, values)) == expected
    counts = count(side_of(values[0]))
    assert counts.by_vector.tolist() == values[0].sum(axis=2).tolist()
    assert counts.by_element.tolist() == values[0].sum(axis=1).tolist()
