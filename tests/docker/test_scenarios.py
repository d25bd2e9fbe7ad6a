"""Every known-bad stack is caught and every control holds, with the commands that a user types."""

from __future__ import annotations

import pytest
from every_scenario import Rows, entries, is_as_expected, is_whole, run_all

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return run_all(tmp_path_factory.mktemp("out"), grouped=False)


@pytest.mark.parametrize(("scenario", "stack"), entries(grouped=False))
def test_the_verdict_is_the_expected_one(rows: Rows, scenario: str, stack: str) -> None:
    is_as_expected(rows[scenario, stack])


def test_every_record_is_whole(rows: Rows) -> None:
    for row in rows.values():
        is_whole(row)
