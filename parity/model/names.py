"""The model settings by their dotted names, such as `worker.heartbeat`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from parity.model.settings import ModelSettings


def _names(model: type[BaseModel], before: str = "") -> dict[str, Any]:
    names: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names |= _names(inner, f"{name}.")
        else:
            names[before + name] = field.get_default()
    return names


#: Every model setting and its default.
DEFAULTS: dict[str, Any] = _names(ModelSettings)
#: Those a setting of a stack can stand for: what the application or the broker is told, not how many there are.
TURNABLE = tuple(name for name in DEFAULTS if "." in name)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted names as the mapping that `ModelSettings` is made from."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        section, dot, field = name.rpartition(".")
        (whole.setdefault(section, {}) if dot else whole)[field] = value
    return whole


def flat(settings: ModelSettings) -> dict[str, Any]:
    """Every model setting by its dotted name."""
    return {name: value_of(settings, name) for name in DEFAULTS}


def stated(settings: ModelSettings) -> dict[str, Any]:
    """Those settings that were given when the whole was made, by their dotted names."""
    return {name: value_of(settings, name) for name in DEFAULTS if _given(settings, name)}


def value_of(settings: ModelSettings, name: str) -> Any:
    """The value of one setting."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _given(settings: ModelSettings, name: str) -> bool:
    holder: Any = settings
    for part in name.split("."):
        if part not in holder.model_fields_set:
            return False
        holder = getattr(holder, part)
    return True


def in_words(value: Any) -> str:
    """A model setting's value, for a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(in_words(item) for item in value)}]"
    return "nothing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
