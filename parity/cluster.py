"""A Ray cluster: work goes out to its machines, what comes of it comes back.

What is spread over a cluster says in a protocol of its own what it asks of one, so that its tests need no Ray.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import parity
from parity.errors import ClusterError, ParityError

#: What of a project no machine needs: history, environments, caches, and what earlier runs left.
_LEFT_OUT = (".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")
_RESULTS = ("/out", "/failures")
_INTERRUPT = "interrupt"
_READ_WITHIN_S = 3.0
_KNOCK_S = 10.0
#: How many characters of Ray's own errors are told.
_SAID_MAX = 200
#: Ray gives the machine of a cluster's head a resource of this name: what all depend on stands there.
_AT_THE_HEAD = {"resources": {"node:__internal_head__": 0.001}, "num_cpus": 0}


class Mailbox(Protocol):
    """Where messages are left, from whatever machine."""

    def put(self, item: Any) -> None:
        """Leave one."""
        ...

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002  # as a queue has it
        """Take the oldest; `queue.Empty` where none comes in time."""
        ...


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine of a cluster.

    Args:
        name: What people are told: its host's name, and more where several have the same.
        id: What Ray calls it.
        processors: How many it offers for work; 0 where it is not meant for any.
    """

    name: str
    id: str
    processors: float


@dataclass(frozen=True, kw_only=True)
class Session:
    """Long work that has a machine to itself.

    Args:
        machine: The machine.
        work: Ray's reference of what it comes to.
        inbox: What it is sent.
    """

    machine: Machine
    work: Any
    inbox: Any

    def send(self, item: Any) -> None:
        """Send it something."""
        self.inbox.put(item)


