"""Traces: what one training step multiplies, on disk (docs/trace_format.md) and in memory."""

from swatsim.trace.reader import Trace, load_trace
from swatsim.trace.records import GraphNode, TraceMetadata
from swatsim.trace.writer import TraceWriter

__all__ = ["GraphNode", "Trace", "TraceMetadata", "TraceWriter", "load_trace"]
