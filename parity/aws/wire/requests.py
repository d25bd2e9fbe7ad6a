"""What a request asks: of which service, which operation, in which protocol."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from parity.aws.wire import cbor
from parity.aws.wire.checks import check_request
from parity.aws.wire.documents import parse_document
from parity.aws.wire.form import Tree, parse_form, tree
from parity.aws.wire.models import SIGNED_AS, TARGETS, VERSIONS, operation_model, service_model
from parity.errors import ServiceError

#: A header of SigV4, or of its older kin, names who signed for what: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
_CREDENTIAL = re.compile(r"Credential=([^/,\s]*)/\d*/([^/,\s]*)/([^/,\s]*)/aws4_request")
_RPC = re.compile(r"/service/([^/]+)/operation/([^/]+)$")
#: The largest body of a call, unpacked; AWS's own limits are below it. A form of that size takes a second to read.
BODY_BYTES_MAX = 16 << 20
#: The API of the older load balancers, which sign like the newer ones.
_CLASSIC = "2012-06-01"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request to a service that is modelled.

    Args:
        service: As botocore names it.
        operation: Its name as stated; the service may have none of that name.
        protocol: `query`, `ec2`, `json` or `smithy-rpc-v2-cbor`.
        content: A form's tree, or the body where it is a document.
    """

    service: str
    operation: str
    protocol: str
    content: Any


def asked(path: str, query: str, headers: Mapping[str, str], body: bytes) -> Asked | None:
    """What a request asks for.

    Args:
        path: Of its URL.
        query: Of its URL.
        headers: By names in lower case.
        body: As it came.

    Returns:
        None when it is for a service that is not modelled.

    Raises:
        ServiceError: It can be for no service: it is broken.
    """
    signed = _signed_for(query, headers)
    if signed is not None and signed not in SIGNED_AS:
        return None
    if len(body) > BODY_BYTES_MAX:
        # Without a signature it is no call of a size like that, but may be an object for S3.
        if signed is None:
            return None
        raise _too_large()
    if rpc := _RPC.match(path):
        return _document(rpc[1], rpc[2], "smithy-rpc-v2-cbor", headers, body)
    if target := headers.get("x-amz-target"):
        prefix, _, operation = target.rpartition(".")
        return _document(prefix, operation, "json", headers, body)
    stated = _unpacked(headers, body).decode("utf-8", "replace")
    content = tree(f"{query}&{stated}" if query and stated else query or stated)
    return _form(content, signed, headers)


def _signed_for(query: str, headers: Mapping[str, str]) -> str | None:
    """The service in the scope of a request's signature; None where it is not signed so."""
    if found := _CREDENTIAL.search(headers.get("authorization", "")):
        return found[3]
    if "X-Amz-Credential=" in query:
        parts = query.partition("X-Amz-Credential=")[2].partition("&")[0].replace("%2F", "/").split("/")
        return parts[3] if len(parts) == 5 else None
    return None


def _document(prefix: str, operation: str, protocol: str, headers: Mapping[str, str], body: bytes) -> Asked | None:
    service = TARGETS.get(prefix)
    if service is None:
        return None
    return Asked(service=service, operation=operation, protocol=protocol, content=_unpacked(headers, body))


def _form(content: Tree, signed: str | None, headers: Mapping[str, str]) -> Asked | None:
    version, action = content.get("Version"), content.get("Action")
    by_version = VERSIONS.get(version) if isinstance(version, str) else None
    service = SIGNED_AS[signed] if signed else by_version or _by_host(headers.get("host", ""))
    if service is None or version == _CLASSIC:
        return None
    if not isinstance(action, str):
        if signed is None and by_version is None:
            return None
        action = ""
    protocol = "ec2" if service == "ec2" else "query"
    return Asked(service=service, operation=action, protocol=protocol, content=content)


def _by_host(host: str) -> str | None:
    """The service that a host such as `autoscaling.us-east-1.amazonaws.com` is of."""
    first, _, rest = host.partition(".")
    return SIGNED_AS.get(first) if "amazonaws.com" in rest else None


def _unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    if headers.get("content-encoding", "").lower() != "gzip":
        return body
    try:
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        unpacked = unpacker.decompress(body, BODY_BYTES_MAX)
    except (gzip.BadGzipFile, zlib.error):
        raise ServiceError("SerializationException", "The body is not gzip, as its Content-Encoding says") from None
    if unpacker.unconsumed_tail:
        raise _too_large()
    return unpacked


def _too_large() -> ServiceError:
    said = f"The body is larger than {BODY_BYTES_MAX} bytes"
    return ServiceError("RequestEntityTooLarge", said, status=413)


def parameters(request: Asked) -> tuple[dict[str, Any], list[str]]:
    """The operation's parameters, held against its model.

    Returns:
        The parameters, and what was stated and the operation does not have.

    Raises:
        ServiceError: The service has no such operation, or they are not as the model says.
    """
    operation = operation_model(request.service, request.operation)
    if operation is None or _version_of(request) != service_model(request.service).api_version:
        raise _unknown(request)
    unknown: list[str] = []
    if request.protocol in {"query", "ec2"}:
        found, unknown = parse_form(operation, request.content)
        if unknown and request.protocol == "ec2":
            raise ServiceError("UnknownParameter", f"The parameter {unknown[0]} is not recognized")
    else:
        shape = operation.input_shape
        found = {} if shape is None else parse_document(shape, _decoded(request))
    check_request(operation, found)
    return found, unknown


def _version_of(request: Asked) -> str:
    """The version of the API that a request states. EC2 has many, and what they have in common is alike in all."""
    version = request.content.get("Version") if request.protocol == "query" else None
    return version if isinstance(version, str) else service_model(request.service).api_version


def _unknown(request: Asked) -> ServiceError:
    if request.protocol not in {"query", "ec2"}:
        return ServiceError("UnknownOperationException", f"The operation {request.operation} is not known.")
    if not request.operation:
        name = service_model(request.service).metadata["serviceFullName"]
        return ServiceError("MissingAction", f"The request must contain the parameter Action. This is {name}.")
    if request.protocol == "ec2":
        return ServiceError("InvalidAction", f"The action {request.operation} is not valid for this web service.")
    return ServiceError(
        "InvalidAction", f"Could not find operation {request.operation} for version {_version_of(request)}"
    )


def _decoded(request: Asked) -> Any:
    if not request.content:
        return {}
    try:
        return cbor.decode(request.content) if "cbor" in request.protocol else msgspec.json.decode(request.content)
    except ValueError:
        called = "CBOR" if "cbor" in request.protocol else "JSON"
        raise ServiceError("SerializationException", f"The body is not {called}") from None
