"""The process that attends a kept stack: what is left of it on disk, and how it is ended.

It holds a lock of its own in a folder beside the stack's; the lock dies with it, however it ends. The stack's lock is
not its business: runs take the stack for themselves while it goes on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from parity.errors import StackError
from parity.stack import owner

_FOLDER = "attendant"
#: How long it may take to leave in good order, and then to be gone after SIGKILL.
_LEAVE_S = 30.0
_GONE_S = 10.0


def folder_of(stack_folder: Path) -> Path:
    """Where an attendant keeps what it has; made where it is not there."""
    folder = stack_folder / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextlib.contextmanager
def attending(stack_folder: Path) -> Iterator[bool]:
    """Be the stack's attendant while the block runs; yields False where another process is."""
    folder = folder_of(stack_folder)
    with owner.held(folder / "lock") as mine:
        if mine:
            (folder / "pid").write_text(str(os.getpid()))
        yield mine


def is_attended(stack_folder: Path) -> bool:
    """Whether an attendant is alive."""
    return owner.is_held(str(stack_folder / _FOLDER / "lock"))


def end(stack_folder: Path) -> bool:
    """End a stack's attendant; returns whether there was one.

    Raises:
        StackError: It does not go, not even killed.
    """
    if not is_attended(stack_folder):
        return False
    for ending, within_s in ((signal.SIGTERM, _LEAVE_S), (signal.SIGKILL, _GONE_S)):
        # The lock is held, so the number is that of the process which holds it.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError, ValueError):
            os.kill(int((stack_folder / _FOLDER / "pid").read_text()), ending)
        deadline = time.monotonic() + within_s
        while is_attended(stack_folder):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            return True
    raise StackError(f"the process that attends the stack of {stack_folder} does not end")
