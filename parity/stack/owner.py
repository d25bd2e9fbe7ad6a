"""Who owns what parity started: a lock file that dies with its process, named in every label.

A container, network or volume is an orphan when the lock its label names can be taken: the process that
held it is gone, however it went. A kept stack (`parity up`) has no living owner and is never an orphan.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LABEL = "dev.parity"
LABEL_STACK = f"{LABEL}.stack"

LABEL_LOCK = f"{LABEL}.lock"
LABEL_HOST = f"{LABEL}.host"
LABEL_KEPT = f"{LABEL}.kept"
LABEL_RUN = f"{LABEL}.run"
LABEL_ROLE = f"{LABEL}.role"
LABEL_FINGERPRINT = f"{LABEL}.fingerprint"
LABEL_NAME = f"{LABEL}.name"
#: Whoever looks whether a lock is held has it himself while he looks: one that is not free by then is held.
_LOOK_S = 0.2
#: What everything of a stack carries; other labels are of one container's alone.
LABELS_OF_A_STACK = (LABEL_STACK, LABEL_HOST, LABEL_LOCK, LABEL_KEPT, LABEL_FINGERPRINT, LABEL_NAME)


def state_folder() -> Path:
    """The folder for locks and undo journals: one for each user, gone with the machine's boot."""
    base = os.environ.get("PARITY_STATE_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) / "parity" if base else Path(tempfile.gettempdir()) / f"parity-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def host_name() -> str:
    """The name by which labels tell this machine's stacks from another's on the same engine."""
    return socket.gethostname()


def new_stack_id() -> str:
    """A fresh stack id, eight hexadecimal digits."""
    return secrets.token_hex(4)


def stack_folder(stack_id: str) -> Path:
    """Where a stack's lock, undo journal and rendered compose file are."""
    folder = state_folder() / stack_id
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def lock_path(stack_id: str) -> Path:
    """The lock file that the stack's user holds."""
    return stack_folder(stack_id) / "lock"


def mark_kept(stack_id: str) -> None:
    """Say that a stack came up and stays. One whose `parity up` was killed halfway is an orphan like any other."""
    (stack_folder(stack_id) / "kept").touch()


def is_marked_kept(folder: Path) -> bool:
    """Whether the stack of this folder came up and stays."""
    return (folder / "kept").exists()


def users_lock(what: str) -> Path:
    """One of the user's locks, whatever its state folder."""
    return Path(tempfile.gettempdir()) / f"parity-{os.getuid()}-{what}.lock"


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock file while the block runs; yields False where another process holds it.

    Where not even its folder is there, nobody can hold it.
    """
    if not path.parent.is_dir():
        yield True
        return
    descriptor = _open(path)
    try:
        yield _take(descriptor, within_s=_LOOK_S)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def one_at_a_time(what: str, *, wait: Callable[[], None]) -> Iterator[None]:
    """Hold one of the user's locks, whatever its state folder, while the block runs.

    Args:
        what: Its name, as `users_lock` takes it.
        wait: Called first where another living process holds it, which is then waited for.
    """
    descriptor = _open(users_lock(what))
    try:
        if not _take(descriptor, within_s=_LOOK_S):
            wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_held(path: str) -> bool:
    """Whether a living process holds the lock. A lock file that is gone is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        # Another user's lock: theirs to clean up.
        return True
    try:
        return not _take(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _take(descriptor: int, *, within_s: float = 0.0) -> bool:
    """Take a lock if it is free; returns whether it was."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_S / 20)
        else:
            return True
