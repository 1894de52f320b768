"""Whole numbers in proportion: what SNFS and DSR give to each layer."""

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from swatsim.schemes.masked import share_out

# (room, share) of each place, and what part of the whole room is to be shared out.
PLACES = st.lists(st.tuples(st.integers(0, 50), st.one_of(st.just(0.0), st.floats(1e-6, 10))), min_size=1, max_size=6)


@given(PLACES, st.fractions(0, 1))
def test_all_is_shared_out_within_the_rooms(places, part):
    rooms, shares = [room for room, _ in places], [share for _, share in places]
    total = math.floor(part * sum(rooms))
    counts = share_out(total, shares, rooms)
    assert sum(counts) == total
    assert all(0 <= count <= room for count, room in zip(counts, rooms, strict=True))
    # One rate holds for all that are not full: a larger one would give an open place more than it got.
    open_ones = [place for place in range(len(rooms)) if counts[place] < rooms[place]]
    for one in open_ones:
        for other in range(len(rooms)):
            if shares[one] * shares[other] > 0:
                assert Fraction(counts[one] + 1) / Fraction(shares[one]) >= Fraction(counts[other] - 1) / Fraction(
                    shares[other]
                )


@given(st.lists(st.floats(1e-3, 10), min_size=1, max_size=6), st.integers(0, 1000))
def test_where_there_is_room_each_gets_its_share_rounded_up_or_down(shares, total):
    counts = share_out(total, shares, [10**6] * len(shares))
    whole = sum(Fraction(share) for share in shares)
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - total * Fraction(share) / whole) < 1


def test_largest_remainders_come_first_and_what_is_full_is_spread():
    assert share_out(10, [1, 1, 1], [99, 99, 99]) == [4, 3, 3]
    assert share_out(10, [5.0, 3.4, 1.6], [99, 99, 99]) == [5, 3, 2]
    assert share_out(12, [8.0, 2.0, 2.0], [4, 99, 99]) == [4, 4, 4]
    assert share_out(5, [0.0, 0.0], [9, 9]) == [3, 2]
    assert share_out(0, [1.0], [0]) == [0]
