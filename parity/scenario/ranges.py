"""Values that a run draws: an exact one, or a range `low..high` with both ends included."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator

from parity.scenario.duration import parse_duration_s
from parity.scenario.source import found


class Draws(Protocol):
    """Where drawn values come from: a random generator, a tape, or Hypothesis."""

    def integer(self, low: int, high: int) -> int:
        """An integer between the two, both included."""
        ...


class IntRange(BaseModel):
    """A whole number, or a range of them: `3` or `1..3`."""

    model_config = ConfigDict(frozen=True)
    low: int
    high: int

    @model_validator(mode="before")
    @classmethod
    def _from_written(cls, data: Any) -> Any:
        return _int_range(data)

    @model_validator(mode="after")
    def _not_empty(self) -> IntRange:
        if self.low > self.high:
            raise ValueError(f"the range {self.low}..{self.high} is empty: its low end is above its high end")
        return self

    @model_serializer
    def _written(self) -> int | str:
        return self.low if self.low == self.high else f"{self.low}..{self.high}"

    def draw(self, draws: Draws) -> IntRange:
        """The same range narrowed to one value."""
        value = draws.integer(self.low, self.high) if self.low != self.high else self.low
        return IntRange(low=value, high=value)

    @property
    def value(self) -> int:
        """The value of a range that was drawn."""
        assert self.low == self.high, f"{self} was not drawn"
        return self.low


class SecondsRange(BaseModel):
    """A duration, or a range of them: `2s` or `500ms..2s`. Kept in whole milliseconds."""

    model_config = ConfigDict(frozen=True)
    low_ms: int
    high_ms: int

    @model_validator(mode="before")
    @classmethod
    def _from_written(cls, data: Any) -> Any:
        return _seconds_range(data)

    @model_validator(mode="after")
    def _not_empty(self) -> SecondsRange:
        if self.low_ms > self.high_ms:
            written = f"{self.low_ms}ms..{self.high_ms}ms"
            raise ValueError(f"the range {written} is empty: its low end is above its high end")
        return self

    @model_serializer
    def _written(self) -> str:
        return f"{self.low_ms}ms" if self.low_ms == self.high_ms else f"{self.low_ms}ms..{self.high_ms}ms"

    def draw(self, draws: Draws) -> SecondsRange:
        """The same range narrowed to one value."""
        value = draws.integer(self.low_ms, self.high_ms) if self.low_ms != self.high_ms else self.low_ms
        return SecondsRange(low_ms=value, high_ms=value)

    @property
    def value_s(self) -> float:
        """The value of a range that was drawn, in seconds."""
        assert self.low_ms == self.high_ms, f"{self} was not drawn"
        return self.low_ms / 1000


def _split(value: Any) -> tuple[str, str]:
    low, dots, high = str(value).partition("..")
    return low.strip(), (high.strip() if dots else low.strip())


def _int_range(value: Any) -> Any:
    if isinstance(value, IntRange) or (isinstance(value, dict) and value.keys() == {"low", "high"}):
        return value
    low, high = _split(value)
    if isinstance(value, bool) or not low.isdecimal() or not high.isdecimal():
        raise ValueError(f"expected a whole number or a range such as 1..3, found {found(value)}")
    return {"low": int(low), "high": int(high)}


def _seconds_range(value: Any) -> Any:
    if isinstance(value, SecondsRange) or (isinstance(value, dict) and value.keys() == {"low_ms", "high_ms"}):
        return value
    low, high = _split(value)
    try:
        if isinstance(value, bool):
            raise ValueError  # noqa: TRY004, TRY301
        low_ms, high_ms = (round(1000 * parse_duration_s(_number(part))) for part in (low, high))
    except ValueError:
        message = (
            f"expected a duration such as 250ms, 3s or 2m, or a range of them such as 1s..3s, found {found(value)}"
        )
        raise ValueError(message) from None
    return {"low_ms": low_ms, "high_ms": high_ms}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
