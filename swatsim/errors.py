"""The errors that a user can cause; the command line prints their one line and exits with 2."""


class SwatsimError(Exception):
    """Base: the message says where, what was got and what was expected."""


class LayerError(SwatsimError):
    """A layer's shapes, strides or operands contradict each other."""


class TraceError(SwatsimError):
    """A trace on disk cannot be trusted or cannot be written."""


class ArchitectureError(SwatsimError):
    """An architecture file has errors; one line each in the message."""


class MappingError(SwatsimError):
    """The machine cannot hold or execute this layer."""


class CaptureError(SwatsimError):
    """A training step contains something that cannot be captured faithfully."""


class ProcessError(SwatsimError):
    """A process that did a part of the work has died, as where memory runs out."""
