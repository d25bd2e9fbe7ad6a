"""Judging whole histories: the tally, the five fates, crashed checks, and witnesses' lives."""

from __future__ import annotations

import pytest
from check_histories import (
    NOTHING,
    acknowledged,
    dead,
    delivered,
    done,
    effect,
    ended,
    exited,
    fault,
    queued,
    start,
    submitted,
)

from parity.check import Judgement, Tally, Verdict, judge, lives
from parity.check.judge import CHECKS
from parity.errors import RecordError
from parity.history.events import Remark
from parity.scenario.properties import PROPERTY_NAMES, Properties

EVERYTHING = Properties(
    redelivered_within=30,
    delivery_limit=2,
    capacity_converges_within=30,
    capacity_in_bounds=True,
    activities_match=True,
    drained_before_termination=True,
    on_revision=True,
    connections_under_limit=True,
    backlog_growth_at_scale_in=0,
    logs_archived=5,
)


def verdicts(judgement: Judgement) -> dict[str, str]:
    return {finding.property: finding.verdict.value for finding in judgement.findings}


def test_five_fates_are_kept_apart():
    """Job 0 is lost, 1 stuck, 2 late, 3 dead-lettered, 4 duplicated, 5 simply done."""
    history = ended(
        submitted(0, 1, 2, 3, 4, 5),
        done(4, 5),
        effect(4, count=2, at=8),
        *(delivered(3, at=10 + time) for time in range(3)),
        done(2, at=150),
        found=queued(1) + dead(3),
    )
    judgement = judge(history, EVERYTHING)
    assert judgement.tally == Tally(
        ok=6, effects=3, redelivered=2, duplicated=1, lost=1, stuck=1, late=1, dead_lettered=1
    )
    witnesses = {finding.property: finding.witnesses for finding in judgement.findings}
    assert witnesses["no_job_lost"] == (0,)
    assert witnesses["drained_within"] == (1, 2)
    assert witnesses["effect_exactly_once"] == (4,)
    assert witnesses["conservation"] == (0,)
    assert witnesses["delivery_limit"] == ()
    assert verdicts(judgement)["delivery_limit"] == "holds"
    assert judgement.verdict is Verdict.VIOLATED


def test_the_tally_counts_submits_by_outcome():
    history = ended(
        submitted(0),
        submitted(1, outcome="fail"),
        submitted(2, outcome="info"),
        submitted(3)[:1],
        delivered(9),
    )
    tally = judge(history, EVERYTHING).tally
    assert (tally.ok, tally.refused, tally.unknown) == (1, 1, 2)


def test_nothing_is_lost_in_the_tally_of_an_incomplete_census():
    assert judge(ended(submitted(0), complete=False), EVERYTHING).tally.lost == 0


def test_without_a_bound_the_drains_own_deadline_makes_a_job_late():
    history = ended(submitted(0, 1), done(0, at=119), done(1, at=121))
    assert judge(history, Properties(drained_within=None)).tally.late == 1


def test_findings_come_in_the_order_of_the_properties():
    assert tuple(verdicts(judge([], EVERYTHING))) == PROPERTY_NAMES


def test_properties_that_are_not_claimed_are_left_out():
    assert tuple(verdicts(judge([], Properties(**NOTHING)))) == ("not_vacuous",)


def test_every_property_has_a_check():
    assert set(CHECKS) == set(PROPERTY_NAMES)


def test_an_empty_history_is_unknown_throughout():
    judgement = judge([], EVERYTHING)
    assert set(verdicts(judgement).values()) == {"unknown"}
    assert judgement.tally == Tally()


def test_a_truncated_history_holds_nothing():
    assert "holds" not in verdicts(judge(start(submitted(0), done(0)), EVERYTHING)).values()


def test_a_clean_run_holds():
    judgement = judge(ended(submitted(0, 1), done(0, 1)), Properties())
    assert judgement.verdict is Verdict.HOLDS


def test_a_crashed_check_is_unknown_and_the_others_still_speak():
    def crash(_ledger: object, _properties: object) -> None:
        raise ZeroDivisionError("division by zero")

    judgement = judge(ended(submitted(0)), Properties(), checks={**CHECKS, "no_phantom": crash})
    crashed = next(finding for finding in judgement.findings if finding.property == "no_phantom")
    assert (crashed.verdict, crashed.reason) == (
        "unknown",
        "the check crashed: ZeroDivisionError: division by zero",
    )
    assert verdicts(judgement)["no_job_lost"] == "violated"


def test_a_property_without_a_check_is_unknown():
    judgement = judge(ended(submitted(0), done(0)), Properties(), checks={})
    assert set(verdicts(judgement).values()) == {"unknown"}


def test_a_history_that_cannot_be_read_is_no_verdict():
    def torn():
        yield from submitted(0)
        raise RecordError("h.jsonl:3: expected an event")

    with pytest.raises(RecordError, match=r"h\.jsonl:3"):
        judge(torn(), EVERYTHING)


def test_a_life_is_everything_told_of_the_job_and_of_its_holder():
    mine = submitted(1) + delivered(1, "a") + effect(1)
    taken = fault("a", at=9) + exited("a", at=10)
    after = delivered(1, "b", at=12) + acknowledged(1, "b", at=13)
    others = submitted(0) + done(0) + [Remark(t_us=4, text="-")] + fault("c")
    unrelated = exited("a", at=14) + exited("b", at=15) + fault("b", phase="applying")
    told = lives([*others, *mine, *taken, *after, *unrelated], [1, 7])
    assert told == {1: mine + taken + after, 7: []}
