"""Kept stacks: brought up by `parity up`, used by runs, taken down by `parity down`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from parity.errors import ParityError
from parity.stack import owner
from parity.stack.engine import Filters, engine, translated
from parity.stack.stack import Blueprint, Stack, prepare_images

Progress = Callable[[str], None]
_READY_S = 60.0


def kept_stacks() -> dict[str, dict[str, str]]:
    """The labels that everything of a stack carries, for every kept stack of this machine, by stack id."""
    chosen: Filters = {"label": [f"{owner.LABEL_HOST}={owner.host_name()}", f"{owner.LABEL_KEPT}=1", owner.LABEL_LOCK]}
    with translated("look for kept stacks"):
        found = engine().containers.list(all=True, filters=chosen, ignore_removed=True)
    return {
        container.labels[owner.LABEL_STACK]: {
            key: container.labels[key] for key in owner.LABELS_OF_A_STACK if key in container.labels
        }
        for container in found
    }


def name_of(labels: dict[str, str]) -> str:
    """The stack's name, as it was brought up."""
    return labels.get(owner.LABEL_NAME, "")


@contextlib.contextmanager
def kept_stack(plan: Blueprint, *, progress: Progress) -> Iterator[Stack | None]:
    """Hold a kept stack made from the same blueprint while the block runs.

    Yields:
        The stack; None where there is none, another process uses it, or it is not well.
    """
    for stack_id, labels in kept_stacks().items():
        if labels.get(owner.LABEL_FINGERPRINT) != plan.fingerprint():
            continue
        with owner.held(Path(labels[owner.LABEL_LOCK])) as mine:
            if not mine:
                progress(f"the kept stack {stack_id} is in use: bringing up another")
                continue
            images = prepare_images(plan, progress)
            stack = Stack(stack_id, plan, images, labels)
            try:
                try:
                    stack.wait_ready(within_s=_READY_S)
                except ParityError as error:
                    progress(f"the kept stack {stack_id} is not well: {error}")
                    continue
                progress(f"using the kept stack {stack_id}")
                yield stack
                return
            finally:
                stack.close()
    yield None
