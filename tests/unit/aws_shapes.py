"""Requests and answers against AWS's own service models: what a model must neither take nor give."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

KINDS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "character": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "long": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    # Microseconds since 1970, as the models have them.
    "timestamp": lambda value: isinstance(value, int) and value > 10**15,
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "double": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "blob": lambda value: isinstance(value, str | bytes),
}


@cache
def operation_model(service: str, name: str) -> OperationModel:
    return _service_model(service).operation_model(name)


@cache
def _service_model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def check_request(service: str, name: str, request: dict[str, Any]) -> None:
    """A request that boto3 would not send tests nothing."""
    shape = operation_model(service, name).input_shape
    if shape is None:
        assert request == {}
        return
    report = ParamValidator().validate({key: value for key, value in request.items() if value is not None}, shape)
    assert not report.has_errors(), report.generate_report()


def check_answer(service: str, name: str, answer: dict[str, Any]) -> None:
    """What is not in the service's model would be lost on the way, and what is of another type would fail on it."""
    shape = operation_model(service, name).output_shape
    if shape is None:
        assert answer == {}
    else:
        _check(shape, answer, f"{service} {name}")


def _check(shape: Any, value: Any, place: str) -> None:
    if shape.type_name == "structure":
        assert isinstance(value, dict), place
        assert set(value) <= set(shape.members), f"{place}: no such members: {set(value) - set(shape.members)}"
        assert set(shape.required_members) <= set(value), (
            f"{place}: missing: {set(shape.required_members) - set(value)}"
        )
        for key, inner in value.items():
            _check(shape.members[key], inner, f"{place}.{key}")
    elif shape.type_name == "list":
        assert isinstance(value, list | tuple), place
        for index, inner in enumerate(value):
            _check(shape.member, inner, f"{place}[{index}]")
    elif shape.type_name == "map":
        assert isinstance(value, dict), place
        for key, inner in value.items():
            _check(shape.value, inner, f"{place}.{key}")
    else:
        _check_scalar(shape, value, place)


def _check_scalar(shape: Shape, value: Any, place: str) -> None:
    assert KINDS[shape.type_name](value), f"{place}: {value!r} is no {shape.type_name}"
    enum = getattr(shape, "enum", None)
    assert not enum or value in enum, f"{place}: {value!r} is none of {enum}"
