"""Runs on the containers of a cluster's machines: how they are dealt out, what comes back, what a failure leaves."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_result import result as judged
from typer.testing import CliRunner

from parity.check.verdict import Verdict
from parity.cli.app import app
from parity.cluster import Machine, Session
from parity.errors import ClusterError, EngineError, ParityError, SourceError, StackError
from parity.report import write_reports
from parity.run import machine as machine_side
from parity.run import spread
from parity.run.deal import Deal
from parity.run.draws import SeededDraws
from parity.run.entry import Entry, open_record, write_result
from parity.run.result import Result
from parity.run.spread import run_spread
from parity.scenario.scenario import Expectation, load_scenario
from parity.stack.description import load_stack

ROOT = Path(__file__).parents[2]
STACK = "compose/rabbitmq"


class TestDealing:
    def test_the_biggest_stacks_go_first_and_each_machine_keeps_its_own(self):
        deal = Deal([[0, 1], [2, 3, 4, 5, 6, 7]], alone=set(range(8)), machines=2, lanes=4)
        assert deal.next("a") == [2, 3, 4]
        assert deal.next("b") == [0]
        assert deal.next("a") == [5, 6]
        assert deal.next("b") == [1]
        assert deal.next("a") == [7]
        assert deal.next("a") == deal.next("b") == []

    def test_whoever_has_nothing_left_takes_part_of_anothers(self):
        deal = Deal([[0], [1, 2, 3, 4, 5, 6]], alone=set(range(7)), machines=2, lanes=4)
        assert deal.next("a") == [1, 2, 3]
        assert deal.next("b") == [0]
        assert deal.next("b") == [4, 5]
        assert deal.left() == [6]

    def test_what_goes_side_by_side_comes_first_and_fills_the_lanes(self):
        deal = Deal([[0, 1, 2, 3, 4, 5]], alone={0, 2}, machines=4, lanes=3)
        assert deal.next("a") == [1, 3, 4]
        assert deal.next("b") == [5]
        assert deal.next("c") == [0]
        assert deal.next("d") == [2]

    def test_one_machine_gets_a_stack_at_once(self):
        deal = Deal([[0, 1, 2], [3]], alone=set(range(4)), machines=1, lanes=4)
        assert [deal.next("a"), deal.next("a"), deal.next("a")] == [[0, 1, 2], [3], []]


class ThreadCluster:
    """A cluster whose machines are threads of this process."""

    def __init__(self, *names: str, missing: dict[str, str] | None = None) -> None:
        self.missing = missing or {}
        self.all = [Machine(name=name, id=name, processors=0 if name == "idle" else 2) for name in names]
        self.interrupted: list[str] = []

    def machines(self) -> list[Machine]:
        return self.all

    def ask(self, machine, work, *arguments):
        if work is machine_side.look:
            return lambda: self.missing.get(machine.name, "")
        return lambda: work(*arguments)

    def answer(self, asked):
        try:
            return asked()
        except SystemExit as error:
            raise ClusterError(f"{error}") from error

    def begin(self, machine, work, *arguments) -> Session:
        inbox: queue.Queue[Any] = queue.Queue()
        came: list[Any] = []

        def receive():
            item = inbox.get()
            if item is None:
                raise KeyboardInterrupt
            return item

        def run() -> None:
            try:
                came.append(work(receive, *arguments))
            except SystemExit as error:
                came.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def answer():
            (one,) = came
            if isinstance(one, SystemExit):
                raise one
            return one

        answer.thread = thread
        return Session(machine=machine, work=answer, inbox=inbox)

    def ended(self, sessions):
        return [session for session in sessions if not session.work.thread.is_alive()]

    def interrupt(self, session):
        self.interrupted.append(session.machine.name)
        session.send(None)

    def mailbox(self):
        return queue.Queue()

    def receive(self, mailbox, *, within_s):
        try:
            return mailbox.get(timeout=within_s / 10)
        except queue.Empty:
            return None


class Containers:
    """What stands for the containers: every run holds, unless it is told otherwise by its scenario's name."""

    def __init__(self) -> None:
        self.breaks: dict[str, BaseException] = {}
        self.ran: list[str] = []

    def run_on(self, _, entries, *, plans, seed, out, progress, announce, lanes) -> Iterator[Result]:
        assert plans == {}
        assert lanes == 1
        for entry in entries:
            drawn = entry.scenario.draw(SeededDraws(seed, entry.scenario.name))
            record = open_record(entry, drawn, runtime="docker", seed=seed, out=out)
            announce(entry, drawn, seed)
            progress(f"running {drawn.name}")
            if drawn.name in self.breaks:
                raise self.breaks[drawn.name]
            self.ran.append(drawn.name)
            (record.folder / "logs").mkdir()
            (record.folder / "logs" / "worker.log").write_text("done\n")
            done = replace(
                judged(no_job_lost=Verdict.HOLDS),
                scenario=drawn.name,
                stack=entry.files.name,
                seed=seed,
                expectation=entry.expectation,
                record=record.folder,
            )
            write_result(record, done)
            yield done


