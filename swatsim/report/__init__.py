"""What a simulation found, and how it is written down."""

from swatsim.report.machine import Machine, machine_of
from swatsim.report.records import Row, paper_macs, totals
from swatsim.report.report import Report

__all__ = ["Machine", "Report", "Row", "machine_of", "paper_macs", "totals"]
