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


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """A server as HAProxy sees it.

    Args:
        name: Its name in the backend.
        address: Its address and port.
        up: Whether its checks find it well; None while they have not come to anything.
        check: What the last check came to, such as `L7OK` or `L4TOUT`; empty while there was none.
        under_way: Requests that it has not answered.
        requests: What it has answered since it was added.
    """

    name: str
    address: str
    up: bool | None
    check: str
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

    def add(self, name: str, address: str, *, every_s: float, rise: int, fall: int) -> None:
        """Add a server, checked from now on, and sent to once it is found well.

        Args:
            name: Its name.
            address: Its address and port.
            every_s: From one check to the next.
            rise: So many checks in a row make it well.
            fall: So many make it unwell.

        Raises:
            StackError: It refuses, or does not answer.
        """
        server = f"{self._backend}/{name}"
        checks = f"check inter {round(every_s * 1000)}ms rise {rise} fall {fall}"
        self._do(f"add server {server} {address} {checks}")
        # Down until a check says otherwise: it may be booting.
        self._do(f"set server {server} health down")
        self._do(f"enable health {server}")
        self._do(f"enable server {server}")

    def drain(self, name: str) -> None:
        """Send no new requests to a server; what is under way goes on."""
        self._do(f"set server {self._backend}/{name} state drain")

    def remove(self, name: str) -> None:
        """Remove a server; what is under way is cut off."""
        server = f"{self._backend}/{name}"
        self._do(f"set server {server} state maint")
        self._do(f"shutdown sessions server {server}")
        self._do(f"del server {server}")

    def _do(self, command: str) -> None:
        answer = self._ask(command).strip()
        if answer not in _DONE:
            raise StackError(f"the load balancer refuses `{command}`: {answer}")

    def _ask(self, command: str) -> str:
        try:
            with socket.create_connection(self._where(), timeout=TIMEOUT_S) as connection:
                connection.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
        except OSError as error:
            raise StackError(f"the load balancer does not answer: {error}") from error


def _state(row: dict[str, str]) -> ServerState:
    check = row["check_status"].removeprefix("* ")
    known = bool(check) and check != "INI"
    return ServerState(
        name=row["svname"],
        address=row["addr"],
        up=row["status"].startswith(("UP", "DRAIN")) and not row["status"].startswith("UP 0") if known else None,
        check=check if known else "",
        under_way=int(row["scur"] or 0),
        requests=sum(int(row[answers] or 0) for answers in _ANSWERS),
    )
