"""docs/dram.md, its rules and its measured tables: `python -m benchmarks.dram > docs/dram.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from swatsim.dram import INTERLEAVE_BYTES, channel_of
from swatsim.dram_standards import STANDARDS, Standard
from swatsim.kernels.dram import State, transfer_picoseconds
from swatsim.kernels.off_chip import Pipe, channel_share

STREAM_BYTES = 1 << 26
STREAM_BURSTS = 1 << 14  # of the controllers that reorder, which are plain Python
QUEUES = (1, 8, 32)
RUN_BYTES = 64

RULES = f"""\
# DRAM

<!-- Generated: python -m benchmarks.dram > docs/dram.md -->

An off-chip level with a `standard` (`memory.<level>.standard`) has `banks` channels of it. A transfer is so many bytes
in so many contiguous *runs*, read or written; `swatsim.dram.transfer_cycles` says for how long it occupies the
channels, and the timeline puts one after another. Without a standard the level is a pipe of its width.

## From bytes to bursts

- Bytes move in *bursts*, one column command each. A run touches whole bursts. The first run of a transfer begins on a
  burst; any other begins anywhere, so that n bytes of it touch 1 + (n − 1) / `burst_bytes` bursts on average. Bursts of
  b bytes in r runs: ⌈(b + (r − 1)(`burst_bytes` − 1)) / `burst_bytes`⌉. A run has at least one byte.
- Channels take turns every {INTERLEAVE_BYTES} bytes (a *piece*). All channels work at once, and the transfer ends with
  the fullest: of the bursts, laid end to end in pieces that are dealt in turn, it has those of the first channel. It
  has ⌈pieces / channels⌉ of the runs or all of them, whichever is fewer; pieces are counted as bursts are, with
  {INTERLEAVE_BYTES} bytes in place of `burst_bytes`.
- Within a channel the bursts are shared out evenly among its runs, the longer runs (by one burst) first.

## A channel

- A run goes through the channel in *visits*. A visit has `interleaved_bank_groups` × `page_bytes` / `burst_bytes`
  bursts, or what is left of the run. It opens a page in each of the next `interleaved_bank_groups` banks (in as many as
  it has bursts, if those are fewer), and its bursts go round these banks in turn. The next visit, of this run or the
  next one, begins at the bank after the last one that was opened, in a page that is not open.
- Bank b, from 0, is of bank group b mod `bank_groups`. After the last bank comes bank 0. A transfer begins at bank 0
  with all banks closed; it owes nothing to the one before.
- Bursts pass in order, each as early as may be. Banks are activated in order, each as early as may be, whatever bursts
  have passed: the controller knows its transfer. A bank is closed as early as may be after its last burst of the visit.
- A transfer begins with the first activation, at 0, and ends with the last data.

| command | not before |
|---|---|
| activation | t_rp after its bank was closed; t_rc after its bank was activated; t_rrd_s after any activation; \
t_rrd_l after any in its bank group; t_faw after the fourth activation back |
| burst, read or written | t_rcd after its bank was activated; t_ccd_s after any burst; t_ccd_l after any in its \
bank group |
| close, reading | t_ras after the activation; t_rtp after the last burst there |
| close, writing | t_ras after the activation; t_cwl + `burst_clocks` + t_wr after the last burst there |
| end of the data | t_cl (writing: t_cwl) + `burst_clocks` after the burst's command |

**Width.** `width_bytes_per_cycle` is a cap, as of a link: a transfer takes at least ⌈bytes / width⌉ cycles. Where it is
unlimited a transfer takes none, and nothing is refreshed.

**Clock.** Picoseconds become cycles of the machine once for each transfer, rounded up.

**Refresh.** All channels together serve nothing for t_rfc in each t_refi (the timeline stops them), or for
`refresh_cycles` in each `refresh_period_cycles` where the level has these. Where the machine is so slow that a refresh
is only a few cycles, several are taken together, so that whole cycles do not distort them.

**Latency.** `latency_cycles` is that of the controller and the link, which the timeline adds; t_rcd and t_cl are
counted here.

**Not modelled.** The command bus (one command a clock); several ranks and their turnaround; the closing and reopening
of pages around a refresh; refresh of single banks; power-down; temperature. A transfer does not mix reads and writes,
and the turnaround between two hides behind the activation with which each begins (t_rcd is longer than t_wtr_l in every
standard here). That start is a loss of its own: a controller could open the next transfer's pages earlier.

## Standards

