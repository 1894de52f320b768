"""swatsim: cycles, memory traffic and speedup of sparse training on zero-skipping accelerators."""
