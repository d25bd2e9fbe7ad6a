"""Safety properties, on literal histories."""

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
    find,
    proved_fault,
    queued,
    said,
    start,
    submitted,
)

from parity.history.events import Phantom


def phantom(seen: str = "queue") -> list[Phantom]:
    return [Phantom(t_us=5, identity="job-x", seen=seen)]


class TestNoJobLost:
    def test_holds_when_every_ok_job_is_done(self):
        assert said(find(ended(submitted(0, 1), done(0, 1)), "no_job_lost")) == ("holds", 0, ())

    @pytest.mark.parametrize("complete", [False, None])
    def test_needs_no_census_when_every_ok_job_is_done(self, complete):
        assert find(ended(submitted(0), done(0), complete=complete), "no_job_lost").verdict == "holds"

    def test_a_job_found_nowhere_by_a_complete_census_is_lost(self):
        history = ended(submitted(0, 1, 2, 3), done(0), found=queued(1) + dead(2))
        assert said(find(history, "no_job_lost")) == ("violated", 1, (3,))

    def test_a_delivery_does_not_save_a_job(self):
        assert said(find(ended(submitted(0), delivered(0), acknowledged(0)), "no_job_lost")) == (
            "violated",
            1,
            (0,),
        )

    @pytest.mark.parametrize("complete", [False, None])
    def test_an_unaccounted_job_without_a_complete_census_is_unknown(self, complete):
        history = ended(submitted(0), complete=complete)
        assert said(find(history, "no_job_lost")) == ("unknown", 1, (0,))

    @pytest.mark.parametrize("outcome", ["info", "fail"])
    def test_only_jobs_submitted_ok_can_be_lost(self, outcome):
        assert find(ended(submitted(0, outcome=outcome)), "no_job_lost").verdict == "holds"

    def test_an_effect_that_vanished_leaves_its_job_lost(self):
        history = ended(submitted(0), done(0), effect(0, count=0, at=20))
        assert said(find(history, "no_job_lost")) == ("violated", 1, (0,))

    def test_names_the_first_twenty_witnesses_in_order(self):
        finding = find(ended(submitted(*reversed(range(50)))), "no_job_lost")
        assert (finding.count, finding.witnesses) == (50, tuple(range(20)))

    def test_a_truncated_history_cannot_hold(self):
        finding = find(ended(submitted(0), done(0), end=False), "no_job_lost")
        assert finding.verdict == "unknown"
        assert "stops before its end" in finding.reason

    def test_a_loss_proved_before_the_history_was_cut_stays_proved(self):
        assert find(ended(submitted(0), end=False), "no_job_lost").verdict == "violated"


class TestNoPhantom:
    def test_holds(self):
        assert said(find(ended(submitted(0), done(0)), "no_phantom")) == ("holds", 0, ())

    def test_an_unknown_identity_is_a_phantom(self):
        finding = find(ended(submitted(0), phantom()), "no_phantom")
        assert said(finding) == ("violated", 1, ())
        assert "job-x" in finding.reason

    @pytest.mark.parametrize("seen", [effect(7), delivered(7)])
    def test_a_number_never_submitted_is_a_phantom(self, seen):
        assert said(find(ended(submitted(0), seen), "no_phantom")) == ("violated", 1, (7,))

    def test_a_refused_job_with_an_effect_is_a_phantom(self):
        history = ended(submitted(0, 1, outcome="fail"), effect(1))
        assert said(find(history, "no_phantom")) == ("violated", 1, (1,))

    def test_an_info_job_with_an_effect_is_none(self):
        assert find(ended(submitted(0, outcome="info"), effect(0)), "no_phantom").verdict == "holds"

    def test_a_delivery_told_before_its_submit_is_none(self):
        """Threads race to the file: only the end of the history says what was never submitted."""
        assert find(ended(delivered(0, at=0), submitted(0), effect(0)), "no_phantom").verdict == "holds"

    def test_a_truncated_history_cannot_hold(self):
        assert find(start(submitted(0), done(0)), "no_phantom").verdict == "unknown"


class TestEffectExactlyOnce:
    def test_holds(self):
        assert said(find(ended(submitted(0, 1), done(0)), "effect_exactly_once")) == ("holds", 0, ())

    def test_a_second_effect_violates(self):
        history = ended(submitted(0, 1), done(0, 1), effect(1, count=2, at=9))
        assert said(find(history, "effect_exactly_once")) == ("violated", 1, (1,))

    def test_a_first_count_of_two_violates(self):
        assert said(find(ended(submitted(0), effect(0, count=2)), "effect_exactly_once")) == (
            "violated",
            1,
            (0,),
        )

    def test_a_second_effect_that_vanished_was_there(self):
        history = ended(submitted(0), effect(0, count=2), effect(0, count=1, at=5))
        assert find(history, "effect_exactly_once").verdict == "violated"

    def test_without_any_effect_unknown(self):
        assert find(ended(submitted(0)), "effect_exactly_once").verdict == "unknown"


