"""Compiled inner loops: arrays in, integers out; they know nothing of layers or machines."""
