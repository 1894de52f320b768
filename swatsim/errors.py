"""The errors that a user can cause; the command line prints their one line and exits with 2."""

from __future__ import annotations

from swatsim.plain_text import one_line


class SwatsimError(Exception):
    """Base: the message says where, what was got and what was expected, in one line that a terminal can show.

    Names that it was made of may be anyone's, so it is made such a line here, wherever it comes from.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(self._shown(message))

    def _shown(self, message: str) -> str:
        return one_line(message)


class LayerError(SwatsimError):
    """A layer's shapes, strides or operands contradict each other."""


class TraceError(SwatsimError):
    """A trace on disk cannot be trusted or cannot be written."""


class YamlError(SwatsimError):
    """A file of YAML has errors; one line each in the message."""

    def _shown(self, message: str) -> str:
        return "\n".join(map(one_line, message.split("\n")))


class ArchitectureError(YamlError):
    """An architecture file has errors; one line each in the message."""


class MappingError(SwatsimError):
    """The machine cannot hold or execute this layer."""


class CaptureError(SwatsimError):
    """A training step contains something that cannot be captured faithfully."""


class ProcessError(SwatsimError):
    """A process that did a part of the work has died, as where memory runs out."""
