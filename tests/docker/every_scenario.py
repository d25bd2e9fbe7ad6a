"""All scenarios as a user runs them, on all their stacks, and what the commands left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, TypeAlias

from parity.scenario.scenario import Scenario, load_scenario

ROOT = Path(__file__).parents[2]
#: What `make parity` printed, by scenario and stack.
Rows: TypeAlias = dict[tuple[str, str], dict[str, Any]]

JSON_MEMBERS = [
    *("scenario", "stack", "runtime", "seed", "verdict", "expected", "submitted", "effects", "redelivered"),
    *("duplicated", "lost", "stuck", "dead_lettered", "seconds", "run"),
]


def scenarios(*, grouped: bool) -> list[Scenario]:
    """Those whose workers are an Auto Scaling group's instances, or those whose workers are not."""
    found = [load_scenario(path) for path in sorted((ROOT / "scenarios").glob("*.yaml"))]
    return [scenario for scenario in found if (scenario.group is not None) == grouped]


def entries(*, grouped: bool) -> list[tuple[str, str]]:
    return [
        (scenario.name, on.stack)
        for scenario in scenarios(grouped=grouped)
        for on in scenario.stacks_of(everything=True, stack="")
    ]


def run_all(out: Path, *, grouped: bool) -> Rows:
    """`make parity` with all of them, once."""
    names = " ".join(scenario.name for scenario in scenarios(grouped=grouped))
    command = ["make", "--silent", "parity", f"ARGS={names} --all --on docker --json --out {out}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=2400)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows, "nothing but JSON objects on standard output, and at least one"
    # make gives any failure a status of its own.
    assert (done.returncode == 0) == all(row["as_expected"] for row in map(verdict_of, rows))
    return {(row["scenario"], row["stack"]): row for row in rows}


def verdict_of(row: dict[str, Any]) -> dict[str, Any]:
    """The verdict as the run's record has it."""
    verdict: dict[str, Any] = json.loads((Path(row["run"]) / "verdict.json").read_text())
    return verdict


def is_as_expected(row: dict[str, Any]) -> None:
    """A known-bad stack that passes fails the build, and so does a control that doesn't hold."""
    verdict = verdict_of(row)
    told = [f"{finding['property']}: {finding['verdict']}: {finding['reason']}" for finding in verdict["findings"]]
    assert verdict["as_expected"], "\n".join([row["run"], f"seed {row['seed']}", row.get("error", ""), *told])


def is_whole(row: dict[str, Any]) -> None:
    """Every member is there, and all that a run leaves."""
    assert list(row)[: len(JSON_MEMBERS)] == JSON_MEMBERS
    assert list(row["submitted"]) == ["ok", "unknown", "refused"]
    folder = Path(row["run"])
    names = {path.name for path in folder.iterdir()}
    left = ("scenario.yaml", "run.json", "history.jsonl", "verdict.json", "junit.xml", "report.html", "logs")
    assert set(left) <= names
    facts = json.loads((folder / "run.json").read_text())
    assert all(digest.startswith("sha256:") for digest in facts["images"].values())
    assert facts["again"].startswith("parity run ")
