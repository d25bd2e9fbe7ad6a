"""Reports on the command line: one after each run, one for the session, and `parity report` to build one again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from parity.cli.show import Screen
from parity.errors import ParityError, RecordError
from parity.report import write_reports, write_session
from parity.run.result import Result

_RECORD_FILES = ("run.json", "scenario.yaml", "history.jsonl")


@contextlib.contextmanager
def reporting(out: Path, screen: Screen) -> Iterator[Callable[[Result], None]]:
    """Report each result given to what this yields; leaving writes the session's JUnit XML, however it ended.

    A report that cannot be written is said and ends nothing: verdicts and exit status don't rest on it.

    Args:
        out: Where records go; the session's `junit.xml` too.
        screen: Told of what cannot be written.
    """
    results: list[Result] = []

    def report(result: Result) -> None:
        results.append(result)
        with _said(screen):
            write_reports(result.record)

    error = ""
    try:
        yield report
    except ParityError as caught:
        error = str(caught)
        raise
    except BaseException as caught:
        error = f"interrupted by {type(caught).__name__}"
        raise
    finally:
        with _said(screen):
            write_session(results, out / "junit.xml", error=error)


@contextlib.contextmanager
def _said(screen: Screen) -> Iterator[None]:
    try:
        yield
    except RecordError as error:
        screen.progress(f"no report: {error}")
    except Exception as error:  # noqa: BLE001  # a defect of the drawing must not cost the runs that are still to come
        screen.progress(f"no report, by a defect of parity: {type(error).__name__}: {error}")


def report(run_folder: Annotated[Path, typer.Argument(help="A run's folder, such as out/RUN.")]) -> None:
    """Build a run's report.html and junit.xml again, also where the run died."""
    if run_folder.is_dir() and not any((run_folder / name).exists() for name in _RECORD_FILES):
        raise RecordError(f"{run_folder}: no record: it has none of {', '.join(_RECORD_FILES)}")
    sys.stdout.write(f"{write_reports(run_folder)}\n")
