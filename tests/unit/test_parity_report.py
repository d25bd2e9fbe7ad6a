"""The parity report: histories that were recorded on containers beside the same scenarios on the models."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from test_cli_explore import parity
from test_cli_sim import ROOT

from parity.check import judge
from parity.check.verdict import Judgement, Tally
from parity.cli import app as app_module
from parity.errors import RecordError
from parity.history.events import Event, Fault, Instance, Node
from parity.history.file import read_history
from parity.report.comparison import Coverage, compare, read_coverage, write_coverage
from parity.run.entry import Entry
from parity.run.result import Result
from parity.run.sim import simulate_entry
from parity.scenario.scenario import load_scenario
from parity.sim.failure import write_history
from parity.stack.description import load_stack

HISTORIES = ROOT / "tests" / "data" / "histories"
NAMES = sorted(folder.name for folder in HISTORIES.iterdir())
KILLED = "worker-killed-mid-job"


@pytest.fixture(autouse=True)
def _in_the_projects_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@cache
def entry_of(name: str) -> Entry:
    """The entry that a recorded run is of."""
    stack = json.loads((HISTORIES / name / "run.json").read_text())["stack"]
    scenario = load_scenario(HISTORIES / name / "scenario.yaml")
    (on,) = scenario.stacks_of(everything=True, stack=stack)
    return Entry(files=load_stack(stack, root=ROOT), scenario=scenario, expectation=on.expect, source=name)


def real(name: str, out: Path) -> Result:
    """A recorded run, as its result was."""
    entry, folder = entry_of(name), out / name
    folder.mkdir(parents=True)
    shutil.copy(HISTORIES / name / "scenario.yaml", folder)
    (folder / "history.jsonl").write_bytes(gzip.decompress((HISTORIES / name / "history.jsonl.gz").read_bytes()))
    return judged(name, folder, entry)


def judged(name: str, folder: Path, entry: Entry) -> Result:
    return Result(
        scenario=entry.scenario.name,
        stack=entry.files.name,
        runtime="docker",
        seed=1,
        expectation=entry.expectation,
        judgement=judge(read_history(folder / "history.jsonl"), entry.scenario.properties),
        seconds=1.0,
        faults_s=0.0,
        record=folder,
    )


def modelled(name: str, out: Path) -> Result:
    return simulate_entry(entry_of(name), seed=1, out=out, announce=lambda *_: None)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_recorded_on_containers_differs_in_nothing_from_the_models(name, tmp_path):
    compared, coverage = compare(entry_of(name), real(name, tmp_path), modelled(name, tmp_path))
    assert compared.differences == ()
    assert compared.conformance == {"docker": "holds", "sim": "holds"}
    assert compared.verdicts["docker"] == compared.verdicts["sim"]
    assert compared.jobs == coverage.jobs > 0


class TestDifferences:
    def test_a_stack_that_does_what_the_contract_forbids(self, tmp_path):
        # Given a history in which workers lose their jobs, and nothing says why.
        docker = real(KILLED, tmp_path)
        path = docker.record / "history.jsonl"
        calm = [event for event in read_history(path) if not isinstance(event, Fault | Instance | Node)]
        write_history(path, calm)

        compared, _ = compare(
            entry_of(KILLED), judged(KILLED, docker.record, entry_of(KILLED)), modelled(KILLED, tmp_path)
        )

        assert any(line.startswith("docker: ") and "the contract forbids" in line for line in compared.differences)
        assert any("breaks custody.one-holder: expected " in line for line in compared.examples)
        assert compared.conformance == {"docker": "violated", "sim": "holds"}

    def test_a_verdict_that_the_models_do_not_share(self, tmp_path):
        bad = f"{KILLED}+automatic-acknowledgement"
        sim = replace(modelled(bad, tmp_path), scenario=KILLED, stack="compose/rabbitmq")

        compared, _ = compare(entry_of(KILLED), real(KILLED, tmp_path), sim)

        assert "verdicts: docker holds (all that was claimed), sim violated (no_job_lost" in compared.differences[0]
        assert any(line.startswith("lost: docker 0, sim ") for line in compared.differences)

    def test_what_timing_decides_is_a_remark(self, tmp_path):
        docker, sim = real(KILLED, tmp_path), modelled(KILLED, tmp_path)
        assert sim.judgement
        calm = Judgement(findings=sim.judgement.findings, tally=Tally(ok=5, effects=5))

        compared, _ = compare(entry_of(KILLED), docker, replace(sim, judgement=calm))

        assert compared.differences == ()
        assert any(line.startswith("redelivered: docker ") and "timing decides" in line for line in compared.remarks)

    def test_a_run_that_broke_off_is_another_verdict(self, tmp_path):
        docker = replace(real(KILLED, tmp_path), judgement=None, error="the engine went away\nand more")

        compared, _ = compare(entry_of(KILLED), docker, modelled(KILLED, tmp_path))

        (line,) = compared.differences
        assert line == "verdicts: docker unknown (the engine went away), sim holds (all that was claimed)"


class TestCoverage:
    def test_it_is_added_up_over_all_runs(self, tmp_path):
        _, shown = compare(entry_of(KILLED), real(KILLED, tmp_path), modelled(KILLED, tmp_path))
        path = tmp_path / "out" / "coverage.json"
        write_coverage(path, [shown])
        total = write_coverage(path, [shown, shown])
        assert total == read_coverage(path)
        assert (total.runs, total.jobs) == (3, 3 * shown.jobs)

    def test_there_may_be_none(self, tmp_path):
        assert read_coverage(tmp_path / "coverage.json") == Coverage()

    def test_what_is_none_is_refused_with_the_way_out(self, tmp_path):
        (tmp_path / "coverage.json").write_text("[]")
        with pytest.raises(RecordError, match="Remove it to count anew"):
            read_coverage(tmp_path / "coverage.json")


class TestCommand:
    """`parity run --on both`, with runs that were recorded in the place of containers."""

    @pytest.fixture(autouse=True)
    def recorded(self, monkeypatch):
        """Replaces histories by others: a function of their events."""
        change = {"to": lambda event: event}

        def run_entries(entries, *, out, **rest):
            for entry in entries:
                overlay = entry.files.name.partition("+")[2]
                name = entry.scenario.name + (f"+{overlay}" if overlay else "")
                done = real(name, out / "recorded")
                path = done.record / "history.jsonl"
                events: list[Event] = [event for event in map(change["to"], read_history(path)) if event is not None]
                write_history(path, events)
                yield judged(name, done.record, entry)

        monkeypatch.setattr(app_module, "run_entries", run_entries)
        monkeypatch.setattr(app_module, "remove_leftovers", lambda _: None)
        return change

    def run(self, tmp_path: Path, *arguments: str):
        return parity("run", KILLED, "--on", "both", "--seed", "1", "--out", str(tmp_path / "out"), *arguments)

    def test_both_runtimes_have_their_rows_and_the_report_says_that_nothing_differs(self, tmp_path):
        done = self.run(tmp_path)
        rows = [line.split() for line in done.stdout.splitlines() if line.startswith(KILLED)]
        assert done.returncode == 0
        assert [(row[1], row[2]) for row in rows[:4]] == [
            ("rabbitmq", "sim"),
            ("rabbitmq", "docker"),
            ("rabbitmq+automatic-acknowledgement", "sim"),
            ("rabbitmq+automatic-acknowledgement", "docker"),
        ]
        assert "0 unexplained differences between the stack and its models" in done.stdout
        assert "Allowed by the models and never shown by the stack, in 2 runs in containers" in done.stdout
        cases = re.findall(r'classname="([^"]+)"', (tmp_path / "out" / "junit.xml").read_text())
        assert cases[:2] == ["compose/rabbitmq (sim)", "compose/rabbitmq+automatic-acknowledgement (sim)"]
        assert cases[2:] == ["compose/rabbitmq", "compose/rabbitmq+automatic-acknowledgement"]
        report = json.loads((tmp_path / "out" / "parity.json").read_text())
        assert [one["verdicts"] for one in report["compared"]] == [
            {"docker": "holds", "sim": "holds"},
            {"docker": "violated", "sim": "violated"},
        ]
        assert report["differences"] == 0
        assert "delivery.stale" in report["never_shown"]

    def test_an_unexplained_difference_makes_the_exit_status_1(self, recorded, tmp_path):
        recorded["to"] = lambda event: None if isinstance(event, Fault | Instance | Node) else event
        done = self.run(tmp_path, "--stack", "compose/rabbitmq")
        assert done.returncode == 1
        assert "breaks custody." in done.stdout

    def test_json_has_an_object_a_run_and_the_report_elsewhere(self, tmp_path):
        done = self.run(tmp_path, "--json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert sorted(row["runtime"] for row in rows) == ["docker", "docker", "sim", "sim"]
        assert "unexplained differences" in done.stderr

    def test_counts_that_cannot_be_read_are_said_before_anything_runs(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "coverage.json").write_text("{")
        done = self.run(tmp_path)
        assert done.returncode == 2
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["coverage.json"]
