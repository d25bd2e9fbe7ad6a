"""The endpoint once it is open, and what only the attending process knows: `/_parity/stack`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from parity.service.backlog import Depth


class Own:
    """An ASGI application that answers for the stack, and leaves everything else to the endpoint.

    Args:
        endpoint: The AWS API.
        stack_id: Which stack is attended.
        project: What its containers' names begin with.
    """

    def __init__(self, endpoint: Any, *, stack_id: str, project: str) -> None:
        self._endpoint = endpoint
        self._stack_id = stack_id
        self._project = project
        #: Whether what an earlier process left was taken over; nothing is answered before.
        self.is_open = False
        #: Says how the queues are.
        self.depths: Callable[[], Mapping[str, Depth]] = dict

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not self.is_open:
            await _answer(send, 503, b"parity is not ready yet\n", kind=b"text/plain")
        elif scope["type"] == "http" and scope["path"] == "/_parity/stack":
            await _answer(send, 200, msgspec.json.encode(self._stack()))
        else:
            await self._endpoint(scope, receive, send)

    def _stack(self) -> dict[str, Any]:
        return {
            "stack": self._stack_id,
            "project": self._project,
            "queues": {name: asdict(depth) for name, depth in self.depths().items()},
        }


async def _answer(send: Any, status: int, body: bytes, *, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
