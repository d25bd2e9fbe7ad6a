"""Reports: a run's record as a page for people and as JUnit XML for machines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from parity.errors import RecordError
from parity.report.data import RunReport
from parity.report.gather import gather
from parity.report.html import render
from parity.report.junit import run_suite, session_suite
from parity.run.result import Result

__all__ = ["RunReport", "gather", "render", "write_reports", "write_session"]


def write_reports(folder: Path) -> Path:
    """Write `report.html` and `junit.xml` into a record's folder.

    A record that is only half written gets a report too, which says what is missing.

    Args:
        folder: The record's.

    Returns:
        The path of the report.

    Raises:
        RecordError: There is no such folder, or nothing can be written there.
    """
    if not folder.is_dir():
        raise RecordError(f"{folder}: there is no such record; records are the folders below out/")
    report = gather(folder)
    path = folder / "report.html"
    _write(path, render(report))
    _write(folder / "junit.xml", run_suite(report))
    return path


def write_session(results: Iterable[Result], path: Path, *, error: str = "") -> None:
    """Write a session's runs as JUnit XML.

    Args:
        results: Of the runs that came to an end.
        path: The file; its folder is made where it does not exist.
        error: Why the session broke off; empty where it did not.

    Raises:
        RecordError: The file cannot be written.
    """
    _write(path, session_suite(results, error=error))


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror}") from error
