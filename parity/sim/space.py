"""What a search may do to a stack: which steps, aimed at what, with which settings, policies and moments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from parity.model.constants import OWN_CONNECTIONS
from parity.model.settings import ModelSettings
from parity.scenario.properties import Properties
from parity.scenario.scenario import Scenario
from parity.scenario.steps import KINDS, THAT_WORKER

SettingValue: TypeAlias = str | int | float
#: Kinds of steps, the simplest first.
SIMPLEST_FIRST = (
    "kill",
    "stop",
    "restart",
    "pause",
    "close_connections",
    "submit",
    "scale",
    "set_policy",
    "isolate",
    "partition",
    "delay",
    "lose",
    "throttle",
    "slow_down",
    "out_of_memory",
    "exhaust_connections",
    "disk_alarm",
    "memory_alarm",
)
#: Those of an Auto Scaling group, the simplest first; a call goes by its operation.
OF_A_GROUP = (
    "SetDesiredCapacity",
    "TerminateInstanceInAutoScalingGroup",
    "SetInstanceHealth",
    "deploy",
    "spot_notice",
    "fail_launches",
    "lose_zone",
    "SuspendProcesses",
    "ResumeProcesses",
    "EnterStandby",
    "ExitStandby",
)
#: Leaving this out leaves all groups out.
GROUP = "group"
#: Events of a history that a moment may name. The first is there before any worker is.
POINTS = ("submitted", "delivery", "effect", "committed", "acknowledged")
#: Those that no worker makes.
NOT_WORKERS = ("submit", "submitted", "effect")
#: Mirroring, which makes a cluster of a classic queue. With `when-synced` a copy that was never filled is not promoted.
MIRRORED: tuple[dict[str, Any], ...] = (
    {"definition": {"ha-mode": "all", "ha-sync-mode": "automatic"}},
    {"definition": {"ha-mode": "all", "ha-sync-mode": "manual"}},
    {"definition": {"ha-mode": "all", "ha-sync-mode": "manual", "ha-promote-on-failure": "when-synced"}},
)
#: How many nodes a target or shape needs to mean anything.
_NODES_MIN = {"queue follower": 2, "halves": 2, "majorities-ring": 3}


@dataclass(frozen=True, kw_only=True)
class GroupSpace:
    """What a search may do where a scenario's workers are instances of an Auto Scaling group.

    Args:
        targets: For each of `OF_A_GROUP` that may be tried what it may be aimed at; empty for calls and deploys.
        deploys: Ways to deploy that the stack is made for; none: it is not deployed to.
        archives: Whether what instances print is archived, and that can be claimed.
        always: Whether every scenario has a group: the workers need what only a group's instances have.
    """

    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    deploys: tuple[str, ...] = ()
    archives: bool = False
    always: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of steps that may be tried, the simplest first."""
        return tuple(self.targets)


