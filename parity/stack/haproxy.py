"""HAProxy's runtime API: the servers of a backend, added, drained and removed while it runs.

Source: HAProxy 2.6, "Management Guide", 9.3 "Unix Socket commands".
"""

from __future__ import annotations

import csv
import socket
from collections.abc import Callable
from dataclasses import dataclass

from parity.errors import StackError

TIMEOUT_S = 5.0
#: What the answers of the servers are counted by.
_ANSWERS = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
#: What changes a server is answered with nothing, or with one of these.
_DONE = ("", "New server registered.", "Server deleted.")
_CONNECTED = "Server still has connections attached to it, cannot remove it."


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """A server as HAProxy sees it.

    Args:
        name: Its name in the backend.
        address: Its address and port.
        ready: Whether it is sent to.
        under_way: Requests that it has not answered.
        requests: What it has answered since it was added.
    """

    name: str
    address: str
    ready: bool
    under_way: int
    requests: int


class Runtime:
    """The runtime API of one HAProxy, for one backend.

    Args:
        where: Its host and port, looked up for each command: a container that was started again has another.
        backend: The backend.
    """

    def __init__(self, where: Callable[[], tuple[str, int]], *, backend: str) -> None:
        self._where = where
        self._backend = backend

    def servers(self) -> dict[str, ServerState]:
        """The servers by name.

        Raises:
            StackError: It does not answer.
        """
        rows = csv.DictReader(self._ask("show stat").removeprefix("# ").splitlines())
        return {
            row["svname"]: _state(row)
            for row in rows
            if row["pxname"] == self._backend and row["svname"] not in {"BACKEND", "FRONTEND"}
        }

    def add(self, name: str, address: str) -> None:
        """Add a server that nothing is sent to yet; its address is with its port.

        Raises:
            StackError: It refuses, or does not answer. So does all that follows.
        """
        self._do(f"add server {self._backend}/{name} {address}")

    def set_ready(self, name: str, *, ready: bool) -> None:
        """Send requests to a server, or none that are new; what is under way goes on."""
        self._do(f"set server {self._backend}/{name} state {'ready' if ready else 'maint'}")

    def cut_off(self, name: str) -> None:
        """End what is under way at a server."""
        self._do(f"shutdown sessions server {self._backend}/{name}")

    def remove(self, name: str) -> bool:
        """Remove a server that is not ready; False: it still has connections, be they idle, and stays."""
        return self._do(f"del server {self._backend}/{name}", may_be=_CONNECTED) != _CONNECTED

    def _do(self, command: str, *, may_be: str = "") -> str:
        answer = self._ask(command).strip()
        if answer not in (*_DONE, may_be):
            raise StackError(f"the load balancer refuses `{command}`: {answer}")
        return answer

    def _ask(self, command: str) -> str:
        try:
            with socket.create_connection(self._where(), timeout=TIMEOUT_S) as connection:
                connection.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
        except OSError as error:
            raise StackError(f"the load balancer does not answer: {error}") from error


def _state(row: dict[str, str]) -> ServerState:
    return ServerState(
        name=row["svname"],
        address=row["addr"],
        ready=row["status"] not in {"MAINT", "DRAIN", "DOWN"},
        under_way=int(row["scur"] or 0),
        requests=sum(int(row[answers] or 0) for answers in _ANSWERS),
    )
