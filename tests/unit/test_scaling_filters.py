"""Filters, pages, and what they have to do with each other."""

from __future__ import annotations

from typing import Any

import pytest

from parity.errors import ServiceError
from parity.model.scaling import filters
from parity.model.scaling.paging import page

TAGS = {"web-1": {"role": "web", "a*b": "x"}, "web-12": {"role": "web"}, "db": {"role": "db", "note": "100%*"}}
FIELDS: filters.Fields[str] = {"name": lambda name: [name], "letter": list}


def through(*given: tuple[str, list[str]]) -> list[str]:
    stated: list[dict[str, Any]] = [{"Name": name, "Values": values} for name, values in given]
    return filters.chosen(TAGS, stated, FIELDS, tags=lambda name: TAGS[name])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param([("name", ["web-1"])], ["web-1"], id="exactly"),
        pytest.param([("name", ["db", "web-1"])], ["web-1", "db"], id="any value, order kept"),
        pytest.param([("name", ["web-*"])], ["web-1", "web-12"], id="any characters"),
        pytest.param([("name", ["web-??"])], ["web-12"], id="any one character"),
        pytest.param([("letter", ["2"])], ["web-12"], id="one of several values of an item"),
        pytest.param([("name", ["w*"]), ("letter", ["2"])], ["web-12"], id="every filter"),
        pytest.param([("name", [])], [], id="no value"),
        pytest.param([("tag:role", ["web"])], ["web-1", "web-12"], id="tag"),
        pytest.param([("tag:a*b", ["x"])], ["web-1"], id="a tag's key has no wildcards"),
        pytest.param([("tag-key", ["note"])], ["db"], id="key"),
        pytest.param([("tag-value", ["d?"])], ["db"], id="value"),
        pytest.param([("tag:note", [r"100%\*"])], ["db"], id="an escaped star is itself"),
        pytest.param([("tag:role", [r"we\*"])], [], id="and nothing else"),
        pytest.param([("name", ["WEB-1"])], [], id="case counts"),
        pytest.param([("name", ["web.1"])], [], id="a dot is a dot"),
        pytest.param([("name", ["web.*"])], [], id="beside a star too"),
    ],
)
def test_what_filters_let_through(given: list[tuple[str, list[str]]], expected: list[str]) -> None:
    assert through(*given) == expected


def test_a_filter_there_is_none_of_is_refused() -> None:
    with pytest.raises(ServiceError, match="InvalidParameterValue: The filter 'colour' is invalid"):
        through(("colour", ["red"]))
    with pytest.raises(ServiceError, match="The filter 'tag:role' is invalid"):
        filters.chosen(TAGS, [{"Name": "tag:role", "Values": ["web"]}], FIELDS)


def pages(items: list[str], limit: int) -> list[list[str]]:
    found, token = [], None
    while True:
        shown, token = page(items, token=token, limit=limit, key=str)
        found.append(shown)
        if token is None:
            return found


def test_pages_are_all_of_it_once() -> None:
    assert pages(list("abcde"), 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert pages(list("abcd"), 2) == [["a", "b"], ["c", "d"]]
    assert pages([], 2) == [[]]


def test_a_page_goes_on_after_the_item_the_one_before_ended_with() -> None:
    _, token = page(list("abcd"), token=None, limit=2, key=str)
    # Given a newer item came in front: nothing is shown twice
    assert page(list("Zabcd"), token=token, limit=2, key=str) == (["c", "d"], None)
    # Given that item went: its place counts
    assert page(list("acd"), token=token, limit=2, key=str)[0] == ["d"]
    assert page(list("ab"), token=token, limit=2, key=str) == ([], None)


@pytest.mark.parametrize("token", ["x", "####", "ä", "bm8="])
def test_a_token_of_nobody_is_refused(token: str) -> None:
    with pytest.raises(ServiceError, match=r"ValidationError: The token '.*' is invalid"):
        page(list("ab"), token=token, limit=1, key=str, code="ValidationError")
