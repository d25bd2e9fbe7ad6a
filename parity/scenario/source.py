"""YAML that remembers where everything stood, so that an error can name file, line and column."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from parity.errors import SourceError

Place = tuple[str | int, ...]
_Model = TypeVar("_Model", bound=BaseModel)


class Source:
    """A YAML document with the position of every value and key.

    Args:
        text: The document.
        file: Its name as the user gave it, for messages.

    Raises:
        SourceError: The text is not YAML, or a mapping has a key twice.
    """

    def __init__(self, text: str, *, file: str) -> None:
        self.file = file
        self._marks: dict[Place, tuple[int, int]] = {}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            if node is None:
                raise SourceError("the file is empty", file=file)
            self._mark(node, ())
            self.data: Any = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            raise SourceError(f"not YAML: {error.problem}", file=file, line=line, column=column) from error

    def _mark(self, node: yaml.Node, place: Place) -> None:
        self._marks.setdefault(place, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._mark(item, (*place, index))
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key_node, value_node in node.value:
                key = str(getattr(key_node, "value", ""))
                if key in seen and key != "<<":
                    mark = key_node.start_mark
                    raise SourceError(
                        f"the key {key!r} stands here a second time",
                        file=self.file,
                        line=mark.line + 1,
                        column=mark.column + 1,
                    )
                seen.add(key)
                self._marks[(*place, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
                self._mark(value_node, (*place, key))

    def position(self, place: Place) -> tuple[int, int]:
        """Line and column (from 1) of the nearest enclosing thing that stands in the file."""
        while place and place not in self._marks:
            place = place[:-1]
        return self._marks.get(place, (0, 0))

    def error(self, message: str, *, at: Place = ()) -> SourceError:
        """An error about the value at a place."""
        line, column = self.position(at)
        return SourceError(message, file=self.file, line=line, column=column)

    def parse(self, model: type[_Model], data: Any = None, *, under: Place = ()) -> _Model:
        """The document, or a part of it, as a validated model.

        Args:
            model: What it must be.
            data: The part; None takes the whole document.
            under: Where the part stands in the document.

        Raises:
            SourceError: It is not; every fault is listed, with its place and the nearest valid name.
        """
        value = self.data if data is None else data
        if not isinstance(value, dict):
            raise self.error(f"expected a mapping, found {type(value).__name__}", at=under)
        try:
            return model.model_validate(value)
        except ValidationError as error:
            raise self._translate(error, model, under) from error

    def _translate(self, error: ValidationError, model: type[BaseModel], under: Place) -> SourceError:
        lines: list[tuple[tuple[int, int], str]] = []
        for detail in error.errors(include_url=False):
            place = (*under, *detail["loc"])
            name = ".".join(str(part) for part in detail["loc"])
            if detail["type"] == "extra_forbidden":
                key = str(detail["loc"][-1])
                message = f"unknown key {key!r}{nearest(key, _keys(model, detail['loc'][:-1]))}"
            elif detail["type"] == "missing":
                message = f"{name} is missing"
            else:
                message = (
                    f"{name}: {detail['msg'].removeprefix('Value error, ')}"
                    if name
                    else detail["msg"].removeprefix("Value error, ")
                )
            lines.append((self.position(place), message))
        lines.sort()
        (line, column), first = lines[0]
        rest = "".join(f"\n{self.file}:{at[0]}:{at[1]}: {message}" for at, message in lines[1:])
        return SourceError(first + rest, file=self.file, line=line, column=column)


def load_source(path: Path) -> Source:
    """Read a YAML file.

    Raises:
        SourceError: It cannot be read or is not YAML.
    """
    try:
        return Source(path.read_text(encoding="utf-8"), file=str(path))
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise SourceError(f"is not UTF-8: {error.reason}", file=str(path)) from error


def nearest(name: str, valid: list[str]) -> str:
    """A hint naming the valid name nearest to a wrong one, else all of them."""
    close = difflib.get_close_matches(name, valid, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {', '.join(valid)}" if valid else ""


def _keys(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    """The keys a model takes at a place; empty where the place is not a model's."""
    current: Any = model
    for part in place:
        if isinstance(part, int):
            continue
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            return []
        current = _model_in(fields[part].annotation)
    return [field.alias or name for name, field in getattr(current, "model_fields", {}).items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
