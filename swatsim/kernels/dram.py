"""One DRAM channel, page by page: when each bank is opened, when each burst passes.

The bursts of a transfer pass in order. A *visit* is what a run of bursts does in one set of pages: it opens the next
`interleaved_banks` banks in turn (fewer, where it has fewer bursts) and its bursts go round them. Bank b is of bank
group b mod bank_groups. A bank is closed as soon as the visit's last burst there allows it, and opened again as soon as
the order of activations and the timing allow: so activations run ahead of the bursts by as much as there are banks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel

# Longer ago than any timing reaches, and far from overflow.
LONG_AGO = -(1 << 60)


class Channel(NamedTuple):
    """Shape of a channel and its timing in picoseconds, for reads or for writes.

    banks >= 4; interleaved_banks <= bank_groups, which divides banks; a burst is off the bus after column_short;
    column_short <= column_long <= 2 * column_short, so that of earlier bursts only the last can be in the way.
    """

    bank_groups: int
    banks: int
    interleaved_banks: int
    page_bursts: int
    column_short: int  # from a column command to the next, in another bank group
    column_long: int  # in the same bank group
    activate_short: int  # from an activation to the next
    activate_long: int  # to the next in the same bank group
    four_activates: int  # to the fourth after it
    activate_to_column: int
    activate_to_close: int
    activate_to_activate: int  # of the same bank
    column_to_close: int
    close_to_activate: int
    column_to_end: int  # until the burst has passed


class Banks(NamedTuple):
    """When each bank was opened last, and when it may be opened next."""

    activated: NDArray[np.int64]  # [bank]
    released: NDArray[np.int64]  # [bank]


class Place(NamedTuple):
    """How far the channel has come."""

    turn: int  # bank that is opened next
    last_bank: int  # bank of the last burst
    column: int  # when its column command was given


class Memory(NamedTuple):
    """What was seen at an earlier end of a visit (or of a run), to see that it comes again."""

    released: NDArray[np.int64]  # [turns from now]: relative to the last column command
    activated: NDArray[np.int64]  # [turns ago]: relative to it


class Memories(NamedTuple):
    """What is remembered of each kind of repetition."""

    of_visits: Memory
    of_runs: Memory


class State(NamedTuple):
    """Room for one transfer after another through a channel."""

    banks: Banks
    memories: Memories

    @staticmethod
    def empty(channel: Channel) -> State:
        """Room for transfers through this channel."""
        banks, noted = channel.banks, max(4, channel.bank_groups)
        of_visits, of_runs = (Memory(np.zeros(banks, np.int64), np.zeros(noted, np.int64)) for _ in range(2))
        return State(
            Banks(np.zeros(banks, np.int64), np.zeros(banks, np.int64)), Memories(of_visits, of_runs)
        )  # fmt: skip


@kernel
def visit(channel: Channel, banks: Banks, place: Place, bursts: int) -> Place:
    """Open the next banks, and pass `bursts` bursts through them."""
    used = min(bursts, channel.interleaved_banks)
    column = place.column
    same_group = (place.turn - place.last_bank) % channel.bank_groups == 0
    bank = place.turn
    for _ in range(used):
        # Activation number n is bound by those before it: a wrapped index is of the bank that many turns ago.
        activated = max(
            banks.released[bank],
            banks.activated[bank - 1] + channel.activate_short,
            banks.activated[bank - channel.bank_groups] + channel.activate_long,
            banks.activated[bank - 4] + channel.four_activates,
        )
        banks.activated[bank] = activated
        gap = channel.column_long if same_group else channel.column_short
        column = max(column + gap, activated + channel.activate_to_column)
        banks.released[bank] = column  # for now: its only burst yet
        same_group = False  # there is a next one only where there are bank groups
        bank = bank + 1 if bank + 1 < channel.banks else 0
    # Once all are open nothing but the bus delays a burst.
    step = channel.column_long if used == 1 else channel.column_short
    column += (bursts - used) * step
    turn, bank, last_bank = bank, place.turn, place.turn
    for index in range(used):
        bursts_later = (bursts - 1 - index) % used
        if bursts_later == 0:
            last_bank = bank
        last = banks.released[bank] if bursts - bursts_later <= used else column - bursts_later * step
        closed = max(last + channel.column_to_close, banks.activated[bank] + channel.activate_to_close)
        banks.released[bank] = max(
            closed + channel.close_to_activate, banks.activated[bank] + channel.activate_to_activate
        )
        bank = bank + 1 if bank + 1 < channel.banks else 0
    return Place(turn, last_bank, column)


@kernel
def remember(banks: Banks, place: Place, memory: Memory) -> None:
    """Note the state of the banks, relative to the next turn and to the last column command."""
    for ahead in range(banks.released.shape[0]):
        memory.released[ahead] = banks.released[place.turn + ahead - banks.released.shape[0]] - place.column
    for ago in range(memory.activated.shape[0]):
        memory.activated[ago] = banks.activated[place.turn - 1 - ago] - place.column


@kernel
def comes_again(banks: Banks, place: Place, memory: Memory) -> bool:
    """Whether the state is the remembered one, but for time and for which bank is next."""
    for ahead in range(banks.released.shape[0]):
        if banks.released[place.turn + ahead - banks.released.shape[0]] - place.column != memory.released[ahead]:
            return False
    for ago in range(memory.activated.shape[0]):
        if banks.activated[place.turn - 1 - ago] - place.column != memory.activated[ago]:
            return False
    return True


@kernel
def later(banks: Banks, place: Place, picoseconds: int) -> Place:
    """The same state at a later time."""
    # Not banks.activated[:] += ...: an expression of arrays takes two seconds to compile.
    for bank in range(banks.activated.shape[0]):
        banks.activated[bank] += picoseconds
        banks.released[bank] += picoseconds
    return Place(place.turn, place.last_bank, place.column + picoseconds)


@kernel
def repeat_visits(channel: Channel, banks: Banks, place: Place, bursts: int, times: int, memory: Memory) -> Place:
    """`times` visits of `bursts` bursts: what comes again is not walked through again.

    The state after a visit decides all that follows, so once it has come again (Brent's way to see it) the rest is
    whole periods and a remainder.
    """
    done, noted_done, noted_column, notes = 0, 0, 0, 1
    skipping = True
    while done < times:
        place = visit(channel, banks, place, bursts)
        done += 1
        if skipping and noted_done and comes_again(banks, place, memory):
            period = done - noted_done
            periods = (times - done) // period
            place = later(banks, place, periods * (place.column - noted_column))
            done += periods * period
            skipping = False
        elif done == notes:
            remember(banks, place, memory)
            noted_done, noted_column, notes = done, place.column, 2 * notes
    return place


@kernel
def repeat_runs(channel: Channel, banks: Banks, place: Place, bursts: int, times: int, memories: Memories) -> Place:
    """`times` runs of `bursts` bursts each, as `repeat_visits`: full sets of pages, then what is left."""
    full = channel.interleaved_banks * channel.page_bursts
    done, noted_done, noted_column, notes = 0, 0, 0, 1
    skipping = True
    while done < times:
        place = repeat_visits(channel, banks, place, full, bursts // full, memories.of_visits)
        if bursts % full:
            place = visit(channel, banks, place, bursts % full)
        done += 1
        if skipping and noted_done and comes_again(banks, place, memories.of_runs):
            period = done - noted_done
            periods = (times - done) // period
            place = later(banks, place, periods * (place.column - noted_column))
            done += periods * period
            skipping = False
        elif done == notes:
            remember(banks, place, memories.of_runs)
            noted_done, noted_column, notes = done, place.column, 2 * notes
    return place


@kernel
def transfer_picoseconds(channel: Channel, state: State, bursts: int, runs: int) -> int:
    """Picoseconds until the last burst of a transfer has passed, all banks being closed at first.

    Its bursts are shared out evenly among its runs, the longer runs first; each begins in pages of its own.
    """
    if bursts == 0:
        return 0
    banks = state.banks
    for bank in range(banks.activated.shape[0]):
        banks.activated[bank], banks.released[bank] = LONG_AGO, 0
    shorter, longer_runs = bursts // runs, bursts % runs
    place = repeat_runs(channel, banks, Place(0, 0, LONG_AGO), shorter + 1, longer_runs, state.memories)
    place = repeat_runs(channel, banks, place, shorter, runs - longer_runs, state.memories)
    return int(place.column + channel.column_to_end)
