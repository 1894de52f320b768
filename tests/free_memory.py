"""Machines whose memory costs no time: what the mapper takes then has the fewest compute cycles, and nothing stalls."""

from __future__ import annotations

from typing import Any

import swatsim


def load_with_free_memory(name: str, overrides: dict[str, Any] | None = None) -> swatsim.Architecture:
    free = {
        f"memory.{level}.{key}": value
        for level in swatsim.load_architecture(name).memory.levels
        for key, value in (("width_bytes_per_cycle", None), ("capacity_bytes", None), ("latency_cycles", 0))
    }
    return swatsim.load_architecture(name, overrides=free | (overrides or {}))
