"""Answers and refusals as they go on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from parity.aws.wire import cbor
from parity.aws.wire.documents import cbor_moment, document, json_moment
from parity.aws.wire.models import operation_model, service_model, statuses
from parity.aws.wire.requests import Asked
from parity.aws.wire.xml import answer_xml, escape
from parity.errors import ServiceError

_CONTENT_TYPES = {
    "query": "text/xml",
    "ec2": "text/xml;charset=UTF-8",
    "json": "application/x-amz-json-1.0",
    "smithy-rpc-v2-cbor": "application/cbor",
}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What goes back: HTTP's status, headers by name in lower case, and the body."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def answered(request: Asked, answer: Mapping[str, Any], request_id: str) -> Reply:
    """An answer as its protocol has it; the operation is one that the service has."""
    operation = operation_model(request.service, request.operation)
    assert operation is not None
    shape = operation.output_shape
    match request.protocol:
        case "json":
            body = msgspec.json.encode({} if shape is None else document(shape, answer, json_moment))
        case "smithy-rpc-v2-cbor":
            body = cbor.encode({} if shape is None else document(shape, answer, cbor_moment))
        case _:
            body = answer_xml(operation, answer, request_id).encode()
    return Reply(headers=_headers(request.protocol, request_id), body=body)


def refused(request: Asked, refusal: ServiceError, request_id: str) -> Reply:
    """A refusal as its protocol has it."""
    name, status = statuses(request.service).get(refusal.code, (refusal.code, 400))
    # A status that was stated says more than the model's, which has 400 where nothing is stated.
    status = refusal.status if refusal.status != 400 else status
    kind = "Sender" if status < 500 else "Receiver"
    headers = _headers(request.protocol, request_id)
    match request.protocol:
        case "json" | "smithy-rpc-v2-cbor":
            headers["x-amzn-query-error"] = f"{refusal.code};{kind}"
            content = {"__type": f"com.amazonaws.{request.service}#{name}", "message": refusal.message}
            body = msgspec.json.encode(content) if request.protocol == "json" else cbor.encode(content)
        case "ec2":
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
                f"<Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message>"
                f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
            ).encode()
        case _:
            space = service_model(request.service).metadata["xmlNamespace"]
            body = (
                f'<ErrorResponse xmlns="{space}"><Error><Type>{kind}</Type>'
                f"<Code>{escape(refusal.code)}</Code><Message>{escape(refusal.message)}</Message>"
                f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            ).encode()
    return Reply(status=status, headers=headers, body=body)


def _headers(protocol: str, request_id: str) -> dict[str, str]:
    headers = {"content-type": _CONTENT_TYPES[protocol], "x-amzn-requestid": request_id}
    if protocol == "smithy-rpc-v2-cbor":
        headers["smithy-protocol"] = "rpc-v2-cbor"
    return headers
