"""The Docker engine: one client, its errors translated, waiting for states."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import docker
import docker.errors
import requests
from docker import DockerClient
from docker.models.containers import Container

from parity.errors import EngineError, NotReadyError

API_VERSION_MIN = (1, 40)
_T = TypeVar("_T")

#: What the engine's lists are filtered by.
Filters = dict[str, str | list[str] | bool]


@cache
def engine() -> DockerClient:
    """The engine that the environment names.

    Raises:
        EngineError: There is none, it does not answer, or it is too old.
    """
    try:
        client = docker.from_env(timeout=120, max_pool_size=64)
        version = client.version()
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineError(
            f"no Docker engine answers: {error}\n"
            "Start one (for example `sudo systemctl start docker`) or set DOCKER_HOST; "
            "your user must be allowed to use it (group docker)."
        ) from error
    found = tuple(int(part) for part in str(version.get("ApiVersion", "0.0")).split("."))
    if found < API_VERSION_MIN:
        wanted = ".".join(map(str, API_VERSION_MIN))
        raise EngineError(
            f"the Docker engine {version.get('Version')} speaks API {version.get('ApiVersion')}; "
            f"parity needs at least {wanted} (Docker 19.03)"
        )
    return client


@dataclass(frozen=True, kw_only=True)
class ListedImage:
    """An image as the engine lists it.

    Args:
        id: Its digest.
        tags: What it is called.
        labels: What it carries.
    """

    id: str
    tags: tuple[str, ...]
    labels: dict[str, str]

    def remove(self) -> None:
        """Remove it, whatever it is called."""
        engine().images.remove(self.id, force=True)


def listed_images(*, name: str | None = None, filters: Filters | None = None) -> list[ListedImage]:
    """The engine's images, by one question: the SDK asks about each again, and others build and remove meanwhile."""
    found: list[dict[str, Any]] = engine().api.images(name=name, filters=filters)
    return [
        ListedImage(
            id=str(one["Id"]),
            tags=tuple(tag for tag in one.get("RepoTags") or [] if tag != "<none>:<none>"),
            labels=one.get("Labels") or {},
        )
        for one in found
    ]


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the Docker SDK's errors into EngineError, saying what was being done."""
    try:
        yield
    except docker.errors.DockerException as error:
        raise EngineError(f"{doing}: {getattr(error, 'explanation', None) or error}") from error
    except requests.RequestException as error:
        raise EngineError(f"{doing}: the Docker engine did not answer: {error}") from error


def wait_for(
    awaited: str,
    look: Callable[[], tuple[_T | None, str]],
    *,
    within_s: float,
    every_s: float = 0.2,
    hint: Callable[[], str] | str = "",
) -> _T:
    """Look until a state is there.

    Args:
        awaited: The state, as a noun phrase, for the message.
        look: Returns the awaited value (None while it is not there) and the last state in words.
        within_s: The deadline.
        every_s: The pause between two looks.
        hint: What to add to the message, or what computes it.

    Raises:
        NotReadyError: The deadline passed; carries the last state.
    """
    start = time.monotonic()
    while True:
        value, last = look()
        if value is not None:
            return value
        waited_s = time.monotonic() - start
        if waited_s > within_s:
            text = hint if isinstance(hint, str) else hint()
            raise NotReadyError(awaited, waited_s=waited_s, last=last or "nothing", hint=text)
        time.sleep(every_s)


def log_tail(container: Container, lines: int = 15) -> str:
    """The last lines a container printed, for error messages."""
    try:
        text = container.logs(tail=lines).decode(errors="replace").rstrip()
    except (docker.errors.DockerException, requests.RequestException) as error:
        return f"(its log cannot be read: {error})"
    return "\n".join(f"    {line[:300]}" for line in text.splitlines()) or "    (it printed nothing)"


def execute(container: Container, *command: str) -> tuple[int, str]:
    """Run a command in a container.

    Returns:
        Its exit code and what it printed on standard output.
    """
    with translated(f"run {command[0]} in {container.name}"):
        done: Any = container.exec_run(list(command), demux=True)
    return int(done.exit_code), (done.output[0] or b"").decode(errors="replace")


def published_port(container: Container, port: int) -> int:
    """The loopback port of the host that leads to a container's port; it changes at every restart.

    Raises:
        EngineError: The container does not publish it now.
    """
    with translated(f"look up port {port} of {container.name}"):
        container.reload()
    bindings: list[dict[str, Any]] | None = container.ports.get(f"{port}/tcp")
    if not bindings:
        raise EngineError(f"{container.name} ({container.status}) does not publish port {port}")
    return int(bindings[0]["HostPort"])
