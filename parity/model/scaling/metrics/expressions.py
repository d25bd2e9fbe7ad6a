"""Metric math: arithmetic over metrics that stand under names, datapoint by datapoint."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from parity.errors import ServiceError

#: Datapoints of one metric by periods; None where there is none.
Points = Sequence[float | None]
#: What stands under a name in one period.
_Names = Mapping[str, float | None]

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_SINGLE: dict[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}
_OVER: dict[str, Callable[[list[float]], float]] = {
    "SUM": sum,
    "MIN": min,
    "MAX": max,
    "AVG": lambda values: sum(values) / len(values),
}


@lru_cache(maxsize=1024)
def parsed(expression: str) -> ast.expr:
    """An expression that `value_of` can work out: numbers, names, `+ - * / ^`, comparisons, and some functions.

    The functions are `ABS CEIL FLOOR` of one, `SUM MIN MAX AVG` of a list in brackets, `FILL(m, number)` and
    `IF(condition, then, otherwise)`.

    Raises:
        ServiceError: It is none.
    """
    try:
        # A power is `^` in CloudWatch and `**` in Python, where `^` would bind less than a sum.
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval").body
        names_in(tree)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ServiceError("ValidationError", f"Error in expression '{expression}': it cannot be read") from error
    return tree


def names_in(tree: ast.expr) -> set[str]:
    """The names that an expression uses.

    Raises:
        ValueError: Something in it is not understood.
    """
    match tree:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            return set()
        case ast.Name(id=name):
            return {name}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return names_in(operand)
        case ast.BinOp(left=left, op=way, right=right) if type(way) in _BINARY:
            return names_in(left) | names_in(right)
        case ast.Compare(left=left, ops=[way], comparators=[right]) if type(way) in _COMPARE:
            return names_in(left) | names_in(right)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
            return _names_of_call(function, arguments)
    raise ValueError(ast.dump(tree))


def _names_of_call(function: str, arguments: list[ast.expr]) -> set[str]:
    match function, arguments:
        case _, [ast.List(elts=parts)] if function in _OVER and parts:
            return set().union(*(names_in(part) for part in parts))
        case _, [only] if function in _SINGLE:
            return names_in(only)
        case "FILL", [only, ast.Constant() | ast.UnaryOp() as number]:
            return names_in(only) | names_in(number)
        case "IF", [condition, then, otherwise]:
            return names_in(condition) | names_in(then) | names_in(otherwise)
    raise ValueError(function)


def evaluate(tree: ast.expr, metrics: Mapping[str, Points], count: int) -> list[float | None]:
    """An expression's datapoints.

    Args:
        tree: From `parsed`.
        metrics: The metrics it names, all of the same periods.
        count: How many periods.

    Returns:
        One for each period; None where a metric has none there, or by division by 0.
    """
    used = names_in(tree)
    return [value_of(tree, {name: metrics[name][index] for name in used}) for index in range(count)]


def value_of(tree: ast.expr, names: _Names) -> float | None:
    """An expression's value in one period."""
    match tree:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(operand=operand):
            inner = value_of(operand, names)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=way, right=right):
            return _applied(_BINARY[type(way)], value_of(left, names), value_of(right, names))
        case ast.Compare(left=left, ops=[compare], comparators=[right]):
            return _applied(_COMPARE[type(compare)], value_of(left, names), value_of(right, names))
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return _called(function, arguments, names)
    raise ValueError(ast.dump(tree))


def _called(function: str, arguments: list[ast.expr], names: _Names) -> float | None:
    if function == "IF":
        condition = value_of(arguments[0], names)
        return None if condition is None else value_of(arguments[1 if condition else 2], names)
    if function == "FILL":
        inner = value_of(arguments[0], names)
        return value_of(arguments[1], names) if inner is None else inner
    if function in _SINGLE:
        inner = value_of(arguments[0], names)
        return None if inner is None else float(_SINGLE[function](inner))
    parts = arguments[0].elts if isinstance(arguments[0], ast.List) else []
    # As in CloudWatch, a metric that has no datapoint is left out, as long as another has one.
    present = [value for part in parts if (value := value_of(part, names)) is not None]
    return float(_OVER[function](present)) if present else None


def _applied(way: Callable[[float, float], float], left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    try:
        result = way(left, right)
    except (ZeroDivisionError, OverflowError):
        return None
    return float(result) if isinstance(result, int | float) and math.isfinite(result) else None