@pytest.fixture
def containers(monkeypatch) -> Containers:
    stand_in = Containers()
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(machine_side, "run_on", stand_in.run_on)
    monkeypatch.setattr(machine_side, "reap", lambda: ["container x"])
    monkeypatch.setattr(machine_side, "plans_of", lambda _: {})
    monkeypatch.setattr(machine_side, "by_stack", lambda entries, _: [entries])
    return stand_in


def entries(*names: str) -> list[Entry]:
    files = load_stack(STACK, root=ROOT)
    scenarios = [load_scenario(ROOT / "scenarios" / f"{name}.yaml") for name in names]
    return [
        Entry(files=files, scenario=scenario, expectation=Expectation(), source=scenario.name) for scenario in scenarios
    ]


class Told:
    """What a session here was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warned: list[str] = []
        self.announced: list[tuple[str, str]] = []

    def announce(self, entry, drawn, seed, *, machine):
        assert (entry.scenario.name, seed) == (drawn.name, 7)
        self.announced.append((machine, drawn.name))


THREE = ("slow-link", "slow-worker", "poison-job")


def runs(cluster, out: Path, told: Told, names: tuple[str, ...] = THREE):
    return run_spread(
        entries(*names),
        cluster,
        root=ROOT,
        seed=7,
        out=out,
        progress=told.lines.append,
        warn=told.warned.append,
        announce=told.announce,
        lanes=1,
    )


@pytest.mark.usefixtures("containers")
class TestComingBack:
    def test_results_and_records_are_as_if_they_had_been_run_here(self, tmp_path):
        told = Told()
        results = list(runs(ThreadCluster("a", "b"), tmp_path / "out", told))
        assert sorted(one.scenario for one in results) == sorted(THREE)
        assert all(one.as_expected for one in results)
        for one in results:
            assert one.record.parent == tmp_path / "out"
            facts = json.loads((one.record / "run.json").read_text())
            assert facts["machine"] in {"a", "b"}
            assert facts["again"] == f"parity run {one.record}/scenario.yaml --stack {STACK} --seed 7"
            verdict = json.loads((one.record / "verdict.json").read_text())
            assert (verdict["run"], verdict["as_expected"]) == (str(one.record), True)
            assert (one.record / "logs" / "worker.log").read_text() == "done\n"
            assert load_scenario(one.record / "scenario.yaml").name == one.scenario

    def test_what_is_said_there_is_told_here_with_the_machines_name(self, tmp_path):
        told = Told()
        list(runs(ThreadCluster("a"), tmp_path, told))
        assert told.lines[:2] == [
            "waiting for the processors of a",
            "a: left over from an earlier run, removed: container x",
        ]
        assert "a: running slow-link" in told.lines
        assert told.announced == [("a", name) for name in THREE]
        assert told.warned == []


@pytest.mark.usefixtures("containers")
class TestMachines:
    def test_one_without_an_engine_takes_no_work_and_is_named(self, tmp_path):
        told = Told()
        cluster = ThreadCluster("a", "b", "idle", missing={"b": "no Docker engine answers"})
        assert len(list(runs(cluster, tmp_path, told))) == 3
        assert {machine for machine, _ in told.announced} == {"a"}
        assert told.warned == [
            "idle takes no work: it offers no processor",
            "b takes no work: no Docker engine answers",
        ]

    def test_where_none_has_an_engine_that_is_an_error(self, tmp_path):
        cluster = ThreadCluster("a", "b", missing={"a": "no engine", "b": "no compose tool is here"})
        with pytest.raises(EngineError, match="no machine of the cluster") as raised:
            list(runs(cluster, tmp_path, Told()))
        assert str(raised.value).splitlines()[1:] == [
            "a takes no work: no engine",
            "b takes no work: no compose tool is here",
        ]

    @pytest.mark.parametrize(
        ("breaks", "said"),
        [(StackError("the stack is broken"), "the stack is broken"), (SystemExit("the node died"), "the node died")],
        ids=["its session ends early", "it is gone"],
    )
    def test_what_a_failing_one_did_not_finish_is_unknown_and_the_rest_is_run(self, containers, tmp_path, breaks, said):
        containers.breaks["slow-worker"] = breaks
        told = Told()
        results = {one.scenario: one for one in runs(ThreadCluster("a", "b"), tmp_path, told)}
        assert set(results) == set(THREE)
        broken = results["slow-worker"]
        assert broken.verdict is Verdict.UNKNOWN
        assert not broken.as_expected
        ((machine, _),) = [one for one in told.announced if one[1] == "slow-worker"]
        assert broken.error == f"{machine} did not finish it: {said}"
        assert json.loads((broken.record / "verdict.json").read_text())["verdict"] == "unknown"
        write_reports(broken.record)
        assert results["poison-job"].as_expected
        assert told.warned == [f"{machine} takes no more work: {said}"]
        assert told.lines[-1] == f"{machine}: left by its session, removed: container x"

    def test_where_no_machine_is_left_what_was_not_begun_is_unknown_too(self, containers, tmp_path):
        containers.breaks = dict.fromkeys(THREE, StackError("the stack is broken"))
        results = list(runs(ThreadCluster("a", "b"), tmp_path, Told()))
        assert [one.verdict for one in results] == [Verdict.UNKNOWN] * 3
        assert containers.ran == []
        assert all("the stack is broken" in one.error for one in results)

    def test_an_interrupted_session_is_interrupted_on_every_machine(self, tmp_path):
        cluster = ThreadCluster("a", "b")
        told = Told()
        under_way = runs(cluster, tmp_path, told)
        next(under_way)
        under_way.close()
        assert sorted(cluster.interrupted) == ["a", "b"]
        assert told.lines[-1].startswith("ending the sessions on ")

    def test_a_machine_that_does_not_end_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setattr(spread, "_ENDS_WITHIN_S", 0.1)
        cluster = ThreadCluster("a")
        monkeypatch.setattr(cluster, "interrupt", lambda _: None)
        monkeypatch.setattr(cluster, "ended", lambda _: [])
        under_way = runs(cluster, tmp_path, Told())
        next(under_way)
        with pytest.raises(ClusterError, match="a did not end within"):
            under_way.close()


def test_a_stack_outside_of_the_project_is_refused(containers, tmp_path):
    """Only the project's folder is sent."""
    with pytest.raises(SourceError, match=f"^{STACK}: not in the project's folder"):
        list(
            run_spread(
                entries("slow-link"),
                ThreadCluster("a"),
                root=tmp_path,
                seed=1,
                out=tmp_path,
                progress=print,
                warn=print,
                announce=Told().announce,
            )
        )


class TestCommand:
    def run(self, *arguments: str):
        return CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200", "TERMINAL_WIDTH": "200"}).invoke(
            app, ["run", "slow-link", "--engine", "ray", *arguments]
        )

    def test_the_simulator_does_not_go_over_a_cluster(self):
        done = self.run("--on", "sim")
        assert done.exit_code == 2
        assert "nothing goes over a cluster" in done.stderr

    def test_without_ray_it_says_what_to_install(self, monkeypatch, tmp_path):
        monkeypatch.chdir(ROOT)
        monkeypatch.setitem(sys.modules, "ray", None)
        done = self.run("--out", str(tmp_path))
        assert isinstance(done.exception, ParityError)
        assert "pip install 'parity[ray]'" in str(done.exception)
