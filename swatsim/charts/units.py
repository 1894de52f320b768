"""Values of charts as people read them."""

from __future__ import annotations

from collections.abc import Callable

from swatsim.quantities import bytes_text, cycles_text, joules_text

# Each with how a value is written, and what an axis is called.
_UNITS: dict[str, tuple[Callable[[float], str], str]] = {
    "times": (lambda value: f"{value:.2f}x", "speedup"),
    "cycles": (lambda value: cycles_text(round(value)), "cycles"),
    "bytes": (lambda value: bytes_text(round(value)), "bytes"),
    "picojoules": (joules_text, "energy"),
    "mm2": (lambda value: f"{value:.3g} mm²", "area"),
    "seconds": (lambda value: f"{value * 1e3:.4g} ms", "time"),
    "joules": (lambda value: joules_text(value * 1e12), "energy"),
    "joule seconds": (lambda value: f"{value:.4g} J·s", "energy x time"),
    "joule seconds²": (lambda value: f"{value:.4g} J·s²", "energy x time²"),
    "watts": (lambda value: f"{value:.3g} W", "power"),
    "number": (lambda value: f"{value:.6g}", "number"),
}


def amount_text(value: float, unit: str) -> str:
    """A value with its unit."""
    return _UNITS[unit][0](value)


def tick_text(value: float, unit: str) -> str:
    """The same at an axis: no more figures than a round number has."""
    if unit == "times":
        return f"{value:g}x"
    if unit == "cycles":
        return f"{value / 1e6:g}M" if value >= 1e6 else f"{value:,.0f}"
    number, _, name = amount_text(value, unit).partition(" ")
    return f"{float(number):g} {name}" if value else "0"


def axis_name(unit: str) -> str:
    """What is along the axis."""
    return _UNITS[unit][1]
