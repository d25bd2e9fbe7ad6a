"""Answers as XML: the protocols `query` and `ec2`.

Every shape becomes a function once, which makes its element as a string; of what an answer has, only what is there
costs anything.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from parity.aws.times import iso_time
from parity.aws.wire.models import location
from parity.model.scaling.region import Kept

Write = Callable[[Any], str]
#: What cannot stand in XML as it is.
_SPECIAL = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"}

log = logging.getLogger(__name__)


def escape(text: str) -> str:
    """A text as it stands in an element; what XML cannot say at all becomes the replacement character."""
    if _SPECIAL.search(text):
        return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], "\ufffd"), text)
    return text


def answer_xml(operation: OperationModel, answer: Mapping[str, Any], request_id: str) -> str:
    """The whole answer of an operation."""
    if operation.service_model.metadata["protocol"] == "ec2":
        return _ec2_envelope(operation)(answer, request_id)
    return _query_envelope(operation)(answer, request_id)


Envelope = Callable[[Mapping[str, Any], str], str]


@cache
def _query_envelope(operation: OperationModel) -> Envelope:
    shape, name = operation.output_shape, operation.name
    begin = f'<{name}Response xmlns="{operation.service_model.metadata["xmlNamespace"]}">'
    end = f"</RequestId></ResponseMetadata></{name}Response>"
    wrapper = f"{name}Result" if shape is None else shape.serialization.get("resultWrapper", f"{name}Result")
    write = None if shape is None else _writer(shape, wrapper)

    def envelope(answer: Mapping[str, Any], request_id: str) -> str:
        result = "" if write is None else write(answer)
        return f"{begin}{result}<ResponseMetadata><RequestId>{request_id}{end}"

    return envelope


@cache
def _ec2_envelope(operation: OperationModel) -> Envelope:
    shape, name = operation.output_shape, operation.name
    begin = f'<{name}Response xmlns="{operation.service_model.metadata["xmlNamespace"]}/"><requestId>'
    end = f"</{name}Response>"
    write = None if shape is None else _content(shape)

    def envelope(answer: Mapping[str, Any], request_id: str) -> str:
        # What answers nothing says that it was done.
        result = "<return>true</return>" if write is None else write(answer)
        return f"{begin}{request_id}</requestId>{result}{end}"

    return envelope


# A writer makes an element, a content what is within one.


def _writer(shape: Shape, name: str) -> Write:
    if isinstance(shape, ListShape) and shape.serialization.get("flattened"):
        return _flattened(shape, name)
    if isinstance(shape, StructureShape | ListShape | MapShape):
        return _late(shape, name)
    return _element(_text(shape.type_name), name)


def _late(shape: Shape, name: str) -> Write:
    """Made when it is first needed: shapes may contain themselves."""
    made: list[Write] = []

    def write(value: Any) -> str:
        if not made:
            made.append(_element(_content(shape), name))
        return made[0](value)

    return write


def _element(content: Write, name: str) -> Write:
    begin, end, empty = f"<{name}>", f"</{name}>", f"<{name}/>"

    def write(value: Any) -> str:
        text = content(value)
        return f"{begin}{text}{end}" if text else empty

    return write


@cache
def _content(shape: Shape) -> Write:
    match shape:
        case StructureShape():
            return _structure(shape)
        case ListShape():
            return _joined(_writer(shape.member, location(shape.member, "member")))
        case MapShape():
            return _entries(shape)
        case _:
            return _text(shape.type_name)


def _structure(shape: StructureShape) -> Write:
    write = _members(shape)

    def content(value: Mapping[str, Any]) -> str:
        if not isinstance(value, Kept):
            return write(value)
        kept: tuple[Shape, str] | None = getattr(value, "written", None)
        if kept is None or kept[0] is not shape:
            value.written = kept = shape, write(value)
        return kept[1]

    return content


def _members(shape: StructureShape) -> Write:
    writers = {name: _writer(member, location(member, name)) for name, member in shape.members.items()}
    strange: set[str] = set()

    def content(value: Mapping[str, Any]) -> str:
        try:
            return "".join([writers[name](item) for name, item in value.items() if item is not None])
        except KeyError:
            for name in value.keys() - writers.keys() - strange:
                strange.add(name)
                log.warning("%s has no member %s; it is left out of answers", shape.name, name)
            return "".join(
                [writers[name](item) for name, item in value.items() if item is not None and name in writers]
            )

    return content


def _joined(write: Write) -> Write:
    def content(value: Any) -> str:
        return "".join([write(item) for item in value])

    return content


def _flattened(shape: ListShape, name: str) -> Write:
    return _joined(_writer(shape.member, location(shape.member, name)))


def _entries(shape: MapShape) -> Write:
    key = _writer(shape.key, location(shape.key, "key"))
    item = _writer(shape.value, location(shape.value, "value"))

    def content(value: Mapping[str, Any]) -> str:
        return "".join([f"<entry>{key(name)}{item(of)}</entry>" for name, of in value.items()])

    return content


def _boolean(value: Any) -> str:
    return "true" if value else "false"


def _blob(value: bytes) -> str:
    return base64.b64encode(value).decode()


_TEXTS: dict[str, Write] = {"string": escape, "timestamp": iso_time, "boolean": _boolean, "blob": _blob}


def _text(kind: str) -> Write:
    return _TEXTS.get(kind, str)
