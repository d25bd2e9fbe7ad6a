"""Every known-bad stack is caught and every control holds, with the commands that a user types."""

from __future__ import annotations

import pytest
from every_scenario import Runs, agree, entries, is_as_expected, is_whole, run_all

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return run_all(tmp_path_factory.mktemp("out"), grouped=False)


@pytest.mark.parametrize(("scenario", "stack"), entries(grouped=False))
def test_the_verdict_is_the_expected_one(runs: Runs, scenario: str, stack: str) -> None:
    is_as_expected(runs.rows[scenario, stack])


def test_every_record_is_whole(runs: Runs) -> None:
    for row in runs.rows.values():
        is_whole(row)


def test_the_stack_does_what_its_models_do(runs: Runs) -> None:
    agree(runs)
