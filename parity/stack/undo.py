"""Undoing faults: every undo is data, on disk before its fault is applied, and done once whatever happens.

Leaving a fault and repairing a kept stack after parity was killed run the same code over the same entries.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker.errors
from docker.models.containers import Container

from parity.errors import EngineError, FaultError, ParityError
from parity.stack import network
from parity.stack.engine import engine, execute, translated

Entry = dict[str, Any]

#: Where a stack's undo entries are, in its folder.
UNDO = "undo"
_TRIES = 5


class UndoJournal:
    """The undo entries of a stack, one file each.

    Args:
        folder: Where they are kept; it survives parity.
        act: Does one undo.
    """

    def __init__(self, folder: Path, *, act: Callable[[Entry], None] | None = None) -> None:
        self._folder = folder
        self._act = act or perform
        self._lock = threading.Lock()
        self._folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def pending(self, entry: Entry) -> Iterator[None]:
        """Keep an undo on disk while the block runs, and do it when the block is left.

        Raises:
            FaultError: The undo failed; its entry stays on disk for the next try.
        """
        path = self._write(entry)
        try:
            yield
        finally:
            self._act(entry)
            path.unlink(missing_ok=True)

    def replay(self) -> list[str]:
        """Do every undo that is left over, the youngest first.

        Returns:
            What was undone, a line each.

        Raises:
            FaultError: Some failed; their entries stay on disk, the others are done.
        """
        done: list[str] = []
        failed: list[str] = []
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            entry = json.loads(path.read_text())
            try:
                self._act(entry)
            except FaultError as error:
                failed.append(str(error))
                continue
            path.unlink(missing_ok=True)
            done.append(f"{entry['do']} {entry.get('name', entry['container'][:12])}")
        if failed:
            raise FaultError("\n".join(failed))
        return done

    def _write(self, entry: Entry) -> Path:
        # Faults come and go from several threads, and two of them must not take the same number.
        with self._lock:
            taken = [int(path.stem) for path in self._folder.glob("*.json")]
            path = self._folder / f"{max(taken, default=0) + 1:06d}.json"
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(entry))
            temporary.rename(path)
        return path


def perform(entry: Entry) -> None:
    """Do one undo. A container that is gone has nothing left to undo.

    Raises:
        FaultError: It failed.
    """
    act = _ACTS[entry["do"]]
    try:
        with translated(f"{entry['do']} {entry.get('name', '')}"):
            container = engine().containers.get(entry["container"])
            act(container, entry)
    except EngineError as error:
        if isinstance(error.__cause__, docker.errors.NotFound):
            return
        raise FaultError(f"a fault could not be undone: {error}") from error
    except FaultError:
        raise
    except ParityError as error:
        raise FaultError(f"a fault could not be undone: {error}") from error


def _unpause(container: Container, _: Entry) -> None:
    if container.status == "paused":
        container.unpause()


def _start(container: Container, _: Entry) -> None:
    if container.status not in {"running", "paused"}:
        container.start()


def _clear_network(container: Container, _: Entry) -> None:
    for attempt in range(_TRIES):
        container.reload()
        # What is broken in a container's network namespace goes with it, when the container stops.
        if container.status not in {"running", "paused"}:
            return
        try:
            network.clear(container)
        except ParityError:
            # Another fault may stop or restart it at this very moment.
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.5)
        else:
            return


def _update(container: Container, entry: Entry) -> None:
    if container.status in {"running", "paused"}:
        container.update(**entry["limits"])


def _control(container: Container, entry: Entry) -> None:
    if container.status != "running":
        return
    code, text = execute(container, "rabbitmqctl", "-q", *entry["arguments"])
    if code:
        raise FaultError(f"rabbitmqctl {' '.join(entry['arguments'])} failed: {text[-300:]}")


def _remove(container: Container, _: Entry) -> None:
    container.remove(force=True, v=True)


_ACTS: dict[str, Callable[[Container, Entry], None]] = {
    "unpause": _unpause,
    "start": _start,
    "clear_network": _clear_network,
    "update": _update,
    "control": _control,
    "remove": _remove,
}
