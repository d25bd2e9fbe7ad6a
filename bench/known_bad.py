"""Whether a search finds what is wrong with each known-bad stack, how soon, and whether containers show it too.

Known bad is a stack that some scenario of `scenarios/` expects to violate something. For each the commands that a
person would type: `parity explore`, timed as a whole process from its start to the written failure, and `parity replay
--on docker` of what it wrote, up to three times. The seconds are wall time: this needs an idle machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from parity.cli.selection import select

SEED = 1
SECONDS_MAX = 10.0
PROCESSES = 2


def bench(root: Path) -> dict[str, Any]:
    """Measure; seconds of wall time.

    Returns:
        Name, figures and bounds.
    """
    entries = select([], everything=True, stack="", root=root)
    bad = [entry for entry in entries if entry.expectation.violated]
    stacks = sorted({entry.files.name for entry in bad})
    with tempfile.TemporaryDirectory() as folder:
        rows = {stack: _row(stack, Path(folder), root) for stack in stacks}
    walls = [row["explore_s"] for row in rows.values()]
    return {
        "name": "known-bad stacks",
        "figures": {
            "seed": SEED,
            "processes": PROCESSES,
            "explore_s_median": median(walls),
            "explore_s_max": max(walls),
            "stacks": len(rows),
            "found": sum(bool(row["property"]) for row in rows.values()),
            "shown_on_containers": sum(row["shown"] > 0 for row in rows.values()),
            "by_stack": rows,
        },
        "bound": {"explore_s_max": SECONDS_MAX, "shown_on_containers_min": len(rows)},
    }


def _row(stack: str, folder: Path, root: Path) -> dict[str, Any]:
    began = time.monotonic()
    found = _parity(
        *("explore", "--stack", stack, "--seed", str(SEED), "--processes", str(PROCESSES)),
        *("--out", str(folder / "failures")),
        root=root,
    )
    seconds = time.monotonic() - began
    row: dict[str, Any] = {"explore_s": round(seconds, 1), "property": "", "shown": 0, "replayed": 0}
    if found["found"]:
        (failure,) = found["found"]
        replayed = _parity("replay", failure["folder"], "--on", "docker", "--out", str(folder / "out"), root=root)
        row |= {
            "property": failure["property"],
            "by": Path(failure["folder"]).name,
            "steps": failure["steps"],
            "robust": failure["robust"],
            "shown": replayed["confirmed"],
            "replayed": len(replayed["runs"]),
        }
    sys.stderr.write(f"{stack}: {json.dumps(row)}\n")
    return row


def _parity(*arguments: str, root: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "parity", *arguments, "--json"]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"parity {' '.join(arguments)}: exit status {done.returncode}")
    return dict(json.loads(done.stdout))
