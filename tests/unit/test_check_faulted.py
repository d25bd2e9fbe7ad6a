"""How long a run was under fault: the union of its faults' intervals, and of nothing else."""

from __future__ import annotations

from check_histories import done, ended, fault, proved_fault, start, us

from parity.check.faulted import faulted_s
from parity.history.events import Remark


def lasting(first: float, last: float, *, index: int = 0, kind: str = "kill"):
    return [
        *proved_fault("a", at=first, index=index, kind=kind),
        *fault("a", phase="healing", at=last, index=index, kind=kind),
        *fault("a", phase="healed", at=last, index=index, kind=kind),
    ]


def history(*parts):
    return sorted(start(*parts), key=lambda event: event.t_us)


def test_a_run_without_faults_was_under_none():
    assert faulted_s(ended(done(1))) == 0
    assert faulted_s([]) == 0


def test_a_fault_lasts_from_being_applied_to_being_healed():
    told = [
        *fault("a", phase="applying", at=10),
        *fault("a", phase="applied", at=11),
        *fault("a", phase="proved", at=12),
        *fault("a", phase="healing", at=14),
        *fault("a", phase="healed", at=15.5),
    ]
    assert faulted_s(ended(told)) == 5.5


def test_faults_that_follow_one_another_add_up():
    assert faulted_s(history(lasting(10, 12), lasting(20, 25, index=1))) == 7


def test_what_overlaps_counts_once():
    assert faulted_s(history(lasting(10, 20), lasting(15, 30, index=1))) == 20
    assert faulted_s(history(lasting(10, 30), lasting(15, 20, index=1))) == 20
    assert faulted_s(history(lasting(10, 20), lasting(20, 30, index=1))) == 20


def test_a_step_that_is_no_fault_does_not_count():
    for kind in ("submit", "scale", "set_policy"):
        assert faulted_s(history(lasting(10, 20, kind=kind))) == 0


def test_a_fault_that_could_not_be_applied_ends_when_it_failed():
    told = [*fault("a", phase="applying", at=10), *fault("a", phase="failed", at=13)]
    assert faulted_s(ended(told)) == 3


def test_a_fault_whose_moment_never_came_did_not_begin():
    assert faulted_s(ended(fault(phase="failed", at=13))) == 0


def test_a_fault_that_could_not_be_healed_is_still_there():
    told = [*proved_fault("a", at=10), *fault("a", phase="healing", at=12), *fault("a", phase="failed", at=13)]
    assert faulted_s(history(told, [Remark(t_us=us(40), text="the history stops")])) == 30


def test_a_history_that_stops_under_a_fault_counts_until_there():
    assert faulted_s(history(proved_fault("a", at=10), [Remark(t_us=us(14), text="killed")])) == 4


def test_the_same_fault_twice_counts_twice():
    assert faulted_s(history(lasting(10, 12), lasting(30, 33))) == 5
