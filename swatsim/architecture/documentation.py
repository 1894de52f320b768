"""Write docs/architecture.md from the model: `python -m swatsim.architecture.documentation > docs/architecture.md`."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.fields import FieldInfo

from swatsim.architecture.keys import all_keys, named_of, part_of
from swatsim.architecture.rules import RULES
from swatsim.architecture.yaml_reader import DEEPEST_NESTING, LARGEST_FILE_BYTES
from swatsim.datapaths import datapaths
from swatsim.keys.constraints import constraint_of
from swatsim.keys.problems import shown
from swatsim.keys.rule import HierarchyRule, Rule

_INTRODUCTION = f"""\
# Architecture files

<!-- Generated: python -m swatsim.architecture.documentation > docs/architecture.md -->

An architecture file describes one accelerator: a node of tiles, what its datapath skips, how work is cut, and its
memory. `arch/` has examples, each number with its source beside it. A new accelerator is a copy of one of them.

    swatsim run --arch arch/dadiannao.yaml ...        a file
    swatsim run --arch dadiannao ...                  a file that comes with swatsim, by its bare name
    swatsim run --arch dadiannao --set tile.rows=4 --set 'datapath.lane_order=null' ...

From Python: `swatsim.load_architecture("dadiannao", overrides={{"tile.rows": 4}})`. An override replaces the value
in the file before anything is checked, so what it makes impossible is reported like any other error. Lists are replaced
whole.

## How the file is read

- One YAML document in UTF-8, of at most {LARGEST_FILE_BYTES} bytes, nested at most {DEEPEST_NESTING} deep.
- Every error is reported at once, a line each, as `file:line:column: key: got X, expected Y`.
- Keys that are unknown or come twice are errors. Anchors, aliases, tags and merge keys are refused: a file says what it
  says where it stands.
- Values are read as YAML 1.2 reads them: `yes`, `no`, `on`, `off` are words and not booleans. Numbers are decimal; one
  with leading zeros (`012`) is refused; hexadecimal, octal, binary and sexagesimal ones are text. Digits may be grouped
  (`606_000_000`). A number with an exponent is an integer if it is whole (`606e6`, `1.5e9`), one with only a point
  never is (`16.0`).

## Keys
"""

_RULES = """\

## Combinations that are refused

| key | must be | when | because |
|---|---|---|---|
"""


def document() -> str:
    """The whole page."""
    keys = "\n".join(_key_lines())
    rules = "\n".join(_rule_lines())
    return f"{_INTRODUCTION}{keys}\n{_RULES}{rules}\n"


def _key_lines() -> Iterator[str]:
    sections = {"": "### Node\n"}
    rows: dict[str, list[str]] = {"": []}
    for path, field in all_keys():
        key = ".".join(map(str, path))
        named = named_of(field)
        if path[:1] == ("datapath",):
            continue
        if part_of(field) is None and named is None:
            section = str(path[0]) if len(path) > 1 else ""
            rows[section].append(_row(key, field))
            continue
        phrase = "" if named is None else f"\nExpected: {named.phrase}, each under {named.name_phrase}.\n"
        sections[key] = f"\n### `{key}`\n\n{field.description}\n{phrase}"
        rows[key] = []
    for kind, module in datapaths().items():
        key = f"datapath of kind {kind}"
        sections[key] = f"\n### `datapath`, `kind: {kind}`\n\n{module.Keys.__doc__}\n"
        rows[key] = [_row(f"datapath.{name}", field) for name, field in module.Keys.model_fields.items()]
    for key, heading in sections.items():
        yield heading
        yield "| key | value | default | meaning |\n|---|---|---|---|"
        yield from rows[key]


def _row(key: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{_written(field.default)}`"
    return f"| `{key}` | {_phrase(field)} | {default} | {field.description} |"


def _phrase(field: FieldInfo) -> str:
    constraint = constraint_of(field.metadata)
    assert constraint is not None, "every value has a constraint"
    return constraint.phrase


def _rule_lines() -> Iterator[str]:
    families = [rule for module in datapaths().values() for rule in module.RULES]
    for rule in (*families, *RULES):
        if isinstance(rule, HierarchyRule):
            yield f"| `memory` | {rule.expected} | always | {rule.reason} |"
            continue
        expected = rule.expected
        for key in rule.others:
            expected = expected.replace("{" + key + "}", f"`{key}`")
        yield f"| `{rule.key}` | {expected} | {' and '.join(_conditions(rule)) or 'always'} | {rule.reason} |"


def _conditions(rule: Rule) -> Iterator[str]:
    if rule.levels is not None and rule.levels.text:
        yield rule.levels.text
    if rule.when:
        yield f"`{rule.others[0]}` {rule.when}"


def _written(value: object) -> str:
    return value or '""' if isinstance(value, str) else shown(value)


if __name__ == "__main__":
    print(document(), end="")
