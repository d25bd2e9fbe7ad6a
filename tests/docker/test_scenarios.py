"""Every known-bad stack is caught and every control holds, with the commands that a user types."""

from __future__ import annotations

import pytest
from every_scenario import PARTS, Runs, agree, entries, is_as_expected, is_whole, run_all

pytestmark = pytest.mark.docker
every_part = pytest.mark.parametrize("runs", PARTS, indirect=True)


@pytest.fixture(scope="module")
def ran() -> dict[str, Runs | None]:
    """What came of each part; None where that is an error."""
    return {}


@pytest.fixture
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ran: dict[str, Runs | None]) -> Runs:
    """A part's runs, made once: minutes. A fixture of the module with a parameter would be made for each test."""
    part = request.param
    if part not in ran:
        ran[part] = None
        ran[part] = run_all(tmp_path_factory.mktemp(part), part=part)
    found = ran[part]
    assert found is not None, f"the first of the tests with [{part} says what went wrong"
    return found


@pytest.mark.parametrize(("runs", "scenario", "stack"), entries(), indirect=["runs"])
def test_the_verdict_is_the_expected_one(runs: Runs, scenario: str, stack: str) -> None:
    is_as_expected(runs.rows[scenario, stack])


@every_part
def test_every_record_is_whole(runs: Runs) -> None:
    for row in runs.rows.values():
        is_whole(row)


@every_part
def test_the_stack_does_what_its_models_do(runs: Runs) -> None:
    agree(runs)
