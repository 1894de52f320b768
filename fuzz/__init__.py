"""Hostile input for every reader: what a reader makes of it is a value, or a refusal of one line."""
