"""Removing what an earlier parity left: found by label, judged by its owner's lock, whatever killed it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors
from docker.models.containers import Container
from docker.models.networks import Network

from parity.errors import EngineError, NotReadyError
from parity.stack import attendant, launch, network, owner
from parity.stack.amis import LABEL_MADE, LABEL_MADE_ON, made_images
from parity.stack.engine import Filters, ListedImage, engine, listed_images, translated, wait_for
from parity.stack.undo import UNDO, UndoJournal

#: How long the engine may take until it knows that nothing is on a network any more.
_NETWORK_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """A stack that is on the engine.

    Args:
        stack_id: Its id.
        to_keep: Whether it is brought up to stay.
        lock: The lock file that its user holds.
    """

    stack_id: str
    to_keep: bool
    lock: Path

    @property
    def in_use(self) -> bool:
        """Whether a living parity uses it."""
        return owner.is_held(str(self.lock))

    @property
    def kept(self) -> bool:
        """Whether it came up and stays. Sure only while nobody uses it: it may be coming up."""
        return self.to_keep and owner.is_marked_kept(self.lock.parent)


def reap(*, everything: bool = False) -> list[str]:
    """Remove every orphan of this machine, and repair kept stacks that a killed run left broken.

    Args:
        everything: Kept stacks too (`parity clean`); what a living process holds is never touched.

    Returns:
        What was removed or repaired, and what the engine does not let go of, a line each.
    """
    done: list[str] = []
    # Before the stacks: what is new by then is of one that comes up meanwhile.
    folders, images = _folders_in_no_use(), _images_made()
    found = found_stacks()
    for stack in found:
        done += _tend(stack, everything=everything)
    known = {stack.stack_id for stack in found}
    _remove_folders(folder for folder in folders if folder.name not in known)
    return done + _remove_images(image for image in images if image.labels.get(LABEL_MADE) not in known)


def _tend(stack: Found, *, everything: bool) -> list[str]:
    """Repair a stack or remove it, where nobody uses it; and let nobody do so meanwhile."""
    if stack.in_use or (stack.kept and not everything and not _is_broken(stack)):
        return []
    with owner.held(stack.lock) as mine:
        # By now another parity may have it. And it may have come up since it was found: only now it is known for sure.
        if not mine:
            return []
        return _repair(stack) if stack.kept and not everything else _remove_orphan(stack)


def _remove_orphan(stack: Found) -> list[str]:
    try:
        return remove_stack(stack.stack_id, folder=stack.lock.parent)
    except EngineError as error:
        # An engine can hold on to a network of containers that are long gone. That keeps nobody from what he is up to.
        return [f"nothing of {stack.stack_id}, which stays: {error}"]


def found_stacks() -> list[Found]:
    """Every stack that parity brought up on this machine, by its labels."""
    found: dict[str, Found] = {}
    for labels in _labels():
        stack_id, lock = labels.get(owner.LABEL_STACK), labels.get(owner.LABEL_LOCK)
        if stack_id and lock:
            to_keep = labels.get(owner.LABEL_KEPT) == "1"
            found[stack_id] = Found(stack_id=stack_id, to_keep=to_keep, lock=Path(lock))
    return list(found.values())


def remove_stack(stack_id: str, *, folder: Path) -> list[str]:
    """End the process that attends a stack, and remove everything that carries the stack's label, and its folder.

    Returns:
        What was removed, a line each.
    """
    chosen: Filters = {"label": f"{owner.LABEL_STACK}={stack_id}"}
    done: list[str] = []
    # It would have what is removed made anew.
    if attendant.end(folder):
        done.append(f"process attending {stack_id}")
    with translated(f"remove the stack {stack_id}"):
        client = engine()
        # A process that was killed may have asked for one more, which the engine makes all the same.
        while found := client.containers.list(all=True, filters=chosen, ignore_removed=True):
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(launch.remove, found))
            done += [f"container {container.name}" for container in found]
        for item in client.networks.list(filters=chosen):
            # An empty one that an earlier command could not remove is not waited for by each command after it.
            gone = _remove_network(item, within_s=_NETWORK_S if done else 0.0)
            done.append(
                f"network {item.name}" + ("" if gone else " (not yet: the engine says that something is on it)")
            )
        for volume in client.volumes.list(filters=chosen):
            _gone_is_fine(lambda volume=volume: volume.remove(force=True))
            done.append(f"volume {volume.name}")
    done += _remove_images(made_images(stack_id))
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


def _is_broken(stack: Found) -> bool:
    """Whether a run left something on a kept stack."""
    return bool(_of_runs(stack)) or any((stack.lock.parent / UNDO).glob("*.json"))


def _of_runs(stack: Found) -> list[Container]:
    """What runs started on a stack."""
    chosen: Filters = {"label": [f"{owner.LABEL_STACK}={stack.stack_id}", owner.LABEL_RUN]}
    with translated(f"look at the stack {stack.stack_id}"):
        return list(engine().containers.list(all=True, filters=chosen, ignore_removed=True))


def _repair(stack: Found) -> list[str]:
    """Undo what a killed run broke on a kept stack, and remove what that run itself started there."""
    done = []
    with translated(f"repair the stack {stack.stack_id}"):
        for container in _of_runs(stack):
            launch.remove(container)
            done.append(f"container {container.name}")
        tools = [image for image in listed_images(name="parity/tools") if image.tags]
    if tools:
        network.use_tools(tools[0].tags[0])
    return done + UndoJournal(stack.lock.parent / UNDO).replay()


def _folders_in_no_use() -> list[Path]:
    """The folders of stacks that nobody uses; they may be on the engine or gone."""
    # One without a lock is made this moment, or another parity removes it.
    found = [folder for folder in owner.state_folder().iterdir() if (folder / "lock").exists()]
    return [folder for folder in found if not owner.is_held(str(folder / "lock"))]


def _remove_folders(folders: Iterable[Path]) -> None:
    """Remove the folders of stacks that are gone."""
    for folder in folders:
        if not owner.is_held(str(folder / "lock")):
            attendant.end(folder)
            shutil.rmtree(folder, ignore_errors=True)


def _images_made() -> list[ListedImage]:
    """What was made of the instances of any stack."""
    chosen: Filters = {"label": f"{LABEL_MADE_ON}={owner.host_name()}"}
    with translated("look for images that an earlier parity left"):
        return listed_images(filters=chosen)


def _remove_images(images: Iterable[ListedImage]) -> list[str]:
    """Remove what was made of the instances of stacks that are gone."""
    done = []
    with translated("remove images that were made of instances"):
        for image in images:
            _gone_is_fine(image.remove)
            done += [f"image {tag}" for tag in image.tags]
    return done


def _remove_network(network: Network, *, within_s: float) -> bool:
    """Remove a network; says whether it is gone.

    What was removed from it just now may still be on it, as the engine sees it. And engine 20.10 can lose count of
    that for good, where containers were started and removed at the same moment: it then keeps an empty network until
    it is restarted, whoever wants it removed. That must not keep everything else from being removed.
    """

    def look() -> tuple[bool | None, str]:
        try:
            network.remove()
        except docker.errors.NotFound:
            return True, ""
        except docker.errors.APIError as error:
            if "active endpoints" not in str(error):
                raise EngineError(f"cannot be removed: {error.explanation}") from error
            _disconnect_all(network)
            return None, str(error.explanation)
        return True, ""

    try:
        return wait_for(f"the end of the network {network.name}", look, within_s=within_s)
    except NotReadyError:
        return False


def _disconnect_all(network: Network) -> None:
    # What is on it may go by itself meanwhile, or another parity removes the same stack.
    with contextlib.suppress(docker.errors.APIError):
        network.reload()
        for endpoint in (network.attrs.get("Containers") or {}).values():
            with contextlib.suppress(docker.errors.APIError):
                network.disconnect(endpoint["Name"], force=True)


def _gone_is_fine(remove: Any) -> None:
    try:
        remove()
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        raise EngineError(f"cannot be removed: {error.explanation}") from error
