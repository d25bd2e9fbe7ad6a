"""The endpoint: one port that answers for the region, for the services behind it, and for parity's own commands."""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, TypeVar

import msgspec

from parity.aws.controller import Controller
from parity.aws.others import Others
from parity.aws.status import clock_status, status
from parity.aws.wire.answers import Reply, answered, refused
from parity.aws.wire.requests import Asked, asked, parameters
from parity.errors import NotReadyError, ParityError, ServiceError
from parity.model.scaling.api import OPERATIONS
from parity.model.scaling.region import Answer, Request
from parity.model.scaling.state import State

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

T = TypeVar("T")
#: The largest body that is taken in, since it is in memory; what is larger for S3 comes in parts.
BODY_BYTES_MAX = 256 << 20
#: Headers that say what is asked.
TELLING = {b"authorization", b"content-encoding", b"host", b"x-amz-target"}

log = logging.getLogger(__name__)


class Regional(Protocol):
    """A region as the API needs it; `Controller` is one."""

    def look(self, read: Callable[[State], T]) -> T:
        """Read the state while nothing happens to it."""
        ...

    def call(self, service: str, operation: str, request: Request, render: Callable[[Answer], T]) -> T:
        """Carry out a call of the API, and make of its answer what is needed."""
        ...


class Api:
    """An ASGI application that is the AWS API of one account in one region.

    Whoever signs, and for whatever region, is answered; signatures are not checked.

    Args:
        region: What is modelled.
        others: Answers what is not modelled; None to refuse it.
    """

    def __init__(self, region: Regional, others: Others | None = None) -> None:
        self._region = region
        self._others = others
        self._account_id = region.look(lambda state: state.account_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"only HTTP is answered, not {scope['type']}")
        try:
            body = await read_body(receive)
        except ServiceError as refusal:
            await send_reply(send, scope["method"], _unread(refusal))
            return
        if body is not None:
            await send_reply(send, scope["method"], await self._reply(scope, body))

    async def _reply(self, scope: Scope, body: bytes) -> Reply:
        return await self._aws(scope, body)

    async def _aws(self, scope: Scope, body: bytes) -> Reply:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in TELLING}
        query = scope["query_string"].decode("latin-1")
        try:
            request = asked(scope["path"], query, headers, body)
        except ServiceError as refusal:
            return refused(Asked(service="ec2", operation="", protocol="ec2", content={}), refusal, _new_id())
        if request and not (request.service == "sts" and request.operation != "GetCallerIdentity"):
            return self.answer(request)
        if self._others is None:
            return Reply(status=501, headers={"content-type": "text/plain"}, body=b"this service is not modelled\n")
        path = scope["raw_path"].decode("latin-1")
        given = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        return await self._others.answer(scope["method"], f"{path}?{query}" if query else path, given, body)

    def answer(self, request: Asked) -> Reply:
        """Answer a request to a service that is modelled."""
        request_id = _new_id()
        try:
            given, unknown = parameters(request)
            if unknown:
                log.warning("%s of %s has no parameter %s", request.operation, request.service, ", ".join(unknown))
            return self._carry_out(request, given, request_id)
        except ServiceError as refusal:
            if refusal.code in {"InvalidAction", "UnknownOperationException", "NotImplemented", "UnknownParameter"}:
                log.warning("%s: %s", request.service, refusal.message)
            return refused(request, refusal, request_id)
        except ParityError as problem:
            # What went wrong is no defect and is named, such as a full disk on which nothing can be kept.
            log.error("%s of %s could not be done: %s", request.operation, request.service, problem)  # noqa: TRY400
            return refused(request, ServiceError("InternalFailure", str(problem), status=500), request_id)
        except Exception:
            # A defect, whatever it raised, is one caller's 500 and a line in the log; the others are answered.
            log.exception("%s of %s broke off", request.operation, request.service)
            said = f"The request broke off, which is a defect of parity: see its log for {request_id}."
            return refused(request, ServiceError("InternalFailure", said, status=500), request_id)

    def _carry_out(self, request: Asked, given: dict[str, Any], request_id: str) -> Reply:
        def render(answer: Answer) -> Reply:
            return answered(request, answer, request_id)

        if request.service == "sts":
            return render(self._identity())
        if (request.service, request.operation) not in OPERATIONS:
            said = f"{request.operation} of {request.service} is an operation of AWS that parity does not model."
            raise ServiceError("NotImplemented", said, status=501)
        return self._region.call(request.service, request.operation, given, render)

    def _identity(self) -> Answer:
        """Who calls: the account's root, whatever the key."""
        arn = f"arn:aws:iam::{self._account_id}:root"
        return {"UserId": self._account_id, "Account": self._account_id, "Arn": arn}


class Endpoint(Api):
    """The same, with parity's own commands below `/_parity/`.

    Args:
        controller: The region's.
        others: Answers what is not modelled; None to refuse it.
    """

    def __init__(self, controller: Controller, others: Others | None = None) -> None:
        super().__init__(controller, others)
        self._controller = controller

    async def _reply(self, scope: Scope, body: bytes) -> Reply:
        if scope["path"].startswith("/_parity/"):
            return await self._own(scope["method"], scope["path"].removeprefix("/_parity/"), body)
        return await self._aws(scope, body)

    async def _own(self, method: str, name: str, body: bytes) -> Reply:
        match method, name:
            case "GET", "health":
                return _json({"status": "ok"})
            case "GET", "status":
                return _json(status(self._controller))
            case "GET", "clock":
                return _json(clock_status(self._controller.clock))
            case "POST", "clock":
                return await self._advance(body)
            case _:
                return _json({"error": f"there is no {method} of {name}"}, status=404)

    async def _advance(self, body: bytes) -> Reply:
        try:
            advance_s = msgspec.json.decode(body, type=_Advance).advance_s
            await asyncio.to_thread(self._controller.advance, advance_s)
        except ValueError as problem:
            return _json({"error": f'{{"advance_s": SECONDS}} is expected: {problem}'}, status=400)
        except NotReadyError as problem:
            return _json({"error": str(problem), **clock_status(self._controller.clock)}, status=503)
        return _json(clock_status(self._controller.clock))


class _Advance(msgspec.Struct):
    advance_s: float


def _json(content: Any, *, status: int = 200) -> Reply:
    return Reply(status=status, headers={"content-type": "application/json"}, body=msgspec.json.encode(content))


#: What the ids of requests begin with; the rest is counted, since making each one up takes longer than some answers.
_IDS_BEGIN = str(uuid.uuid4())[:24]
_COUNTED = itertools.count(1)


def _new_id() -> str:
    return f"{_IDS_BEGIN}{next(_COUNTED):012x}"


async def read_body(receive: Receive, *, most_bytes: int = BODY_BYTES_MAX) -> bytes | None:
    """All of a request's body; None when the client went away.

    Raises:
        ServiceError: It is larger. The rest of it was not read.
    """
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most_bytes:
            raise ServiceError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        if not message.get("more_body"):
            return b"".join(chunks)


def _unread(refusal: ServiceError) -> Reply:
    """A refusal of a request of which not all was read: the connection is of no more use."""
    log.warning("a request was refused: %s", refusal.message)
    text = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
    headers = {"content-type": "application/xml", "connection": "close"}
    return Reply(status=refusal.status, headers=headers, body=text.encode())


async def send_reply(send: Send, method: str, reply: Reply) -> None:
    """Give an answer."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if "content-length" not in reply.headers:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else reply.body})
