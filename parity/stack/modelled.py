"""Which model settings stand for a stack: what its files show, what its settings stand for, and what `model` states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from parity.errors import ModelError, SourceError
from parity.model.names import DEFAULTS, in_words, nested, stated, value_of
from parity.model.settings import ModelSettings
from parity.scenario.scenario import Scenario
from parity.scenario.source import Place, Source, joined, nearest
from parity.stack.description import StackFiles
from parity.stack.setting import Setting
from parity.stack.shown import facts
from parity.stack.written import Service, Sources, Written

#: Where a wrong guess would make a wrong verdict, and no product has a default.
_MUST_BE_SAID = ("broker.queue_type", "producer.ok_when", "worker.acknowledge", "worker.deduplicate")


def model_settings(
    files: StackFiles, scenario: Scenario | None = None, *, document: Source | None = None
) -> ModelSettings:
    """The model settings that stand for a stack, as a scenario turns it.

    Args:
        files: The stack. Neither a compose tool nor an engine is needed.
        scenario: Its settings win over what the stack's files say; None: the stack as it is.
        document: The scenario's file, so that a message can say where; None where it came from none.

    Raises:
        ModelError: The models do not cover the stack, or what the scenario turns.
        SourceError: The files contradict one another, or say what cannot be read. Every such place is listed.
    """
    reading = _Reading(files)
    unmodelled = list(_unmodelled(files, scenario, document)) if scenario else []
    turned = _turned(files, scenario) if scenario and not unmodelled else {}
    errors = [*reading.errors, *unmodelled, *reading.missing(turned)]
    if errors:
        raise _together(errors)
    return ModelSettings.model_validate(nested(reading.values | turned))


def searchable(files: StackFiles) -> dict[str, list[str]]:
    """For each setting that stands for model settings the values that a search may try, the stack's own first.

    Raises:
        SourceError: As `model_settings`.
    """
    settings = model_settings(files)
    values = {}
    for name, setting in files.description.settings.items():
        if setting.models:
            own = value_of(settings, setting.models[0])
            values[name] = [setting.text(own), *(text for text in setting.search if setting.meaning(text) != own)]
    return values


class _Reading:
    """What a stack's files say together; what is wrong with them is gathered, so that all of it is said at once.

    Raises:
        SourceError: The models do not cover the stack at all, or something it mounts cannot be read.
    """

    def __init__(self, files: StackFiles) -> None:
        self._files = files
        self._description = files.description
        self._sources = Sources(files)
        self._services: dict[str, Service] = {}
        self.errors: list[SourceError] = []
        #: What is said, and cannot be read.
        self._unreadable: set[str] = set()
        model = self._covering()
        #: What `model` states; what the files show and what settings stand for is laid over it.
        self._model = stated(model)
        shown = {fact.model: fact for fact in facts(self._sources, self._description)}
        for fact in shown.values():
            self._agree(fact.model, fact.value, fact.what, fact.written)
        #: What says each model setting already.
        self._stands_for: dict[str, str] = {name: f"{fact.what} {in_words(fact.value)}" for name, fact in shown.items()}
        self.values = self._model | {name: fact.value for name, fact in shown.items()}
        for name, setting in self._description.settings.items():
            for index, model_name in enumerate(setting.models):
                self._take(name, setting, model_name, index)

    def missing(self, turned: dict[str, Any]) -> list[SourceError]:
        """What nothing says and must be said."""
        known = self.values.keys() | turned.keys() | self._unreadable
        by_setting = {model: setting for setting in self._description.settings.values() for model in setting.models}
        return [
            self._sources.last(("x-parity", "model")).error(_unsaid(name, by_setting.get(name)), ModelError)
            for name in DEFAULTS
            if name not in known and (name in by_setting or name in _MUST_BE_SAID)
        ]

    def _covering(self) -> ModelSettings:
        model, name = self._description.model, self._files.name
        if model is None:
            message = (
                f"the models do not cover {name}: x-parity has no section `model`. Add one with what neither a setting "
                "nor the compose file says, such as `model: {worker: {acknowledge: after-commit}}`"
            )
            raise self._sources.last(("x-parity",)).error(message, ModelError)
        if len(self._description.queues.work) > 1:
            message = (
                f"the models do not cover {name}: they have one work queue, found {len(self._description.queues.work)}"
            )
            raise self._sources.last(("x-parity", "queues", "work")).error(message, ModelError)
        return model

    def _take(self, name: str, setting: Setting, model: str, index: int) -> None:
        """Take what a setting's variable says for one model setting."""
        place: Place = ("x-parity", "settings", name, "model")
        if model in self._stands_for:
            at = self._sources.last(place if isinstance(setting.model, str) else (*place, index))
            self.errors.append(at.error(f"{name} cannot stand for {model}: {self._stands_for[model]}"))
            return
        self._stands_for[model] = f"the setting {name} does"
        told = self._told(setting, model)
        if told is None:
            return
        if unreadable := setting.unreadable(told.text) or setting.misfit(model, told.text):
            self._unreadable.add(model)
            self.errors.append(told.error(f"{setting.environment}, which the setting {name} turns: {unreadable}"))
            return
        value = setting.meaning(told.text)
        # What `model` states below an overlay's variable is the application's default, which that one replaces.
        if self._sources.last(_place_of(model)).layer >= told.layer:
            self._agree(model, value, f"{setting.environment} makes it", told)
        self.values[model] = value

    def _told(self, setting: Setting, model: str) -> Written | None:
        """What the services that a model setting is about are told; they must be told the same."""
        about = {"producer": self._description.submit.service, "worker": self._description.worker.service}
        own = about.get(model.partition(".")[0])
        services = (own,) if own in setting.services else setting.services
        told = [(service, self._variable(str(service), setting.environment)) for service in services]
        first, text = told[0]
        for other, written in told[1:]:
            if (written.text if written else None) != (text.text if text else None):
                said = " and ".join(
                    f"{service} {f'reads {one.text!r} ({one.where})' if one else 'is not told'}"
                    for service, one in ((first, text), (other, written))
                )
                message = f"{setting.environment} is one {model} to the models, but {said}: make them agree"
                at = written or text
                assert at is not None
                self.errors.append(at.error(message))
        return text

    def _variable(self, service: str, name: str) -> Written | None:
        """A variable as the service's containers get it."""
        if service not in self._services:
            self._services[service] = Service(self._sources, service)
        place: Place = ("x-parity", "environment", name)
        if service in {self._description.worker.service, self._description.submit.service}:
            for layer, text in reversed(self._sources.stated(place)):
                return self._sources.written(place, layer, text)
        return self._services[service].variable(name)

    def _agree(self, model: str, value: Any, what: str, written: Written) -> None:
        """Note where `model` states something else than is shown elsewhere."""
        if model in self._model and self._model[model] != value:
            stated_at = self._sources.last(_place_of(model))
            self.errors.append(
                stated_at.error(
                    f"{model} is {in_words(self._model[model])} here, but {what} {in_words(value)} "
                    f"({written.where}): take it out of `model`, or make the two agree"
                )
            )


