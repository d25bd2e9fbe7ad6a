"""Removing what an earlier parity left: found by label, judged by its owner's lock, whatever killed it."""

from __future__ import annotations

import shutil
from typing import Any

import docker.errors

from parity.errors import EngineError
from parity.stack import launch, network, owner
from parity.stack.engine import Filters, engine, translated
from parity.stack.undo import UndoJournal


def reap(*, everything: bool = False) -> list[str]:
    """Remove every orphan of this machine, and repair kept stacks that a killed run left broken.

    Args:
        everything: Kept stacks too (`parity clean`); what a living process holds is never touched.

    Returns:
        What was removed or repaired, a line each.
    """
    done: list[str] = []
    for stack_id, kept in _stacks().items():
        if owner.is_held(str(owner.state_folder() / stack_id / "lock")):
            continue
        if kept and not everything:
            done += _repair(stack_id)
        else:
            done += remove_stack(stack_id)
    known = set(_stacks())
    for folder in owner.state_folder().iterdir():
        if folder.is_dir() and folder.name not in known and not owner.is_held(str(folder / "lock")):
            shutil.rmtree(folder, ignore_errors=True)
    return done


def remove_stack(stack_id: str) -> list[str]:
    """Remove everything that carries a stack's label.

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
    shutil.rmtree(owner.state_folder() / stack_id, ignore_errors=True)
    return done


def _stacks() -> dict[str, bool]:
    """Every stack of this machine on the engine, and whether it is kept."""
    found: dict[str, bool] = {}
    chosen: Filters = {"label": f"{owner.LABEL_HOST}={owner.host_name()}"}
    with translated("look for what an earlier parity left"):
        client = engine()
        labelled: list[Any] = client.containers.list(all=True, filters=chosen, ignore_removed=True)
        labels = [container.labels for container in labelled]
        labels += [(item.attrs or {}).get("Labels") or {} for item in client.networks.list(filters=chosen)]
        labels += [(item.attrs or {}).get("Labels") or {} for item in client.volumes.list(filters=chosen)]
    for label in labels:
        stack_id = label.get(owner.LABEL_STACK)
        if stack_id:
            found[stack_id] = found.get(stack_id, False) or label.get(owner.LABEL_KEPT) == "1"
    return found


def _repair(stack_id: str) -> list[str]:
    """Undo what a killed run broke on a kept stack, and remove what that run itself started there."""
    chosen: Filters = {"label": [f"{owner.LABEL_STACK}={stack_id}", owner.LABEL_RUN]}
    done = []
    with translated(f"repair the stack {stack_id}"):
        for container in engine().containers.list(all=True, filters=chosen, ignore_removed=True):
            launch.remove(container)
            done.append(f"container {container.name}")
        tools = [image for image in engine().images.list(name="parity/tools") if image.tags]
    if tools:
        network.use_tools(tools[0].tags[0])
    return done + UndoJournal(owner.stack_folder(stack_id) / "undo").replay()


def _gone_is_fine(remove: Any) -> None:
    try:
        remove()
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        raise EngineError(f"cannot be removed: {error.explanation}") from error