@dataclass(frozen=True, kw_only=True)
class Space:
    """All scenarios that a search may come to on one stack.

    Args:
        stack: The stack's name, as scenarios write it.
        settings: What stands for the stack in the models.
        targets: For each kind of step that may be tried what it may be aimed at, the simplest first; empty for a
            kind without target.
        searchable: Settings to turn, each with the values to try, first the stack's own.
        job_kinds: Kinds of jobs to submit beside ordinary ones.
        policies: Broker policies worth setting.
        points: Events that a moment may name, the simplest first.
        properties: What is claimed of every scenario.
        group: What may be done with a group; None: scenarios have none.
        claims_more: Whether scenarios with a group claim what makes sense of it, beside `properties`.
        derive: The models' settings under a scenario's `settings`, which are all it may look at; None: they change
            nothing.
    """

    stack: str
    settings: ModelSettings = field(default_factory=ModelSettings)
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    searchable: Mapping[str, Sequence[SettingValue]] = field(default_factory=dict)
    job_kinds: tuple[str, ...] = ()
    policies: tuple[dict[str, Any], ...] = ()
    points: tuple[str, ...] = POINTS
    properties: Properties = field(default_factory=Properties)
    group: GroupSpace | None = None
    claims_more: bool = True
    derive: Callable[[Scenario], ModelSettings] | None = None
    _derived: dict[tuple[tuple[str, SettingValue], ...], ModelSettings] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of steps that may be tried, the simplest first."""
        return tuple(self.targets)

    @property
    def shapes(self) -> tuple[str, ...]:
        """Ways to part this many nodes."""
        return tuple(shape for shape in ("halves", "majorities-ring") if self.settings.nodes >= _NODES_MIN[shape])

    @property
    def room(self) -> int:
        """How many workers, each with a connection of its own, leave the database none."""
        database = self.settings.database
        return database.max_connections - database.reserved_connections - OWN_CONNECTIONS

    def settings_of(self, scenario: Scenario) -> ModelSettings:
        """What stands for the stack under a scenario."""
        if self.derive is None or not scenario.settings:
            return self.settings
        key = tuple(sorted(scenario.settings.items()))
        if key not in self._derived:
            self._derived[key] = self.derive(scenario)
        return self._derived[key]


def make_space(
    stack: str,
    settings: ModelSettings,
    *,
    without: Sequence[str] = (),
    has_producer: bool = True,
    points: Sequence[str] = POINTS,
    searchable: Mapping[str, Sequence[SettingValue]] | None = None,
    job_kinds: Sequence[str] | None = None,
    policies: Sequence[dict[str, Any]] | None = None,
    properties: Properties | None = None,
    group: GroupSpace | None = None,
    derive: Callable[[Scenario], ModelSettings] | None = None,
) -> Space:
    """Everything that makes sense on a stack.

    Args:
        stack: The stack's name.
        settings: What stands for it.
        without: Kinds of steps to leave out, such as those that no model covers; operations of the AWS API, and `group`
            for all that has a group, too.
        has_producer: Whether there is a producer that can be broken.
        points: Events that the stack can show.
        searchable: Settings to turn, each with its values, first the stack's own.
        job_kinds: Kinds of jobs to submit; those that must end on this stack where None.
        policies: Policies to set; mirroring for classic queues, none for others, where None.
        properties: What is claimed; what is safe to claim of anything where None, and of a group what makes sense.
        group: What may be done with a group; None: scenarios have none.
        derive: See `Space`.
    """
    if policies is None:
        policies = MIRRORED if settings.broker.queue_type == "classic" and settings.nodes > 1 else ()
    left_out = {*without, *(() if policies else ("set_policy",)), *(() if settings.nodes > 1 else ("partition",))}
    if "call" in without:
        left_out.update(kind for kind in OF_A_GROUP if kind not in KINDS)
    if group is None or not group.deploys:
        left_out.add("deploy")

    def targets(kinds: Sequence[str]) -> dict[str, tuple[str, ...]]:
        aims = {kind: KINDS[kind].targets if kind in KINDS else () for kind in kinds if kind not in left_out}
        there = {
            kind: tuple(target for target in all_of_them if _is_there(target, settings, points, has_producer))
            for kind, all_of_them in aims.items()
        }
        return {kind: possible for kind, possible in there.items() if possible or not aims[kind]}

    return Space(
        stack=stack,
        settings=settings,
        targets=targets(SIMPLEST_FIRST),
        searchable={name: tuple(values) for name, values in (searchable or {}).items() if len(values) > 1},
        job_kinds=tuple(job_kinds) if job_kinds is not None else ending_kinds(settings),
        policies=tuple(policies),
        points=tuple(point for point in POINTS if point in points) + tuple(p for p in points if p not in POINTS),
        properties=properties or Properties(),
        group=None if group is None or GROUP in without else replace(group, targets=targets(OF_A_GROUP)),
        claims_more=properties is None,
        derive=derive,
    )


def ending_kinds(settings: ModelSettings) -> tuple[str, ...]:
    """Kinds of jobs that end in a dead-letter queue or are given up.

    One that fails each time and is put back each time circles for ever. That is known without a search, and would be
    all that a search finds.
    """
    limited = settings.broker.queue_type == "quorum" and settings.broker.delivery_limit is not None
    given_up = settings.worker.on_failure in {"reject", "acknowledge"}
    return (*(settings.poison if limited or given_up else ()), *(settings.crash if limited else ()))


def _is_there(target: str, settings: ModelSettings, points: Sequence[str], has_producer: bool) -> bool:  # noqa: FBT001
    if target == "producer":
        return has_producer
    if target == "worker holding a job":
        return "delivery" in points
    if target == THAT_WORKER:
        return any(point not in NOT_WORKERS for point in points)
    return settings.nodes >= _NODES_MIN.get(target, 0)
