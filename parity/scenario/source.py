"""YAML that remembers where everything stood, so that an error can name file, line and column."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from parity.errors import SourceError

Place = tuple[str | int, ...]
_Position = tuple[int, int]
_Model = TypeVar("_Model", bound=BaseModel)

#: What pydantic's kinds of errors say in a file's words: `{found}` is what stands there, the rest its own context.
_EXPECTED = {
    "bool": "expected true or false, found {found}",
    "dict": "expected a mapping, found {found}",
    "float": "expected a number, found {found}",
    "greater_than_equal": "expected at least {ge:g}, found {found}",
    "int": "expected a whole number, found {found}",
    "less_than_equal": "expected at most {le:g}, found {found}",
    "literal": "expected {expected}, found {found}",
    "model": "expected a mapping, found {found}",
    "string": "expected text, found {found}",
    "string_pattern_mismatch": "expected small letters, digits and hyphens, found {found}",
    "too_short": "expected at least {min_length} of them, found {actual_length}",
    "tuple": "expected a list, found {found}",
}


class WrongPartsError(ValueError):
    """Raised by a validator that knows which parts of its value are wrong.

    Args:
        parts: For each the place inside the value, and what was expected there.
    """

    def __init__(self, *parts: tuple[Place, str]) -> None:
        super().__init__("; ".join(message for _, message in parts))
        self.parts = parts


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
        self._keys: dict[Place, _Position] = {}
        self._values: dict[Place, _Position] = {}
        self._anchored: dict[int, Place] = {}
        #: Aliases and where their anchors are, the anchors' parts not repeated.
        self._aliases: dict[Place, Place] = {}
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            if node is None:
                raise SourceError("the file is empty", file=file)
            self._mark(node, ())
            self.data: Any = yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = _position(mark) if mark else (0, 0)
            raise SourceError(f"not YAML: {error.problem}", file=file, line=line, column=column) from error
        except yaml.reader.ReaderError as error:
            before = text[: error.position].split("\n")
            what = f"not YAML: the character {chr(error.character)!r} is not allowed"
            raise SourceError(what, file=file, line=len(before), column=len(before[-1]) + 1) from error
        except RecursionError as error:
            raise SourceError("not YAML that can be read: nested too deeply", file=file) from error
        except ValueError as error:
            # A scalar that looks like a date or a number and is none.
            raise SourceError(f"not YAML: {error}", file=file) from error

    def _mark(self, node: yaml.Node, place: Place) -> None:
        self._values[place] = _position(node.start_mark)
        if id(node) in self._anchored:
            # Its parts stand where its anchor is, and an anchor may contain itself.
            self._aliases[place] = self._anchored[id(node)]
            return
        self._anchored[id(node)] = place
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._mark(item, (*place, index))
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key_node, value_node in node.value:
                key = str(getattr(key_node, "value", ""))
                line, column = _position(key_node.start_mark)
                if key in seen and key != "<<":
                    message = f"the key {key!r} stands here a second time"
                    raise SourceError(message, file=self.file, line=line, column=column)
                seen.add(key)
                self._keys[(*place, key)] = (line, column)
                self._mark(value_node, (*place, key))

    def has(self, place: Place) -> bool:
        """Whether something stands at a place, be it by an alias or a merge key (`<<`)."""
        return self._written(place) is not None

    def _written(self, place: Place) -> Place | None:
        """Where a place's value is written: aliases and merge keys lead to their anchors."""
        current: Place | None = ()
        for part in place:
            if current is not None:
                current = self._part(self._aliases.get(current, current), part)
        return current

    def _part(self, whole: Place, part: str | int) -> Place | None:
        if (*whole, part) in self._values:
            return (*whole, part)
        merged = (*whole, "<<")
        if merged not in self._values:
            return None
        listed = [place for place in self._values if place[:-1] == merged and isinstance(place[-1], int)]
        for anchor in listed or [merged]:
            found_there = self._part(self._aliases.get(anchor, anchor), part)
            if found_there is not None:
                return found_there
        return None

    def position(self, place: Place, *, key: bool = False) -> _Position:
        """Line and column (from 1) of the value at a place, or of its key.

        Where nothing stands there, it is the key of the nearest thing around it.
        """
        written = self._written(place)
        if written is not None:
            return self._keys.get(written, self._values[written]) if key else self._values[written]
        return self.position(place[:-1], key=True) if place else (0, 0)

    def error(self, message: str, *, at: Place = (), key: bool = False) -> SourceError:
        """An error about the value at a place, or about its key."""
        line, column = self.position(at, key=key)
        return SourceError(message, file=self.file, line=line, column=column)

    def parse(
        self, model: type[_Model], data: Any = None, *, under: Place = (), over: tuple[Source, ...] = ()
    ) -> _Model:
        """The document, or a part of it, as a validated model.

        Args:
            model: What it must be.
            data: The part; None takes the whole document.
            under: Where the part stands in the document.
            over: Documents that this one was laid over, the lowest first; what is not here stands there.

        Raises:
            SourceError: It is not; every fault is listed, with its place and the nearest valid name.
        """
        value = self.data if data is None else data
        if not isinstance(value, dict):
            raise self.error(f"expected a mapping, found {found(value)}", at=under)
        try:
            return model.model_validate(value)
        except ValidationError as error:
            raise joined(
                topmost((*over, self), (*under, *place)).error(message, at=(*under, *place), key=key)
                for place, message, key in faults(error, model)
            ) from error


