"""The report in a headless Chromium: it is shown, it is whole, and nothing in it goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from check_histories import done, ended, submitted
from report_records import in_order, surroundings, write_record

from parity.report import write_reports

NAMES = ("chromium", "chromium-browser", "google-chrome")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def browser() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = f"needs a headless Chromium: one of {', '.join(NAMES)}"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return found


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The report of a run that lost a job, with a reason that tries to break out of the page."""
    nasty = {"again": "parity run </script><script>throw new Error('broke out')</script>"}
    write_record(tmp_path / "run", ended(in_order(submitted(0, 1), done(0), surroundings())), facts=nasty)
    return write_reports(tmp_path / "run")


def show(browser: str, page: Path, *options: str, fragment: str = "") -> subprocess.CompletedProcess[str]:
    """Run the browser on a page; what the page logs comes on standard error."""
    profile = page.parent / "profile"
    fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr")
    command = [browser, *fixed, f"--user-data-dir={profile}", *options, f"{page.as_uri()}{fragment}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.browser
def test_the_page_shows_the_verdict_and_logs_no_error(browser, report):
    shown = show(browser, report, "--dump-dom", fragment="#job-1")

    assert "Violated: no_job_lost, conservation." in shown.stdout
    assert "CONSOLE" not in shown.stderr
    assert "broke out" not in shown.stderr
    assert shown.stdout.count("<script>") == 1


@pytest.mark.browser
def test_the_page_s_script_runs_under_its_own_policy(browser, report):
    shown = show(browser, report, "--dump-dom", fragment="#job-1")

    # The script takes the attribute away; without it there would be nothing to press.
    assert '<button type="button" id="all-lives">' in shown.stdout


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_can_be_drawn(browser, report, scheme):
    picture = report.parent / f"{scheme}.png"

    show(
        browser,
        report,
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        "--window-size=1280,2400",
        f"--screenshot={picture}",
    )

    assert picture.read_bytes().startswith(PNG)
    assert picture.stat().st_size > 50_000
