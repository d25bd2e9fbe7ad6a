"""All scenarios as a user runs them, on all their stacks and both runtimes, and what the commands left."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from parity.scenario.scenario import Scenario, load_scenario

ROOT = Path(__file__).parents[2]
Row: TypeAlias = dict[str, Any]
PARTS = ("groups", "workers", "services", "links")
#: Faults of what lies between containers.
LINKS = {"delay", "isolate", "lose", "partition", "throttle"}

JSON_MEMBERS = [
    *("scenario", "stack", "runtime", "seed", "verdict", "expected", "submitted", "effects", "redelivered"),
    *("duplicated", "lost", "stuck", "dead_lettered", "seconds", "run"),
]


@dataclass(frozen=True, kw_only=True)
class Runs:
    """What a command printed of the runs in containers, by scenario and stack, and its parity report."""

    rows: dict[tuple[str, str], Row]
    compared: list[dict[str, Any]]


def part_of(scenario: Scenario) -> str:
    """What a scenario breaks. Tests of different parts may run side by side."""
    if scenario.group is not None:
        return "groups"
    if scenario.keeps_to_itself:
        return "workers"
    return "links" if any(step.kind in LINKS for step in scenario.steps) else "services"


def scenarios(part: str) -> list[Scenario]:
    found = [load_scenario(path) for path in sorted((ROOT / "scenarios").glob("*.yaml"))]
    return [scenario for scenario in found if part_of(scenario) == part]


def entries() -> list[tuple[str, str, str]]:
    """Part, scenario and stack of every run."""
    return [
        (part, scenario.name, on.stack)
        for part in PARTS
        for scenario in scenarios(part)
        for on in scenario.stacks_of(everything=True, stack="")
    ]


def run_all(out: Path, *, part: str) -> Runs:
    """`make parity` with all of a part, once, on both runtimes."""
    names = " ".join(scenario.name for scenario in scenarios(part))
    # One stack: beside these tests others have theirs, and with a third, things come too late on two processors.
    command = ["make", "--silent", "parity", f"ARGS={names} --all --on both --stacks 1 --json --out {out}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False, timeout=2400)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows, "nothing but JSON objects on standard output, and at least one"
    compared = json.loads((out / "parity.json").read_text())["compared"]
    as_expected = all(row["as_expected"] for row in map(verdict_of, rows))
    # make gives any failure a status of its own.
    assert (done.returncode == 0) == (as_expected and not any(one["differences"] for one in compared))
    on_docker = {(row["scenario"], row["stack"]): row for row in rows if row["runtime"] == "docker"}
    return Runs(rows=on_docker, compared=compared)


def verdict_of(row: Row) -> dict[str, Any]:
    """The verdict as the run's record has it."""
    verdict: dict[str, Any] = json.loads((Path(row["run"]) / "verdict.json").read_text())
    return verdict


def is_as_expected(row: Row) -> None:
    """A known-bad stack that passes fails the build, and so does a control that doesn't hold."""
    verdict = verdict_of(row)
    told = [f"{finding['property']}: {finding['verdict']}: {finding['reason']}" for finding in verdict["findings"]]
    assert verdict["as_expected"], "\n".join([row["run"], f"seed {row['seed']}", row.get("error", ""), *told])


def is_whole(row: Row) -> None:
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


def agree(runs: Runs) -> None:
    """Nothing that timing does not explain differs between the stack and its models."""
    assert {(one["scenario"], one["stack"]) for one in runs.compared} == set(runs.rows)
    different = [
        (runs.rows[one["scenario"], one["stack"]]["run"], one["differences"], one["examples"])
        for one in runs.compared
        if one["differences"]
    ]
    # Told in full: what differs on a machine that is gone cannot be looked up.
    assert not different, json.dumps(different, indent=1)
