"""Run every benchmark, or those named, and write what they showed: `python -m bench [NAME ...]`."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import (
    check_history,
    conformance,
    controls,
    endpoint,
    group_ready,
    group_week,
    known_bad,
    search_power,
    simulator,
    stack_ready,
    stacks,
    suite,
    throughput,
)

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "bench" / "figures.json"
BENCHES: dict[str, Callable[[], dict[str, Any]]] = {
    "check": check_history.bench,
    "conformance": conformance.bench,
    "controls": lambda: controls.bench(ROOT),
    "endpoint": lambda: endpoint.bench(ROOT),
    "group-ready": lambda: group_ready.bench(ROOT),
    "group-week": group_week.bench,
    "known-bad": lambda: known_bad.bench(ROOT),
    "search": lambda: search_power.bench(ROOT),
    "simulator": lambda: simulator.bench(ROOT),
    "stack": lambda: stack_ready.bench(ROOT),
    "stacks": lambda: stacks.bench(ROOT),
    "suite": lambda: suite.bench(ROOT),
    "throughput": lambda: throughput.bench(ROOT),
}


def main(names: list[str]) -> None:
    """Run them in turn; what was not run keeps its last figures, with their commit."""
    for name in names:
        if name not in BENCHES:
            raise SystemExit(f"no benchmark is called {name!r}; there are {', '.join(BENCHES)}")
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in names or list(BENCHES):
        result = BENCHES[name]()
        known[name] = {"measured": _circumstances(), **result}
        FIGURES.write_text(json.dumps(known, indent=2) + "\n")
        print(json.dumps(known[name], indent=2))


def _circumstances() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    model = next(
        (line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line), ""
    )
    return {
        "commit": commit,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model or platform.processor(),
        "cores": len([line for line in _read("/proc/cpuinfo").splitlines() if line.startswith("processor")]),
        "load_before": _read("/proc/loadavg").split()[0],
        "python": platform.python_version(),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main(sys.argv[1:])
