"""`--on sim`: what a user types, where no engine, no compose tool and no network is to be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parity.check.conformance import conformance
from parity.check.verdict import Verdict
from parity.history.file import read_history
from parity.model.contract import Contract
from parity.scenario.scenario import load_scenario
from parity.sim.failure import NO_SEARCH, read_failure
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

ROOT = Path(__file__).parents[2]
SUITE = [
    (scenario.name, on.stack)
    for scenario in map(load_scenario, sorted((ROOT / "scenarios").glob("*.yaml")))
    for on in scenario.stacks
]
#: A work queue that is cut at a length, which no model covers.
TOO_LONG = """
about: A policy cuts the queue at a length.
stacks: [{stack: compose/rabbitmq+classic-queue, expect: {violated: [no_job_lost]}}]
workload: {jobs: 5}
steps:
  - {set_policy: {definition: {max-length: 3}}, at: 1s}
"""


def parity(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command, with an empty PATH and an engine's address at which nothing is."""
    done = subprocess.run(
        [sys.executable, "-m", "parity", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"DOCKER_HOST": "unix:///nonexistent", "PATH": "", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


@pytest.fixture(scope="module")
def whole_suite(tmp_path_factory):
    """Every scenario on each of its stacks, as `--json` tells them; by scenario and stack."""
    out = tmp_path_factory.mktemp("out")
    done = parity("run", "--all", "--on", "sim", "--seed", "1", "--json", "--out", str(out))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {(row["scenario"], row["stack"]): row for row in rows}


@pytest.mark.parametrize(("scenario", "stack"), SUITE)
def test_the_verdict_on_the_models_is_the_expected_one(whole_suite, scenario, stack):
    """As on containers, of every known-bad stack and of its control."""
    row = whole_suite[scenario, stack]
    verdict = json.loads((Path(row["run"]) / "verdict.json").read_text())
    assert row["runtime"] == "sim"
    assert verdict["as_expected"], row


def test_every_record_is_as_one_of_a_run_on_containers(whole_suite):
    """The same files but for the containers' logs, and a tape."""
    for row in whole_suite.values():
        folder = Path(row["run"])
        assert {path.name for path in folder.iterdir()} == {
            *("scenario.yaml", "run.json", "history.jsonl", "verdict.json", "junit.xml", "report.html", "tape.json")
        }
        facts = json.loads((folder / "run.json").read_text())
        assert facts["runtime"] == "sim"
        assert facts["again"].endswith("--on sim")


def test_a_record_is_run_again_by_its_command_to_the_same_digest(whole_suite, tmp_path):
    folder = Path(whole_suite["queue-leader-killed", "compose/rabbitmq"]["run"])
    again = json.loads((folder / "run.json").read_text())["again"].split()

    done = parity(*again[1:], "--json", "--out", str(tmp_path))

    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    first, second = read_failure(folder)[1], read_failure(Path(row["run"]))[1]
    assert (first.digest, first.choices) == (second.digest, second.choices)
    assert first.index == NO_SEARCH
    assert list(read_history(folder / "history.jsonl")) == list(read_history(Path(row["run"]) / "history.jsonl"))


def test_what_no_model_covers_is_unknown_and_never_as_expected(tmp_path):
    path = tmp_path / "too-long.yaml"
    path.write_text(TOO_LONG)

    done = parity("run", str(path), "--on", "sim", "--json", "--out", str(tmp_path / "out"))

    row = json.loads(done.stdout)
    assert done.returncode == 1
    assert row["verdict"] == "unknown"
    assert row["error"] == f"{path}: no model covers what is asked here: set_policy: max-length: 3"


def test_a_stack_that_no_model_covers_is_unknown_and_says_what_to_add(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    page = (ROOT / "docs" / "stacks.md").read_text()
    compose = page.partition("<!-- compose -->\n```yaml\n")[2].partition("```")[0]
    (folder / "compose.yaml").write_text(compose.partition("  model:\n")[0])
    (folder / "schema.sql").write_text("")
    path = tmp_path / "calm.yaml"
    path.write_text("about: Nothing happens.\nworkload: {jobs: 5}\n")

    done = parity("run", str(path), "--stack", str(folder), "--on", "sim", "--json", "--out", str(tmp_path / "out"))

    row = json.loads(done.stdout)
    assert (done.returncode, row["verdict"]) == (1, "unknown")
    assert "x-parity has no section `model`. Add one" in row["error"]


def test_without_an_engine_the_simulator_takes_its_place_and_says_so(tmp_path):
    done = parity("run", "queue-leader-killed", "--seed", "1", "--out", str(tmp_path))
    assert done.returncode == 0
    assert done.stderr.startswith("no Docker engine answers: ")
    assert "Running on the simulator instead" in done.stderr
    assert "prove nothing about RabbitMQ" in done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("queue-leader-killed"))
    assert row.split()[1:4] == ["rabbitmq", "sim", "holds"]
    assert "all simulated, which proves nothing about the real services" in done.stdout


@pytest.mark.parametrize("on", ["docker", "both"])
def test_nothing_takes_the_place_of_containers_that_were_asked_for(tmp_path, on):
    done = parity("run", "queue-leader-killed", "--on", on, "--out", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("parity: ") == 1


def test_what_was_drawn_is_said_before_the_run(tmp_path):
    done = parity("run", "queue-leader-killed", "--on", "sim", "--seed", "1", "--out", str(tmp_path))
    lines = done.stderr.splitlines()
    assert lines[:2] == ["seed 1", "queue-leader-killed on compose/rabbitmq, seed 1"]
    assert lines[4].startswith("queue-leader-killed on compose/rabbitmq, sim: holds (as expected) in ")


def test_the_models_do_nothing_that_the_contract_forbids(whole_suite):
    """The contract of a job's life is written apart from the models: each holds the other to its word."""
    for row in whole_suite.values():
        scenario = load_scenario(Path(row["run"]) / "scenario.yaml")
        settings = model_settings(load_stack(row["stack"], root=ROOT), scenario)
        policies = [step.policy.get("definition", {}) for step in scenario.steps if step.policy]
        contract = Contract(settings, policies=policies)
        found = conformance(read_history(Path(row["run"]) / "history.jsonl"), contract)
        assert found.differences == (), row
        assert found.verdict is Verdict.UNKNOWN if contract.uncovered() else found.verdict is Verdict.HOLDS, row