def _unmodelled(files: StackFiles, scenario: Scenario, document: Source | None) -> Iterator[SourceError]:
    """What a scenario asks of a stack that says nothing, or nothing that can be read, to the models."""
    description = files.description
    for name, value in scenario.settings.items():
        setting = description.settings.get(name)
        place: Place = ("settings", name)
        if setting is None:
            known = list(description.settings)
            message = f"no setting {name!r} here{nearest(name, known) or '; there are none'}"
            yield _at(scenario, document, place, f"{message} (stack {files.name})")
        elif setting.model is None:
            message = f"the setting {name} of {files.name} says nothing to the models: give it `model: NAME` there"
            yield _at(scenario, document, place, f"{message}, or `model: []` if they need not know", ModelError)
        elif wrong := _unfit(setting, value):
            yield _at(scenario, document, place, f"{name}: {wrong} (stack {files.name})")
    model = description.model
    known_kinds = (*model.poison, *model.crash) if model else ()
    for index, step in enumerate(scenario.steps):
        if step.of_kind and step.of_kind not in known_kinds:
            message = (
                f"the models do not know what jobs of the kind {step.of_kind!r} do: name it in `poison` or `crash`"
            )
            place = ("steps", index, "of_kind")
            yield _at(scenario, document, place, f"{message} in `model` of {files.name}", ModelError)


def _unfit(setting: Setting, value: str | float) -> str:
    return setting.unreadable(value) or next(
        filter(None, (setting.misfit(name, str(value)) for name in setting.models)), ""
    )


def _turned(files: StackFiles, scenario: Scenario) -> dict[str, Any]:
    """The model settings that a scenario turns."""
    settings = {name: files.description.settings[name] for name in scenario.settings}
    return {
        model: setting.meaning(str(scenario.settings[name]))
        for name, setting in settings.items()
        for model in setting.models
    }


def _at(
    scenario: Scenario, document: Source | None, place: Place, message: str, kind: type[SourceError] = SourceError
) -> SourceError:
    if document is None:
        return kind(message, file=f"the scenario {scenario.name}")
    line, column = document.position(place, key=True)
    return kind(message, file=document.file, line=line, column=column)


def _unsaid(model: str, setting: Setting | None) -> str:
    if setting is None:
        return f"{model} is not said: state it here, or let a setting stand for it"
    services = " and ".join(setting.services)
    return (
        f"{model} is not said: {setting.environment} is not set in the environment of {services}. "
        "State here what the application does without it"
    )


def _place_of(model: str) -> Place:
    return ("x-parity", "model", *model.split("."))


def _together(errors: Sequence[SourceError]) -> SourceError:
    """All of them as one; a `ModelError` where nothing worse is among them."""
    whole = joined(errors)
    kind = ModelError if all(isinstance(error, ModelError) for error in errors) else SourceError
    return kind(whole.message, file=whole.file, line=whole.line, column=whole.column)
