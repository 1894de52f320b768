"""The keys of an architecture file as the model declares them: what each expects, its default, its like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import TypeAlias, get_args

from pydantic import RootModel
from pydantic.fields import FieldInfo

from swatsim.architecture.constraints import Named, constraint_of
from swatsim.architecture.model import Architecture
from swatsim.architecture.part import Part
from swatsim.architecture.yaml_reader import Path, dotted

# The names that a mapping of free names has, by its path.
Names: TypeAlias = Callable[[Path], Iterable[str]]


def part_of(field: FieldInfo) -> type[Part] | None:
    """The model of a key that holds further keys; None for a key that holds a value, or names of the file's choice."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Part) else None


def named_of(field: FieldInfo) -> Named | None:
    """What a key expects that holds names of the file's choice; None for any other key."""
    annotation = field.annotation
    if not (isinstance(annotation, type) and issubclass(annotation, RootModel)):
        return None
    return next(item for item in annotation.model_fields["root"].metadata if isinstance(item, Named))


def model_at(path: Path) -> type[Part]:
    """The model of the mapping of fixed keys at a path of keys."""
    model: type[Part] = Architecture
    names = iter(path)
    for name in names:
        field = model.model_fields[str(name)]
        part = part_of(field)
        if part is None and named_of(field) is not None and next(names, None) is not None:
            part = _part_of_each(field)
        if part is None:
            raise KeyError(dotted(path))
        model = part
    return model


def expected_keys(model: type[Part]) -> dict[str, str]:
    """What each key of a mapping expects, as it follows "expected" in a message."""
    return {name: _expected(field) for name, field in model.model_fields.items()}


def named_at(path: Path) -> Named | None:
    """What the mapping at this path expects, if its names are the file's choice."""
    try:
        return named_of(model_at(path[:-1]).model_fields[str(path[-1])])
    except (KeyError, IndexError):
        return None


def all_keys(
    names: Names | None = None, model: type[Part] = Architecture, before: Path = ()
) -> Iterator[tuple[Path, FieldInfo]]:
    """Every key of the file with its declaration, those of nested mappings after the mapping's own.

    Where names are the file's choice, `names` gives them; without it, one such as <level> stands for all.
    """
    for name, field in model.model_fields.items():
        path = (*before, name)
        yield path, field
        part, named = part_of(field), named_of(field)
        if part is not None:
            yield from all_keys(names, part, path)
        if named is not None:
            for each in [f"<{named.one}>"] if names is None else names(path):
                yield from all_keys(names, _part_of_each(field), (*path, each))


def default_of(path: Path) -> object:
    """The value of a key such as ("datapath", "moves") that a file leaves out; PydanticUndefined if it must not."""
    default: object = model_at(path[:-1]).model_fields[str(path[-1])].default
    return default


def suggestion(path: Path, names: Names) -> str:
    """Advice on an unknown key: the key that was probably meant, or all that exist beside it."""
    name = str(path[-1])
    siblings = list(model_at(path[:-1]).model_fields)
    close = get_close_matches(name, siblings, n=1)
    if close:
        return f"did you mean {dotted((*path[:-1], close[0]))}?"
    elsewhere = [dotted(other) for other in _all_paths(names) if other[-1] == name]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    return f"expected one of {', '.join(siblings)}"


def _all_paths(names: Names) -> Iterator[Path]:
    """Every key, and every name of the file's choice."""
    for path, field in all_keys(names):
        yield path
        if named_of(field) is not None:
            yield from ((*path, each) for each in names(path))


def _part_of_each(field: FieldInfo) -> type[Part]:
    """The model under each name of the file's choice."""
    assert field.annotation is not None  # the caller has found its Named
    part: type[Part] = get_args(field.annotation.model_fields["root"].annotation)[1]
    return part


def _expected(field: FieldInfo) -> str:
    part = part_of(field)
    if part is not None:
        return f"the keys {', '.join(part.model_fields)}"
    constraint = named_of(field) or constraint_of(field.metadata)
    if constraint is None:
        raise TypeError("a field of the model has no constraint")
    return constraint.phrase
