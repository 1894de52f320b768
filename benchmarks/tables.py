"""What was measured beside its goals, as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]  # a benchmark of pytest-benchmark's JSON


def kernel_lines(entries: Sequence[Entry]) -> list[str]:
    """Kernels by machine, with their share of the rooflines of the same run."""
    rooflines = {
        entry["extra_info"]["roofline"]: entry["extra_info"]["work"] / entry["stats"]["median"]
        for entry in entries
        if "roofline" in entry["extra_info"]
    }
    lines = [
        f"Rooflines of one core: {rooflines['popcount'] / 1e9:,.0f} G multiply positions/s of popcounts in the cache, "
        f"{rooflines['memory'] / 1e9:,.1f} GB/s read from memory.",
        "",
        f"{'machine':<13} {'kernel':<22} {'calls':>6} {'median':>10} {'positions/s':>12} {'goal':>8} "
        f"{'of popcount':>11} {'goal':>5} {'of memory':>9}",
    ]
    return lines + [_kernel_line(entry, rooflines) for entry in entries if "kernel" in entry["extra_info"]]


def _kernel_line(entry: Entry, rooflines: Mapping[str, float]) -> str:
    info, seconds = entry["extra_info"], entry["stats"]["median"]
    rate = info["positions"] / seconds
    of_popcount, of_memory = rate / rooflines["popcount"], info["bytes"] / seconds / rooflines["memory"]
    goal, roofline_goal = info["goal"], info["roofline_goal"]
    below = rate < goal or (roofline_goal is not None and of_popcount < roofline_goal)
    return (
        f"{info['machine']:<13} {info['kernel']:<22} {info['calls']:>6,} {seconds * 1e3:>7.2f} ms "
        f"{rate / 1e9:>10,.1f} G {goal / 1e9:>6,.1f} G "
        f"{of_popcount:>11.1%} {'-' if roofline_goal is None else f'{roofline_goal:.0%}':>5} {of_memory:>9.1%}"
        f"{'  BELOW ITS GOAL' if below else ''}"
    )


def command_lines(entries: Sequence[Entry]) -> list[str]:
    """Commands, with their goals in brackets."""
    found = [entry["extra_info"] for entry in entries if "command" in entry["extra_info"]]
    heading = (
        f"{'command':<24} {'wall, s (goal)':>16} {'CPU, s':>8} {'beyond start-up (goal)':>23} {'peak, MB (goal)':>17}"
    )
    return [heading, *map(_command_line, found)]


def _command_line(info: Mapping[str, Any]) -> str:
    beyond, goal = info["beyond_seconds"], info["goal_beyond_seconds"]
    wall = f"{info['wall_seconds']:.2f} ({info['goal_wall_seconds']:g})"
    over = "-" if beyond is None else f"{beyond:.2f}" + ("" if goal is None else f" ({goal:g})")
    peak = f"{info['peak_bytes'] / 1e6:,.0f} ({info['goal_peak_bytes'] / 1e6:,.0f})"
    met = info["wall_seconds"] <= info["goal_wall_seconds"] and info["peak_bytes"] <= info["goal_peak_bytes"]
    met = met and (goal is None or beyond <= goal)
    note = "" if met else "  BEYOND ITS GOAL"
    return f"{info['command']:<24} {wall:>16} {info['cpu_seconds']:>8.2f} {over:>23} {peak:>17}{note}"
