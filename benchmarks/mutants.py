"""Mutants of a module: the small mistakes that tests must notice, made one at a time in its syntax tree."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

Place = ast.expr | ast.stmt

# Each comparison's boundary moved, and its sense turned.
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
# Calls whose one name stands for a choice.
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change. `name` says it without a line number, so that it stays the same when lines move."""

    name: str  # function: before -> after, and #n where the function has the same change more than once
    operator: str
    line: int
    first: int  # bytes of the module's text from here
    last: int  # to here, exclusive, are replaced
    text: str  # by this

    def applied_to(self, source: str) -> str:
        """The module's text with this change."""
        encoded = source.encode()
        return (encoded[: self.first] + self.text.encode() + encoded[self.last :]).decode()


def mutants_of(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its text.

    Left out: annotations, default strings and docstrings, f-strings (error messages), `__all__`, blocks for type
    checkers, and the first assignment of a name, without which any run would end in a NameError.
    """
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    seen: Counter[str] = Counter()
    found = []
    for function, operator, node, changed in _changes(ast.parse(source)):
        assert node.end_lineno is not None and node.end_col_offset is not None
        first = starts[node.lineno - 1] + node.col_offset
        last = starts[node.end_lineno - 1] + node.end_col_offset
        text = ast.unparse(changed)
        before = " ".join(ast.unparse(node).split())
        change = f"{function}: {before} -> {' '.join(text.split())}"
        seen[change] += 1
        found.append(
            Mutant(
                name=change if seen[change] == 1 else f"{change} #{seen[change]}",
                operator=operator,
                line=node.lineno,
                first=first,
                last=last,
                text=f"({text})" if isinstance(node, ast.expr) else text,
            )
        )
    return found


def _changes(tree: ast.Module) -> Iterator[tuple[str, str, Place, Place]]:
    """Function, operator, what is replaced and what replaces it."""
    yield from _within(tree, "module", frozenset())


def _within(node: ast.AST, function: str, first_names: frozenset[str]) -> Iterator[tuple[str, str, Place, Place]]:
    if isinstance(node, ast.FunctionDef):
        function = node.name if function == "module" else f"{function}.{node.name}"
        first_names = _assigned_once(node)
    elif isinstance(node, ast.ClassDef):
        function = node.name if function == "module" else f"{function}.{node.name}"
    if isinstance(node, ast.JoinedStr) or _is_for_type_checkers(node):
        return
    if isinstance(node, ast.expr):
        yield from ((function, operator, node, changed) for operator, changed in _changed_expressions(node))
    elif isinstance(node, ast.stmt):
        inside = function != "module"
        if inside and _can_be_deleted(node, first_names):
            yield function, "deleted statement", node, ast.Pass()
        if isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
            changed = copy.copy(node)
            changed.op = OPERATORS[type(node.op)]()
            yield function, "arithmetic", node, changed
    for condition in _plain_conditions(node):
        yield function, "condition", condition, ast.UnaryOp(ast.Not(), condition)
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params", "format_spec"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _within(child, function, first_names)


def _plain_conditions(node: ast.AST) -> list[ast.expr]:
    """Conditions that no other change turns round."""
    if isinstance(node, ast.comprehension):
        tests = node.ifs
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        tests = [node.test]
    else:
        tests = []
    return [test for test in tests if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Subscript)]


def _is_for_type_checkers(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"


def _assigned_once(function: ast.FunctionDef) -> frozenset[str]:
    stored = Counter(
        node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    given = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    return frozenset(name for name, times in stored.items() if times == 1 and name not in given)


def _can_be_deleted(node: ast.stmt, first_names: frozenset[str]) -> bool:
    if isinstance(node, ast.Assign):
        stored = {
            name.id
            for target in node.targets
            for name in ast.walk(target)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        }
        return not stored & first_names
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom)
    return isinstance(node, ast.AugAssign | ast.Return | ast.Raise | ast.Continue | ast.Break)


def _changed_expressions(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                changed = copy.copy(node)
                changed.ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                yield "comparison", changed
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        changed_operator = copy.copy(node)
        changed_operator.op = OPERATORS[type(node.op)]()
        yield "arithmetic", changed_operator
    elif isinstance(node, ast.BoolOp):
        changed_condition = copy.copy(node)
        changed_condition.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "condition", changed_condition
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "condition", node.operand
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield "constant", ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield "constant", ast.Constant(node.value + 1)
            yield "constant", ast.Constant(node.value - 1)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield "call", ast.Call(ast.Name(CALLS[node.func.id], ast.Load()), node.args, node.keywords)
