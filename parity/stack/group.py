"""The workers, one by one: each a container with an identity and a life of its own, replaced when it dies.

What decides how many there should be stays outside: a scenario's steps by `scale`, or an Auto Scaling group, which
launches and stops each by its name.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import docker.errors
import requests
from docker.models.containers import Container

from parity.errors import EngineError, StackError
from parity.history.events import InstanceState
from parity.stack import launch
from parity.stack.engine import log_tail, translated
from parity.stack.streams import STDERR, STDOUT, Attached, Lines, attach

#: A worker that dies this often before its first sign of life is not replaced any more.
_CRASHES_AT_ONCE_MAX = 5


class Listener(Protocol):
    """Who is told what the instances do, from the group's threads."""

    def lines(self, instance: str, texts: Sequence[str]) -> None:
        """An instance printed lines."""

    def state(self, instance: str, state: InstanceState, exit_code: int | None, reason: str) -> None:
        """An instance changed state."""


@dataclass(kw_only=True)
class Member:
    """An instance of the group."""

    name: str
    container: Container
    attached: Attached
    thread: threading.Thread | None = None
    printed: bool = False
    alive: bool = True


class Group:
    """The worker instances of a run.

    Args:
        make: Creates (not starts) the container of an instance, given its name and number.
        listener: Told of lines and states.
        grace_s: Seconds between SIGTERM and SIGKILL at a graceful stop.
        replace: Whether a dead instance is replaced while the desired number asks for it.
    """

    def __init__(
        self, make: Callable[[str, int], Container], listener: Listener, *, grace_s: int, replace: bool
    ) -> None:
        self._make = make
        self._listener = listener
        self._grace_s = grace_s
        self._replace = replace
        self._desired = 0
        #: One change of the number at a time: what is being launched is alive only when it is there.
        self._scaling = threading.Lock()
        self._number = 0
        self._crashed_at_once = 0
        self._closed = False
        self._lock = threading.RLock()
        self._members: dict[str, Member] = {}
        #: Why the group gave up, where it did.
        self.failure: str = ""

    def __len__(self) -> int:
        """How many instances are alive."""
        return len(self.alive())

    def alive(self) -> list[str]:
        """The names of the instances that live, oldest first."""
        with self._lock:
            return [name for name, member in self._members.items() if member.alive]

    def container(self, name: str) -> Container:
        """The container of an instance, dead or alive."""
        return self._members[name].container

    def containers(self) -> dict[str, Container]:
        """Every instance's container, the dead ones' too."""
        with self._lock:
            return {name: member.container for name, member in self._members.items()}

    def scale(self, desired: int) -> None:
        """Make it so many instances: launch what is missing, stop the youngest that are too many.

        Raises:
            EngineError: An instance cannot be launched.
        """
        with self._scaling:
            with self._lock:
                self._desired = desired
                missing = desired - len(self.alive())
                surplus = self.alive()[desired:]
            if missing > 0:
                with ThreadPoolExecutor(max_workers=4) as pool:
                    for future in [pool.submit(self._launch_next) for _ in range(missing)]:
                        future.result()
            for name in surplus:
                self.stop(name)

    @property
    def desired(self) -> int:
        """How many instances there should be."""
        return self._desired

    def stop(self, name: str) -> None:
        """Stop an instance gracefully: SIGTERM, the grace period, SIGKILL."""
        with translated(f"stop {name}"):
            self.container(name).stop(timeout=self._grace_s)

    def close(self) -> None:
        """Kill and remove every instance; returns when their logs were read to the end."""
        with self._lock:
            self._closed = True
            members = list(self._members.values())
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda member: _kill(member.container), members))
        for member in members:
            if member.thread is not None:
                member.thread.join(timeout=20)

    def remove(self) -> None:
        """Remove the containers of a closed group."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(launch.remove, self.containers().values()))

    def launch(self, name: str) -> None:
        """Launch an instance by its name, `worker-` and a number; whoever asks sees to the number of instances.

        Raises:
            EngineError: It cannot be launched.
        """
        self._launch(name, int(name.rpartition("-")[2]))

    def _launch_next(self) -> None:
        with self._lock:
            self._number += 1
            number = self._number
        self._launch(f"worker-{number}", number)

    def _launch(self, name: str, number: int) -> None:
        with self._lock:
            if self._closed:
                return
        self._listener.state(name, "starting", None, "")
        container = self._make(name, number)
        member = Member(name=name, container=container, attached=attach(container))
        with self._lock:
            self._members[name] = member
        launch.start(container)
        self._listener.state(name, "running", None, "")
        member.thread = threading.Thread(target=self._follow, args=(member,), name=f"log {name}", daemon=True)
        member.thread.start()

    def _follow(self, member: Member) -> None:
        """Read what an instance prints to its end, which is its death, and see to its replacement."""
        try:
            self._read(member)
            exit_code, reason = _end_of(member.container)
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            exit_code, reason = None, f"its output broke off: {error}"
        member.attached.close()
        with self._lock:
            member.alive = False
        self._listener.state(member.name, "exited", exit_code, reason)
        self._replace_dead(member)

    def _read(self, member: Member) -> None:
        lines = Lines(STDOUT, STDERR)
        for block in member.attached.blocks():
            member.printed = True
            self._listener.lines(member.name, lines.feed(block))

    def _replace_dead(self, member: Member) -> None:
        with self._lock:
            if self._closed or not self._replace or len(self.alive()) >= self._desired:
                return
            self._crashed_at_once = 0 if member.printed else self._crashed_at_once + 1
            if self._crashed_at_once >= _CRASHES_AT_ONCE_MAX:
                self.failure = f"{member.name} and the ones before it died at once:\n{log_tail(member.container)}"
                return
        # A launch that the engine refuses ends the group's efforts, and the run says why.
        try:
            self._launch_next()
        except (EngineError, StackError) as error:
            self.failure = str(error)


def _kill(container: Container) -> None:
    # It may be dead already, or paused: SIGKILL reaches a paused container once it is thawed.
    with contextlib.suppress(docker.errors.APIError):
        container.unpause()
    with contextlib.suppress(docker.errors.APIError):
        container.kill()


def _end_of(container: Container) -> tuple[int | None, str]:
    """How a container ended that has closed its output, which is a moment before the engine says that it has."""
    container.wait()
    container.reload()
    state = container.attrs["State"]
    reason = "out of memory" if state.get("OOMKilled") else str(state.get("Error") or "")
    return (None if state.get("Running") else int(state["ExitCode"])), reason