def faults(error: ValidationError, model: type[BaseModel]) -> list[tuple[Place, str, bool]]:
    """What pydantic refused, in a file's words: place, message, and whether it is about the key."""
    details = error.errors(include_url=False)
    return [fault for detail in details if not _follows(detail, details) for fault in _faults(detail, model)]


def joined(errors: Iterable[SourceError]) -> SourceError:
    """One error that lists several, in the order of their files and lines, none twice."""
    files: dict[str, int] = {}
    every = list(errors)
    for error in every:
        files.setdefault(error.file, len(files))
    every.sort(key=lambda error: (files[error.file], error.line, error.column))
    first, *rest = dict.fromkeys((error.file, error.line, error.column, error.message) for error in every)
    lines = [str(SourceError(message, file=file, line=line, column=column)) for file, line, column, message in rest]
    file, line, column, message = first
    return SourceError("\n".join([message, *lines]), file=file, line=line, column=column)


def topmost(sources: Sequence[Source], place: Place) -> Source:
    """The source that has the last word on a place: the topmost that has it, or that has most of the way to it."""
    for length in range(len(place), 0, -1):
        having = [source for source in sources if source.has(place[:length])]
        if having:
            return having[-1] if length == len(place) else having[0]
    return sources[0]


def load_source(path: Path, *, shown: str = "") -> Source:
    """Read a YAML file.

    Args:
        path: The file.
        shown: What messages call it; its path where empty.

    Raises:
        SourceError: It cannot be read or is not YAML.
    """
    file = shown or str(path)
    try:
        return Source(path.read_text(encoding="utf-8"), file=file)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", file=file) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start].split(b"\n")
        message = f"not UTF-8: the byte 0x{error.object[error.start]:02x} cannot stand here"
        raise SourceError(message, file=file, line=len(before), column=len(before[-1]) + 1) from error


def nearest(name: str, valid: list[str]) -> str:
    """A hint naming the valid name nearest to a wrong one, else all of them."""
    close = difflib.get_close_matches(name, valid, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {', '.join(valid)}" if valid else ""


def found(value: Any) -> str:
    """What stands in a file, in words for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return repr(value) if isinstance(value, str | int | float) else str(value)


def _position(mark: Any) -> _Position:
    return mark.line + 1, mark.column + 1


def _follows(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether an error only follows from others: pydantic calls a list too short when its items are wrong."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in details
    )


def _faults(detail: ErrorDetails, model: type[BaseModel]) -> list[tuple[Place, str, bool]]:
    """What one of pydantic's errors says: place, message, and whether it is about the key."""
    place = tuple(part for part in detail["loc"] if part != "[key]")
    name = next((part for part in reversed(place) if isinstance(part, str)), "")
    context = detail.get("ctx", {})
    if detail["type"] == "extra_forbidden":
        key = str(place[-1])
        return [(place, f"unknown key {key!r}{nearest(key, _keys(model, place[:-1]))}", True)]
    if detail["type"] == "missing":
        return [(place, f"{name} is missing", True)]
    if detail["type"] == "value_error":
        error = context["error"]
        if isinstance(error, WrongPartsError):
            return [((*place, *inner), message, True) for inner, message in error.parts]
        about_a_part = bool(place) and isinstance(place[-1], str)
        return [(place, f"{name}: {error}" if about_a_part else str(error), False)]
    return [(place, f"{name}: {_message(detail, context)}", False)]


def _message(detail: ErrorDetails, context: dict[str, Any]) -> str:
    kind = detail["type"]
    template = _EXPECTED.get(kind) or _EXPECTED.get(kind.partition("_")[0])
    if template is None:
        return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, found {found(detail['input'])}"
    message = template.format(found=found(detail["input"]), **context)
    if kind == "literal_error" and isinstance(detail["input"], str):
        valid = re.findall(r"'([^']+)'", str(context["expected"]))
        close = difflib.get_close_matches(detail["input"], valid, n=1)
        message += f"; did you mean {close[0]!r}?" if close else ""
    return message


def _keys(model: type[BaseModel], place: Place) -> list[str]:
    """The keys a model takes at a place; empty where the place is not a model's."""
    current: Any = model
    names_an_entry = False
    for part in place:
        if isinstance(part, int):
            continue
        if names_an_entry:
            names_an_entry = False
            continue
        fields = {field.alias or name: field for name, field in getattr(current, "model_fields", {}).items()}
        if part not in fields:
            return []
        annotation = fields[part].annotation
        names_an_entry = getattr(annotation, "__origin__", None) is dict
        current = _model_in(annotation)
    return [field.alias or name for name, field in getattr(current, "model_fields", {}).items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inside = _model_in(argument)
        if inside is not None:
            return inside
    return None
