"""The steps of a scenario: what is broken (or changed), on what, when, and for how long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_serializer, model_validator

from parity.scenario.group import split_operation
from parity.scenario.ranges import Draws, IntRange, SecondsRange
from parity.scenario.source import Place, WrongPartsError, found, nearest

#: The worker that made the moment of the history which the step waited for.
THAT_WORKER = "that worker"
WORKERS = ("any worker", "worker holding a job", THAT_WORKER, "every worker")
NODES = ("queue leader", "queue follower", "any node", "every node")
#: One after the other, each when the whole stack is ready again.
IN_TURN = "every node in turn"
SERVICES = ("database", "producer")
#: Roles that several could play at once.
CHOSEN = ("any worker", "any node", "queue follower", "any zone")
SAME = "the same"
ZONES = ("any zone", "every zone")
#: Whose instance a call may be about; `the same` is that of the call before it.
WHOSE = (*WORKERS, SAME)
TARGETS = (*WORKERS, *NODES, IN_TURN, *SERVICES, SAME, *ZONES)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a kind of step takes."""

    #: One line for the documentation.
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
    "restart": Kind(
        about="graceful stop and start; in turn waits for each to be ready", targets=(*_PROCESSES, IN_TURN)
    ),
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
    "call": Kind(
        about="a call of the AWS API, on the group that the workers are instances of",
        needs=("operation",),
        takes=("request", "whose"),
        fault=False,
    ),
    "deploy": Kind(
        about="another revision of the code for the instances of the group",
        needs=("how", "revision"),
        fault=False,
    ),
    "fail_launches": Kind(about="no instance can be launched in the zone", targets=ZONES, lasts="must"),
    "lose_zone": Kind(
        about="a zone is cut off: its instances reach nothing, and none can be launched there",
        targets=ZONES,
        lasts="must",
    ),
    "spot_notice": Kind(about="EC2 takes the instance back, two minutes after it says so", targets=WORKERS),
}
#: Kinds that need a group.
GROUP_KINDS = ("call", "deploy", "fail_launches", "lose_zone", "spot_notice")

_PERCENT_MAX = 100
_PARAMETERS = (
    "cut",
    "direction",
    "shape",
    "by",
    "percent",
    "kbit",
    "policy",
    "jobs",
    "of_kind",
    "workers",
    "operation",
    "request",
    "whose",
    "how",
    "revision",
)
#: The ways to deploy: onto the instances that are found in service; by a new version of the launch template, to which
#: instances are refreshed; by that alone.
WAYS = ("discover", "refresh", "template")
#: Events that no worker makes.
_NO_WORKERS = ("submit", "submitted", "effect")
#: A point of the history that a step may wait for: an event's name and how many of them.
_EVENT = re.compile(r"([A-Za-z_][\w-]*)\s+(\d+\s*(?:\.\.\s*\d+)?)")


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
    """A moment as it is written, or an error that says what a moment is."""
    if value is None or isinstance(value, SecondsRange | EventCount):
        return value
    match = _EVENT.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        if match is None:
            return SecondsRange.model_validate(value)
        count = IntRange.model_validate(match[2])
    except ValidationError as error:
        if "is empty" in str(error):
            raise ValueError(f"the range in {value!r} is empty: its low end is above its high end") from error
        raise ValueError(
            "expected a moment: a duration such as 2s, a range of them such as 1s..3s, "
            f"or an event and its count such as `delivery 5..15`; found {found(value)}"
        ) from error
    if count.low < 1:
        raise ValueError(f"events are counted from 1, found {value!r}")
    return EventCount(event=match[1], count=count)


