"""Liveness properties, and the run that says nothing, on literal histories."""

from __future__ import annotations

import pytest
from check_histories import (
    acknowledged,
    dead,
    delivered,
    done,
    effect,
    ended,
    exited,
    fault,
    find,
    proved_fault,
    queued,
    said,
    submitted,
)

from parity.history.events import Instance


def redelivered(*parts: list, **how: object) -> tuple[str, int, tuple[int, ...]]:
    """What redelivered_within says of jobs 0 and 1 and some events, with a bound of 30 s."""
    return said(find(ended(submitted(0, 1), *parts, **how), "redelivered_within", 30))


class TestRedeliveredWithin:
    def test_holds_with_its_figures(self):
        history = ended(
            submitted(0, 1, 2),
            *(delivered(job, "a", at=2) for job in (0, 1, 2)),
            exited("a", at=10),
            *(delivered(job, "b", at=11 + 2 * job) for job in (0, 1, 2)),
        )
        finding = find(history, "redelivered_within", 30)
        assert said(finding) == ("holds", 0, ())
        assert finding.reason == (
            "3 orphaned jobs were delivered again, after 3.000 s in the median and 5.000 s at most"
        )

    @pytest.mark.parametrize("hit", [exited("a"), fault("a"), fault("b", "a", kind="pause")])
    def test_a_delivery_after_the_bound_violates(self, hit):
        assert redelivered(delivered(0), hit, delivered(0, "b", at=41)) == ("violated", 1, (0,))

    def test_a_delivery_at_the_bound_holds(self):
        assert redelivered(delivered(0), exited("a"), delivered(0, "b", at=40)) == ("holds", 0, ())

    def test_never_delivered_again_and_unfinished_violates(self):
        assert redelivered(delivered(0), exited("a")) == ("violated", 1, (0,))

    def test_a_committed_effect_alone_does_not_release_the_job(self):
        late = delivered(0, "b", at=45)
        assert redelivered(delivered(0), effect(0), exited("a"), late) == ("violated", 1, (0,))

    def test_a_done_job_never_delivered_again_counts_neither_way(self):
        """The broker may have had the acknowledgement that the worker could not tell of."""
        assert redelivered(delivered(0), effect(0), exited("a")) == ("unknown", 0, ())

    def test_a_dead_lettered_job_needs_no_delivery(self):
        assert redelivered(delivered(0), exited("a"), found=dead(0)) == ("unknown", 0, ())

    def test_an_acknowledged_job_is_nobodys(self):
        assert redelivered(done(0), exited("a")) == ("unknown", 0, ())

    def test_an_acknowledgement_after_the_fault_releases_the_job(self):
        assert redelivered(delivered(0), fault("a", kind="stop"), acknowledged(0, at=12)) == (
            "unknown",
            0,
            (),
        )

    def test_an_acknowledgement_by_another_instance_does_not(self):
        history = (delivered(0), exited("a"), acknowledged(0, "b", at=12))
        assert redelivered(*history) == ("violated", 1, (0,))

    def test_the_latest_delivery_says_who_holds_the_job(self):
        history = (delivered(0, "a"), delivered(0, "b", at=3), exited("a"), acknowledged(0, "b", at=20))
        assert redelivered(*history) == ("unknown", 0, ())

    def test_a_fault_and_the_exit_it_causes_are_one_loss(self):
        history = (delivered(0), fault("a", at=10), exited("a", at=30), delivered(0, "b", at=41))
        assert redelivered(*history) == ("violated", 1, (0,))

    def test_a_healed_pause_does_not_count_towards_a_later_loss(self):
        pause = fault("a", at=3, kind="pause") + fault("a", at=5, kind="pause", phase="healed")
        assert redelivered(delivered(0), pause, exited("a", at=30), delivered(0, "b", at=45)) == (
            "holds",
            0,
            (),
        )

    def test_an_instance_the_fault_did_not_name_keeps_its_jobs(self):
        assert redelivered(delivered(0), fault("b"), fault("a", phase="applying")) == ("unknown", 0, ())

    @pytest.mark.parametrize(("at", "verdict"), [(31, ("holds", 0, ())), (45, ("violated", 1, (0,)))])
    def test_a_broker_may_know_of_an_end_before_the_engine_tells_of_it(self, at, verdict):
        """A kill is under way, and the job comes again before the exit is seen: it waited since the kill began."""
        kill = fault("a", phase="applying", at=10)
        assert redelivered(delivered(0), kill, delivered(0, "b", at=at), exited("a", at=50)) == verdict

    def test_a_fault_that_could_not_be_applied_takes_nothing(self):
        missed = (fault("a", phase="applying", at=10), fault("a", phase="failed", at=11))
        assert redelivered(delivered(0), *missed, delivered(0, "b", at=45)) == ("unknown", 0, ())

    def test_a_delivery_told_after_the_exit_orphans_its_job(self):
        """The engine's events and the worker's log are two streams."""
        history = (exited("a", at=10), delivered(0, "a", at=10.1), delivered(0, "b", at=45))
        assert redelivered(*history) == ("violated", 1, (0,))

    def test_an_instance_that_came_back_holds_jobs_again(self):
        back = [Instance(t_us=11_000_000, instance="a", state="running")]
        history = (exited("a", at=10), back, delivered(0, "a", at=12), acknowledged(0, "a", at=50))
        assert redelivered(*history) == ("unknown", 0, ())

    def test_a_watch_cut_short_by_the_census_is_unknown(self):
        assert redelivered(delivered(0), exited("a", at=180)) == ("unknown", 1, (0,))

    def test_workers_stopped_for_the_census_orphan_nothing(self):
        assert redelivered(delivered(0), found=exited("a", at=202)) == ("unknown", 0, ())

    def test_without_any_delivery_unknown(self):
        finding = find(ended(submitted(0), effect(0), exited("a")), "redelivered_within", 30)
        assert (finding.verdict, finding.reason) == ("unknown", "the application told of no delivery")


