"""A scenario: topology, workload, steps and properties, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_serializer, model_validator

from parity.scenario.duration import Seconds
from parity.scenario.group import GroupSection
from parity.scenario.properties import GROUP_PROPERTIES, PROPERTY_NAMES, Properties
from parity.scenario.ranges import Draws, IntRange
from parity.scenario.source import Place, Source, WrongPartsError, found, load_source, nearest
from parity.scenario.steps import GROUP_KINDS, WORKERS, Step


class Expectation(BaseModel):
    """What a run on a stack is expected to show: everything holds, or these properties are violated."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    violated: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_written(cls, data: Any) -> Any:
        if data == "holds":
            return {}
        if not isinstance(data, dict | Expectation):
            raise ValueError(f"expected `holds` or `{{violated: [property]}}`, found {found(data)}")  # noqa: TRY004
        return data

    @model_validator(mode="after")
    def _known(self) -> Expectation:
        wrong: list[tuple[Place, str]] = [
            (("violated", index), f"no property is called {name!r}{nearest(name, list(PROPERTY_NAMES))}")
            for index, name in enumerate(self.violated)
            if name not in PROPERTY_NAMES
        ]
        if wrong:
            raise WrongPartsError(*wrong)
        return self

    @model_serializer
    def _written(self) -> Any:
        return {"violated": list(self.violated)} if self.violated else "holds"


def _setting(value: Any) -> Any:
    """Text or a number: what `yes` or a list would be to an application, only its author knows."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected text or a number, as the application reads it, found {found(value)}")  # noqa: TRY004
    return value


class OnStack(BaseModel):
    """A stack the scenario runs on, and what is expected there."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: Folder of the compose file, with `+name` for an overlay in its `overlays` folder.
    stack: str
    expect: Expectation = Expectation()
    #: `default` runs with `make parity`; `all` only with `--all` or when the scenario is named.
    suite: Literal["default", "all"] = "default"


class Workload(BaseModel):
    """What is submitted while the steps happen."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    jobs: IntRange = IntRange(low=50, high=50)
    #: Jobs a second; 0 submits them all at once.
    rate: float = Field(default=25.0, ge=0)
    #: How many producers share the jobs.
    producers: int = Field(default=1, ge=1, le=10)


class Scenario(BaseModel):
    """A scenario as its file states it, or as a run drew it: the same type, with every range narrowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    #: What must hold and why, in a sentence or two.
    about: str
    stacks: tuple[OnStack, ...] = Field(default=(OnStack(stack="compose/rabbitmq"),), min_length=1)
    #: Workers at the start; the stack's own count where None.
    workers: IntRange | None = None
    #: The Auto Scaling group that the workers are instances of; it says how many there are.
    group: GroupSection | None = None
    #: Whether a worker that died is replaced.
    replace_workers: bool = True
    #: Settings the stack declares, by name; a range such as `0.2..0.6` goes to the application as it is written.
    settings: dict[str, Annotated[str | int | float, BeforeValidator(_setting)]] = Field(default_factory=dict)
    workload: Workload = Workload()
    steps: tuple[Step, ...] = ()
    properties: Properties = Properties()
    #: How long the drain may take before what is left counts as stuck.
    drain: Seconds = 60.0
    #: How long the stack may take to heal after the last step.
    heal: Seconds = 90.0

    @model_validator(mode="after")
    def _makes_sense(self) -> Scenario:
        wrong: list[tuple[Place, str]] = []
        if self.steps and self.steps[0].after is not None:
            wrong.append((("steps", 0, "after"), "the first step follows no other: give it `at`"))
        if self.group is not None and self.workers is not None:
            wrong.append((("workers",), "the group says how many workers there are: give it `desired`"))
        wrong += self._of_the_group() if self.group is None else []
        for index, on in enumerate(self.stacks):
            for name in on.expect.violated:
                if getattr(self.properties, name) in (None, False):
                    message = f"{name} cannot be violated: `properties` leave it out"
                    wrong.append((("stacks", index, "expect"), message))
        if wrong:
            raise WrongPartsError(*wrong)
        return self

    def _of_the_group(self) -> list[tuple[Place, str]]:
        """What only makes sense with a group."""
        wrong: list[tuple[Place, str]] = [
            (("steps", index, step.kind), f"{step.kind} needs an Auto Scaling group: give the scenario `group`")
            for index, step in enumerate(self.steps)
            if step.kind in GROUP_KINDS
        ]
        claimed = [name for name in GROUP_PROPERTIES if getattr(self.properties, name) not in (None, False)]
        wrong += [
            (("properties", name), f"{name} is said of an Auto Scaling group: give the scenario `group`")
            for name in claimed
        ]
        return wrong

    def stacks_of(self, *, everything: bool, stack: str = "") -> tuple[OnStack, ...]:
        """The stacks to run on.

        Args:
            everything: Those of the suite `all` too.
            stack: This one only; on one that the scenario does not name, everything is expected to hold.
        """
        if stack:
            same = tuple(on for on in self.stacks if on.stack == stack)
            return same or (OnStack(stack=stack),)
        return tuple(on for on in self.stacks if everything or on.suite == "default")

    @property
    def keeps_to_itself(self) -> bool:
        """Whether every step hits the run's own workers, producers and queues, so that others may run beside it."""
        return all(step.target in (*WORKERS, "producer", "") for step in self.steps)

    def draw(self, draws: Draws) -> Scenario:
        """The scenario with every range narrowed and every repeated step written out.

        Args:
            draws: Where the values come from.
        """
        workload = self.workload.model_copy(update={"jobs": self.workload.jobs.draw(draws)})
        steps = tuple(one for step in self.steps for one in step.draw(draws))
        workers = self.workers.draw(draws) if self.workers else None
        return self.model_copy(update={"workload": workload, "steps": steps, "workers": workers})

    def to_yaml(self) -> str:
        """The scenario as a file that loads to the same scenario."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; its name is the file's, unless it states one.

    Raises:
        SourceError: The file is no scenario; says where and what was expected.
    """
    return read_scenario(load_source(path), name=path.stem)


def read_scenario(source: Source, *, name: str) -> Scenario:
    """A scenario from its document.

    Args:
        source: The document.
        name: The scenario's name where the document states none.

    Raises:
        SourceError: The document is no scenario; says where and what was expected.
    """
    data = source.data
    if isinstance(data, dict) and "name" not in data:
        data = {"name": name, **data}
    return source.parse(Scenario, data)
