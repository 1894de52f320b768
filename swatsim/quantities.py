"""Numbers as people read them: short, whole, with their unit."""

from __future__ import annotations

_BYTES = ("B", "KB", "MB", "GB", "TB", "PB", "EB")
_JOULES = ("pJ", "nJ", "µJ", "mJ", "J", "kJ", "MJ")
NOTHING = "-"


def cycles_text(count: int) -> str:
    """Cycles with commas; in millions from ten million."""
    return f"{count:,}" if count < 10_000_000 else f"{count / 1e6:,.2f}M"


def bytes_text(count: int) -> str:
    """Bytes with three figures."""
    return f"{count} B" if count < 1000 else _scaled(float(count), _BYTES)


def joules_text(picojoules: float) -> str:
    """Energy with three figures."""
    return _scaled(picojoules, _JOULES)


def times_text(ratio: float | None) -> str:
    """How many times as much."""
    return NOTHING if ratio is None else f"{ratio:.2f}x"


def share_text(part: float, whole: float) -> str:
    """Percent, or nothing where there is none."""
    return f"{part / whole:.0%}" if part and whole else NOTHING


def rate_text(rate: float | None) -> str:
    """A number with three figures, or with commas from a thousand."""
    if rate is None:
        return NOTHING
    return f"{rate:,.0f}" if rate >= 99.95 else f"{rate:.1f}" if rate >= 9.995 else f"{rate:.2f}"


def _scaled(size: float, units: tuple[str, ...]) -> str:
    unit = 0
    while size >= 999.5 and unit < len(units) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f} {units[unit]}"
