"""The pytest plugin on containers: one session of pytest, interrupted at its end, looked at from all sides."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import docker
import pytest

from parity.history.events import Event, Fault
from parity.history.file import read_history

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pytest.md").read_text()

#: A stack that loses jobs, of which the file says that it does not.
KNOWN_BAD = """
about: A worker dies with jobs that were acknowledged by being sent.
stacks:
  - stack: compose/rabbitmq+automatic-acknowledgement
workers: 2
settings: {job_duration: 0.3}
workload: {jobs: 30, rate: 0}
steps:
  - {kill: worker holding a job, at: delivery 3..5}
"""

TESTS = """
import json

import pika
import psycopg
import pytest

pytestmark = pytest.mark.parity("compose/rabbitmq", workers=1)


def test_own_clients_reach_the_namespace(parity_stack):
    parity_stack.wait_for_effects(parity_stack.submit(3))
    with psycopg.connect(parity_stack.urls.database) as connection:
        assert connection.execute("SELECT count(*) FROM effects").fetchone() == (3,)
    for url in parity_stack.urls.amqp:
        with pika.BlockingConnection(pika.URLParameters(url)) as connection:
            connection.channel().queue_declare("jobs", passive=True)
    assert len(parity_stack.urls.amqp) == 3


def test_the_number_of_workers_can_be_changed(parity_stack):
    parity_stack.scale(2)
    with parity_stack.fault({"kill": "every worker"}) as hit:
        assert len(hit) == 2
    parity_stack.submit(2)
    parity_stack.wait_for_events("delivery", 2)
    assert parity_stack.drain().verdict == "holds"


def test_that_fails(parity_stack):
    parity_stack.submit(2)
    assert parity_stack.drain(not_vacuous=3).verdict == "holds"


def test_that_is_interrupted(parity_stack, request):
    (request.path.parent / "project").write_text(parity_stack._run.stack.project)
    with parity_stack.fault({"pause": "database"}):
        # What Ctrl-C becomes; the signal itself may be ignored where this was started.
        raise KeyboardInterrupt
"""


def block(language: str) -> str:
    """The documentation's first block in a language: what a reader copies is what runs here."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session of pytest that is over."""

    folder: Path
    code: int
    output: str

    def case(self, name: str) -> ET.Element:
        tree = ET.parse(self.folder / "junit.xml")
        return next(case for case in tree.iter("testcase") if case.get("name") == name)

    def properties(self, name: str) -> dict[str, str]:
        return {item.get("name", ""): item.get("value", "") for item in self.case(name).iter("property")}

    def failure(self, name: str) -> str:
        return next((failure.text or "" for failure in self.case(name).iter("failure")), "")

    def history(self, name: str) -> list[Event]:
        return list(read_history(self.folder / self.properties(name)["record"] / "history.jsonl"))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Scenarios and marked tests in one session, so that they share a stack; the last one is interrupted."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "compose").symlink_to(ROOT / "compose")
    (folder / "scenarios").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "scenarios" / "killed.yaml").write_text(block("yaml"))
    (folder / "scenarios" / "known-bad.yaml").write_text(KNOWN_BAD)
    (folder / "test_documented.py").write_text(block("python"))
    (folder / "test_live.py").write_text(TESTS)
    plugin = ["-p", "no:parity", "-p", "parity.pytest_plugin", "-p", "no:cacheprovider"]
    arguments = ["--parity-seed", "4711", "--junit-xml", "junit.xml", "scenarios", "test_documented.py", "test_live.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *arguments],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    return Session(folder=folder, code=done.returncode, output=done.stdout + done.stderr)


def test_a_scenario_that_shows_what_it_should_passes(session):
    name = "compose/rabbitmq"

    assert session.failure(name) == "", session.output
    assert session.properties(name)["verdict"] == "holds"
    assert json.loads(session.properties(name)["tally"])["lost"] == 0
    assert any(isinstance(event, Fault) and event.phase == "proved" for event in session.history(name))


def test_a_scenario_that_shows_something_else_fails_with_its_findings(session):
    name = "compose/rabbitmq+automatic-acknowledgement"

    told = session.failure(name)

    assert "no_job_lost: violated: " in told, session.output
    assert re.search(r"\(jobs \d+", told)
    assert f"record: {session.properties(name)['record']}" in told
    assert (
        "again:  pytest scenarios/known-bad.yaml::compose/rabbitmq+automatic-acknowledgement --parity-seed 4711" in told
    )
    assert "Traceback" not in told
    assert json.loads(session.properties(name)["tally"])["lost"] > 0


def test_a_marked_test_kills_the_worker_that_holds_a_job_and_sees_no_loss(session):
    name = "test_a_killed_worker_loses_no_job"

    assert session.failure(name) == "", session.output
    tally = json.loads(session.properties(name)["tally"])
    assert (tally["ok"], tally["effects"], tally["lost"]) == (20, 20, 0)
    phases = [event.phase for event in session.history(name) if isinstance(event, Fault)]
    assert phases == ["applying", "applied", "proved", "healing", "healed"]


def test_a_marked_test_has_clients_and_changes_of_its_own(session):
    for name in ("test_own_clients_reach_the_namespace", "test_the_number_of_workers_can_be_changed"):
        assert session.failure(name) == "", session.output


def test_a_marked_test_that_fails_tells_what_its_stack_told(session):
    told = session.output.partition("test_that_fails")[2]

    assert "not_vacuous: unknown: 2 jobs were submitted ok, fewer than 3" in told, session.output
    assert "again:  pytest test_live.py::test_that_fails --parity-seed 4711" in told


def test_all_of_them_share_one_stack(session):
    taken = re.findall("waiting for the cluster|using the kept stack", session.output)

    assert len(taken) == 1, session.output


def test_an_interrupted_session_leaves_nothing_of_its_runs(session):
    # Given a session that was interrupted in the middle of its last test, while a fault was applied.
    assert session.code == pytest.ExitCode.INTERRUPTED, session.output
    project = (session.folder / "project").read_text()

    # I expect no container of a run, and none of the stack unless somebody keeps it.
    left = docker.from_env().containers.list(all=True, ignore_removed=True, filters={"name": f"{project}[-_]"})
    mine = [container.name for container in left if "dev.parity.run" in container.labels]
    assert mine == []
    networks = docker.from_env().networks.list(names=[f"{project}_default"])
    assert (left, networks) == ([], []) or "using the kept stack" in session.output


def test_every_run_is_on_record(session):
    records = sorted((session.folder / "out").iterdir())

    assert len(records) == 7
    for record in records:
        facts = json.loads((record / "run.json").read_text())
        assert facts["seed"] == 4711
        assert json.loads((record / "verdict.json").read_text())["verdict"] in {"holds", "violated", "unknown"}
