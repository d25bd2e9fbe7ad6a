"""Filters of describing calls: every filter must let an item through, and one of its values is enough."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from parity.errors import ServiceError

T = TypeVar("T")
#: What a filter looks at, by the filter's name: gives an item's values, none where it has none.
Fields = Mapping[str, Callable[[T], Iterable[str]]]


def _unknown(name: str) -> ServiceError:
    """What EC2 says."""
    return ServiceError("InvalidParameterValue", f"The filter '{name}' is invalid")


def chosen(
    items: Iterable[T],
    filters: Sequence[Mapping[str, Any]] | None,
    fields: Fields[T],
    *,
    tags: Callable[[T], Mapping[str, str]] | None = None,
    refuse: Callable[[str], ServiceError] = _unknown,
) -> list[T]:
    """The items that all filters let through.

    Args:
        items: What is filtered; its order is kept.
        filters: As the call states them: `Name` and `Values`; `*` and `?` in a value stand for any characters and for
            any one, a backslash takes that from them.
        fields: The filters there are beside those of tags.
        tags: An item's tags, where `tag:key`, `tag-key` and `tag-value` are filters too.
        refuse: The error of a filter that there is none of.

    Raises:
        ServiceError: There is no filter of a name.
    """
    tests = [_test(given, fields, tags, refuse) for given in filters or ()]
    return [item for item in items if all(test(item) for test in tests)]


def _test(
    given: Mapping[str, Any],
    fields: Fields[T],
    tags: Callable[[T], Mapping[str, str]] | None,
    refuse: Callable[[str], ServiceError],
) -> Callable[[T], bool]:
    name = given.get("Name", "")
    values = _values_of(name, fields, tags)
    if values is None:
        raise refuse(name)
    wanted = given.get("Values") or ()
    exact = {_unescaped(value) for value in wanted if not _WILD.search(value)}
    patterns = [_pattern(value) for value in wanted if _WILD.search(value)]

    def passes(item: T) -> bool:
        return any(value in exact or any(pattern.fullmatch(value) for pattern in patterns) for value in values(item))

    return passes


def _values_of(
    name: str, fields: Fields[T], tags: Callable[[T], Mapping[str, str]] | None
) -> Callable[[T], Iterable[str]] | None:
    if name in fields:
        return fields[name]
    if tags is not None:
        if name == "tag-key":
            return lambda item: tags(item).keys()
        if name == "tag-value":
            return lambda item: tags(item).values()
        if name.startswith("tag:"):
            key = name.removeprefix("tag:")
            return lambda item: [tags(item)[key]] if key in tags(item) else []
    return None


#: A character that stands for others, with no backslash before it.
_WILD = re.compile(r"(?<!\\)(?:\\\\)*[*?]")
_PIECE = re.compile(r"\\([*?\\])|(\*)|(\?)|([^*?\\]+|\\)")


def _unescaped(value: str) -> str:
    return re.sub(r"\\([*?\\])", r"\1", value)


def _pattern(value: str) -> re.Pattern[str]:
    parts = []
    for escaped, many, one, plain in _PIECE.findall(value):
        parts.append(".*" if many else "." if one else re.escape(escaped or plain))
    return re.compile("".join(parts), re.DOTALL)
