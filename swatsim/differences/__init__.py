"""Two reports of a run beside each other: what was simulated differently, and which rows differ where (docs/ci.md)."""

from swatsim.differences.checking import Finding, check, document_of, rerun, trace_of
from swatsim.differences.finding import Change, Differences, Setting, differences

__all__ = ["Change", "Differences", "Finding", "Setting", "check", "differences", "document_of", "rerun", "trace_of"]
