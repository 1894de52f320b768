"""The keys of an architecture file as the model declares them: what each expects, its default, its like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import TypeAlias, get_args

from pydantic import RootModel
from pydantic.fields import FieldInfo

from swatsim.architecture.model import Architecture
from swatsim.architecture.yaml_reader import Path, dotted
from swatsim.datapaths import datapaths
from swatsim.keys.constraints import Named, constraint_of
from swatsim.keys.machine import DatapathKeys
from swatsim.keys.part import Part

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


def model_at(path: Path, kind: str | None = None) -> type[Part]:
    """The model of the mapping of fixed keys at a path of keys; `kind` is that of the datapath."""
    model: type[Part] = Architecture
    names = iter(path)
    for depth, name in enumerate(names):
        field = model.model_fields[str(name)]
        part = family_of(kind) if depth == 0 and name == "datapath" else part_of(field)
        if part is None and named_of(field) is not None and next(names, None) is not None:
            part = part_of_each(field)
        if part is None:
            raise KeyError(dotted(path))
        model = part
    return model


def family_of(kind: str | None) -> type[DatapathKeys]:
    """The keys of a kind of datapath; of a kind that there is not, those that all have."""
    found = datapaths().get(kind) if kind is not None else None
    return DatapathKeys if found is None else found.Keys


def kinds_phrase() -> str:
    """What is expected of a datapath's kind."""
    return f"one of {', '.join(datapaths())}"


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
    names: Names | None = None, kind: str | None = None, model: type[Part] = Architecture, before: Path = ()
) -> Iterator[tuple[Path, FieldInfo]]:
    """Every key of a file with this kind of datapath, and its declaration; those of a mapping after its own.

    Where names are the file's choice, `names` gives them; without it, one such as <level> stands for all.
    """
    for name, field in model.model_fields.items():
        path = (*before, name)
        yield path, field
        part, named = family_of(kind) if path == ("datapath",) else part_of(field), named_of(field)
        if part is not None:
            yield from all_keys(names, kind, part, path)
        if named is not None:
            for each in [f"<{named.one}>"] if names is None else names(path):
                yield from all_keys(names, kind, part_of_each(field), (*path, each))


def default_of(path: Path, kind: str | None) -> object:
    """The value of a key such as ("datapath", "moves") that a file leaves out; PydanticUndefined if it must not."""
    default: object = model_at(path[:-1], kind).model_fields[str(path[-1])].default
    return default


def suggestion(path: Path, names: Names, kind: str | None) -> str:
    """Advice on an unknown key: the key that was probably meant, or all that exist beside it."""
    name = str(path[-1])
    siblings = list(model_at(path[:-1], kind).model_fields)
    close = get_close_matches(name, siblings, n=1)
    if close:
        return f"did you mean {dotted((*path[:-1], close[0]))}?"
    elsewhere = [dotted(other) for other in _all_paths(names, kind) if other[-1] == name]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    return f"expected one of {', '.join(siblings)}"


def _all_paths(names: Names, kind: str | None) -> Iterator[Path]:
    """Every key, and every name of the file's choice."""
    for path, field in all_keys(names, kind):
        yield path
        if named_of(field) is not None:
            yield from ((*path, each) for each in names(path))


def part_of_each(field: FieldInfo) -> type[Part]:
    """The model under each name of the file's choice."""
    assert field.annotation is not None  # the caller has found its Named
    part: type[Part] = get_args(field.annotation.model_fields["root"].annotation)[1]
    return part


def _expected(field: FieldInfo) -> str:
    part = part_of(field)
    if part is not None:
        return f"the keys {', '.join(part.model_fields)}"
    constraint = named_of(field) or constraint_of(field.metadata)
    # Of a datapath the kind says which keys; without it nothing more can be said.
    return f"the key kind, {kinds_phrase()}, and those of that kind" if constraint is None else constraint.phrase
