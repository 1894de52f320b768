"""A DRAM channel simulated tick by tick and command by command, written from docs/dram.md.

Each tick gives every command that all rules allow: PRE and ACT for banks, RD or WR for bursts. Nothing is shared with
swatsim: shapes and timings come as plain dicts, `t_…` being JEDEC's, in ticks.
"""

from __future__ import annotations

from collections import Counter


def even(total, parts):
    """`total` in `parts` whole numbers that differ by one at most, the larger first."""
    return [total // parts + (part < total % parts) for part in range(parts)]


def addresses(bursts, runs, shape):
    """(bank, row) of each burst of a transfer; a row is a number that no other visit of the bank has."""
    turn, row, found = 0, 0, []
    for length in even(bursts, runs):
        left = length
        while left:
            here = min(left, shape["interleaved"] * shape["page_bursts"])
            banks = [(turn + step) % shape["banks"] for step in range(min(here, shape["interleaved"]))]
            found += [(banks[burst % len(banks)], row) for burst in range(here)]
            turn, row, left = turn + len(banks), row + 1, left - here
    return found


class Channel:
    """Banks and their commands: a command may be given once each rule that looks back at earlier ones is content."""

    def __init__(self, shape, timing, write):
        self.groups, self.t = shape["bank_groups"], timing
        self.latency = timing["t_cwl" if write else "t_cl"] + timing["burst"]
        self.recovery = self.latency + timing["t_wr"] if write else timing["t_rtp"]
        self.open = {}  # bank: row
        self.last = {"ACT": {}, "COL": {}, "PRE": {}}  # of each kind, bank: tick
        self.activations = []  # ticks of the last four

    def past(self, now, name, delay, wanted=lambda bank: True):
        """Whether the last such command is at least `delay` ago."""
        return all(now >= tick + delay for bank, tick in self.last[name].items() if wanted(bank))

    def same_group(self, bank):
        return lambda other: other % self.groups == bank % self.groups

    def may_open(self, bank, now):
        t = self.t
        return (
            bank not in self.open
            and self.past(now, "PRE", t["t_rp"], lambda other: other == bank)
            and self.past(now, "ACT", t["t_rc"], lambda other: other == bank)
            and self.past(now, "ACT", t["t_rrd_s"])
            and self.past(now, "ACT", t["t_rrd_l"], self.same_group(bank))
            and sum(now < tick + t["t_faw"] for tick in self.activations) < 4
        )

    def may_pass(self, bank, row, now):
        t = self.t
        return (
            self.open.get(bank) == row
            and self.past(now, "ACT", t["t_rcd"], lambda other: other == bank)
            and self.past(now, "COL", t["t_ccd_s"])
            and self.past(now, "COL", t["t_ccd_l"], self.same_group(bank))
        )

    def may_close(self, bank, now):
        return self.past(now, "ACT", self.t["t_ras"], lambda other: other == bank) and self.past(
            now, "COL", self.recovery, lambda other: other == bank
        )

    def give(self, name, bank, now, row=None):
        self.last[name][bank] = now
        if name == "ACT":
            self.open[bank] = row
            self.activations = [*self.activations[-3:], now]
        elif name == "PRE":
            del self.open[bank]


def transfer_ticks(bursts, runs, shape, timing, *, write):
    """Ticks until the last burst of a transfer has passed: bursts and activations in order and as early as may be."""
    channel = Channel(shape, timing, write)
    to_pass = addresses(bursts, runs, shape)
    to_open, left = list(dict.fromkeys(to_pass)), Counter(to_pass)
    now = end = 0
    while to_pass:
        given = True
        while given:
            given = False
            for bank, row in list(channel.open.items()):
                if not left[bank, row] and channel.may_close(bank, now):
                    channel.give("PRE", bank, now)
                    given = True
            if to_open and channel.may_open(to_open[0][0], now):
                bank, row = to_open.pop(0)
                channel.give("ACT", bank, now, row)
                given = True
            if to_pass and channel.may_pass(*to_pass[0], now):
                bank, row = to_pass.pop(0)
                left[bank, row] -= 1
                channel.give("COL", bank, now)
                end, given = now + channel.latency, True
        now += 1
    return end


def reordered_stream(bursts, shape, timing, *, queue, refresh):
    """Ticks of a sequential read stream through a controller that reorders what is in its queue.

    First ready, first come (FR-FCFS), open pages, one command a tick, all banks refreshed together every t_refi.
    """
    channel = Channel(shape, timing, write=False)
    waiting = addresses(bursts, 1, shape)
    now, next_refresh, blocked_until, end = 0, timing["t_refi"], 0, 0
    while waiting:
        seen = waiting[:queue]
        if refresh and now >= next_refresh:
            # Nothing more is opened or passed until all banks are closed and refreshed.
            if channel.open:
                bank = next((bank for bank in channel.open if channel.may_close(bank, now)), None)
                if bank is not None:
                    channel.give("PRE", bank, now)
            elif channel.past(now, "PRE", timing["t_rp"]):
                blocked_until, next_refresh = now + timing["t_rfc"], next_refresh + timing["t_refi"]
        elif now >= blocked_until:
            end = give_first_ready(channel, waiting, seen, now) or end
        now += 1
    return end


def give_first_ready(channel, waiting, seen, now):
    """Give the first command that is allowed: a burst of an open page, else an activation, else a close.

    Returns when the burst ends, None if there is none.
    """
    pages = list(dict.fromkeys(seen))
    for bank, row in pages:
        if channel.may_pass(bank, row, now):
            waiting.remove((bank, row))
            channel.give("COL", bank, now)
            return now + channel.latency
    for bank, row in pages:
        if channel.may_open(bank, now):
            channel.give("ACT", bank, now, row)
            return None
    for bank, _ in pages:
        if bank in channel.open and (bank, channel.open[bank]) not in seen and channel.may_close(bank, now):
            channel.give("PRE", bank, now)
            return None
    return None


def shape_of(standard, interleaved=None):
    """A standard's shape, with another interleaving if one is given."""
    return {
        "bank_groups": standard.bank_groups,
        "banks": standard.banks,
        "interleaved": interleaved or standard.interleaved_bank_groups,
        "page_bursts": standard.page_bytes // standard.burst_bytes,
    }


def timing_of(standard):
    """A standard's timings, in clocks."""
    names = [name for name in standard.__dataclass_fields__ if name.startswith("t_")]
    return {name: getattr(standard, name) for name in names} | {"burst": standard.burst_clocks}