JEDEC's minima, in clocks. `swatsim/dram_standards.py` has the source of each number.

"""

MEASURED = f"""
## Bandwidth

Percent of one channel's peak, by the model. *Stream*: one run of {STREAM_BYTES >> 20} MiB. *A burst a page*: as many
bytes, every burst in a page of its own. *{RUN_BYTES}-byte runs*: as many bytes in runs of {RUN_BYTES} bytes that begin
anywhere. In brackets the closed form, for a long transfer. *Refresh* is t_rfc in each t_refi, which the last column has
taken off the first.

"""

CLOSED_FORMS = """
The closed form of a visit of v bursts in k banks is the largest of

- the bus: v · t_ccd_s if k > 1; else (v − 1) · t_ccd_l + t_ccd_s (with bank groups), or v · t_ccd_l (without);
- activations: k · max(t_rrd_s, t_faw / 4, t_rrd_l / `bank_groups`);
- banks: k / `banks` of the time from one activation of a bank to its next, max(t_rc, t_rcd + *open* + *close* + t_rp),
  *open* being the time from its first burst to its last and *close* that from there to the close.
"""

COMPARED = """
## Beside other controllers

A sequential read of `{name}`, {mebibytes} MiB, in percent of peak. *Plain* is the controller in
`tests/twins_dram.py`, which shares no code with swatsim: tick by tick, one command a tick; of the bursts in its queue
the oldest that is ready goes first (FR-FCFS); pages stay open; all banks are closed for each refresh. *Bank groups* are
those that consecutive bursts go through in turn: 1 fills a page before the next one is begun.

{table}
About 75 % is what the plain controller makes of one bank group and a queue of {queue}. A burst of the same bank group
takes {long} clocks where the bus needs {short}, which alone would be {one_group} %. Around the end of each page the
queue sees two pages, in two bank groups: {together} of {page} bursts then pass every {short} clocks, which makes
{most} % at most, before switches of pages and refresh. Ramulator 2 has such a mapping (RoBaRaCoCh) and queues of 32.
That the measured simulator was set up so is a guess, since its configuration is not known.

