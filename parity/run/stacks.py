"""Running stacks, handed out one at a time: shared while they fit and are well, built anew when not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from parity.errors import CancelledError, ParityError
from parity.stack.kept import kept_stack
from parity.stack.stack import Blueprint, Stack, running_stack

Progress = Callable[[str], None]
_READY_AGAIN_S = 60.0


class Stacks:
    """Hands out a ready stack for a blueprint; leaving the block takes down the one that is up.

    Whoever asks for blueprints of one fingerprint in a row has them all on one stack.

    Args:
        progress: Told what takes time.
        cancelled: Set from another thread to have a stack that is not ready given up.
    """

    def __init__(self, progress: Progress, *, cancelled: threading.Event | None = None) -> None:
        self._progress = progress
        self._cancelled = cancelled or threading.Event()
        self._up = contextlib.ExitStack()
        self._stack: Stack | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def ready(self, plan: Blueprint) -> Stack:
        """A stack made from the blueprint's backing services, every node up, the blueprint's images at hand.

        Args:
            plan: What is to run on it.

        Raises:
            EngineError: The engine or an image is missing.
            StackError: The stack does not come up.
            CancelledError: It was cancelled.
        """
        if self._stack is not None and not self._fits(self._stack, plan):
            self.release()
        if self._stack is None:
            self._stack = self._up.enter_context(_stack_for(plan, self._progress, self._cancelled))
        self._stack.use_images(plan, self._progress)
        return self._stack

    def release(self) -> None:
        """Take down the stack that is up, if there is one; a kept one stays and is only let go."""
        self._stack = None
        self._up.close()

    def _fits(self, stack: Stack, plan: Blueprint) -> bool:
        if stack.plan.fingerprint() != plan.fingerprint():
            return False
        try:
            stack.wait_ready(within_s=_READY_AGAIN_S)
        except CancelledError:
            raise
        except ParityError as error:
            self._progress(str(error))
            self._progress("the stack does not heal: building a new one")
            return False
        return True


@contextlib.contextmanager
def _stack_for(plan: Blueprint, progress: Progress, cancelled: threading.Event) -> Iterator[Stack]:
    with kept_stack(plan, progress=progress) as kept:
        if kept is not None:
            yield kept
            return
    with running_stack(plan, progress=progress, cancelled=cancelled) as stack:
        yield stack
