"""The JSON Schemas of the documents, from the declarations of their columns: `python -m swatsim.schemas` writes them.

A schema demands what its version had from the first, and lets later versions of swatsim add keys and columns
(docs/stability.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swatsim.comparison import columns as comparison_columns
from swatsim.comparison import document as comparison_document
from swatsim.comparison.normalization import NORMALIZATIONS
from swatsim.comparison.result import MEASURES
from swatsim.exploring import measures as exploration_measures
from swatsim.exploring import result as exploration_result
from swatsim.files import write_file
from swatsim.keys.constraints import NAME_PATTERN
from swatsim.moves import DIRECTIONS, TENSORS
from swatsim.passes import PASSES
from swatsim.report import columns as report_columns
from swatsim.report import document as report_document
from swatsim.saved import schema_id
from swatsim.sweeping import result as sweep_result
from swatsim.way import Losses

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
# No figure is negative; charts rely on it.
_NUMBER: Schema = {"type": "number", "minimum": 0}
_NUMBER_OR_NULL: Schema = {"type": ["number", "null"], "minimum": 0}
_POSITIVE: Schema = {"type": "integer", "minimum": 1}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_COUNTS: Schema = {"type": "object", "additionalProperties": _COUNT}
_DIGEST_OR_NULL: Schema = {"type": ["string", "null"], "pattern": "^[0-9a-f]{64}$"}
# What a column of a later version may hold.
_SCALAR: Schema = {"type": ["string", "number", "null"]}
_COMMAND: Schema = {"description": "the command that made it", "type": "array", "items": _TEXT}
_COUNTED = frozenset({"cycles", "MACs", "bytes", "blocks"})
_ALWAYS_THERE = frozenset({"pJ", "J·s"})  # quantities that nothing is divided by
_LEVEL = NAME_PATTERN
_ANY_OF = {
    "outermost": _LEVEL,
    "level": _LEVEL,
    "cause": _LEVEL,  # levels are causes too
    "direction": f"({'|'.join(DIRECTIONS)})",
    "tensor": f"({'|'.join(TENSORS)})",
    "loss": f"({'|'.join(Losses._fields)})",
}


def schemas() -> dict[str, Schema]:
    """The schemas by the kind of document."""
    return {
        "report": report_schema(), "comparison": comparison_schema(), "sweep": sweep_schema(),
        "exploration": exploration_schema(),
    }  # fmt: skip


def report_schema() -> Schema:
    """Of what `swatsim run --json` writes."""
    known = {
        "architecture": _described("the whole machine as it was simulated", _architecture()),
        "trace": _described("which trace, and how it was made", _trace()),
        "simulation": _described("what was asked for", _object(
            {"objective": _TEXT, "formats": _TEXTS},
            {
                "layers": _TEXT, "passes": {"type": "array", "items": {"enum": list(PASSES)}},
                "sample": _object({"fraction": _NUMBER, "seed": _COUNT, "confidence": _NUMBER}),
            },
        )),
        "rows": _described("a row per layer and pass, streams, then totals", _rows("row")),
        "area": _described("square millimetres by component", _nullable(_object({
            "parts_mm2": {"type": "object", "additionalProperties": _NUMBER}, "total_mm2": _NUMBER,
            "uncounted": {"type": "array", "items": _TEXT},
        }))),
        "footprint": _described("bytes kept from forward to backward", _nullable(_object({
            "layers": _array("kept"), "between": _array("kept"), "layers_total": _ref("kept"),
            "between_total": _ref("kept"), "total": _ref("kept"),
        }))),
    }  # fmt: skip
    later = {
        "command": _COMMAND,
        "details": _described("for each row, what no column shows", _array("detail")),
    }
    head = _head(report_document.FORMAT, report_document.VERSION, "The report of a run of swatsim")
    return _document(head, known, later) | {"$defs": {"row": _report_row(), "detail": _detail(), "kept": _kept()}}


def comparison_schema() -> Schema:
    """Of what `swatsim compare --json` writes."""
    machine = _object({"name": _TEXT, "not_normalized": _TEXT_OR_NULL, "architecture": _architecture()})
    known = {
        "trace": _described("which trace, and how it was made", _trace()),
        "layers": _described("pattern of the names of the layers that were simulated", _TEXT),
        "objective": _described("what mappings were chosen by", _TEXT),
        "normalize": _described("what makes unlike machines comparable", {"enum": list(NORMALIZATIONS)}),
        "by": _described("which cycles the notes are about", {"enum": list(MEASURES)}),
        "notes": _described("what was done, in words", {"type": "array", "items": _TEXT}),
        "baseline": _described("the machine with which all are compared", _ref("machine")),
        "machines": _described("the machines, in the order of the rows", _array("machine")),
        "rows": _described("a row per machine and pass", _rows("row")),
    }
    row = {
        column.name: _described(
            f"{column.meaning} [{column.unit}]", _value(column.unit) if column.whole else _NUMBER_OR_NULL
        )
        for column in comparison_columns.COLUMNS
    }
    head = _head(comparison_document.FORMAT, comparison_document.VERSION, "A comparison of machines by swatsim")
    return _document(head, known, {"command": _COMMAND}) | {
        "$defs": {"machine": machine, "row": _object(row) | {"additionalProperties": _SCALAR}}
    }


def sweep_schema() -> Schema:
    """Of what `swatsim sweep --json` writes."""
    known = {
        "command": _described("the command that made it, if one did", {"type": ["array", "null"], "items": _TEXT}),
        "grid": _described("the values that each key takes", {
            "type": "object", "additionalProperties": {"type": "array", "items": True},
        }),
        "points": _described("what was simulated", _array("point")),
    }  # fmt: skip
    point = _object({
        "key": _described("the hash of all that decides the point", {"type": "string", "pattern": "^[0-9a-f]{16,64}$"}),
        "parameters": _described("the value of each key", {"type": "object"}),
        "architecture": _nullable(_object({"name": _TEXT, "digest": _DIGEST_OR_NULL})),
        "trace": _nullable(_object({"name": _TEXT, "digest": _DIGEST_OR_NULL, "synthetic": {"type": "boolean"}})),
        "totals": _described(
            "the totals of the point's report; null where it failed", {"type": ["array", "null"], "items": _ref("row")}
        ),
        "error": _described("why there are no totals", _TEXT_OR_NULL),
    })  # fmt: skip
    head = _head(sweep_result.FORMAT, sweep_result.VERSION, "A sweep of machines by swatsim")
    return _document(head, known) | {"$defs": {"point": point, "row": _report_row()}}


def exploration_schema() -> Schema:
    """Of what `swatsim explore --json` writes."""
    measures: Schema = {"type": "object", "additionalProperties": _NUMBER}
    named: Schema = {"enum": list(exploration_measures.MEASURES)}
    known = {
        "command": _described("the command that made it, if one did", {"type": ["array", "null"], "items": _TEXT}),
        "space": _described("the values that each key may take", {
            "type": "object", "required": ["arch"], "additionalProperties": {"type": "array", "items": True},
        }),
        "traces": _described("what machines were tried on", _array("trace")),
        "layers": _described("pattern of the names of the layers that were simulated", _TEXT),
        "mapping": _described("what mappings were chosen by", _TEXT),
        "objectives": _described("what should be least", {"type": "array", "minItems": 1, "items": named}),
        "budgets": _described("the most that measures may be", measures),
        "trials": _described("how many machines were asked for", _COUNT),
        "seed": _described("of the optimizer; null where all machines were tried", {"type": ["integer", "null"]}),
        "tried": _described("machines as in their files, then those that were tried, in order", _rows("machine")),
    }  # fmt: skip
    machine = _object({
        "parameters": _described("the value of each key", {"type": "object", "required": ["arch"]}),
        "as_filed": _described("whether it is there to be compared with alone", {"type": "boolean"}),
        "values": _described("measures; over several traces the geometric mean", measures),
        "feasible": _described("whether it is within all budgets, for each trace", {"type": "boolean"}),
        "front": _described("whether no other machine is better", {"type": "boolean"}),
        "refused": _described("why it cannot be", _TEXT_OR_NULL),
    })  # fmt: skip
    trace = _object({"path": _TEXT, "name": _TEXT, "digest": _DIGEST_OR_NULL, "synthetic": {"type": "boolean"}})
    head = _head(exploration_result.FORMAT, exploration_result.VERSION, "An exploration of machines by swatsim")
    return _document(head, known) | {"$defs": {"machine": machine, "trace": trace}}


def _head(name: str, version: int, title: str) -> Schema:
    return {"$schema": DRAFT, "$id": schema_id(name, version), "title": title, "format": name, "version": version}


def _document(head: Schema, known: Mapping[str, Schema], later: Mapping[str, Schema] | None = None) -> Schema:
    """An object with the keys of all documents, those that are `known`, and what came `later` or may be left out."""
    identity = {name: {"const": head.pop(name)} for name in ("format", "version")}
    identity["swatsim"] = _described("version of swatsim that made it", _TEXT)
    return head | _object({**identity, **known}, {"$schema": {"const": head["$id"]}, **(later or {})})


def _report_row() -> Schema:
    fixed: Schema = {}
    patterns: Schema = {}
    later: Schema = {}
    for column in (*report_columns.DESCRIBED, *report_columns.SAMPLED):
        # What is lost to edges is the rest, whatever its sign.
        schema = {"type": "integer"} if column.name.startswith("lost_") else _value(column.unit)
        schema = _described(f"{column.meaning} [{column.unit}]", schema)
        if "<" in column.name:
            patterns[_pattern(column.name)] = schema
        elif column in report_columns.LATER:
            later[column.name] = schema
        else:
            fixed[column.name] = schema
    return _object(fixed, later) | {"patternProperties": patterns, "additionalProperties": _SCALAR}


def _detail() -> Schema:
    return _object({
        "is_total": {"type": "boolean"}, "unskippable_macs": _COUNT,
        "dense_moved_bytes": _COUNTS, "dense_stall_cycles": _COUNTS,
    })  # fmt: skip


def _kept() -> Schema:
    counts = ("activation_bytes", "dense_activation_bytes", "weight_bytes", "dense_weight_bytes")
    return _object({"name": _TEXT, **dict.fromkeys(counts, _COUNT)})


def _trace() -> Schema:
    return _object({
        "name": _TEXT, "network": _TEXT_OR_NULL, "scheme": _TEXT_OR_NULL, "sparsity": _NUMBER_OR_NULL,
        "selection_period": {"type": ["integer", "null"]}, "optimizer": _TEXT_OR_NULL, "provenance": _TEXTS,
        "layers": _COUNT, "digest": _DIGEST_OR_NULL,
    })  # fmt: skip


def _architecture() -> Schema:
    """No more than what readers look up: `swatsim schema architecture` has the keys of this version."""
    return _object({
        "name": _TEXT, "clock_hz": _POSITIVE, "tiles": _POSITIVE,
        "tile": _object(dict.fromkeys(("rows", "columns", "lanes"), _POSITIVE)),
        "datapath": _object({"kind": _TEXT}), "memory": {"type": "object"},
    })  # fmt: skip


def _value(unit: str) -> Schema:
    if unit == "text":
        return _TEXT
    if unit in _COUNTED:
        return _COUNT
    return _NUMBER if unit in _ALWAYS_THERE else _NUMBER_OR_NULL


def _pattern(name: str) -> str:
    for placeholder, text in _ANY_OF.items():
        name = name.replace(f"<{placeholder}>", text)
    return f"^{name}$"


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**(optional or {}), **required}}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _described(text: str, schema: Schema) -> Schema:
    return {"description": text, **schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _array(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


def _rows(name: str) -> Schema:
    return {**_array(name), "minItems": 1}


def schema_text(schema: Schema) -> str:
    """A schema as its file has it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Write the schemas into a folder."""
    for name, schema in schemas().items():
        write_file(folder / f"{name}.json", schema_text(schema).encode())


if __name__ == "__main__":
    write(Path(__file__).parent / "saved" / "schemas")
