"""Machines, rows and reports made by hand, for tests of what is said about them."""

from __future__ import annotations

import swatsim
from swatsim.energy import Band, EnergyTable
from swatsim.report import Machine, Row, totals

LEVELS = ("dram", "cache", "file")
PARTS = ("forward", "input_grad", "weight_grad", "other")


def band(value, low=None, high=None):
    return Band(value=value, low=value if low is None else low, high=value if high is None else high)


def machine(levels=LEVELS, **changes):
    """64 multipliers at 1 MHz with 4 bytes of DRAM a cycle: the ridge is at 16 MACs per byte."""
    prices = {level: band(10.0, 5.0, 20.0) if number == 0 else band(1.0) for number, level in enumerate(levels)}
    fields = {
        "peak_macs_per_cycle": 64, "clock_hz": 1_000_000, "levels": levels, "dram_bytes_per_cycle": 4,
        "energy": EnergyTable(level_pj_per_bit=prices, mac_pj=band(2.0, 1.0, 3.0)),
    }  # fmt: skip
    return Machine(**fields | changes)


MACHINE = machine()


def row(layer="conv", pass_name="forward", **changes):
    fields = dict.fromkeys(
        ("cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles", "compulsory_dram_bytes"), 0
    )
    fields |= {"machine": MACHINE, "bound_by": "compute", "scheduled": "weight"}
    fields |= {name: {} for name in ("moved_bytes", "dense_moved_bytes", "stalls", "dense_stalls")}
    return Row(layer=layer, pass_name=pass_name, **fields | changes)


def report(rows, whole=PARTS, **fields):
    return swatsim.Report(**{
        "swatsim_version": "0",
        "architecture": {"name": "a machine"},
        "trace": {"name": "a trace"},
        "records": (*rows, *totals(rows, whole)),
        **fields,
    })  # fmt: skip
