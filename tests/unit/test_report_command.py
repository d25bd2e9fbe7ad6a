"""Reports on the command line: each run's as it comes, the session's however it ends, and one built again."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from check_histories import done, ended, submitted
from report_records import write_record
from typer.testing import CliRunner

from parity.cli.app import app
from parity.cli.reports import reporting
from parity.cli.show import Screen
from parity.errors import RecordError, StackError
from parity.run.result import Result


@pytest.fixture
def result(tmp_path: Path) -> Result:
    written = write_record(tmp_path / "out" / "run", ended(submitted(0), done(0)))
    assert written is not None
    return written


def session_cases(out: Path) -> list[tuple[str, str]]:
    suite = ET.parse(out / "junit.xml").getroot()[0]
    return [(case.attrib["name"], case[0].tag) for case in suite]


def test_each_run_is_reported_as_it_comes_and_the_session_at_its_end(tmp_path, result):
    with reporting(tmp_path / "out", Screen()) as report:
        report(result)
        assert (result.record / "report.html").exists()
        assert (result.record / "junit.xml").exists()

    assert session_cases(tmp_path / "out") == [("worker-killed", "system-out")]


@pytest.mark.parametrize("error", [StackError("the broker did not come up"), KeyboardInterrupt()])
def test_a_session_that_breaks_off_is_still_written_and_is_no_pass(tmp_path, result, error):
    with pytest.raises(type(error)), reporting(tmp_path / "out", Screen()) as report:  # noqa: PT012
        report(result)
        raise error

    assert session_cases(tmp_path / "out") == [("worker-killed", "system-out"), ("session", "error")]


def test_a_report_that_cannot_be_written_is_said_and_ends_nothing(tmp_path, result, capsys):
    (result.record / "report.html").mkdir()

    with reporting(tmp_path / "out", Screen()) as report:
        report(result)

    assert "no report:" in capsys.readouterr().err


def test_a_defect_of_the_drawing_is_said_and_ends_nothing(tmp_path, result, capsys, monkeypatch):
    monkeypatch.setattr("parity.cli.reports.write_reports", lambda record: {}[record])

    with reporting(tmp_path / "out", Screen()) as report:
        report(result)

    assert "no report, by a defect of parity: KeyError" in capsys.readouterr().err
    assert session_cases(tmp_path / "out") == [("worker-killed", "system-out")]


def test_a_record_s_report_can_be_built_again(result):
    ran = CliRunner().invoke(app, ["report", str(result.record)])

    assert ran.exit_code == 0
    assert ran.stdout.strip() == str(result.record / "report.html")
    assert (result.record / "report.html").exists()


def test_a_folder_that_is_no_record_is_an_error(tmp_path):
    ran = CliRunner().invoke(app, ["report", str(tmp_path)])

    assert isinstance(ran.exception, RecordError)
    assert "no record" in str(ran.exception)
