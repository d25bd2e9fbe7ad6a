"""A zoo: bugs on purpose, each one change to a stack that is right, and changes that are no bugs, as a file.

A search that is worth anything finds every bug and flags no control.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from parity.model.settings import ModelSettings
from parity.scenario.properties import PROPERTY_NAMES
from parity.scenario.source import load_source, nearest
from parity.sim.space import OF_A_GROUP, SIMPLEST_FIRST, GroupSpace, Space, make_space


class GroupMember(BaseModel):
    """What may be done where a scenario has an Auto Scaling group."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: The kinds of steps to try, where not all of them; a call goes by its operation.
    kinds: tuple[str, ...] | None = None
    #: Ways to deploy.
    deploys: tuple[Literal["discover", "refresh"], ...] = ()
    #: Whether what instances print is to be in an archive.
    archives: bool = False

    @field_validator("kinds")
    @classmethod
    def _known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        known = (*SIMPLEST_FIRST, *OF_A_GROUP)
        for kind in value or ():
            if kind not in known:
                raise ValueError(f"no kind of step is called {kind!r}{nearest(kind, list(known))}")
        return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    #: What is done, in a sentence.
    about: str
    #: The model settings that differ from those of the stack that is right, section by section.
    change: dict[str, Any]
    #: Kinds of jobs to submit that a search would not try otherwise.
    job_kinds: tuple[str, ...] | None = None
    #: The policies to try, where not all of them: some bugs hide behind another that a policy makes.
    policies: tuple[dict[str, Any], ...] | None = None
    #: What may be done with an Auto Scaling group; None: no scenario has one.
    group: GroupMember | None = None

    def settings(self, right: ModelSettings) -> ModelSettings:
        """The stack that is right, changed.

        Raises:
            ValueError: The change names no model setting, or gives it what it cannot be.
        """
        whole = right.model_dump()
        for name, value in self.change.items():
            whole[name] = whole.get(name, {}) | value if isinstance(value, dict) else value
        return ModelSettings.model_validate(whole)

    def space(self, right: ModelSettings) -> Space:
        """What a search may do to it."""
        return self.space_on(self.name, self.settings(right))

    def space_on(self, stack: str, settings: ModelSettings) -> Space:
        """The same on a stack of some name that has these settings already."""
        policies = None if self.policies is None else [{"definition": policy} for policy in self.policies]
        group = None if self.group is None else GroupSpace(deploys=self.group.deploys, archives=self.group.archives)
        known = (*SIMPLEST_FIRST, *OF_A_GROUP)
        kinds = self.group.kinds if self.group is not None else None
        without = [] if kinds is None else [kind for kind in known if kind not in kinds]
        return make_space(stack, settings, job_kinds=self.job_kinds, policies=policies, group=group, without=without)


class Bug(_Section):
    """A change that is a bug."""

    kind: Literal["worker", "producer", "broker", "topology", "group"] = Field(alias="class")
    #: How many steps the shortest scenario needs that shows it.
    depth: int = Field(ge=0)
    #: The property that is violated.
    violates: str
    #: A stack where the same bug can be shown on containers.
    stack: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Bug:
        if self.violates not in PROPERTY_NAMES:
            raise ValueError(f"no property is called {self.violates!r}{nearest(self.violates, list(PROPERTY_NAMES))}")
        return self


class Control(_Section):
    """A change that is none."""


class Zoo(BaseModel):
    """All of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    bugs: tuple[Bug, ...]
    controls: tuple[Control, ...]


def load_zoo(path: Path) -> Zoo:
    """Read a zoo's file.

    Raises:
        SourceError: The file is no zoo; says where and what was expected.
    """
    source = load_source(path)
    return source.parse(Zoo, source.data)
