"""The JSON Schema of architecture files, from the declarations of their keys: editors complete and check by it.

It has each key with its range and meaning, and those of each family of datapaths by `kind`. The rules between keys
(docs/architecture.md) are the loader's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from swatsim.architecture.keys import named_of, part_of, part_of_each
from swatsim.architecture.model import Architecture
from swatsim.datapaths import datapaths
from swatsim.keys.constraints import NAME_PATTERN, Choice, Integer, Items, Named, Number, Text, constraint_of
from swatsim.keys.part import Part

DRAFT = "https://json-schema.org/draft/2020-12/schema"
IDENTITY = "urn:swatsim-architecture"
_ONE_LINE = r"^[^\r\n]*\S[^\r\n]*$"

Schema = dict[str, Any]


def architecture_schema() -> Schema:
    """The schema of a whole file, the families of datapaths that there are among its definitions."""
    families = {kind: _part(module.Keys) for kind, module in datapaths().items()}
    schema = _part(Architecture)
    schema["properties"]["datapath"] = {
        "description": Architecture.model_fields["datapath"].description,
        "type": "object",
        "required": ["kind"],
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in families],
    }
    head = {"$schema": DRAFT, "$id": IDENTITY, "title": "An architecture file of swatsim"}
    return head | schema | {"$defs": families}


def _part(model: type[Part]) -> Schema:
    """A mapping with fixed keys."""
    fields = model.model_fields
    return {
        "type": "object",
        "description": model.__doc__,
        "required": [name for name, field in fields.items() if field.is_required()],
        "properties": {name: _field(field) for name, field in fields.items()},
        "additionalProperties": False,
    }


def _field(field: FieldInfo) -> Schema:
    part, named = part_of(field), named_of(field)
    if part is not None:
        return _part(part) | {"description": field.description}
    if named is not None:
        return _names(named, part_of_each(field)) | {"description": field.description}
    constraint = constraint_of(field.metadata)
    if constraint is None:  # the datapath, whose keys depend on its kind
        return {}
    default = {} if field.is_required() else {"default": _plain(field.default)}
    described = {"description": f"{field.description} Expected: {constraint.phrase}."}
    return _value(field.annotation, field.metadata) | described | default


def _names(named: Named, part: type[Part]) -> Schema:
    """A mapping whose names are the file's choice."""
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME_PATTERN}$", "not": {"enum": list(named.reserved)}},
        "minProperties": named.fewest,
        "maxProperties": named.most,
        "additionalProperties": _part(part),
    }


def _value(annotation: Any, metadata: Sequence[object]) -> Schema:
    constraint = constraint_of(metadata)
    match constraint:
        case Integer():
            schema: Schema = {"type": "integer", "minimum": constraint.low, "maximum": constraint.high}
        case Number():
            schema = {"type": "number", "minimum": constraint.low, "maximum": constraint.high}
        case Choice():
            words: list[str | None] = list(constraint.words)
            return {"enum": words if constraint.null is None else [*words, None]}
        case Text():
            schema = {"type": "string", "maxLength": constraint.longest}
            return schema | ({"pattern": _ONE_LINE} if constraint.one_line else {})
        case Items():
            schema = _items(annotation) | {"minItems": constraint.fewest, "maxItems": constraint.most}
        case _:
            raise TypeError(f"{annotation}: a value without a constraint")
    return schema if constraint.null is None else schema | {"type": [schema["type"], "null"]}


def _items(annotation: Any) -> Schema:
    """A list: of any number of equal items, or of one each."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (each for each in get_args(annotation) if each is not NoneType)
    first, *others = get_args(annotation)
    if others == [...]:
        return {"type": "array", "items": _annotated(first)}
    return {"type": "array", "prefixItems": [_annotated(each) for each in (first, *others)], "items": False}


def _annotated(annotation: Any) -> Schema:
    assert get_origin(annotation) is Annotated, "every item has a constraint"
    inner, *metadata = get_args(annotation)
    return _value(inner, metadata)


def _plain(value: object) -> object:
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
