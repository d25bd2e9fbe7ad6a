"""Requests and answers as documents: the protocols `json` and `smithy-rpc-v2-cbor`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from parity.aws.times import epoch_time, parse_time
from parity.aws.wire.cbor import Moment
from parity.aws.wire.models import location
from parity.errors import ServiceError

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "String"),
    "boolean": ((bool,), "Boolean"),
    "integer": ((int,), "Integer"),
    "long": ((int,), "Long"),
    "float": ((int, float), "Float"),
    "double": ((int, float), "Double"),
    "timestamp": ((int, float, str), "Timestamp"),
    "blob": ((bytes, str), "Blob"),
    "structure": ((dict,), "structure"),
    "map": ((dict,), "map"),
    "list": ((list,), "list"),
}


def parse_document(shape: Shape, value: Any, name: str = "") -> Any:
    """A document as an operation's parameters; members that the shape does not have are left out.

    Raises:
        ServiceError: A value is not of its type.
    """
    wanted, called = _TYPES[shape.type_name]
    if not isinstance(value, wanted) or (isinstance(value, bool) and shape.type_name != "boolean"):
        raise ServiceError("SerializationException", f"{name or 'The request'} can not be converted to {called}")
    content: Any = value
    match shape:
        case StructureShape():
            return _parse_structure(shape, content, name)
        case ListShape():
            items = [(at, item) for at, item in enumerate(content, 1) if item is not None]
            return [parse_document(shape.member, item, f"{name}.{at}") for at, item in items]
        case MapShape():
            return {key: parse_document(shape.value, item, f"{name}.{key}") for key, item in content.items()}
    try:
        return _SCALARS.get(shape.type_name, _same)(value)
    except (ValueError, binascii.Error):
        raise ServiceError("SerializationException", f"{name} can not be converted to {called}") from None


def _parse_structure(shape: StructureShape, value: dict[str, Any], name: str) -> dict[str, Any]:
    found = {}
    for member, inner in shape.members.items():
        item = value.get(location(inner, member))
        if item is not None:
            found[member] = parse_document(inner, item, f"{name}.{member}" if name else member)
    return found


def _same(value: Any) -> Any:
    return value


def _blob(value: bytes | str) -> bytes:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def _integer(value: int, bits: int) -> int:
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError(value)
    return value


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "integer": lambda value: _integer(value, 32),
    "long": lambda value: _integer(value, 64),
    "float": float,
    "double": float,
    "timestamp": parse_time,
    "blob": _blob,
}


def document(shape: Shape, value: Any, moment: Callable[[float], Any]) -> Any:
    """An answer as a document.

    Args:
        shape: What botocore says that it is.
        value: The answer; None in it is left out, and so is what the shape does not have.
        moment: Makes seconds since 1970 what the protocol writes for them.
    """
    match shape:
        case StructureShape():
            members = shape.members
            return {
                location(members[name], name): document(members[name], item, moment)
                for name, item in value.items()
                if item is not None and name in members
            }
        case ListShape():
            return [document(shape.member, item, moment) for item in value]
        case MapShape():
            return {key: document(shape.value, item, moment) for key, item in value.items()}
    match shape.type_name:
        case "timestamp":
            return moment(epoch_time(value))
        case "float" | "double":
            return float(value)
        case _:
            return value


def json_moment(seconds: float) -> float:
    """A time in JSON."""
    return seconds


def cbor_moment(seconds: float) -> Moment:
    """A time in CBOR."""
    return Moment(seconds)
