"""How fast swatsim is, and counters that may not change unnoticed: `python -m benchmarks --help`."""
