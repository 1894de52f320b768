"""Base of the mappings of an architecture file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """Base of every mapping with fixed keys: frozen, exact types, no unknown keys."""

    # Built with the Architecture that it is a part of: most of a program's start would be parts built by themselves.
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", use_attribute_docstrings=False, defer_build=True
    )
