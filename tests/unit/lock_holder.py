"""Another process that holds a lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: Holds the lock of its first argument, says so, and waits for its standard input to end.
_HOLDER = """
import sys
from pathlib import Path
from parity.stack import owner

with owner.held(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def holder_of(path: Path) -> subprocess.Popen[str]:
    """Start it; it has the lock, until its standard input ends or it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process
