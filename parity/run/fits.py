"""Whether a stack has what a scenario asks of it, said before anything is started."""

from __future__ import annotations

from collections.abc import Iterator

from parity.errors import SourceError
from parity.model.names import value_of
from parity.model.settings import WITHOUT_AWS
from parity.scenario.scenario import Scenario
from parity.scenario.source import Place, Source, joined, nearest
from parity.scenario.steps import EventCount, Step
from parity.stack.description import EVENT_NAMES, Description, StackFiles
from parity.stack.modelled import model_settings

#: How many nodes a step of a kind or shape needs to mean anything.
_NODES_MIN = {"partition": 2, "majorities-ring": 3, "queue follower": 2}


def check_fits(scenario: Scenario, files: StackFiles, *, document: Source | None = None) -> None:
    """Say what a scenario asks of a stack that it does not have.

    Args:
        scenario: The scenario.
        files: The stack.
        document: The scenario's file, so that the message can say where; None where it came from none.

    Raises:
        SourceError: Lists every such thing with its place and the nearest valid name.
    """
    wrong = [*_settings(scenario, files.description)]
    if scenario.group is None and files.description.worker.aws:
        wrong += _agents(scenario, files)
    if scenario.properties.logs_archived is not None:
        wrong += [(("properties", "logs_archived"), message) for message in _archive(files.description)]
    for index, step in enumerate(scenario.steps):
        wrong += [(("steps", index, *place), message) for place, message in _step(step, files.description)]
    errors = [_error(f"{message} (stack {files.name})", place, scenario, document) for place, message in wrong]
    if errors:
        raise joined(errors)


def _error(message: str, place: Place, scenario: Scenario, document: Source | None) -> SourceError:
    if document is None:
        return SourceError(message, file=f"the scenario {scenario.name}")
    return document.error(message, at=place, key=True)


def _settings(scenario: Scenario, description: Description) -> Iterator[tuple[Place, str]]:
    known = description.settings
    for name, value in scenario.settings.items():
        if name not in known:
            yield ("settings", name), f"no setting {name!r} here{nearest(name, list(known)) or '; there are none'}"
        elif unreadable := known[name].unreadable(value):
            yield ("settings", name), f"{name}: {unreadable}"


def _agents(scenario: Scenario, files: StackFiles) -> Iterator[tuple[Place, str]]:
    """What workers are told to do that takes the AWS API: where there is none, an agent ends at once."""
    try:
        own = model_settings(files)
    except SourceError:
        # Nobody knows what the workers do. Who needs the models says what is wrong with them.
        return
    stands_for = {model: name for name, setting in files.description.settings.items() for model in setting.models}
    for model, off in WITHOUT_AWS.items():
        name = stands_for.get(model, "")
        setting = files.description.settings.get(name)
        turned = scenario.settings.get(name)
        value = value_of(own, model)
        place: Place = ()
        instead = ""
        if setting is not None and not setting.unreadable(setting.text(off)):
            instead = f"set {name} to {setting.text(off)}, "
        if setting is not None and turned is not None and not setting.unreadable(turned):
            value, place = setting.meaning(str(turned)), ("settings", name)
        if value != off:
            needs = f"{name or model} is {value}, which takes the AWS API (`worker.aws`)"
            ways = f"give the scenario a `group`, {instead}or take a stack without the agent"
            yield place, f"{needs}, and only instances of an Auto Scaling group have that: {ways}"


def _archive(description: Description) -> Iterator[str]:
    if not description.log.archive:
        yield "nobody knows where logs are archived: x-parity has no `log.archive`"
    elif not description.worker.aws:
        yield "instances have no S3 to bring logs to: x-parity has no `worker.aws`"


def _step(step: Step, description: Description) -> Iterator[tuple[Place, str]]:
    if step.of_kind and step.of_kind not in description.kinds:
        hint = nearest(step.of_kind, list(description.kinds)) or "; there are none"
        yield ("of_kind",), f"no kind of job {step.of_kind!r} here{hint}"
    if isinstance(step.at, EventCount):
        yield from _moment(step.at, description)
    if step.target == "worker holding a job" and not description.log.delivery:
        yield (step.kind,), "nobody is known to hold a job: x-parity has no `log.delivery` pattern"
    if step.target == "producer" and not description.submit.service:
        yield (step.kind,), "there is no producer: parity publishes the jobs itself (`submit.body`)"
    if step.kind == "deploy" and not (description.deploy and description.log.revision):
        yield (step.kind,), "nothing says how to deploy here: x-parity needs `deploy` and `log.revision`"
    nodes = len(description.broker.services)
    for what in (step.kind, step.shape or "", step.target):
        if nodes < _NODES_MIN.get(what, 0):
            yield (step.kind,), f"{what} needs {_NODES_MIN[what]} broker nodes, found {nodes}"


def _moment(moment: EventCount, description: Description) -> Iterator[tuple[Place, str]]:
    told = [name for name in EVENT_NAMES if name != "delivery" or description.log.delivery]
    known = [*told, *description.log.points]
    if moment.event not in known:
        yield ("at",), f"no event {moment.event!r} is seen here{nearest(moment.event, known)}"
