"""How long the suite of `make parity` takes with one stack and with two side by side, in turn in one run.

Wall time from nothing to nothing: stacks brought up, everything run, stacks taken down; the images are there.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from parity.cli.selection import select
from parity.run.session import STACKS, run_entries

SEED = 1
TURNS = 2
#: More stacks than one must at least not cost time.
RATIO_MAX = 1.0


def bench(root: Path) -> dict[str, Any]:
    """Measure; seconds of wall time.

    Returns:
        Name, figures and bound.
    """
    entries = select([], everything=False, stack="", root=root)
    wall_s: dict[int, list[float]] = {1: [], STACKS: []}
    as_expected = 0
    for turn in range(TURNS):
        # Each comes first as often as the other: the first of a pair finds colder caches.
        for stacks in sorted(wall_s, reverse=bool(turn % 2)):
            with tempfile.TemporaryDirectory() as folder:
                start = time.monotonic()
                results = list(
                    run_entries(
                        entries, seed=SEED, out=Path(folder), progress=print, announce=lambda *_: None, stacks=stacks
                    )
                )
                wall_s[stacks].append(round(time.monotonic() - start, 1))
            as_expected += sum(result.as_expected for result in results)
    return {
        "name": "stacks side by side",
        "figures": {
            "scenarios": len(entries),
            "one_s": wall_s[1],
            "side_by_side_s": wall_s[STACKS],
            "side_by_side": STACKS,
            "as_expected": as_expected,
            "runs": 2 * TURNS * len(entries),
            "ratio": round(sum(wall_s[STACKS]) / sum(wall_s[1]), 2),
        },
        "bound": {"ratio": RATIO_MAX},
    }