class TestDeliveryLimit:
    def deliveries(self, job: int, times: int) -> list:
        return [event for time in range(times) for event in delivered(job, at=2 + time)]

    def test_holds_when_dead_lettered_after_limit_and_one(self):
        history = ended(submitted(0), self.deliveries(0, 3), found=dead(0))
        assert said(find(history, "delivery_limit", 2)) == ("holds", 0, ())

    def test_a_limit_of_nothing_is_a_limit(self):
        history = ended(submitted(0), self.deliveries(0, 2))
        assert said(find(history, "delivery_limit", 0)) == ("violated", 1, (0,))

    def test_one_delivery_too_many_violates(self):
        history = ended(submitted(0, 1), self.deliveries(0, 3), self.deliveries(1, 4), found=dead(0, 1))
        assert said(find(history, "delivery_limit", 2)) == ("violated", 1, (1,))

    def test_dead_lettered_too_early_violates(self):
        history = ended(submitted(0, 1), self.deliveries(0, 3), self.deliveries(1, 2), found=dead(0, 1))
        assert said(find(history, "delivery_limit", 2)) == ("violated", 1, (1,))

    @pytest.mark.parametrize("hit", [exited("b"), proved_fault("b")])
    def test_a_lost_worker_may_hide_a_prefetched_delivery(self, hit):
        history = ended(submitted(0), self.deliveries(0, 2), hit, found=dead(0))
        finding = find(history, "delivery_limit", 2)
        assert finding.verdict == "holds"
        assert "1 were dead-lettered after fewer" in finding.reason

    def test_more_hidden_deliveries_than_lost_workers_are_unknown(self):
        history = ended(submitted(0, 1), self.deliveries(0, 1), done(1), exited("b"), found=dead(0))
        assert said(find(history, "delivery_limit", 5)) == ("unknown", 1, (0,))

    def test_workers_stopped_for_the_census_hide_nothing(self):
        history = ended(submitted(0), self.deliveries(0, 1), found=dead(0) + exited("b", at=202))
        assert find(history, "delivery_limit", 2).verdict == "violated"

    def test_without_any_delivery_unknown(self):
        assert find(ended(submitted(0), effect(0), found=dead(0)), "delivery_limit", 2).verdict == "unknown"


class TestConservation:
    def test_holds_and_tells_the_balance(self):
        finding = find(ended(submitted(0, 1, 2), done(0), found=queued(1) + dead(2)), "conservation")
        assert said(finding) == ("holds", 0, ())
        assert finding.reason == "3 submitted ok = 1 done + 1 dead-lettered + 1 queued + 0 lost"

    def test_done_and_queued_again_is_allowed_and_counted_apart(self):
        finding = find(ended(submitted(0), done(0), found=queued(0)), "conservation")
        assert finding.verdict == "holds"
        assert "(1 done and queued again)" in finding.reason

    def test_done_and_dead_lettered_violates_where_nothing_was_broken(self):
        history = ended(submitted(0, 1), done(0, 1), found=dead(1))
        assert said(find(history, "conservation")) == ("violated", 1, (1,))

    def test_done_and_dead_lettered_is_allowed_and_counted_apart_where_a_worker_died(self):
        history = ended(submitted(0, 1), done(0, 1), exited(), found=dead(1))
        finding = find(history, "conservation")
        assert said(finding) == ("holds", 0, ())
        assert (
            finding.reason == "2 submitted ok = 2 done + 0 dead-lettered + 0 queued + 0 lost (1 done and dead-lettered)"
        )

    def test_queued_and_dead_lettered_violates(self):
        history = ended(submitted(0), found=queued(0) + dead(0))
        assert said(find(history, "conservation")) == ("violated", 1, (0,))

    def test_a_lost_job_does_not_balance(self):
        assert said(find(ended(submitted(0, 1), done(0)), "conservation")) == ("violated", 1, (1,))

    @pytest.mark.parametrize("counts", [(2, 0), (0, 0), (1, 1)])
    def test_a_census_that_contradicts_itself_violates(self, counts):
        history = ended(submitted(0), found=queued(0), counts=counts)
        assert said(find(history, "conservation")) == ("violated", 0, ())

    def test_a_stranger_in_the_queue_explains_a_count_beyond_the_jobs(self):
        history = ended(submitted(0), phantom(), found=queued(0), counts=(2, 0))
        assert find(history, "conservation").verdict == "holds"

    @pytest.mark.parametrize("complete", [False, None])
    def test_without_a_complete_census_unknown(self, complete):
        assert find(ended(submitted(0), done(0), complete=complete), "conservation").verdict == "unknown"
