"""Answers in pages: a token says after which item, and at which place, the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from parity.errors import ServiceError

T = TypeVar("T")


def page(
    items: Sequence[T],
    *,
    token: str | None,
    limit: int,
    key: Callable[[T], str],
    code: str = "InvalidNextToken",
) -> tuple[list[T], str | None]:
    """The items of one page.

    Items that come or go between two calls move no other in or out of the pages to come, as long as the item the page
    before ended with is there; where it is gone, the place it had counts.

    Args:
        items: All of them, in the answer's order.
        token: As the call states it; None or empty for the first page.
        limit: The largest number of items.
        key: What an item is known by.
        code: The error of a token that is none.

    Returns:
        The items, and the token of the next page where there is one.

    Raises:
        ServiceError: The token is none of ours.
    """
    begin = 0
    if token:
        place, last = _read(token, code)
        begin = _after(items, place, last, key)
    chosen = list(items[begin : begin + limit])
    end = begin + len(chosen)
    return chosen, _write(end, key(chosen[-1])) if chosen and end < len(items) else None


def _after(items: Sequence[T], place: int, last: str, key: Callable[[T], str]) -> int:
    """The place after the item that a page ended with."""
    if 0 < place <= len(items) and key(items[place - 1]) == last:
        return place
    found = (index + 1 for index, item in enumerate(items) if key(item) == last)
    return next(found, place)


def _write(place: int, last: str) -> str:
    return base64.urlsafe_b64encode(f"{place} {last}".encode()).decode()


def _read(token: str, code: str) -> tuple[int, str]:
    try:
        place, last = base64.urlsafe_b64decode(token.encode("ascii")).decode().split(" ", 1)
        return int(place), last
    except (ValueError, binascii.Error) as error:
        raise ServiceError(code, f"The token '{token}' is invalid.") from error
