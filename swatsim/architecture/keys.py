"""The keys of an architecture file as the model declares them: what each expects, its default, its like."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from pydantic.fields import FieldInfo

from swatsim.architecture.constraints import constraint_of
from swatsim.architecture.model import Architecture, Part
from swatsim.architecture.yaml_reader import Path, dotted


def part_of(field: FieldInfo) -> type[Part] | None:
    """The model of a key that holds further keys; None for a key that holds a value."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Part) else None


def model_at(path: Path) -> type[Part]:
    """The model of the mapping at a path of keys."""
    model: type[Part] = Architecture
    for name in path:
        part = part_of(model.model_fields[str(name)])
        if part is None:
            raise KeyError(dotted(path))
        model = part
    return model


def expected_keys(model: type[Part]) -> dict[str, str]:
    """What each key of a mapping expects, as it follows "expected" in a message."""
    return {name: _expected(field) for name, field in model.model_fields.items()}


def all_keys(model: type[Part] = Architecture, before: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every key of the file with its declaration, those of nested mappings after the mapping's own."""
    for name, field in model.model_fields.items():
        path = (*before, name)
        yield path, field
        part = part_of(field)
        if part is not None:
            yield from all_keys(part, path)


def default_of(key: str) -> object:
    """The value of a key such as `datapath.moves` that a file leaves out."""
    path = tuple(key.split("."))
    return model_at(path[:-1]).model_fields[path[-1]].default


def suggestion(path: Path) -> str:
    """Advice on an unknown key: the key that was probably meant, or all that exist beside it."""
    name = str(path[-1])
    siblings = list(model_at(path[:-1]).model_fields)
    close = get_close_matches(name, siblings, n=1)
    if close:
        return f"did you mean {dotted((*path[:-1], close[0]))}?"
    elsewhere = [dotted(other) for other, _ in all_keys() if other[-1] == name]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    return f"expected one of {', '.join(siblings)}"


def _expected(field: FieldInfo) -> str:
    part = part_of(field)
    if part is not None:
        return f"the keys {', '.join(part.model_fields)}"
    constraint = constraint_of(field.metadata)
    if constraint is None:
        raise TypeError("a field of the model has no constraint")
    return constraint.phrase
