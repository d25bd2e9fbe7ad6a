"""The steps of a scenario: what is broken (or changed), on what, when, and for how long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from parity.scenario.ranges import Draws, IntRange, SecondsRange
from parity.scenario.source import nearest

#: The worker that made the moment of the history which the step waited for.
THAT_WORKER = "that worker"
WORKERS = ("any worker", "worker holding a job", THAT_WORKER, "every worker")
NODES = ("queue leader", "queue follower", "any node", "every node", "every node in turn")
SERVICES = ("database", "producer")
#: Roles that several could play at once.
CHOSEN = ("any worker", "any node", "queue follower")
SAME = "the same"
TARGETS = (*WORKERS, *NODES, *SERVICES, SAME)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a kind of step takes."""

    #: One line for `parity faults` and the documentation.
    about: str
    #: Roles it can be aimed at; empty where the step has no target.
    targets: tuple[str, ...] = ()
    #: Parameters it must have.
    needs: tuple[str, ...] = ()
    #: Parameters it may have besides `at`, `after` and `times`.
    takes: tuple[str, ...] = ()
    #: Whether `for` is required ("must"), allowed ("may") or meaningless ("never").
    lasts: Literal["must", "may", "never"] = "never"
    #: Whether leaving it needs an undo: a step that is not a fault changes the run for good.
    fault: bool = True


_PROCESSES = (*WORKERS, *NODES, *SERVICES, SAME)

KINDS: dict[str, Kind] = {
    "kill": Kind(about="SIGKILL; nodes and services start again after `for`", targets=_PROCESSES, lasts="may"),
    "stop": Kind(
        about="SIGTERM and the service's grace period; started again after `for`",
        targets=_PROCESSES,
        lasts="may",
    ),
    "restart": Kind(about="graceful stop and start; in turn waits for each to be ready", targets=_PROCESSES),
    "pause": Kind(about="every process of the container frozen", targets=_PROCESSES, lasts="must"),
    "out_of_memory": Kind(about="the kernel kills the container's first process for memory", targets=WORKERS),
    "close_connections": Kind(about="the broker closes the clients' connections", targets=(*WORKERS, "producer")),
    "isolate": Kind(
        about="packets to and from a node are dropped, silently",
        targets=(*NODES, SAME),
        takes=("cut", "direction"),
        lasts="must",
    ),
    "partition": Kind(
        about="the cluster's nodes are parted: halves, or every node seeing another majority",
        targets=("every node",),
        needs=("shape",),
        lasts="must",
    ),
    "delay": Kind(
        about="everything sent takes longer",
        targets=(*WORKERS, *NODES, "producer", SAME),
        needs=("by",),
        lasts="must",
    ),
    "lose": Kind(about="a share of the packets is dropped", targets=_PROCESSES, needs=("percent",), lasts="must"),
    "throttle": Kind(about="bandwidth is limited", targets=_PROCESSES, needs=("kbit",), lasts="must"),
    "slow_down": Kind(
        about="the container gets a share of one processor",
        targets=_PROCESSES,
        needs=("percent",),
        lasts="must",
    ),
    "exhaust_connections": Kind(
        about="every free connection of the database is taken", targets=("database",), lasts="must"
    ),
    "disk_alarm": Kind(
        about="the node believes that its disk is full and blocks publishers", targets=NODES, lasts="must"
    ),
    "memory_alarm": Kind(
        about="the node believes that its memory is full and blocks publishers", targets=NODES, lasts="must"
    ),
    "set_policy": Kind(about="a broker policy on every queue of the run", needs=("policy",), fault=False),
    "submit": Kind(
        about="a burst of jobs at once, of a kind the stack declares",
        needs=("jobs",),
        takes=("of_kind",),
        fault=False,
    ),
    "scale": Kind(about="how many workers there should be", needs=("workers",), fault=False),
}

_PARAMETERS = ("cut", "direction", "shape", "by", "percent", "kbit", "policy", "jobs", "of_kind", "workers")
#: Events that no worker makes.
_NO_WORKERS = ("submit", "submitted", "effect")
#: A point of the history that a step may wait for: an event's name and how many of them.
_EVENT = re.compile(r"(submit|submitted|delivery|effect|[a-z]+)\s+(\d+(?:\.\.\d+)?)")


class EventCount(BaseModel):
    """A moment keyed to the history: the n-th event of a name, such as `delivery 5..15`.

    Names are `submit`, `submitted`, `delivery`, `effect`, or a point that the stack's log patterns declare.
    """

    model_config = ConfigDict(frozen=True)
    event: str
    count: IntRange

    @model_serializer
    def _written(self) -> str:
        return f"{self.event} {self.count._written()}"  # noqa: SLF001

    def draw(self, draws: Draws) -> EventCount:
        """The same moment with its count drawn."""
        return EventCount(event=self.event, count=self.count.draw(draws))