class RayCluster:
    """A Ray cluster. Its machines need parity's dependencies; parity itself is sent there.

    While it is entered, what is printed on standard output goes to standard error.

    Args:
        address: Of its head, such as `ray://host:10001`; None: a new one on this machine.
        workers: How many processes a new one has; None: as many as there are processors.
        project: A folder that is sent too, and is the current one there. What starts with PARITY_ in the environment
            goes with it, so that the same images are meant everywhere.
        left_out: Folders of the project that are not sent, beside those that never are.

    Raises:
        ParityError: Ray is not installed.
        ClusterError: There is no cluster at the address, or it does not take the project.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int | None = None,
        project: Path | None = None,
        left_out: tuple[Path, ...] = (),
    ) -> None:
        try:
            import ray  # noqa: PLC0415  # an extra, and a large one
        except ModuleNotFoundError as error:
            raise ParityError("work on a cluster needs Ray: pip install 'parity[ray]'") from error
        self._ray = ray
        # The machines of a cluster must run this very code, whatever parity is installed there.
        code: dict[str, Any] = {"py_modules": [str(Path(parity.__file__).parent)]}
        if project is not None:
            code |= _sent(project, left_out)
        own = {"num_cpus": workers, "include_dashboard": False} if address is None else {}
        with _own_sigterm():
            try:
                _knock(address or "")
                # Without an address Ray would take any cluster that it finds here.
                ray.init(
                    address=address or "local",
                    runtime_env=code,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    **own,
                )
            except (OSError, RuntimeError, ValueError, ImportError, ray.exceptions.RayError) as error:
                place = f"at {address}" if address else "here"
                raise ClusterError(f"no Ray cluster {place}: {_short(error)}") from error

    def __enter__(self) -> Self:
        # What goes wrong on a machine Ray prints on standard output, where nothing but results belongs.
        self._apart = contextlib.redirect_stdout(sys.stderr)
        self._apart.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()
        self._apart.__exit__(None, None, None)

    def workers(self) -> int:
        """How many processors the cluster has."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Have a function called on the cluster."""
        return self._ray.remote(work).remote(*arguments)

    def first(self, pending: list[Any]) -> tuple[Any, Any]:
        """Wait for any of the pending; what was raised there is raised here."""
        (done, *_), _ = self._ray.wait(pending, num_returns=1)
        try:
            return done, self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            # Ray's own error has the cause's class as a second base; ours are for the person at the terminal.
            if isinstance(error.cause, ParityError):
                raise error.cause from None
            raise

    def machines(self) -> list[Machine]:
        """The machines that are there, by name."""
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        hosts = Counter(node["NodeManagerHostname"] for node in nodes)
        named = []
        for node in nodes:
            host = node["NodeManagerHostname"]
            name = host if hosts[host] == 1 else f"{host}/{node['NodeID'][:6]}"
            named.append(Machine(name=name, id=node["NodeID"], processors=node["Resources"].get("CPU", 0)))
        return sorted(named, key=lambda machine: machine.name)

    def ask(self, machine: Machine, work: Callable[..., Any], *arguments: Any) -> Any:
        """Have a function called on a machine, whatever else it does; what is returned stands for the answer."""
        return self._ray.remote(**self._on(machine), num_cpus=0)(work).remote(*arguments)

    def answer(self, asked: Any) -> Any:
        """Wait for what a function comes to.

        Raises:
            ParityError: It was raised there.
            ClusterError: It raised anything else, or its machine is gone.
        """
        with self._translated():
            return self._ray.get(asked)

    def begin(self, machine: Machine, work: Callable[..., Any], *arguments: Any) -> Session:
        """Have a function called that has all processors of a machine, once they are free.

        Args:
            machine: The machine.
            work: Called with a way to receive what the session is sent, and the arguments.
            arguments: What else it is called with.
        """
        inbox = self.mailbox()
        # A process of its own, because its signals are turned about; and what broke off is not tried again.
        remote = self._ray.remote(**self._on(machine), num_cpus=machine.processors, max_calls=1)(_interruptible)
        return Session(machine=machine, work=remote.remote(work, inbox, *arguments), inbox=inbox)

    def ended(self, sessions: list[Session]) -> list[Session]:
        """Those of the sessions that are over, however they ended."""
        by_work = {session.work: session for session in sessions}
        with self._translated():
            done, _ = self._ray.wait(list(by_work), num_returns=len(by_work), timeout=0)
        return [by_work[work] for work in done]

    def interrupt(self, session: Session) -> None:
        """End a session as Ctrl-C would; it is over only when it has removed what it started."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            session.send(_INTERRUPT)
            until = time.monotonic() + _READ_WITHIN_S
            while session.inbox.qsize():
                if time.monotonic() > until:
                    # Nobody reads what it is sent: it never began, and must not.
                    self._ray.cancel(session.work, recursive=False)
                    return
                time.sleep(0.1)

    def mailbox(self) -> Any:
        """A mailbox that can be handed to what is called on the cluster."""
        from ray.util.queue import Queue  # noqa: PLC0415  # an extra, and a large one

        return Queue(actor_options=_AT_THE_HEAD)

    def receive(self, mailbox: Mailbox, *, within_s: float) -> Any:
        """Take the oldest message; None where none comes in time."""
        with self._translated():
            try:
                return mailbox.get(timeout=within_s)
            except queue.Empty:
                return None

    def _on(self, machine: Machine) -> dict[str, Any]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415  # as above

        return {
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=machine.id, soft=False),
            "max_retries": 0,
        }

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, ParityError):
                raise error.cause from None
            raise ClusterError(f"{type(error.cause).__name__}: {error.cause}") from error
        except self._ray.exceptions.RayError as error:
            raise ClusterError(_short(error)) from error


def _interruptible(work: Callable[..., Any], inbox: Mailbox, *arguments: Any) -> Any:
    """Call a function in the main thread of its process, and interrupt it when it is told to."""
    # Ray starts its workers with SIGINT blocked and lets SIGTERM exit at once. What runs here must unwind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main = threading.get_ident()
    received: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:
        # Where the inbox is gone, so is whoever would take the results.
        item: Any = _INTERRUPT
        with contextlib.suppress(Exception):
            while (item := inbox.get()) != _INTERRUPT:
                received.put(item)
        # To the very thread: a signal that another thread takes does not wake one that waits.
        signal.pthread_kill(main, signal.SIGTERM)

    threading.Thread(target=listen, daemon=True).start()
    return work(received.get, *arguments)


def _sent(project: Path, left_out: tuple[Path, ...]) -> dict[str, Any]:
    inside = [folder.resolve().relative_to(project) for folder in left_out if folder.resolve().is_relative_to(project)]
    # What a compose file takes its variables from is seldom under version control, and must be sent all the same.
    os.environ.setdefault("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    settings = {
        name: value for name, value in os.environ.items() if name.startswith("PARITY_") and name != "PARITY_STATE_DIR"
    }
    return {
        "working_dir": str(project),
        "excludes": [*_LEFT_OUT, *_RESULTS, *(f"/{folder}" for folder in inside if folder.parts)],
        "env_vars": settings,
    }


def _knock(address: str) -> None:
    """See whether anybody is at an address: Ray itself asks again for minutes."""
    place = urlsplit(address if "//" in address else f"//{address}")
    if place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), timeout=_KNOCK_S).close()


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep what SIGTERM does here: Ray has it exit at once."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _short(error: BaseException) -> str:
    """What Ray says, without the pages that it adds."""
    return textwrap.shorten(str(error), _SAID_MAX, placeholder=" ...") or type(error).__name__
