"""What an import that is refused says."""

import pytest

from swatsim.errors import SwatsimError
from swatsim.sources import Request, import_trace


def refused_import(path, request=None, **options):
    """The one line with which an import is refused."""
    with pytest.raises(SwatsimError) as caught:
        import_trace(path, request or Request(), name="t", **options)
    message = str(caught.value)
    assert message.isprintable(), message
    assert len(message) < 1000
    return message
