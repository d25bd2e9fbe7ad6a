"""Starting the attending process, and finding the one that is there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

from parity.errors import NotReadyError, StackError
from parity.service import papers
from parity.service.papers import Address, Given
from parity.stack import attendant, owner
from parity.stack.stack import Stack

#: Networks and the group's first instances are made meanwhile, on a machine that may be busy.
_READY_S = 90.0
_EXTRA = ("botocore", "moto", "uvicorn", "httptools", "uvloop")


def missing_parts() -> list[str]:
    """What the AWS endpoint needs and is not installed: the extra `aws`."""
    return [name for name in _EXTRA if importlib.util.find_spec(name) is None]


def ensure_attended(stack: Stack, *, root: Path, period_s: float, port: int) -> Address:
    """Have a process attend a stack; one that does so already goes on as it is.

    Args:
        stack: The running, kept stack.
        root: Where its name starts.
        period_s: From one datapoint of a metric to the next.
        port: The port that is wanted on the loopback interface.

    Raises:
        StackError: It does not start; carries its last lines.
    """
    folder = Path(stack.labels[owner.LABEL_LOCK]).parent
    if (there := papers.read_address(folder)) is not None:
        return there
    given = Given(
        stack=stack.plan.files.name,
        root=str(root),
        stack_id=stack.id,
        images=stack.images,
        labels=stack.labels,
        period_s=period_s,
        port=port,
    )
    papers.write_given(folder, given)
    log = attendant.folder_of(folder) / papers.LOG
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "parity.service", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=root,
            start_new_session=True,
        )
    return _wait(process, folder, log)


def _wait(process: subprocess.Popen[bytes], folder: Path, log: Path) -> Address:
    start = time.monotonic()
    while time.monotonic() - start < _READY_S:
        address = papers.read_address(folder)
        # An older address may be there still; the number is of the process that wrote it.
        if address is not None and address.pid == process.pid:
            return address
        if process.poll() is not None:
            raise StackError(f"the process that attends the stack ended at once; its last lines:\n{tail(log)}")
        time.sleep(0.05)
    attendant.end(folder)
    raise NotReadyError("the AWS endpoint", waited_s=_READY_S, last="starting", hint=tail(log))


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log file; empty where there is none."""
    if not log.is_file():
        return ""
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-lines:])
