"""Calls of a run on containers: whom one is about is waited for, as for a fault. Workers and group are stand-ins."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import parity.run.steps
from parity.errors import NotReadyError
from parity.history.events import Fault
from parity.history.file import HistoryWriter, read_history
from parity.run.docker import DockerRun
from parity.run.recorder import Recorder
from parity.scenario.scenario import Scenario
from parity.scenario.steps import Step
from parity.stack.description import LogSection

TERMINATE = {"call": "TerminateInstanceInAutoScalingGroup", "whose": "worker holding a job"}


class Workers:
    """Two workers that live, and what happens whenever somebody looks who does."""

    def __init__(self) -> None:
        self.looks = 0
        self.on_look: Callable[[int], None] = lambda _: None

    def alive(self) -> list[str]:
        self.looks += 1
        self.on_look(self.looks)
        return ["worker-1", "worker-2"]

    def container(self, name: str) -> str:
        return name


class Called:
    """A group that takes every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def call(self, operation: str, _request: object, worker: str = "") -> str:
        self.calls.append((operation, worker))
        return ""


class Run:
    """A run that has begun, without a stack."""

    def __init__(self, folder: Path, writer: HistoryWriter, step: dict[str, Any]) -> None:
        data = {"name": "x", "about": "By hand.", "group": {}, "steps": [step]}
        scenario = Scenario.model_validate(data)
        stand_in = cast("Any", SimpleNamespace(files=SimpleNamespace(description=None)))
        run = DockerRun(stack=stand_in, plan=stand_in, scenario=scenario, record=stand_in, progress=lambda _: None)
        self.workers, self.group = Workers(), Called()
        self.recorder = run.recorder = Recorder(
            writer, job_id="job-{number}", log=LogSection(delivery=r"^delivered (?P<job>\S+)")
        )
        run.application = cast("Any", SimpleNamespace(group=self.workers, submitters=[], scaled=self.group))
        self._steps = run._make_steps()
        self._history = folder / "history.jsonl"
        self._step: Step = scenario.steps[0]

    def carry_out(self) -> list[str]:
        """The step; returns the phases that the history tells."""
        with contextlib.suppress(NotReadyError):
            self._steps.changed(0, self._step)
        return [event.phase for event in read_history(self._history) if isinstance(event, Fault)]


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], Run]]:
    with HistoryWriter(tmp_path / "history.jsonl") as writer:
        yield lambda step: Run(tmp_path, writer, step)


def test_a_call_waits_for_whom_it_is_about(begun: Callable[[dict[str, Any]], Run]) -> None:
    run = begun(TERMINATE)

    def look(number: int) -> None:
        if number == 3:
            run.recorder.submit([1], "")
            run.recorder.lines("worker-2", ["delivered job-1"])

    run.workers.on_look = look
    assert run.carry_out() == ["applying", "applied", "proved", "healed"]
    assert run.group.calls == [(TERMINATE["call"], "worker-2")]


def test_who_is_there_is_not_waited_for(begun: Callable[[dict[str, Any]], Run]) -> None:
    run = begun({**TERMINATE, "whose": "any worker", "pick": 1})
    assert run.carry_out() == ["applying", "applied", "proved", "healed"]
    assert run.group.calls == [(TERMINATE["call"], "worker-2")]
    assert run.workers.looks <= 2


def test_a_call_about_nobody_is_made_at_once(begun: Callable[[dict[str, Any]], Run]) -> None:
    run = begun({"call": "SetDesiredCapacity", "request": {"DesiredCapacity": 1}})
    assert run.carry_out() == ["applying", "applied", "proved", "healed"]
    assert run.group.calls == [("SetDesiredCapacity", "")]
    assert not run.workers.looks


def test_a_call_that_nobody_comes_for_fails(
    begun: Callable[[dict[str, Any]], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parity.run.steps._ROLE_PATIENCE_S == 20.0
    monkeypatch.setattr(parity.run.steps, "_ROLE_PATIENCE_S", 0.2)
    run = begun(TERMINATE)
    assert run.carry_out() == ["applying", "failed"]
    assert run.workers.looks > 2
    assert not run.group.calls
