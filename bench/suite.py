"""How long the known-good scenarios take, the faults' own time aside, a scenario after the other on one stack.

A scenario's own time is its wall time, from its namespace to its verdict, less the time that it was under fault: the
union of the intervals from `applying` to `healed` of its faults, read from its history. What a stack takes to heal
after its last fault is own time, and so is a workload that goes on while nothing is broken.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from parity.cli.selection import select
from parity.run.session import run_entries

SECONDS_MAX = 10.0
SEED = 1


def bench(root: Path) -> dict[str, Any]:
    """Measure; seconds of wall time.

    Returns:
        Name, figures and bound.
    """
    entries = [entry for entry in select([], everything=False, stack="", root=root) if not entry.expectation.violated]
    with tempfile.TemporaryDirectory() as folder:
        results = list(
            run_entries(
                entries, seed=SEED, out=Path(folder), progress=print, announce=lambda *_: None, lanes=1, stacks=1
            )
        )
    own = {result.scenario: result.seconds - result.faults_s for result in results}
    return {
        "name": "suite",
        "figures": {
            "own_s": {scenario: round(seconds, 1) for scenario, seconds in own.items()},
            "under_fault_s": {result.scenario: round(result.faults_s, 1) for result in results},
            "own_is": "wall time less the union of the faults' intervals, applying to healed",
            "mean_s": round(sum(own.values()) / len(own), 1),
            "max_s": round(max(own.values()), 1),
            "wall_s": round(sum(result.seconds for result in results), 1),
            "as_expected": sum(result.as_expected for result in results),
            "scenarios": len(results),
        },
        "bound": {"mean_s": SECONDS_MAX},
    }
