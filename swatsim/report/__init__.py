"""What a simulation found, and how it is written down."""

from swatsim.report.records import Row, paper_macs, totals
from swatsim.report.report import Report

__all__ = ["Report", "Row", "paper_macs", "totals"]
