"""Serving an application: on a port of the loopback interface, or on a socket that a relay brings connections to."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from parity.errors import NotReadyError

#: Where tools look for a local AWS, and the ports that are tried after it before any that is free.
PORT = 4566
PORTS_TRIED = 10
LOOPBACK = "127.0.0.1"
#: How long requests that are being answered may take once the server is to end.
GRACE_S = 2
#: How long a client that has begun a request, or only a connection, may say nothing more.
SILENCE_S = 60.0
#: The longest line that the PROXY protocol has.
PROXY_LINE_MAX = 107


def loopback_socket(port: int = PORT, *, others_too: bool = True) -> socket.socket:
    """A socket bound on the loopback interface.

    Args:
        port: The one that is wanted; 0 for any.
        others_too: Take one of the next ports, or any, where it is taken.

    Raises:
        OSError: The port is taken, and no other will do.
    """
    wanted = [port, *range(port + 1, port + PORTS_TRIED), 0] if port and others_too else [port]
    for candidate in wanted:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((LOOPBACK, candidate))
        except OSError as problem:
            bound.close()
            if problem.errno not in {errno.EADDRINUSE, errno.EACCES} or candidate == wanted[-1]:
                raise
        else:
            return bound
    raise AssertionError("the last one is bound, or raises")


class FileSocket(socket.socket):
    """A socket in the file system.

    Args:
        path: Where; one that an earlier process left there is replaced.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(socket.AF_UNIX)
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        # By its folder's descriptor: a socket's address has 107 bytes at most, and a user's folders may be deep.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)


class Server:
    """An ASGI application served by a thread.

    Args:
        app: The application.
        sockets: Where; bound already.
        relayed: Whether each connection begins with a line of the PROXY protocol, version 1, that says who it is from.
    """

    def __init__(self, app: Any, sockets: Sequence[socket.socket], *, relayed: bool = False) -> None:
        self._sockets = list(sockets)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=_Relayed if relayed else _Bounded,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        self._server = _Uvicorn(config)
        self._thread = threading.Thread(target=self._server.run, args=(self._sockets,), name="endpoint", daemon=True)

    @property
    def port(self) -> int:
        """The first socket's port, which is one of TCP."""
        return int(self._sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """What clients are given as endpoint."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self, *, patience_s: float = 10) -> None:
        """Begin to answer; it answers when this returns."""
        self._thread.start()
        if not self._server.answers.wait(patience_s):
            raise NotReadyError("the endpoint's server", waited_s=patience_s, last="starting")

    def stop(self) -> None:
        """End: what is being answered is, for as long as that takes little."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        for bound in self._sockets:
            bound.close()
            if isinstance(bound, FileSocket):
                bound.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def source_of(line: bytes) -> tuple[str, int] | None:
    """Where a connection came from, by its line of the PROXY protocol; None where it is no such line.

    Args:
        line: `PROXY TCP4 169.254.3.7 169.254.169.254 40000 80`, without its end.
    """
    fields = line.decode("latin-1").split(" ")
    if len(fields) != 6 or fields[:2] != ["PROXY", "TCP4"] or not fields[4].isdecimal():
        return None
    return fields[2], int(fields[4])


class _Bounded(HttpToolsProtocol):
    """HTTP that lets go of who begins a request and does not go on: such connections would be kept for ever.

    Between two requests uvicorn has a bound of its own, and for what is being answered there is none.
    """

    _given_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A first request is expected."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Whoever goes on has as much time again."""
        if self._given_up is not None:
            self._expect()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """The rest of it is expected."""
        self._expect()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Nothing is expected any more."""
        self._expect_nothing()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing will come."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._expect_nothing()
        self._given_up = self.loop.call_later(SILENCE_S, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._given_up is not None:
            self._given_up.cancel()
            self._given_up = None


class _Relayed(_Bounded):
    """HTTP after the line that says where a connection came from: `PROXY TCP4 10.1.0.5 169.254.169.254 40312 80`.

    Source: HAProxy's "The PROXY protocol", version 1.
    """

    _before: bytes | None = b""

    def data_received(self, data: bytes) -> None:
        """Take the line off."""
        if self._before is not None:
            self._before += data
            line, found, data = self._before.partition(b"\r\n")
            if not found:
                if len(line) > PROXY_LINE_MAX:
                    self.transport.abort()
                return
            self._before = None
            self.client = source_of(line)
            if self.client is None:
                self.transport.abort()
                return
        super().data_received(data)


class _Uvicorn(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.answers.set()
