"""What a simulation found, and how it is written down."""

from swatsim.report.interval import Interval
from swatsim.report.machine import Machine, machine_of
from swatsim.report.measured import pass_row, stream_row
from swatsim.report.records import OTHER, Row, totals
from swatsim.report.report import Report

__all__ = ["OTHER", "Interval", "Machine", "Report", "Row", "machine_of", "pass_row", "stream_row", "totals"]
