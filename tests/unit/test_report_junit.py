"""JUnit XML of runs and sessions: well-formed, and never greener than the verdicts."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from check_histories import done, effect, ended, submitted
from report_records import write_record

from parity.report import write_reports, write_session
from parity.scenario.scenario import Expectation

LOSING = Expectation(violated=("no_job_lost",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def suite(path: Path) -> ET.Element:
    root = ET.parse(path).getroot()
    assert root.tag == "testsuites"
    return root[0]


def cases(path: Path) -> dict[str, list[str]]:
    """What each case came to."""
    return {case.attrib["name"]: [child.tag for child in case] for case in suite(path).iter("testcase")}


def run_cases(folder: Path) -> dict[str, list[str]]:
    write_reports(folder)
    return cases(folder / "junit.xml")


def test_a_holding_run_passes_every_property(folder):
    write_record(folder, ended(submitted(0), done(0)))

    found = run_cases(folder)

    assert set(found) == {
        "no_job_lost",
        "no_phantom",
        "effect_exactly_once",
        "drained_within",
        "conservation",
        "not_vacuous",
    }
    assert set(map(tuple, found.values())) == {("system-out",)}
    told = suite(folder / "junit.xml").attrib
    assert (told["tests"], told["failures"], told["errors"], told["skipped"], told["time"]) == (
        "6",
        "0",
        "0",
        "0",
        "12.300",
    )
    assert all("time" in case.attrib for case in suite(folder / "junit.xml").iter("testcase"))


def test_an_unexpected_violation_fails_and_names_its_witnesses(folder):
    write_record(folder, ended(submitted(0, 1), done(0)))

    assert run_cases(folder)["no_job_lost"] == ["failure"]
    failure = suite(folder / "junit.xml").find("testcase[@name='no_job_lost']/failure")
    assert failure is not None
    assert failure.text == "1 witnesses, first jobs: 1"


def test_an_unknown_property_is_an_error(folder):
    write_record(folder, ended(submitted(0, 1), done(0), complete=False))

    assert run_cases(folder)["no_job_lost"] == ["error"]


def test_an_expected_violation_passes_and_what_else_is_violated_there_is_skipped(folder):
    write_record(folder, ended(submitted(0, 1), done(0), effect(0, 2)), expectation=LOSING)

    found = run_cases(folder)

    assert (found["no_job_lost"], found["effect_exactly_once"]) == (["system-out"], ["skipped"])


def test_an_expected_violation_that_does_not_come_fails(folder):
    write_record(folder, ended(submitted(0), done(0)), expectation=LOSING)

    assert run_cases(folder)["no_job_lost"] == ["failure"]


def test_an_expected_violation_that_nobody_could_prove_is_an_error(folder):
    write_record(folder, ended(submitted(0, 1), done(0), complete=False), expectation=LOSING)

    assert run_cases(folder)["no_job_lost"] == ["error"]


def test_an_expected_violation_of_a_property_that_was_not_claimed_is_an_error(folder):
    expectation = Expectation(violated=("redelivered_within",))
    write_record(folder, ended(submitted(0), done(0)), expectation=expectation)

    assert run_cases(folder)["redelivered_within"] == ["error"]


@pytest.mark.parametrize("error", ["", "the broker did not come up\x00\x1b\ud800 <&>"])
def test_a_run_without_findings_is_one_error(folder, error):
    write_record(folder, submitted(0), judged=bool(error), error=error)

    assert run_cases(folder) == {"verdict": ["error"]}


def test_a_session_has_a_case_for_each_run(tmp_path):
    good = write_record(tmp_path / "good", ended(submitted(0), done(0)))
    lost = write_record(tmp_path / "lost", ended(submitted(0, 1), done(0)))
    caught = write_record(tmp_path / "caught", ended(submitted(0, 1), done(0)), expectation=LOSING)
    missed = write_record(tmp_path / "missed", ended(submitted(0), done(0)), expectation=LOSING)
    broken = write_record(tmp_path / "broken", submitted(0), error="it \x00 broke")

    write_session([good, lost, caught, missed, broken], tmp_path / "out" / "junit.xml")

    found = suite(tmp_path / "out" / "junit.xml")
    assert [[child.tag for child in case] for case in found] == [
        ["system-out"],
        ["failure"],
        ["system-out"],
        ["failure"],
        ["error"],
    ]
    assert (found.attrib["tests"], found.attrib["failures"], found.attrib["errors"]) == ("5", "2", "1")
    assert found.attrib["time"] == "61.500"
    assert {case.attrib["time"] for case in found} == {"12.300"}


def test_a_session_cut_short_or_empty_never_looks_whole(tmp_path):
    good = write_record(tmp_path / "good", ended(submitted(0), done(0)))

    write_session([good], tmp_path / "cut.xml", error="interrupted")
    write_session([], tmp_path / "empty.xml")

    assert cases(tmp_path / "cut.xml") == {"worker-killed": ["system-out"], "session": ["error"]}
    assert cases(tmp_path / "empty.xml") == {"session": ["error"]}
