"""What users pass for a path or a share, checked. Nothing heavy is imported: commands begin with this."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from swatsim.errors import SwatsimError

if TYPE_CHECKING:
    from fractions import Fraction


def path_text(path: object, where: str) -> str:
    """The text of a path; raises SwatsimError where it is none."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(text, str):
        raise SwatsimError(f"{where}: got {text!r}, expected a path")
    return text


def share(text: str, where: str) -> Fraction:
    """A share such as 0 or 0.01, exactly; raises SwatsimError."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,30})?", text, re.ASCII):
        raise SwatsimError(f"{where}: got {text!r}, expected a share such as 0.01, which is one percent")
    from fractions import Fraction

    return Fraction(text)
