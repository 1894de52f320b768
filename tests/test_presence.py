"""How many values are present, and meet: against loops over vectors."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, packed_words, randoms

from swatsim.presence import count_met
from swatsim.sides import Reduction, Side, TouchedBy, filter_lines


def side_of(present):
    groups, vectors, elements = present.shape
    words, numbers = packed_words(present.reshape(-1).tolist()), np.arange(vectors)
    return Side(
        role="weight", words=words, base=np.arange(groups * vectors).reshape(groups, vectors) * elements,
        reduction=Reduction(np.arange(elements)[None]), positions=present.size, full=bool(present.all()),
        lines=filter_lines(words, groups, vectors, (1, elements)), touched_by=TouchedBy(first=numbers, last=numbers),
    )  # fmt: skip


@given(randoms(), st.tuples(*[st.integers(1, 4)] * 4), DENSITIES)
def test_what_meets(random, sizes, density):
    groups, rows, columns, elements = sizes
    values = [random.random((groups, vectors, elements)) < density for vectors in (rows, columns)]
    expected = sum(
        int((values[0][g, i] & values[1][g, j]).sum()) for g, i, j in np.ndindex(groups, rows, columns)
    )  # fmt: skip
    assert count_met(*map(side_of, values)) == expected
    side = side_of(values[0])
    assert side.nonzeros == side.lines.total == values[0].sum()
    assert side.by_vector.tolist() == values[0].sum(axis=2).tolist()
    assert side.by_element.tolist() == values[0].sum(axis=1).tolist()
