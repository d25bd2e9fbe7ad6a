"""A thing a scenario may turn: where the application reads it, what it can read, and what that is to the models."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from parity.model.names import TURNABLE, nested
from parity.model.settings import ModelSettings
from parity.scenario.source import Place, WrongPartsError, faults, found, nearest

_NUMBER = r"\d+(?:\.\d+)?"
#: For each type of setting what the application can read, and how a message says so.
_TYPES = {
    "integer": (re.compile(r"\d+"), "a whole number"),
    "duration": (re.compile(_NUMBER), "a number of {unit}"),
    "duration_range": (re.compile(rf"{_NUMBER}(\.\.{_NUMBER})?"), "a number of {unit}, or a range such as 0.1..0.3"),
}
_UNITS_S = {"seconds": 1.0, "milliseconds": 0.001, "minutes": 60.0, "hours": 3600.0}


def _listed(value: Any, *, one: str, several: str) -> Any:
    if isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)):
        return value
    raise ValueError(f"expected {one} or a list of {several}, found {found(value)}")


def _services(value: Any) -> Any:
    return _listed(value, one="a service", several="services")


def _models(value: Any) -> Any:
    return value if value is None else _listed(value, one="a model setting", several="model settings")


def _means(value: Any) -> Any:
    """Texts and their meanings; a list of texts, where each means itself."""
    if isinstance(value, list | tuple):
        value = {item: item for item in value}
    if not isinstance(value, dict):
        raise ValueError(f"expected texts and what they mean, or a list of texts; found {found(value)}")  # noqa: TRY004
    for key in value:
        if isinstance(key, bool) or not isinstance(key, str | int | float):
            raise ValueError(f'expected the text as the application reads it, found {found(key)}: quote it, "..."')  # noqa: TRY004
    return {str(key): meaning for key, meaning in value.items()}


def _search(value: Any) -> Any:
    if not isinstance(value, list | tuple) or any(
        isinstance(item, bool) or not isinstance(item, str | int | float) for item in value
    ):
        raise ValueError(f"expected a list of values, as the application reads them; found {found(value)}")
    return tuple(str(item) for item in value)


class Setting(BaseModel):
    """A thing a scenario may turn, and the environment variable where the application reads it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    service: Annotated[str | tuple[str, ...], BeforeValidator(_services)]
    environment: str
    type: Literal["text", "integer", "duration", "duration_range", "choice"] = "text"
    #: The unit the application reads it in.
    unit: str = ""
    about: str = ""
    #: The model settings it stands for; none: nothing in the models. None: nobody said, so that the models refuse it.
    model: Annotated[str | tuple[str, ...] | None, BeforeValidator(_models)] = None
    #: What a text in the variable is to the models. A `choice` has no other texts.
    means: Annotated[dict[str, Any], BeforeValidator(_means)] = {}
    #: Values that a search may try, beside the stack's own.
    search: Annotated[tuple[str, ...], BeforeValidator(_search)] = ()

    @property
    def services(self) -> tuple[str, ...]:
        """The services that read it."""
        return (self.service,) if isinstance(self.service, str) else self.service

    @property
    def models(self) -> tuple[str, ...]:
        """The model settings it stands for."""
        return (self.model,) if isinstance(self.model, str) else self.model or ()

    @model_validator(mode="after")
    def _makes_sense(self) -> Setting:
        wrong = [*self._wrong_names(), *self._wrong_texts()]
        if wrong:
            raise WrongPartsError(*wrong)
        return self

    def _wrong_names(self) -> list[tuple[Place, str]]:
        one = isinstance(self.model, str)
        wrong: list[tuple[Place, str]] = [
            (("model", *(() if one else (index,))), f"no model setting {name!r}{_nearest_model(name)}")
            for index, name in enumerate(self.models)
            if name not in TURNABLE
        ]
        if self.models and self.type.startswith("duration") and (self.unit or "seconds") not in _UNITS_S:
            message = f"unit: the models know no {self.unit!r}{nearest(self.unit, list(_UNITS_S))}"
            wrong.append((("unit",), message))
        return wrong

    def _wrong_texts(self) -> list[tuple[Place, str]]:
        wrong: list[tuple[Place, str]] = []
        if self.type == "choice" and not self.means:
            wrong.append((("type",), "a choice needs `means`: the texts that the application reads"))
        for text, meaning in self.means.items():
            unfit = {name: misfit(name, meaning) for name in self.models if name in TURNABLE}
            wrong += [(("means", text), f"means: {name}: {message}") for name, message in unfit.items() if message]
        if not wrong:
            wrong += [
                (("search", index), f"search: {unreadable}")
                for index, text in enumerate(self.search)
                if (unreadable := self.unreadable(text))
            ]
        return wrong

    def unreadable(self, value: str | float) -> str:
        """Why the application cannot read a value: what was expected and what was found; empty where it can."""
        text = str(value)
        if text in self.means:
            return ""
        if self.type == "choice":
            close = difflib.get_close_matches(text, self.means, n=1)
            return f"expected {_either(self.means)}, found {value!r}{f'; did you mean {close[0]!r}?' if close else ''}"
        if self.type not in _TYPES:
            return ""
        pattern, expected = _TYPES[self.type]
        return "" if pattern.fullmatch(text) else f"expected {expected.format(unit=self._unit)}, found {value!r}"

    def misfit(self, model: str, text: str) -> str:
        """Why what a text means cannot be a model setting's value; empty where it can."""
        unfit = misfit(model, self.meaning(text))
        return f"{model}: {unfit}" if unfit else ""

    def meaning(self, text: str) -> Any:
        """What a text that can be read is to the models: seconds, a number, a word."""
        if text in self.means:
            return self.means[text]
        if self.type == "integer":
            return int(text)
        if self.type == "text":
            return text
        low, dots, high = text.partition("..")
        low_s, high_s = (round(float(part) * _UNITS_S[self._unit], 9) for part in (low, high if dots else low))
        return (low_s, high_s) if self.type == "duration_range" else low_s

    def text(self, value: Any) -> str:
        """The text that means a value to the application; the inverse of `meaning`."""
        for text, meaning in self.means.items():
            if meaning == value:
                return text
        if self.type in {"text", "integer", "choice"}:
            return str(value)
        ends = value if isinstance(value, tuple) else (value, value)
        low, high = (f"{end / _UNITS_S[self._unit]:g}" for end in ends)
        return low if low == high else f"{low}..{high}"

    @property
    def _unit(self) -> str:
        return self.unit or "seconds"


def misfit(name: str, value: Any) -> str:
    """Why a value cannot be a model setting's: what was expected and what was found; empty where it can."""
    try:
        ModelSettings.model_validate(nested({name: value}))
    except ValidationError as error:
        # The field's own name stands before it: the caller has a better one.
        return "; ".join(message.partition(": ")[2] for _, message, _ in faults(error, ModelSettings))
    return ""


def _nearest_model(name: str) -> str:
    """A hint at the model setting meant; a bare field's name is found in any section."""
    same = [known for known in TURNABLE if known.rpartition(".")[2] == name]
    if same:
        return f"; did you mean {' or '.join(repr(known) for known in same)}?"
    return nearest(name, list(TURNABLE))


def _either(texts: Any) -> str:
    *others, last = texts
    return f"{', '.join(others)} or {last}" if others else str(last)
