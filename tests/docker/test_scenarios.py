"""Every known-bad stack is caught and every control holds, with the commands that a user types."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from parity.scenario.scenario import load_scenario

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.docker

JSON_MEMBERS = [
    *("scenario", "stack", "runtime", "seed", "verdict", "expected", "submitted", "effects", "redelivered"),
    *("duplicated", "lost", "stuck", "dead_lettered", "seconds", "run"),
]


def pairs(*, everything: bool) -> list[tuple[str, str]]:
    scenarios = [load_scenario(path) for path in sorted((ROOT / "scenarios").glob("*.yaml"))]
    return [
        (scenario.name, on.stack)
        for scenario in scenarios
        for on in scenario.stacks_of(everything=everything, stack="")
    ]


@pytest.fixture(scope="session")
def all_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """`make parity` with everything, once; what it printed, by scenario and stack."""
    out = tmp_path_factory.mktemp("out")
    command = ["make", "--silent", "parity", f"ARGS=--all --on docker --json --out {out}"]
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


@pytest.mark.parametrize(("scenario", "stack"), pairs(everything=True))
def test_the_verdict_is_the_expected_one(
    all_runs: dict[tuple[str, str], dict[str, Any]], scenario: str, stack: str
) -> None:
    """A known-bad stack that passes fails the build, and so does a control that doesn't hold."""
    row = all_runs[scenario, stack]
    verdict = verdict_of(row)
    told = [f"{finding['property']}: {finding['verdict']}: {finding['reason']}" for finding in verdict["findings"]]
    assert verdict["as_expected"], "\n".join([row["run"], f"seed {row['seed']}", row.get("error", ""), *told])


def test_every_object_has_its_members(all_runs: dict[tuple[str, str], dict[str, Any]]) -> None:
    for row in all_runs.values():
        assert list(row)[: len(JSON_MEMBERS)] == JSON_MEMBERS
        assert list(row["submitted"]) == ["ok", "unknown", "refused"]


def test_every_record_is_whole(all_runs: dict[tuple[str, str], dict[str, Any]]) -> None:
    """What a run leaves is all there, for every run."""
    for row in all_runs.values():
        folder = Path(row["run"])
        names = {path.name for path in folder.iterdir()}
        assert {
            "scenario.yaml",
            "run.json",
            "history.jsonl",
            "verdict.json",
            "junit.xml",
            "report.html",
            "logs",
        } <= names
        facts = json.loads((folder / "run.json").read_text())
        assert all(digest.startswith("sha256:") for digest in facts["images"].values())
        assert facts["again"].startswith("parity run ")
