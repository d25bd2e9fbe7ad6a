"""Faults of processes, on containers and a group that are told what to be."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from parity.errors import EngineError, NotReadyError
from parity.scenario.steps import Step
from parity.stack.faults import process
from parity.stack.faults.live import Subject


class Container:
    """Running until it is killed."""

    def __init__(self) -> None:
        self.attrs: dict[str, Any] = {"State": {"Running": True, "Status": "running", "ExitCode": 0}}

    def kill(self) -> None:
        self.attrs["State"] = {"Running": False, "Status": "exited", "ExitCode": 137, "OOMKilled": False}

    def reload(self) -> None:
        pass


class Limited:
    """A container with a quota, 0 for none, that it can be given another of."""

    id = "c"

    def __init__(self, quota_us: int) -> None:
        self.attrs: dict[str, Any] = {"HostConfig": {"CpuQuota": quota_us}}

    def update(self, *, cpu_period: int, cpu_quota: int) -> None:
        assert cpu_period == 100_000
        self.attrs["HostConfig"]["CpuQuota"] = cpu_quota

    def reload(self) -> None:
        pass


class Group:
    """Hears of a death two looks late."""

    def __init__(self) -> None:
        self.looks = 0

    def alive(self) -> list[str]:
        self.looks += 1
        return ["worker-1"] if self.looks <= 2 else []


def test_a_killed_worker_is_proved_dead_only_when_its_group_knows():
    """Or a step that follows at once would aim at the dead, and fail."""
    group = Group()
    subject = Subject(name="worker-1", role="worker", container=Container())  # type: ignore[arg-type]
    step = Step.model_validate({"kill": "any worker"})

    with process.killed(step, [subject], SimpleNamespace(group=group)) as proof:  # type: ignore[arg-type]
        assert group.looks == 3
        assert proof == "worker-1 exited with 137"


@pytest.mark.parametrize(
    ("had_us", "slow_us", "back_us"), [(0, 30_000, -1), (-1, 30_000, -1), (20_000, 20_000, 20_000)]
)
def test_who_is_slowed_down_gets_no_more_than_it_had_and_that_again(had_us, slow_us, back_us):
    """A service with a limit of its own would be faster under the fault, and without a limit after it."""
    container = Limited(had_us)
    subject = Subject(name="worker-1", role="worker", container=container)  # type: ignore[arg-type]
    entries: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def pending(entry: dict[str, Any]) -> Iterator[None]:
        entries.append(entry)
        yield

    live = SimpleNamespace(stack=SimpleNamespace(undo=SimpleNamespace(pending=pending)))
    step = Step.model_validate({"slow_down": "any worker", "percent": 30, "for": "1s"})
    with process.slowed_down(step, [subject], live):  # type: ignore[arg-type]
        assert container.attrs["HostConfig"]["CpuQuota"] == slow_us
    assert [entry["limits"] for entry in entries] == [{"cpu_period": 100_000, "cpu_quota": back_us}]


class Stubborn:
    """A container that is frozen at the third attempt, or refuses for good."""

    status = "paused"

    def __init__(self, refusal: str) -> None:
        self.refusal = refusal
        self.attempts = 0

    def pause(self) -> None:
        self.attempts += 1
        if self.attempts <= 2:
            raise docker.errors.APIError("500 Server Error", explanation=self.refusal)

    def reload(self) -> None:
        pass


def frozen(container: Stubborn) -> str:
    subject = Subject(name="rabbit1", role="node", container=container)  # type: ignore[arg-type]
    live: Any = SimpleNamespace(stack=SimpleNamespace(undo=SimpleNamespace(pending=lambda _: contextlib.nullcontext())))
    with process.paused(Step.model_validate({"pause": "every node", "for": "1s"}), [subject], live) as proof:
        return proof


def test_a_container_whose_processes_do_not_all_stand_still_is_frozen_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "_entry", lambda *_: {})
    container = Stubborn("Cannot pause container x: OCI runtime pause failed: unable to freeze: unknown")
    assert frozen(container) == "rabbit1 frozen"
    assert container.attempts == 3


def test_any_other_refusal_of_the_engine_is_the_faults_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "_entry", lambda *_: {})
    container = Stubborn("Container x is not running")
    with pytest.raises(EngineError, match="pause rabbit1: Container x is not running"):
        frozen(container)
    assert container.attempts == 1


def test_one_that_never_stands_still_is_not_frozen_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "_entry", lambda *_: {})
    monkeypatch.setattr(process, "_FROZEN_S", 0.0)
    with pytest.raises(NotReadyError, match=r"rabbit1 frozen(?s:.*)unable to freeze"):
        frozen(Stubborn("unable to freeze"))
