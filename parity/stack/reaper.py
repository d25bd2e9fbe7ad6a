"""Removing what an earlier parity left: found by label, judged by its owner's lock, whatever killed it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors

from parity.errors import EngineError
from parity.stack import launch, network, owner
from parity.stack.engine import Filters, engine, translated
from parity.stack.undo import UndoJournal


@dataclass(frozen=True, kw_only=True)
class Found:
    """A stack that is on the engine.

    Args:
        stack_id: Its id.
        kept: Whether it was brought up to stay.
        lock: The lock file that its user holds.
    """

    stack_id: str
    kept: bool
    lock: Path

    @property
    def in_use(self) -> bool:
        """Whether a living parity uses it."""
        return owner.is_held(str(self.lock))


def reap(*, everything: bool = False) -> list[str]:
    """Remove every orphan of this machine, and repair kept stacks that a killed run left broken.

    Args:
        everything: Kept stacks too (`parity clean`); what a living process holds is never touched.

    Returns:
        What was removed or repaired, a line each.
    """
    done: list[str] = []
    found = found_stacks()
    for stack in found:
        if stack.in_use:
            continue
        if stack.kept and not everything:
            done += _repair(stack)
        else:
            done += remove_stack(stack.stack_id, folder=stack.lock.parent)
    _remove_folders(known={stack.stack_id for stack in found})
    return done


def found_stacks() -> list[Found]:
    """Every stack that parity brought up on this machine, by its labels."""
    found: dict[str, Found] = {}
    for labels in _labels():
        stack_id, lock = labels.get(owner.LABEL_STACK), labels.get(owner.LABEL_LOCK)
        if stack_id and lock:
            kept = labels.get(owner.LABEL_KEPT) == "1" and owner.is_marked_kept(Path(lock).parent)
            found[stack_id] = Found(stack_id=stack_id, kept=kept, lock=Path(lock))
    return list(found.values())


def remove_stack(stack_id: str, *, folder: Path) -> list[str]:
    """Remove everything that carries a stack's label, and its folder.

    Returns:
        What was removed, a line each.
    """
    chosen: Filters = {"label": f"{owner.LABEL_STACK}={stack_id}"}
    done: list[str] = []
    with translated(f"remove the stack {stack_id}"):
        client = engine()
        for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
            launch.remove(container)
            done.append(f"container {container.name}")
        for found in client.networks.list(filters=chosen):
            _gone_is_fine(found.remove)
            done.append(f"network {found.name}")
        for volume in client.volumes.list(filters=chosen):
            _gone_is_fine(lambda volume=volume: volume.remove(force=True))
            done.append(f"volume {volume.name}")
    shutil.rmtree(folder, ignore_errors=True)
    return done


def _labels() -> Iterator[dict[str, str]]:
    chosen: Filters = {"label": f"{owner.LABEL_HOST}={owner.host_name()}"}
    with translated("look for what an earlier parity left"):
        client = engine()
        for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
            yield container.labels
        for item in [*client.networks.list(filters=chosen), *client.volumes.list(filters=chosen)]:
            yield (item.attrs or {}).get("Labels") or {}


def _repair(stack: Found) -> list[str]:
    """Undo what a killed run broke on a kept stack, and remove what that run itself started there."""
    chosen: Filters = {"label": [f"{owner.LABEL_STACK}={stack.stack_id}", owner.LABEL_RUN]}
    done = []
    with translated(f"repair the stack {stack.stack_id}"):
        for container in engine().containers.list(all=True, filters=chosen, ignore_removed=True):
            launch.remove(container)
            done.append(f"container {container.name}")
        tools = [image for image in engine().images.list(name="parity/tools") if image.tags]
    if tools:
        network.use_tools(tools[0].tags[0])
    return done + UndoJournal(stack.lock.parent / "undo").replay()


def _remove_folders(*, known: set[str]) -> None:
    """Remove the folders of stacks that are gone."""
    for folder in owner.state_folder().iterdir():
        if folder.is_dir() and folder.name not in known and not owner.is_held(str(folder / "lock")):
            shutil.rmtree(folder, ignore_errors=True)


def _gone_is_fine(remove: Any) -> None:
    try:
        remove()
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        raise EngineError(f"cannot be removed: {error.explanation}") from error