def drained(*parts: list, bound: float = 60, **how: object) -> tuple[str, int, tuple[int, ...]]:
    return said(find(ended(submitted(0, 1, 2), *parts, **how), "drained_within", bound))


class TestDrainedWithin:
    def test_holds_and_tells_when_the_last_job_was_done(self):
        finding = find(ended(submitted(0, 1), done(0), done(1, at=75.5)), "drained_within", 60)
        assert said(finding) == ("holds", 0, ())
        assert finding.reason == "the last job was done 15.500 s after the drain began"

    def test_a_dead_lettered_job_has_drained(self):
        assert drained(done(0, 1), found=dead(2)) == ("holds", 0, ())

    @pytest.mark.parametrize("complete", [True, False])
    def test_a_job_still_in_a_queue_is_stuck(self, complete):
        assert drained(done(0, 1), found=queued(2), complete=complete) == ("violated", 1, (2,))

    def test_a_job_done_after_the_bound_is_late(self):
        assert drained(done(0, 1), done(2, at=121)) == ("violated", 1, (2,))

    def test_a_job_first_seen_done_by_the_census_is_late(self):
        assert drained(done(0, 1), found=effect(2, at=202)) == ("violated", 1, (2,))

    def test_a_second_effect_after_the_bound_is_not_late(self):
        assert drained(done(0, 1, 2), effect(2, count=2, at=150)) == ("holds", 0, ())

    def test_a_late_job_that_was_never_confirmed_is_nobodys(self):
        history = ended(submitted(0), done(0), submitted(1, outcome="info"), done(1, at=150))
        assert find(history, "drained_within", 60).verdict == "holds"

    def test_a_lost_job_is_left_out(self):
        finding = find(ended(submitted(0, 1), done(0)), "drained_within", 60)
        assert finding.verdict == "holds"
        assert "1 lost jobs are left out" in finding.reason

    @pytest.mark.parametrize("complete", [False, None])
    def test_an_unaccounted_job_without_a_complete_census_is_unknown(self, complete):
        assert drained(done(0, 1), complete=complete) == ("unknown", 1, (2,))

    def test_without_a_drain_unknown(self):
        assert drained(done(0, 1, 2), drain=False) == ("unknown", 0, ())

    def test_a_stack_that_did_not_heal_owes_no_drained_queue(self):
        finding = find(ended(submitted(0), found=queued(0), healed=False), "drained_within", 60)
        assert said(finding) == ("unknown", 1, (0,))
        assert "node b is down" in finding.reason

    def test_a_queue_that_drained_although_the_stack_did_not_heal_has_drained(self):
        assert drained(done(0, 1, 2), healed=False) == ("holds", 0, ())

    def test_after_a_fault_nobody_told_to_be_healed_a_stuck_job_is_unknown(self):
        assert drained(done(0, 1), fault("n"), found=queued(2), healed=None) == ("unknown", 1, (2,))

    def test_without_any_fault_nothing_had_to_heal(self):
        assert drained(done(0, 1), found=queued(2), healed=None) == ("violated", 1, (2,))


def vacuous(*parts: list, wanted: int = 1) -> tuple[str, str]:
    finding = find(ended(*parts), "not_vacuous", wanted)
    return finding.verdict.value, finding.reason


class TestNotVacuous:
    def test_holds(self):
        history = (submitted(0, 1), done(0), proved_fault("a"))
        assert vacuous(*history, wanted=2) == (
            "holds",
            "2 jobs were submitted ok, and 1 fault was applied and proved",
        )

    def test_too_few_jobs_are_unknown(self):
        history = (submitted(0, 1), submitted(2, outcome="info"), done(0))
        assert vacuous(*history, wanted=3) == ("unknown", "2 jobs were submitted ok, fewer than 3")

    def test_jobs_nobody_worked_on_are_unknown(self):
        assert vacuous(submitted(0)) == ("unknown", "no job was ever delivered or done")

    @pytest.mark.parametrize(
        ("phases", "word"),
        [
            (["applying"], "never applied"),
            (["applying", "failed"], "failed"),
            (["applying", "applied"], "never proved"),
            (["applying", "applied", "healed"], "never proved"),
            (["applying", "applied", "proved", "healed", "applying"], "never applied"),
            (["applying", "applied", "proved", "applying", "applied"], "never proved"),
            (["applying", "applied", "proved", "healing", "failed"], "failed"),
        ],
    )
    def test_a_fault_that_was_not_real_is_unknown_and_named(self, phases, word):
        faults = [event for phase in phases for event in fault("a", phase=phase, index=3)]
        verdict, reason = vacuous(submitted(0), done(0), proved_fault("a"), faults)
        assert verdict == "unknown"
        assert reason.startswith("fault 3 (kill on a worker)")
        assert reason.endswith(word)
