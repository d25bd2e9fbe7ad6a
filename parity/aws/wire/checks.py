"""Requests held against the constraints that botocore's models state, with AWS's words.

AWS's own services are made from the same models, and check before anything of theirs runs. EC2 is the exception: its
model states almost none, and it has words of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from parity.errors import ServiceError

Problems = list[str]
#: What could be no number at all.
FRACTIONS = {"float", "double"}
Check = Callable[[Any, str, Problems], None]
#: What AWS wants and botocore's models call optional: by the structure's name, its members.
NEEDED = {
    "LoadBalancerAttribute": ["Key"],
    "SubnetMapping": ["SubnetId"],
    "TargetGroupAttribute": ["Key"],
    "TargetGroupTuple": ["TargetGroupArn"],
}
#: Bounds that AWS has and botocore's models do not state: by the shape's name.
BOUNDS = {"MaxRecords": {"min": 1}}


def check_request(operation: OperationModel, request: dict[str, Any]) -> None:
    """Hold a request against its model.

    Raises:
        ServiceError: Naming all that is wrong with it.
    """
    shape = operation.input_shape
    if shape is None:
        return
    if operation.service_model.metadata["protocol"] == "ec2":
        _check_ec2(shape, request)
        return
    problems: Problems = []
    _check_of(shape)(request, "", problems)
    if problems:
        detected = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise ServiceError("ValidationError", detected + "; ".join(problems))


def _check_ec2(shape: StructureShape, request: dict[str, Any]) -> None:
    for name in shape.required_members:
        if request.get(name) in (None, "", []):
            raise ServiceError("MissingParameter", f"The request must contain the parameter {name}")


def _problem(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{_shown(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: Member must {constraint}"


def _shown(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(_shown, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}={_shown(item)}' for key, item in value.items())}}}"
        case _:
            return str(value)


def _step(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name


@cache
def _check_of(shape: Shape) -> Check:
    match shape:
        case StructureShape():
            return _structure(shape)
        case ListShape():
            return _list(shape)
        case MapShape():
            return _map(shape)
        case _:
            return _scalar(shape)


def _late(shape: Shape) -> Check:
    """Made when it is first needed: shapes may contain themselves."""

    def check(value: Any, path: str, problems: Problems) -> None:
        _check_of(shape)(value, path, problems)

    return check


def _required(shape: StructureShape) -> list[str]:
    return [*shape.required_members, *NEEDED.get(shape.name, ())]


def _structure(shape: StructureShape) -> Check:
    required = _required(shape)
    checks = {name: _late(member) for name, member in shape.members.items() if _constrained(member)}

    def check(value: Any, path: str, problems: Problems) -> None:
        problems += [_problem(None, _step(path, name), "not be null") for name in required if name not in value]
        for name, item in value.items():
            if name in checks:
                checks[name](item, _step(path, name), problems)

    return check


def _list(shape: ListShape) -> Check:
    sizes, member = _sizes(shape, "length"), _late(shape.member)

    def check(value: Any, path: str, problems: Problems) -> None:
        sizes(value, len(value), path, problems)
        for number, item in enumerate(value, 1):
            member(item, f"{path}.{number}.member", problems)

    return check


def _map(shape: MapShape) -> Check:
    sizes, keys, values = _sizes(shape, "length"), _late(shape.key), _late(shape.value)

    def check(value: Any, path: str, problems: Problems) -> None:
        sizes(value, len(value), path, problems)
        for key, item in value.items():
            keys(key, f"{path}.key", problems)
            values(item, f"{path}.{key}.member", problems)

    return check


def _scalar(shape: Shape) -> Check:
    sizes = _sizes(shape, "length" if shape.type_name in {"string", "blob"} else "value")
    allowed = getattr(shape, "enum", None)
    # CloudWatch has words of its own for its datapoints.
    number = shape.type_name in FRACTIONS and shape.name != "DatapointValue"
    pattern = _pattern(shape.metadata.get("pattern", ""))

    def check(value: Any, path: str, problems: Problems) -> None:
        sizes(value, len(value) if isinstance(value, str | bytes) else value, path, problems)
        if number and not math.isfinite(value):
            problems.append(_problem(value, path, "be a finite number"))
        if allowed and value not in allowed:
            problems.append(_problem(value, path, f"satisfy enum value set: [{', '.join(allowed)}]"))
        if pattern and not pattern.fullmatch(value):
            stated = shape.metadata["pattern"]
            problems.append(_problem(value, path, f"satisfy regular expression pattern: {stated}"))

    return check


def _sizes(shape: Shape, what: str) -> Callable[[Any, float, str, Problems], None]:
    stated = BOUNDS.get(shape.name, {}) | shape.metadata
    least, most = stated.get("min"), stated.get("max")

    def check(value: Any, size: float, path: str, problems: Problems) -> None:
        if most is not None and size > most:
            problems.append(_problem(value, path, f"have {what} less than or equal to {most}"))
        if least is not None and size < least:
            problems.append(_problem(value, path, f"have {what} greater than or equal to {least}"))

    return check


def _pattern(text: str) -> re.Pattern[str] | None:
    """A pattern of the model's; those are Java's, and what Python cannot read is not checked."""
    if not text:
        return None
    java = text.replace(r"\p{Print}", r"\x20-\x7e").replace(r"\p{ASCII}", r"\x00-\x7f")
    try:
        return re.compile(java)
    except re.error:
        return None


def _constrained(shape: Shape) -> bool:
    """Whether there is anything to hold a value against, however deep."""
    return _any_constraint(shape, frozenset())


def _any_constraint(shape: Shape, above: frozenset[str]) -> bool:
    if shape.name in above:
        return False
    above |= {shape.name}
    if (
        shape.type_name in FRACTIONS
        or getattr(shape, "enum", None)
        or shape.name in BOUNDS
        or shape.metadata.keys() & {"min", "max", "pattern"}
    ):
        return True
    match shape:
        case StructureShape():
            members = shape.members.values()
            return bool(_required(shape)) or any(_any_constraint(member, above) for member in members)
        case ListShape():
            return _any_constraint(shape.member, above)
        case MapShape():
            return _any_constraint(shape.key, above) or _any_constraint(shape.value, above)
        case _:
            return False