def _moment(value: Any) -> Any:
    match = _EVENT.fullmatch(str(value).strip())
    return {"event": match[1], "count": match[2]} if match else value


class Step(BaseModel):
    """One step, flat: its kind and target, when, for how long, and the kind's parameters.

    Written as `{kill: queue leader, at: 1s..3s, for: 2s}`: the one key that names a kind is the step's kind
    and its value the target.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    kind: str
    target: str = ""
    #: From the start of the workload, or at an event of the history.
    at: SecondsRange | EventCount | None = None
    #: From the moment the step before this one was applied.
    after: SecondsRange | None = None
    lasts: SecondsRange | None = Field(default=None, alias="for")
    #: Drawn as so many steps, each with its own moment.
    times: IntRange = IntRange(low=1, high=1)
    #: Which one, where a role leaves the choice: drawn, and taken modulo how many there are.
    pick: IntRange | None = None
    cut: Literal["nodes", "clients", "everything"] | None = None
    direction: Literal["both", "in", "out"] | None = None
    shape: Literal["halves", "majorities-ring"] | None = None
    by: SecondsRange | None = None
    percent: IntRange | None = None
    kbit: IntRange | None = None
    policy: dict[str, Any] | None = None
    jobs: IntRange | None = None
    of_kind: str | None = None
    workers: IntRange | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_written(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "kind" in data:
            return data
        kinds = [key for key in data if key in KINDS]
        if len(kinds) != 1:
            known = {"at", "after", "for", "times", "pick", *_PARAMETERS}
            wrong = [str(key) for key in data if key not in known]
            hint = nearest(wrong[0], list(KINDS)) if wrong else f"; expected one of {', '.join(KINDS)}"
            raise ValueError(f"a step has one kind, found {kinds or wrong or 'none'}{hint}")
        kind = kinds[0]
        rest = {key: value for key, value in data.items() if key != kind}
        if isinstance(rest.get("at"), str):
            rest["at"] = _moment(rest["at"])
        return {"kind": kind, **_operand(kind, data[kind]), **rest}

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Step:
        kind = KINDS[self.kind]
        if kind.targets and self.target not in kind.targets:
            raise ValueError(f"{self.kind} cannot aim at {self.target!r}{nearest(self.target, list(kind.targets))}")
        if self.target == THAT_WORKER and (not isinstance(self.at, EventCount) or self.at.event in _NO_WORKERS):
            raise ValueError(f"{THAT_WORKER!r} needs `at` with what a worker does, such as `delivery 5..20`")
        if self.at is not None and self.after is not None:
            raise ValueError(f"{self.kind}: `at` counts from the start, `after` from the step before; choose one")
        if kind.lasts == "must" and self.lasts is None:
            raise ValueError(f"{self.kind} needs `for`: how long until it is healed")
        if kind.lasts == "never" and self.lasts is not None:
            raise ValueError(f"{self.kind} does not last; leave `for` out")
        for name in _PARAMETERS:
            given = getattr(self, name) is not None
            if given and name not in (*kind.needs, *kind.takes):
                raise ValueError(f"{self.kind} does not take {name!r}")
            if not given and name in kind.needs:
                raise ValueError(f"{self.kind} needs {name!r}")
        return self

    @model_serializer
    def _written(self) -> dict[str, Any]:
        kind = KINDS[self.kind]
        operand = self.target if kind.targets else getattr(self, kind.needs[0])
        written: dict[str, Any] = {self.kind: _plain(operand)}
        for name in ("at", "after", "pick", *(_PARAMETERS if kind.targets else kind.takes)):
            if getattr(self, name) is not None:
                written[name] = _plain(getattr(self, name))
        if self.lasts is not None:
            written["for"] = _plain(self.lasts)
        if self.times != IntRange(low=1, high=1):
            written["times"] = _plain(self.times)
        return written

    def draw(self, draws: Draws) -> list[Step]:
        """The step with every range narrowed, once for each of its `times`."""
        return [self._draw_once(draws) for _ in range(self.times.draw(draws).value)]

    def _draw_once(self, draws: Draws) -> Step:
        drawn: dict[str, Any] = {
            name: value.draw(draws)
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), IntRange | SecondsRange | EventCount)
        }
        if self.target in CHOSEN and self.pick is None:
            drawn["pick"] = IntRange(low=0, high=11).draw(draws)
        return self.model_copy(update={**drawn, "times": IntRange(low=1, high=1)})


def _operand(kind: str, value: Any) -> dict[str, Any]:
    """What the value of the kind's own key means: the target, or the parameter the kind needs first."""
    if KINDS[kind].targets:
        return {"target": str(value)}
    return {KINDS[kind].needs[0]: value}


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value


Steps = Annotated[tuple[Step, ...], "in the order of the file"]
