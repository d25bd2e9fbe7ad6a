"""Faults of processes, on containers and a group that are told what to be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

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
