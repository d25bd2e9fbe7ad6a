"""Requests as forms: the protocols `query` and `ec2`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from parity.aws.times import parse_time
from parity.aws.wire.models import location
from parity.errors import ServiceError

#: A form's names, split at their dots, as a tree; a value is a string.
Tree = dict[str, Any]
Parse = Callable[[Any, str], Any]
#: What every form states beside the operation's own parameters; signatures in URLs are such, too.
COMMON = {"Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp"}


def tree(form: str) -> Tree:
    """A form's content.

    Raises:
        ServiceError: A name has a value and parts.
    """
    root: Tree = {}
    for pair in form.split("&"):
        name, _, value = pair.partition("=")
        if not name:
            continue
        if "%" in name or "+" in name:
            name = unquote_plus(name)
        if "%" in value or "+" in value:
            value = unquote_plus(value)
        if "." not in name:
            _put(root, name, value, name)
            continue
        node = root
        *parts, last = name.split(".")
        for part in parts:
            node = node.setdefault(part, {})
            if isinstance(node, str):
                raise _malformed(name)
        _put(node, last, value, name)
    return root


def _put(node: Tree, part: str, value: str, name: str) -> None:
    if isinstance(node.get(part), dict):
        raise _malformed(name)
    node[part] = value


def parse_form(operation: OperationModel, content: Tree) -> tuple[dict[str, Any], list[str]]:
    """An operation's parameters from a form.

    Returns:
        The parameters, and the names that the operation does not have.

    Raises:
        ServiceError: A value is not of its type.
    """
    shape = operation.input_shape
    names = set() if shape is None else _names(shape, ec2=_is_ec2(operation))
    unknown = [name for name in content if name not in names and name not in COMMON and not name.startswith("X-Amz-")]
    if shape is None:
        return {}, unknown
    return _structure(shape, ec2=_is_ec2(operation))(content, ""), unknown


def _is_ec2(operation: OperationModel) -> bool:
    return bool(operation.service_model.metadata["protocol"] == "ec2")


def _malformed(name: str) -> ServiceError:
    return ServiceError("MalformedInput", f"Start of structure or map found where not expected: {name}")


def _name(shape: Shape, default: str, *, ec2: bool) -> str:
    """What a member is called in a form."""
    if not ec2:
        return location(shape, default)
    if "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    name = location(shape, default)
    return name[0].upper() + name[1:]


@cache
def _names(shape: StructureShape, *, ec2: bool) -> frozenset[str]:
    return frozenset(_name(member, name, ec2=ec2) for name, member in shape.members.items())


# Every kind of shape becomes a function once; it is given a node of the tree and the node's name.


def _parser(shape: Shape, *, ec2: bool) -> Parse:
    match shape.type_name:
        case "structure":
            return _late(_structure, shape, ec2=ec2)
        case "list":
            return _late(_list, shape, ec2=ec2)
        case "map":
            return _late(_map, shape, ec2=ec2)
        case other:
            return _scalar(other)


def _late(make: Callable[..., Parse], shape: Shape, *, ec2: bool) -> Parse:
    """Made when it is first needed: shapes may contain themselves."""

    def parse(node: Any, name: str) -> Any:
        return make(shape, ec2=ec2)(node, name)

    return parse


@cache
def _structure(shape: StructureShape, *, ec2: bool) -> Parse:
    members = {_name(member, name, ec2=ec2): (name, _parser(member, ec2=ec2)) for name, member in shape.members.items()}

    def parse(node: Any, name: str) -> Any:
        if not isinstance(node, dict):
            raise _malformed(name)
        found = {}
        for part, value in node.items():
            if member := members.get(part):
                found[member[0]] = member[1](value, f"{name}.{part}" if name else part)
        return found

    return parse


@cache
def _list(shape: ListShape, *, ec2: bool) -> Parse:
    member = _parser(shape.member, ec2=ec2)
    within = "" if ec2 or shape.serialization.get("flattened") else location(shape.member, "member")

    def parse(node: Any, name: str) -> Any:
        if node == "":
            return []
        if isinstance(node, dict) and within:
            node = node.get(within, {})
        if not isinstance(node, dict):
            raise _malformed(name)
        return [member(node[number], f"{name}.{number}") for number in sorted(node, key=_number)]

    return parse


@cache
def _map(shape: MapShape, *, ec2: bool) -> Parse:
    key, value = _parser(shape.key, ec2=ec2), _parser(shape.value, ec2=ec2)
    key_name, value_name = location(shape.key, "key"), location(shape.value, "value")
    within = "" if shape.serialization.get("flattened") else "entry"

    def parse(node: Any, name: str) -> Any:
        if isinstance(node, dict) and within:
            node = node.get(within, {})
        if not isinstance(node, dict):
            raise _malformed(name)
        entries = [node[number] for number in sorted(node, key=_number)]
        if not all(isinstance(entry, dict) and key_name in entry for entry in entries):
            raise _malformed(name)
        return {key(entry[key_name], name): value(entry.get(value_name, ""), name) for entry in entries}

    return parse


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ServiceError("MalformedInput", f"Unexpected list element: {text}")
    return int(text)


@cache
def _scalar(kind: str) -> Parse:
    if kind == "string":
        return _string
    read = _READ[kind]

    def parse(node: Any, name: str) -> Any:
        if not isinstance(node, str):
            raise _malformed(name)
        try:
            return read(node)
        except (ValueError, binascii.Error):
            raise ServiceError("MalformedInput", f"{name}: {node!r} can not be converted to {_KIND[kind]}") from None

    return parse


def _string(node: Any, name: str) -> str:
    if not isinstance(node, str):
        raise _malformed(name)
    return node


def _boolean(text: str) -> bool:
    if (lower := text.lower()) not in {"true", "false"}:
        raise ValueError(text)
    return lower == "true"


def _integer(text: str, bits: int) -> int:
    number = int(text) if _INTEGER.fullmatch(text) else 1 << bits
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise ValueError(text)
    return number


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError(text)
    return float(text)


_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|NaN|-?Infinity")
_READ: dict[str, Callable[[str], Any]] = {
    "integer": lambda text: _integer(text, 32),
    "long": lambda text: _integer(text, 64),
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "timestamp": parse_time,
    "blob": lambda text: base64.b64decode(text, validate=True),
}
_KIND = {
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "timestamp": "a Timestamp",
    "blob": "a Blob",
}
