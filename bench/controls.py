"""Whether the controls of the zoo survive ten minutes of search each: what is right must not be flagged.

Each control is searched by one process for `SEARCH_S` seconds of wall time, `AT_ONCE` of them side by side. Beside the
verdict stands what the search did: runs, how many said nothing, and the rare branches of the models that none of them
ever reached.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from parity.model.probes import probes_of
from parity.model.settings import ModelSettings
from parity.sim.run import simulate
from parity.sim.search import explore
from parity.sim.zoo import Control, load_zoo
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

SEARCH_S = 600.0
AT_ONCE = 5
SEED = 20261124


def bench(root: Path, search_s: float = SEARCH_S) -> dict[str, Any]:
    """Search every control.

    Returns:
        Name, figures and bounds.
    """
    right = model_settings(load_stack("compose/rabbitmq", root=root))
    controls = load_zoo(root / "tests" / "zoo" / "zoo.yaml").controls
    rows: dict[str, dict[str, Any]] = {}
    unreached: dict[str, set[str]] = {}
    with ProcessPoolExecutor(max_workers=AT_ONCE) as pool:
        pending = {control.name: pool.submit(survive, control, right, search_s) for control in controls}
        for name, future in pending.items():
            rows[name], unreached[name] = future.result()
            sys.stderr.write(f"{name}: {rows[name]}\n")
            sys.stderr.flush()
    return {
        "name": "controls",
        "figures": {
            "search_s": search_s,
            "at_once": AT_ONCE,
            "seed": SEED,
            "controls": len(rows),
            "flagged": sum(bool(row["flagged"]) for row in rows.values()),
            "runs": sum(row["runs"] for row in rows.values()),
            "unreached_by_all": sorted(set.intersection(*unreached.values())),
            "by_control": rows,
        },
        "bound": {"flagged_max": 0, "search_s_min": SEARCH_S},
    }


def survive(control: Control, right: ModelSettings, search_s: float) -> tuple[dict[str, Any], set[str]]:
    """One control's search: its row, and the probes that it never reached."""
    space = control.space(right)
    began_s = time.process_time()
    explored = explore(space, simulate, seed=SEED, for_s=search_s, processes=1)
    failure = explored.failure
    row = {
        "flagged": "" if failure is None else f"{failure.property} by run {failure.seed}/{failure.index}",
        "runs": explored.runs,
        "cpu_s": round(time.process_time() - began_s),
        "silent": explored.silent,
    }
    return row, set(explored.unreached(probes_of(space.settings)))
