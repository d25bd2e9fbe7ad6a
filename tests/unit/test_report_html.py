"""The report's page: what stands in it, and that nothing a run says can break out of its place."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from check_histories import delivered, done, ended, exited, submitted, us
from report_records import SCENARIO, in_order, scaled_out, surroundings, write_record

from parity.errors import RecordError
from parity.history.events import Instance, Node, Remark, Submitted
from parity.report import write_reports
from parity.report.words import PROPERTIES
from parity.scenario.properties import PROPERTY_NAMES
from parity.scenario.scenario import Expectation

VOID = {"meta", "br"}
NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\x07\x1b[31m\x9b\ufffe"


class Page(HTMLParser):
    """Reads a page: its text, its elements, and that every one of them is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def page(folder: Path) -> Page:
    path = write_reports(folder)
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


def test_a_holding_run_s_page_says_so_first_and_shows_the_evidence(folder):
    survivor = [*delivered(1, "a"), *done(1, worker="b", at=20)]
    write_record(folder, ended(in_order(submitted(0, 1), done(0), survivor, exited("a"), surroundings())))

    shown = page(folder)

    assert "worker-killed on compose/rabbitmq ✓ Everything that was claimed holds. As expected." in shown.text
    assert SCENARIO.about in shown.text
    assert "1 job was delivered more than once, and everything that was claimed still holds: job 1." in shown.text
    assert "Exited with exit code 137, while it held the job." in shown.text
    assert f"parity run {folder}/scenario.yaml --stack compose/rabbitmq --seed 7" in shown.text
    assert {"href": "logs/worker-1.log"} in shown.tags("a")


def test_a_group_s_page_draws_its_capacity_and_tells_its_activities(folder):
    write_record(folder, ended(in_order(submitted(0), done(0), scaled_out())))

    shown = page(folder)

    assert "Capacity of the group 2 instances" in shown.text
    assert "1 in service of 2 desired, 1 pending, 0 leaving" in shown.text
    assert "Connections of the database 12 connections" in shown.text
    assert "Scaling activities: 2" in shown.text
    assert "2.0 to 4.0 Successful Launching a new EC2 instance: i-2 b an alarm" in shown.text
    assert {"in-service", "desired"} <= {tag["class"] for tag in shown.tags("path") if "class" in tag}


def test_every_property_is_explained():
    assert set(PROPERTIES) == set(PROPERTY_NAMES)


def test_a_violated_run_s_page_names_the_property_and_leads_to_the_lost_job(folder):
    write_record(folder, ended(in_order(submitted(0, 1), done(0), surroundings())))

    shown = page(folder)

    assert "✗ Violated: no_job_lost, conservation. Not as expected: everything had to hold." in shown.text
    assert {"href": "#job-1"} in shown.tags("a")
    assert "job-1" in [attributes.get("id") for attributes in shown.tags("details")]
    assert "The job is lost." in shown.text


def test_a_violation_that_was_expected_is_told_as_expected(folder):
    write_record(folder, ended(submitted(0, 1), done(0)), expectation=Expectation(violated=("no_job_lost",)))

    assert "As expected: this is a known-bad stack, which had to be caught violating no_job_lost." in page(folder).text


def test_a_known_bad_stack_that_passed_is_told_as_not_expected(folder):
    write_record(folder, ended(submitted(0), done(0)), expectation=Expectation(violated=("no_job_lost",)))

    text = page(folder).text

    assert "Everything that was claimed holds. Not as expected: this is a known-bad stack" in text


def test_a_died_run_s_page_has_no_verdict_and_never_looks_like_a_pass(folder):
    write_record(folder, in_order(submitted(0), surroundings()), judged=False)

    text = page(folder).text

    assert "? There is no verdict: the run did not come to its end. No verdict is never a pass." in text
    assert "What this record lacks" in text


def test_jobs_nobody_can_prove_lost_stand_beside_the_number_of_lost_jobs(folder):
    write_record(folder, ended(submitted(0, 1), done(0), complete=False))

    assert "None proved, but 1 unaccounted for: without a complete census nobody can say." in page(folder).text


def test_an_empty_folder_still_gets_a_page(folder):
    folder.mkdir()

    assert "There is no verdict" in page(folder).text


def test_no_folder_is_an_error_that_says_so(folder):
    with pytest.raises(RecordError, match="there is no such record"):
        write_reports(folder)


def test_nothing_a_run_says_becomes_markup(folder):
    scenario = SCENARIO.model_copy(update={"about": NASTY})
    told = [
        Submitted(t_us=us(1), job=1, outcome="info", reason=NASTY),
        Node(t_us=us(1), node=NASTY, state="down", detail=NASTY),
        Instance(t_us=us(2), instance=NASTY, state="exited", exit_code=1, reason=NASTY),
        Remark(t_us=us(3), text=NASTY),
    ]
    names = ("stack", "started", "parity", "again", "job_id", "runtime")
    write_record(
        folder,
        ended(in_order(submitted(0), done(0, worker=NASTY), told)),
        scenario=scenario,
        facts=dict.fromkeys(names, NASTY) | {"images": {NASTY: NASTY}, "scenario": "\ud800"},
    )
    (folder / "logs" / "<b>&.log").write_text("")

    shown = page(folder)

    assert len(shown.tags("script")) == 1
    assert shown.tags("img") == []
    assert "alert(1)" in shown.text
    raw = (folder / "report.html").read_text(encoding="utf-8")
    assert not set(raw) & ({chr(code) for code in range(32)} - {"\n", "\t"})
    assert "\u2400" in raw
    assert {"href": "logs/%3Cb%3E%26.log"} in shown.tags("a")


def test_an_error_that_broke_the_run_off_stands_in_the_banner(folder):
    write_record(folder, submitted(0), error=f"the worker said {NASTY}")

    assert "Why it broke off: the worker said </script>" in page(folder).text


def test_the_page_needs_nothing_from_elsewhere(folder):
    write_record(folder, ended(in_order(submitted(0, 1), done(0), surroundings())))

    shown = page(folder)

    assert [tag for tag, _ in shown.elements if tag in {"link", "img", "iframe", "object", "use", "image"}] == []
    assert not [attributes for _, attributes in shown.elements if "src" in attributes]
    policy = next(attributes["content"] for attributes in shown.tags("meta") if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'")
    assert not [href for one in shown.tags("a") if (href := one["href"]).startswith(("http", "//", "/"))]


def test_the_page_can_be_read_without_seeing_it(folder):
    write_record(folder, ended(in_order(submitted(0, 1), done(0), surroundings())))

    shown = page(folder)

    (timeline,) = (one for one in shown.tags("svg") if one.get("role") == "img")
    assert timeline["aria-labelledby"] == "timeline-title timeline-about"
    identifiers = {one["id"] for _, one in shown.elements if "id" in one}
    assert {one["aria-labelledby"] for one in shown.tags("section")} <= identifiers
    assert len(shown.tags("caption")) == len(shown.tags("table"))
    assert all(one.get("scope") in {"col", "row"} for one in shown.tags("th"))
    assert len(identifiers) == sum("id" in one for _, one in shown.elements)


def test_ten_thousand_jobs_fit_into_a_small_file(folder):
    events = [event for job in range(10_000) for event in submitted(job, at=1 + job / 250)]
    finished = [event for job in range(0, 10_000, 2) for event in done(job, at=2 + job / 250)]
    write_record(folder, ended(in_order(events, finished, surroundings())))

    assert write_reports(folder).stat().st_size < 1_000_000