class Step(BaseModel):
    """One step, flat: its kind and target, when, for how long, and the kind's parameters.

    Written as `{kill: queue leader, at: 1s..3s, for: 2s}`: the one key that names a kind is the step's kind
    and its value the target.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    target: str = ""
    #: From the start of the workload, or at an event of the history.
    at: Annotated[SecondsRange | EventCount | None, BeforeValidator(_moment)] = None
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
    operation: str | None = None
    request: dict[str, Any] | None = None
    #: Whose instance the call is about, where it is about one.
    whose: str | None = None
    how: Literal["discover", "refresh", "template"] | None = None
    #: A name for what is deployed.
    revision: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][\w.-]*$")

    @model_validator(mode="before")
    @classmethod
    def _from_written(cls, data: Any) -> Any:
        if isinstance(data, Step):
            return data
        if not isinstance(data, dict):
            raise WrongPartsError(
                ((), f"expected a step such as {{kill: queue leader, at: 1s..3s}}, found {found(data)}")
            )
        kinds = [str(key) for key in data if key in KINDS]
        if len(kinds) != 1:
            raise WrongPartsError(*_wrong_kind([str(key) for key in data], kinds))
        kind = kinds[0]
        given = {str(key): value for key, value in data.items() if key != kind}
        wrong = [_wrong_key(kind, key) for key in given if key not in _keys_of(kind)]
        if wrong:
            raise WrongPartsError(*wrong)
        return {"kind": kind, **_operand(kind, data[kind]), **given}

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Step:
        kind = KINDS[self.kind]
        wrong: list[tuple[Place, str]] = []
        if kind.targets and self.target not in kind.targets:
            hint = nearest(self.target, list(kind.targets))
            wrong.append(((self.kind,), f"{self.kind} cannot aim at {self.target!r}{hint}"))
        if self.target == THAT_WORKER and (not isinstance(self.at, EventCount) or self.at.event in _NO_WORKERS):
            wrong.append((("at",), f"{THAT_WORKER!r} needs `at` with what a worker does, such as `delivery 5..20`"))
        if self.at is not None and self.after is not None:
            wrong.append((("after",), "`at` counts from the start, `after` from the step before: choose one"))
        if kind.lasts == "must" and self.lasts is None:
            wrong.append(((), f"{self.kind} needs `for`: how long until it is healed"))
        if self.pick is not None and not self.chosen:
            wrong.append((("pick",), f"`pick` chooses among several; {self.target or self.kind!r} leaves no choice"))
        wrong += self._wrong_values()
        wrong += [((), f"{self.kind} needs `{name}`") for name in kind.needs if getattr(self, name) is None]
        if wrong:
            raise WrongPartsError(*wrong)
        return self

    def _wrong_values(self) -> list[tuple[Place, str]]:
        """What no kind could take."""
        wrong: list[tuple[Place, str]] = []
        if self.percent is not None and not 1 <= self.percent.low <= self.percent.high <= _PERCENT_MAX:
            wrong.append((("percent",), "percent: expected a share from 1 to 100"))
        if self.times.low < 1:
            wrong.append((("times",), "times: expected at least 1"))
        if self.kbit is not None and self.kbit.low < 1:
            wrong.append((("kbit",), "kbit: expected at least 1"))
        if self.whose is not None and self.whose not in WHOSE:
            hint = nearest(self.whose, list(WHOSE))
            wrong.append((("whose",), f"expected one of {', '.join(WHOSE)}, found {self.whose!r}{hint}"))
        return wrong

    @model_serializer
    def _written(self) -> dict[str, Any]:
        kind = KINDS[self.kind]
        operand = self.target if kind.targets else getattr(self, kind.needs[0])
        written: dict[str, Any] = {self.kind: _plain(operand)}
        for name in ("at", "after", "pick", *(_PARAMETERS if kind.targets else (*kind.needs[1:], *kind.takes))):
            if getattr(self, name) is not None:
                written[name] = _plain(getattr(self, name))
        if self.lasts is not None:
            written["for"] = _plain(self.lasts)
        if self.times != IntRange(low=1, high=1):
            written["times"] = _plain(self.times)
        return written

    @property
    def chosen(self) -> bool:
        """Whether its role may leave a choice among several."""
        return self.target in CHOSEN or self.whose in CHOSEN

    def draw(self, draws: Draws) -> list[Step]:
        """The step with every range narrowed, once for each of its `times`."""
        return [self._draw_once(draws) for _ in range(self.times.draw(draws).value)]

    def _draw_once(self, draws: Draws) -> Step:
        drawn: dict[str, Any] = {
            name: value.draw(draws)
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), IntRange | SecondsRange | EventCount)
        }
        if self.chosen and self.pick is None:
            drawn["pick"] = IntRange(low=0, high=11).draw(draws)
        return self.model_copy(update={**drawn, "times": IntRange(low=1, high=1)})


def _keys_of(kind: str) -> list[str]:
    """The keys a kind takes beside its own."""
    takes = KINDS[kind]
    needs = takes.needs if takes.targets else takes.needs[1:]
    lasts = [] if takes.lasts == "never" else ["for"]
    return ["at", "after", *lasts, "times", "pick", *needs, *takes.takes]


def _wrong_kind(keys: list[str], kinds: list[str]) -> list[tuple[Place, str]]:
    """What to say of a step that has no kind, or several."""
    if kinds:
        return [((kinds[1],), f"a step has one kind, found {' and '.join(kinds)}; write two steps")]
    strange = [key for key in keys if key not in {"at", "after", "for", "times", "pick", *_PARAMETERS}]
    if not strange:
        return [((), f"a step needs its kind; expected one of {', '.join(KINDS)}")]
    return [((strange[0],), f"no kind of step is called {strange[0]!r}{nearest(strange[0], list(KINDS))}")]


def _wrong_key(kind: str, key: str) -> tuple[Place, str]:
    if key == "for":
        return ((key,), f"{kind} does not last: leave `for` out")
    if key in _PARAMETERS:
        return ((key,), f"{kind} does not take `{key}`")
    return ((key,), f"unknown key {key!r}{nearest(key, _keys_of(kind))}")


def _operand(kind: str, value: Any) -> dict[str, Any]:
    """What the value of the kind's own key means: the target, or the parameter the kind needs first."""
    if KINDS[kind].targets:
        if not isinstance(value, str):
            hint = f"expected one of {', '.join(KINDS[kind].targets)}"
            raise WrongPartsError(((kind,), f"{kind} needs a target, found {found(value)}; {hint}"))
        return {"target": value}
    name = KINDS[kind].needs[0]
    if name == "policy":
        if not isinstance(value, dict):
            raise WrongPartsError(((kind,), f"{kind} needs the policy's definition as a mapping, found {found(value)}"))
        return {name: value}
    if name == "how":
        if value not in WAYS:
            hint = nearest(str(value), list(WAYS))
            raise WrongPartsError(((kind,), f"{kind}: expected one of {', '.join(WAYS)}, found {value!r}{hint}"))
        return {name: value}
    if name == "operation":
        try:
            split_operation(str(value))
        except ValueError as error:
            raise WrongPartsError(((kind,), str(error))) from error
        return {name: value}
    try:
        return {name: IntRange.model_validate(value)}
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise WrongPartsError(((kind,), f"{kind}: {message}")) from error


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value
