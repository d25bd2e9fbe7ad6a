"""What a search may do to a stack, read from the stack's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.errors import SourceError
from parity.model.names import value_of
from parity.model.settings import WITHOUT_AWS, ModelSettings
from parity.scenario.properties import Properties
from parity.scenario.scenario import Scenario
from parity.sim.space import GROUP, POINTS, GroupSpace, Space, make_space
from parity.stack.description import EVENT_NAMES, Description, StackFiles, load_stack
from parity.stack.modelled import model_settings, searchable


@dataclass(frozen=True)
class Turned:
    """The models' settings under a scenario's: what `model_settings` says, without reading the files each time.

    Args:
        description: The stack's.
        own: What stands for the stack as it is.
    """

    description: Description
    own: ModelSettings

    def __call__(self, scenario: Scenario) -> ModelSettings:
        """The stack's own, but for what the scenario's settings stand for."""
        data = self.own.model_dump()
        for name, value in scenario.settings.items():
            setting = self.description.settings[name]
            for model in setting.models:
                _put(data, model.split("."), setting.meaning(str(value)))
        return ModelSettings.model_validate(data)


def _put(data: dict[str, Any], place: Sequence[str], value: Any) -> None:
    for name in place[:-1]:
        data = data[name]
    data[place[-1]] = value


def space_for(files: StackFiles, *, properties: Properties | None = None, without: Sequence[str] = ()) -> Space:
    """What a search may do to a stack.

    Args:
        files: The stack.
        properties: What is claimed; what is safe to claim of anything where None.
        without: Kinds of steps to leave out; `group` for all that has an Auto Scaling group.

    Raises:
        ModelError: The models do not cover the stack.
        SourceError: Its files contradict one another, or its scenarios cannot be without what is left out.
    """
    description = files.description
    own = model_settings(files)
    group = _group_of(description, own)
    if group.always and GROUP in without:
        message = "the workers take the AWS API, which only instances of an Auto Scaling group have (`worker.aws`)"
        raise SourceError(f"{message}: `{GROUP}` cannot be left out", file=files.name)
    told = [name for name in EVENT_NAMES if name != "delivery" or description.log.delivery]
    return make_space(
        files.name,
        own,
        without=without,
        has_producer=description.submit.service is not None,
        # A point of another name is one that no model passes.
        points=[name for name in (*told, *description.log.points) if name in POINTS],
        searchable=searchable(files),
        properties=properties,
        group=group,
        derive=Turned(description, own),
    )


def _group_of(description: Description, own: ModelSettings) -> GroupSpace:
    """What may be done with a group of the stack's workers: any stack's workers can be one's instances."""
    deploy = description.deploy if description.log.revision else None
    return GroupSpace(
        deploys=deploy.search if deploy else (),
        archives=bool(description.log.archive),
        always=description.worker.aws and any(_may_differ(description, own, *one) for one in WITHOUT_AWS.items()),
    )


def _may_differ(description: Description, own: ModelSettings, model: str, value: Any) -> bool:
    """Whether a model setting is something else than a value, as the stack is or as a search may turn it."""
    standing = [setting for setting in description.settings.values() if model in setting.models]
    tried = [setting.meaning(text) for setting in standing for text in setting.search]
    return any(each != value for each in (value_of(own, model), *tried))


def space_of(
    stack: str, *, root: Path | None = None, properties: Properties | None = None, without: Sequence[str] = ()
) -> Space:
    """What a search may do to a stack of a name; see `space_for`.

    Args:
        stack: The stack's name, as scenarios write it.
        root: Where relative names start; the working folder where None.
        properties: What is claimed.
        without: As there.

    Raises:
        SourceError: There is no such stack, its files are wrong, or the models do not cover it.
    """
    return space_for(load_stack(stack, root=root or Path()), properties=properties, without=without)
