"""The version of swatsim: one place, imported by all that say it."""

__version__ = "0.1.0"
