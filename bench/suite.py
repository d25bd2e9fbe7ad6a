"""How long the known-good scenarios take, the faults' own time aside, a scenario after the other on one stack."""

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
            run_entries(entries, seed=SEED, out=Path(folder), progress=print, announce=lambda *_: None, lanes=1)
        )
    own = {result.scenario: round(result.seconds - result.faults_s, 1) for result in results}
    return {
        "name": "suite",
        "figures": {
            "seconds_beside_faults": own,
            "mean_s": round(sum(own.values()) / len(own), 1),
            "max_s": max(own.values()),
            "wall_s": round(sum(result.seconds for result in results), 1),
            "as_expected": sum(result.as_expected for result in results),
            "scenarios": len(results),
        },
        "bound": {"mean_s": SECONDS_MAX},
    }