swatsim instead alternates bank groups from burst to burst, as the vendor's guide recommends, and knows its transfers
before they begin: refresh is all that is left to lose, as in the guide's 95 %. So the difference from 75 % is the
mapping of addresses, not the timing of the device. Between swatsim and the plain controller of the same mapping and a
queue that sees far enough there remains the closing and reopening of pages around each refresh. A machine whose
controller is worse can be given a lower `width_bytes_per_cycle`.
"""

# Percent of peak that others give for a sequential read stream of DDR4.
PUBLISHED = (
    ("an independent simulator, DDR4-2400, configuration not known", "", "", "", "about 75"),
    ("AMD PG313 (NoC and DDR4 controller), single-thread linear read, DDR4", 2, "", "", 95),
    ("the same, simple row-bank-column mapping", 1, "", "", 54),
)


def document() -> str:
    """The page docs/dram.md."""
    parts = [RULES, table(standard_rows()), sources(), MEASURED, table(bandwidth_rows()), CLOSED_FORMS]
    return "".join([*parts, validation(STANDARDS["ddr4-2400"])])


def table(rows: Iterator[tuple[Any, ...]]) -> str:
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([lines[0], "|---" + "|--:" * (lines[0].count("|") - 2) + "|", *lines[1:], ""])


def standard_rows() -> Iterator[tuple[Any, ...]]:
    yield "", *(f"`{name}`" for name in STANDARDS)
    yield "peak of a channel, GB/s", *(f"{peak(standard):.1f}" for standard in STANDARDS.values())
    for name in Standard.__dataclass_fields__:
        if name not in ("name", "source"):
            yield f"`{name}`", *(getattr(standard, name) for standard in STANDARDS.values())


def sources() -> str:
    return "\n" + "".join(f"- `{standard.name}`: {standard.source}.\n" for standard in STANDARDS.values())


def peak(standard: Standard) -> float:
    """Bytes a nanosecond while bursts follow each other without a gap."""
    return 1000 * standard.burst_bytes / (standard.burst_clocks * standard.clock_picoseconds)


def refresh_loss(standard: Standard) -> float:
    return standard.t_rfc / standard.t_refi


def percent(share: float | Fraction) -> str:
    return f"{100 * float(share):.1f}"


def bandwidth_rows() -> Iterator[tuple[Any, ...]]:
    kinds = ["stream read", "stream write", "a burst a page, read", "a burst a page, write"]
    yield "", *kinds, f"{RUN_BYTES}-byte runs, read", "refresh", "stream read less refresh"
    for standard in STANDARDS.values():
        bursts = STREAM_BYTES // standard.burst_bytes
        cells = []
        for runs in (1, bursts):
            for write in (False, True):
                reached = share_of_peak(standard, bursts, bursts, runs, write=write)
                cells.append(f"{percent(reached)} ({percent(closed_form(standard, runs > 1, write=write))})")
        read = share_of_peak(standard, bursts, bursts, 1, write=False)
        pipe = Pipe(0, standard.burst_bytes, INTERLEAVE_BYTES, channels=1, clock_hz=0)
        shares = channel_share(pipe, STREAM_BYTES, STREAM_BYTES // RUN_BYTES)
        scattered = share_of_peak(standard, bursts, *shares, write=False)
        yield (
            f"`{standard.name}`", *cells, percent(scattered), percent(refresh_loss(standard)),
            percent(read * (1 - refresh_loss(standard))),
        )  # fmt: skip


def share_of_peak(standard: Standard, useful: int, bursts: int, runs: int, *, write: bool) -> float:
    """`useful` bursts at peak by the time that the model takes for `bursts`."""
    channel = channel_of(standard, write=write)
    picoseconds = transfer_picoseconds(channel, State.empty(channel), bursts, runs)
    return useful * standard.burst_clocks * standard.clock_picoseconds / picoseconds


def closed_form(standard: Standard, scattered: bool, *, write: bool) -> Fraction:
    """Share of peak in the long run, as the page derives it."""
    banks = 1 if scattered else standard.interleaved_bank_groups
    bursts = 1 if scattered else banks * standard.page_bytes // standard.burst_bytes
    step = standard.t_ccd_s if banks > 1 else standard.t_ccd_l
    last = standard.t_ccd_s if standard.bank_groups > 1 else standard.t_ccd_l
    close = standard.t_cwl + standard.burst_clocks + standard.t_wr if write else standard.t_rtp
    again = max(standard.t_rc, standard.t_rcd + (bursts - banks) * step + close + standard.t_rp)
    activation = max(standard.t_rrd_s, Fraction(standard.t_faw, 4), Fraction(standard.t_rrd_l, standard.bank_groups))
    clocks = max((bursts - 1) * step + last, banks * activation, Fraction(banks * again, standard.banks))
    return bursts * standard.burst_clocks / Fraction(clocks)


def validation(standard: Standard) -> str:
    page, queue = standard.page_bytes // standard.burst_bytes, QUEUES[-1]
    short, long = standard.t_ccd_s, standard.t_ccd_l
    together = 2 * queue
    return COMPARED.format(
        name=standard.name, mebibytes=STREAM_BURSTS * standard.burst_bytes >> 20,
        table=table(controller_rows(standard)), short=short, long=long,
        one_group=percent(Fraction(short, long)), queue=queue, together=together, page=page,
        most=percent(Fraction(page * short, together * short + (page - together) * long)),
    )  # fmt: skip


def controller_rows(standard: Standard) -> Iterator[tuple[Any, ...]]:
    yield "controller", "bank groups", "queue", "without refresh", "with refresh"
    yield from PUBLISHED
    for groups in (1, standard.interleaved_bank_groups):
        for queue in QUEUES:
            yield "plain", groups, queue, *(percent(plain_share(standard, groups, queue, on)) for on in (False, True))
    for groups in (1, standard.interleaved_bank_groups):
        mapped = replace(standard, interleaved_bank_groups=groups)
        share = share_of_peak(mapped, STREAM_BURSTS, STREAM_BURSTS, 1, write=False)
        yield "swatsim", groups, "in order", percent(share), percent(share * (1 - refresh_loss(standard)))


def plain_share(standard: Standard, groups: int, queue: int, refresh: bool) -> Fraction:
    twins = plain_controller()
    shape, timing = twins.shape_of(standard, groups), twins.timing_of(standard)
    ticks = twins.reordered_stream(STREAM_BURSTS, shape, timing, queue=queue, refresh=refresh)
    return Fraction(STREAM_BURSTS * standard.burst_clocks, ticks)


def plain_controller() -> Any:
    folder = str(Path(__file__).parent.parent / "tests")
    if folder not in sys.path:
        sys.path.append(folder)
    import twins_dram

    return twins_dram


if __name__ == "__main__":
    print(document(), end="")
