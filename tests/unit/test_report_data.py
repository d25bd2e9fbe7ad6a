"""What a report tells: gathered from records that are whole, and from what is left of others."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from check_histories import acknowledged, dead, delivered, done, effect, ended, exited, queued, submitted, us
from report_records import in_order, scaled_out, surroundings, write_record

from parity.check.verdict import Verdict
from parity.history.events import Activity, Delivery, Fault, Instance, Point, Remark, Submit, Submitted
from parity.report.data import RunReport, Scaling
from parity.report.gather import gather
from parity.report.groups import LIVES_MAX, as_runs
from parity.report.scaling import ACTIVITIES_MAX


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def life(report: RunReport, job: int) -> list[tuple[float, str, str]]:
    told = next(one for one in (*report.lives, *report.examples) if one.job == job)
    return [(line.t_us / 1e6, line.who, line.what) for line in told.lines]


def groups(report: RunReport) -> dict[str, tuple[int, tuple[int, ...]]]:
    return {group.kind: (group.total, group.told) for group in report.groups}


def test_a_run_in_which_everything_held(folder):
    write_record(folder, ended(in_order(submitted(0, 1), done(0, 1), surroundings())))

    report = gather(folder)

    assert (report.ruling.judged, report.ruling.verdict, report.ruling.as_expected) == (True, Verdict.HOLDS, True)
    assert (report.gaps, report.groups, report.lives) == ((), (), ())
    assert (report.facts.scenario, report.facts.seed, report.facts.stack) == ("worker-killed", 7, "compose/rabbitmq")
    assert [name for name, _ in report.files] == [
        "history.jsonl",
        "run.json",
        "scenario.yaml",
        "verdict.json",
        "logs/worker-1.log",
    ]


def test_the_timeline_has_phases_faults_lanes_depths_and_counts(folder):
    write_record(folder, ended(in_order(submitted(0, 1), submitted(2, outcome="info"), done(0, 1), surroundings())))

    timeline = gather(folder).timeline

    assert [(band.name, band.start_us, band.end_us) for band in timeline.phases] == [
        ("start", 0, us(60)),
        ("drain", us(60), us(200)),
        ("census", us(200), us(210)),
    ]
    (fault,) = timeline.faults
    assert (fault.start_us, fault.applied_us, fault.end_us) == (us(1.5), us(1.6), us(5))
    assert (fault.breaks, fault.healed, fault.on, fault.proof) == (True, True, ("rabbit1",), "rabbit1 exited with 137")
    lanes = {lane.name: [(span.state, span.start_us, span.end_us) for span in lane.spans] for lane in timeline.lanes}
    assert lanes["rabbit1"] == [
        ("running", us(0.1), us(1.7)),
        ("down", us(1.7), us(6)),
        ("running", us(6), us(210)),
    ]
    assert lanes["a"] == [("starting", us(0.2), us(0.5)), ("running", us(0.5), us(210))]
    assert lanes["jobs"] == [("rabbit1", us(0.6), us(1.9)), ("rabbit2", us(1.9), us(210))]
    assert timeline.depths[0].points == ((us(0.6), 0, 0), (us(1.9), 5, 1), (us(7), 0, 0))
    counts = timeline.counts
    assert (sum(counts.submits), sum(counts.ok), sum(counts.unknown), sum(counts.refused)) == (3, 2, 1, 0)
    assert (sum(counts.deliveries), sum(counts.effects)) == (2, 2)
    assert len(counts.ok) * counts.width_us >= us(210)


def test_the_timeline_of_a_group_has_its_capacity_lifecycle_states_and_activities(folder):
    write_record(folder, ended(in_order(submitted(0), done(0), scaled_out())))

    timeline = gather(folder).timeline

    sizes = [(size.t_us, size.desired, size.in_service, size.pending) for size in timeline.scaling.sizes]
    assert sizes == [(us(0.3), 1, 1, 0), (us(2), 2, 1, 1), (us(4), 2, 2, 0)]
    assert timeline.scaling.connections == ((us(3), 4, 12),)
    launch, end = timeline.scaling.activities
    assert (launch.start_us, launch.end_us, launch.status, launch.cause) == (us(2), us(4), "Successful", "an alarm")
    assert (end.start_us, end.end_us, end.status) == (us(5), None, "PreInService")
    (lane,) = [lane for lane in timeline.lanes if (lane.kind, lane.name) == ("lifecycle", "b")]
    assert [(span.state, span.start_us, span.note) for span in lane.spans] == [
        ("Pending:Wait", us(2), "us-east-1b"),
        ("InService", us(4), "us-east-1b"),
    ]


def test_a_run_without_a_group_tells_of_none(folder):
    write_record(folder, ended(in_order(submitted(0), done(0), surroundings())))
    assert gather(folder).timeline.scaling == Scaling()


def test_activities_are_capped_and_what_is_left_out_is_counted(folder):
    told = [
        Activity(t_us=us(1), activity=str(number), status=status, description="Launching")
        for number in range(ACTIVITIES_MAX + 3)
        for status in ("PreInService", "Failed")
    ]
    write_record(folder, ended(in_order(submitted(0), done(0), told)))
    scaling = gather(folder).timeline.scaling
    assert (len(scaling.activities), scaling.activities_more) == (ACTIVITIES_MAX, 3)


def test_an_instance_that_parity_ended_for_the_census_is_told_apart_from_one_that_died(folder):
    died = [Instance(t_us=us(10), instance="a", state="exited", exit_code=137)]
    ended_by_parity = [Instance(t_us=us(201), instance="b", state="exited", exit_code=137)]
    history = ended(submitted(0), done(0), died)
    write_record(folder, in_order(history, ended_by_parity))

    spans = {lane.name: lane.spans[-1] for lane in gather(folder).timeline.lanes}

    assert spans["a"].note == ""
    assert spans["b"].note == "ended for the census"


def test_a_step_that_failed_or_never_healed_says_so(folder):
    failed = Fault(t_us=us(2), fault=0, kind="kill", target="any worker", phase="failed", detail="nobody there")
    open_ended = Fault(t_us=us(3), fault=1, kind="pause", target="any worker", phase="applying", on=("a",))
    scale = Fault(t_us=us(4), fault=2, kind="scale", target="", phase="applying")
    write_record(folder, ended(submitted(0), done(0), [failed, open_ended, scale]))

    faults = gather(folder).timeline.faults

    assert [(one.failed, one.healed, one.breaks) for one in faults] == [
        ("nobody there", False, True),
        ("", False, True),
        ("", False, False),
    ]


def test_a_lost_job_s_life_ends_with_the_census_and_names_the_fault_that_fell_into_it(folder):
    write_record(folder, ended(in_order(submitted(0, 1), done(0), surroundings())))

    report = gather(folder)

    assert report.ruling.verdict is Verdict.VIOLATED
    assert groups(report) == {"lost": (1, (1,))}
    assert report.lives[0].identity == "job-000001"
    assert report.lives[0].witness_of == ("no_job_lost", "conservation")
    assert life(report, 1) == [
        (1, "producer", "Handed over to be submitted."),
        (1, "producer", "Submitted ok, says the producer: from here on it must not get lost."),
        (1.6, "fault", "Meanwhile: kill queue leader (rabbit1) was applied."),
        (5, "fault", "Meanwhile: kill queue leader (rabbit1) was healed."),
        (
            205,
            "census",
            "Every queue was read to its end and the effects were counted: no message, no effect. The job is lost.",
        ),
    ]


def test_without_a_complete_census_nothing_is_called_lost(folder):
    write_record(folder, ended(submitted(0, 1), done(0), complete=False))

    report = gather(folder)

    assert groups(report) == {"unaccounted": (1, (1,))}
    assert "may be lost or not" in life(report, 1)[-1][2]


def test_the_kinds_of_jobs_that_went_wrong_are_kept_apart(folder):
    history = ended(
        in_order(submitted(0, 1, 2, 3, 4), submitted(5, outcome="info"), done(0), delivered(3) + effect(3, 2)),
        delivered(4, at=130) + effect(4, at=130) + acknowledged(4, at=130),
        found=[*queued(1), *dead(2)],
    )
    write_record(folder, history)

    report = gather(folder)

    assert groups(report) == {
        "stuck": (1, (1,)),
        "duplicated": (1, (3,)),
        "dead_lettered": (1, (2,)),
        "late": (1, (4,)),
        "unknown": (1, (5,)),
    }


def test_the_holder_s_death_stands_in_the_life_but_not_after_the_job_was_given_back(folder):
    held = [Delivery(t_us=us(2), job=0, worker="a", redelivered=False)]
    given_back = [
        Delivery(t_us=us(2), job=1, worker="a", redelivered=False),
        Point(t_us=us(3), job=1, worker="a", point="rejected"),
    ]
    again = [Delivery(t_us=us(20), job=0, worker="b", redelivered=True)]
    write_record(folder, ended(in_order(submitted(0, 1), held, given_back, exited("a"), again), found=dead(0, 1)))

    report = gather(folder)

    assert [what for _, _, what in life(report, 0)[2:]] == [
        "Delivered; the broker does not flag it as redelivered.",
        "Exited with exit code 137, while it held the job.",
        "Delivered again, for the 2nd time; the broker flags it as redelivered.",
        "Its message was found in the dead-letter queue jobs.dead.",
    ]
    assert not any("Exited" in what for _, _, what in life(report, 1))


def test_where_everything_held_two_redelivered_jobs_serve_as_examples(folder):
    survivors = [event for job in (1, 2, 3) for event in (*delivered(job, "a"), *done(job, worker="b", at=20))]
    write_record(folder, ended(in_order(submitted(0, 1, 2, 3), done(0), survivors, exited("a"))))

    report = gather(folder)

    assert report.redelivered.total == 3
    assert [(one.job, one.kinds) for one in report.examples] == [(1, ("redelivered",)), (2, ("redelivered",))]
    assert "Exited with exit code 137, while it held the job." in [what for _, _, what in life(report, 1)]


def test_where_no_job_was_redelivered_two_usual_ones_do(folder):
    write_record(folder, ended(submitted(*range(10)), done(*range(10))))

    assert [one.kinds for one in gather(folder).examples] == [("usual",), ("usual",)]


def test_lives_are_capped_and_what_is_left_out_is_said(folder):
    write_record(folder, ended(submitted(*range(500))))

    report = gather(folder)

    (group,) = report.groups
    assert (group.total, group.told) == (500, tuple(range(20)))
    assert (group.left_out, group.left_out_more) == (((20, 499),), 0)
    assert len(report.lives) <= LIVES_MAX


def test_a_life_of_many_events_is_shortened_in_its_middle(folder):
    poisoned = [event for at in range(2, 50) for event in delivered(0, at=at)]
    write_record(folder, ended(submitted(0), poisoned, found=dead(0)))

    lines = gather(folder).lives[0].lines

    assert [line.what for line in lines if line.role == "gap"] == ["11 more events are left out here."]
    assert lines[-1].what == "Its message was found in the dead-letter queue jobs.dead."


def test_a_run_that_died_has_no_verdict_and_says_so(folder):
    history = ended(in_order(submitted(0, 1), done(0), surroundings()))[:20]
    write_record(folder, history, judged=False)
    with (folder / "history.jsonl").open("ab") as file:
        file.write(b'{"event":"submit","t_us":99')

    report = gather(folder)

    assert (report.ruling.judged, report.ruling.verdict, report.ruling.as_expected) == (False, Verdict.UNKNOWN, False)
    assert "There is no verdict.json." in report.gaps
    assert any(gap.startswith("The history stops after") for gap in report.gaps)
    assert (report.ruling.tally.ok, report.ruling.tally.lost) == (2, 0)


def test_a_run_that_broke_off_says_why(folder):
    write_record(folder, submitted(0), error="the service worker does not stay up")

    report = gather(folder)

    assert (report.ruling.judged, report.ruling.error) == (True, "the service worker does not stay up")


@pytest.mark.parametrize("left", [(), ("run.json",), ("history.jsonl",), ("verdict.json",)])
def test_whatever_is_left_of_a_record_can_be_told(folder, left):
    write_record(folder, ended(submitted(0), done(0)))
    for name in ("run.json", "history.jsonl", "verdict.json", "scenario.yaml"):
        if name not in left:
            (folder / name).unlink()

    assert gather(folder).gaps


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "\x00", '{"verdict": "good", "tally": 3, "findings": [1], "seconds": "x"}']
)
def test_json_that_is_none_of_ours_is_no_verdict(folder, text):
    write_record(folder, ended(submitted(0), done(0)))
    (folder / "verdict.json").write_text(text)

    report = gather(folder)

    assert (report.ruling.judged, report.ruling.verdict) == (False, Verdict.UNKNOWN)
    assert report.gaps


def test_a_history_with_a_wrong_line_is_read_up_to_there(folder):
    write_record(folder, ended(submitted(0), done(0)))
    path = folder / "history.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "nonsense", *lines[3:]]) + "\n")

    report = gather(folder)

    assert any("history.jsonl:4" in gap for gap in report.gaps)
    assert sum(report.timeline.counts.submits) == 1


def test_the_data_can_be_serialised_and_read_back(folder):
    write_record(folder, ended(in_order(submitted(0, 1), done(0), surroundings()), [Remark(t_us=us(2), text="odd")]))

    report = gather(folder)

    assert msgspec.json.decode(msgspec.json.encode(report), type=RunReport) == report


def test_bins_stay_few_however_long_the_run(folder):
    events = [
        event
        for job in range(2000)
        for event in (Submit(t_us=us(job), job=job), Submitted(t_us=us(job), job=job, outcome="ok"))
    ]
    write_record(folder, events, judged=False)

    counts = gather(folder).timeline.counts

    assert len(counts.submits) <= 240
    assert sum(counts.submits) == sum(counts.ok) == 2000


def test_ascending_numbers_become_runs():
    assert as_runs([]) == ()
    assert as_runs([1, 2, 3, 7, 9, 10]) == ((1, 3), (7, 7), (9, 10))
