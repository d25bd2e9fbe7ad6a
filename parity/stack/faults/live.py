"""What a fault may reach: the stack, the run's namespace, its workers and producers; and roles made concrete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from docker.models.containers import Container

from parity.errors import FaultError
from parity.model.scaling.world import Input
from parity.scenario.steps import SAME, THAT_WORKER, ZONES, EventCount, Step
from parity.stack.group import Group
from parity.stack.stack import Stack
from parity.stack.submitter import CommandSubmitter, Submitter

Role = Literal["worker", "node", "database", "producer"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a role was at the moment a fault was applied.

    Args:
        name: Instance or service, as the history names it.
        role: What it is in the stack.
        container: Where it lives.
    """

    name: str
    role: Role
    container: Container


class Scaled(Protocol):
    """What faults need of a run's Auto Scaling group."""

    def zones(self, pick: int | None) -> list[str]:
        """The zones, or the one picked."""
        ...

    def workers_in(self, zones: Sequence[str]) -> list[str]:
        """The workers that live in these zones."""
        ...

    def fail_zones(self, zones: Sequence[str]) -> Callable[[], None]:
        """Have every launch in these zones fail; returns what ends that."""
        ...

    def impair_later(self, workers: Sequence[str]) -> Callable[[], None]:
        """Have EC2 find out that these reach nothing any more; returns what ends it."""
        ...

    def tell(self, *inputs: Input) -> None:
        """Tell the group facts."""
        ...

    def id_of(self, worker: str) -> str:
        """An instance's id by its worker's name."""
        ...


@dataclass(kw_only=True)
class Live:
    """A run while it runs.

    Args:
        stack: The shared stack.
        virtual_host: The run's virtual host; its database is called the same.
        group: The run's workers.
        submitters: The run's producers.
        holding: The instances that hold a job now, the one with the youngest delivery first.
        latest: The instance that made the latest event of a name.
        scaled: The Auto Scaling group; None where the scenario has none.
        previous: What the step before the current one was applied to.
        called: Whose instances the last call was about.
    """

    stack: Stack
    virtual_host: str
    group: Group
    submitters: list[Submitter]
    holding: Callable[[], list[str]]
    latest: Callable[[str], str]
    scaled: Scaled | None = None
    previous: list[Subject] = field(default_factory=list)
    called: list[str] = field(default_factory=list)


def resolve(step: Step, live: Live) -> list[Subject]:
    """What the step's role is right now.

    Raises:
        FaultError: Nothing plays the role at this moment.
    """
    target = step.target
    pick = step.pick.value if step.pick else 0
    if target == SAME:
        found = live.previous
    elif target == "database":
        service = live.stack.plan.files.description.database.service
        found = [Subject(name=service, role="database", container=live.stack.containers[service])]
    elif target == "producer":
        found = producers_of(live)
    elif target == THAT_WORKER:
        assert isinstance(step.at, EventCount), "the step's own validation"
        found = _as_workers([live.latest(step.at.event)], live)
    elif target in {"every worker", "any worker", "worker holding a job"}:
        found = _workers(target, live, pick)
    elif target in ZONES:
        # Who lives there when the fault is applied; a zone may be empty.
        return _as_workers(_zone_workers(step, live), live)
    elif target:
        found = _nodes(target, live, pick)
    else:
        return []
    if not found:
        raise FaultError(f"{step.kind}: there is no {target!r} at this moment")
    return found


def zones_of(step: Step, live: Live) -> list[str]:
    """The zones that a step is aimed at."""
    assert live.scaled is not None, "the scenario's own validation"
    return live.scaled.zones(step.pick.value if step.pick else None)


def _zone_workers(step: Step, live: Live) -> list[str]:
    assert live.scaled is not None, "the scenario's own validation"
    return live.scaled.workers_in(zones_of(step, live)) if step.kind == "lose_zone" else []


def producers_of(live: Live) -> list[Subject]:
    """The producers that are commands of the application."""
    return [
        Subject(name=f"producer-{number}", role="producer", container=submitter.container)
        for number, submitter in enumerate(live.submitters, 1)
        if isinstance(submitter, CommandSubmitter)
    ]


def workers_in_role(step: Step, live: Live) -> list[str]:
    """The workers that a call of a step is on, by name; none where it is on nobody's.

    Raises:
        FaultError: Nobody plays the role at this moment.
    """
    if step.whose is None:
        return []
    pick = step.pick.value if step.pick else 0
    if step.whose == THAT_WORKER:
        assert isinstance(step.at, EventCount), "the step's own validation"
        found = _as_workers([live.latest(step.at.event)], live)
    elif step.whose == SAME:
        found = _as_workers(live.called, live)
    else:
        found = _workers(step.whose, live, pick)
    if not found:
        raise FaultError(f"{step.operation}: there is no {step.whose!r} at this moment")
    live.called = [subject.name for subject in found]
    return live.called


def _workers(target: str, live: Live, pick: int) -> list[Subject]:
    alive = live.group.alive()
    if target == "worker holding a job":
        alive = [name for name in live.holding() if name in alive][:1]
    elif target == "any worker" and alive:
        alive = [alive[pick % len(alive)]]
    return _as_workers(alive, live)


def _as_workers(names: list[str], live: Live) -> list[Subject]:
    alive = live.group.alive()
    return [Subject(name=name, role="worker", container=live.group.container(name)) for name in names if name in alive]


def _nodes(target: str, live: Live, pick: int) -> list[Subject]:
    names = list(live.stack.broker.containers)
    if target in {"queue leader", "queue follower"}:
        leader = leader_of(live)
        others = [name for name in names if name != leader]
        names = [leader] if target == "queue leader" else others and [others[pick % len(others)]]
    elif target == "any node":
        names = [names[pick % len(names)]]
    return [Subject(name=name, role="node", container=live.stack.broker.containers[name]) for name in names]


def leader_of(live: Live) -> str:
    """The node that leads the run's first work queue.

    Raises:
        FaultError: None does, or the queue is not there yet.
    """
    wanted = live.stack.plan.files.description.queues.work[0]
    for queue in live.stack.broker.queues(live.virtual_host):
        if queue.name == wanted and queue.leader:
            return queue.leader
    raise FaultError(f"the queue {wanted} has no leader at this moment")
