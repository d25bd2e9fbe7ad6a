"""Whether a group terminates instances with jobs in hand."""

from __future__ import annotations

import pytest
from check_histories import acknowledged, delivered, done, ended, exited, fault, find, us

from parity.check import Finding
from parity.history.events import Capacity, Event, Lifecycle, Point

GROUP = [Capacity(t_us=us(0.5), desired=2, min_size=1, max_size=4, in_service=2)]


def state(instance: str, lifecycle: str, at: float) -> list[Event]:
    return [Lifecycle(t_us=us(at), instance=instance, state=lifecycle)]


def terminated(instance: str = "a", *, begun: float = 5, at: float = 10) -> list[Event]:
    return state(instance, "Terminating:Wait", begun) + exited(instance, at=at) + state(instance, "", at)


def rejected(job: int, worker: str = "a", at: float = 4) -> list[Event]:
    return [Point(t_us=us(at), job=job, worker=worker, point="rejected")]


def finding(*parts: list[Event]) -> Finding:
    """The finding of a history in which instance z did a job, so that acknowledgements are told of."""
    return find(ended(GROUP, done(99, worker="z"), *parts), "drained_before_termination")


def verdict(*parts: list[Event]) -> str:
    return finding(*parts).verdict.value


def in_order(*parts: list[Event]) -> list[Event]:
    return sorted((event for part in parts for event in part), key=lambda event: event.t_us)


def test_a_job_that_was_finished_first():
    said = finding(in_order(delivered(1), acknowledged(1, at=8), terminated()))
    assert (said.verdict.value, said.reason) == (
        "holds",
        "1 instances were terminated, after the 1 jobs in their hands",
    )


def test_a_job_in_hand_at_the_end():
    said = finding(in_order(delivered(1), delivered(2, "b"), acknowledged(2, "b", at=7), terminated(), terminated("b")))
    assert (said.verdict.value, said.count, said.witnesses) == ("violated", 1, (1,))
    assert said.reason == "a of 2 instances were terminated with 1 jobs in hand"


def test_a_job_that_was_begun_after_the_termination_had():
    assert verdict(in_order(delivered(1, at=6), terminated())) == "violated"


def stopped(instance: str = "a", *, at: float = 8) -> list[Event]:
    return state(instance, "Terminating:Proceed", at)


def test_a_job_that_comes_again_before_the_end_of_its_instance_is_told():
    again = delivered(1, "b", at=9) + acknowledged(1, "b", at=13)
    said = finding(in_order(delivered(1), stopped(), terminated(), again))
    assert (said.verdict.value, said.witnesses) == ("violated", (1,))
    # In its hook an instance is not told to stop: another that has the job by then got it for another reason.
    assert verdict(in_order(delivered(1), terminated(), again)) == "holds"


def test_a_job_that_comes_again_though_it_was_acknowledged():
    again = delivered(1, "b", at=9) + acknowledged(1, "a", at=9.5)
    assert verdict(in_order(delivered(1), stopped(), terminated(), again)) == "holds"


def test_a_job_that_comes_again_to_the_same():
    again = delivered(1, at=9) + acknowledged(1, at=9.5)
    assert verdict(in_order(delivered(1), stopped(), terminated(), again)) == "holds"


def test_a_job_that_comes_again_was_interrupted_all_the_same():
    again = delivered(1, "b", at=12) + acknowledged(1, "b", at=13)
    assert verdict(in_order(delivered(1), terminated(), again)) == "violated"


def test_a_job_that_came_again_before_is_another_s():
    """The worker had lost its connection, and with it the job."""
    taken = delivered(1, "b", at=7)
    assert verdict(in_order(delivered(1), taken, terminated())) == "holds"


def test_a_job_that_was_given_back_is_in_nobody_s_hand():
    assert verdict(in_order(delivered(1), rejected(1, at=7), terminated())) == "holds"
    assert verdict(in_order(delivered(1), rejected(1, "b", at=7), terminated())) == "violated"


def test_a_line_that_is_read_late_counts():
    assert verdict(in_order(delivered(1), terminated(at=10), acknowledged(1, at=10.1))) == "holds"
    assert verdict(in_order(delivered(1), terminated(at=10), acknowledged(1, "b", at=10.1))) == "violated"


def test_terminations_without_work_say_nothing():
    assert verdict(terminated()) == "unknown"
    assert verdict(in_order(delivered(1), acknowledged(1), terminated())) == "unknown"
    assert verdict(in_order(delivered(1), acknowledged(1, at=8), terminated(), terminated("b"))) == "holds"


def test_nobody_was_terminated():
    assert verdict(delivered(1)) == "unknown"
    assert verdict(delivered(1), state("a", "Terminating:Wait", 5)) == "unknown"


def test_who_ends_by_itself_is_not_terminated():
    """It is replaced; and what its group does with it afterwards comes too late."""
    crash = delivered(1) + exited("a", at=3, code=1) + state("a", "Terminating", 4) + state("a", "", 5)
    assert verdict(crash) == "unknown"


@pytest.mark.parametrize("kind", ["kill", "stop", "restart", "out_of_memory"])
def test_whom_a_fault_ends_is_not_terminated(kind):
    taken = fault("a", phase="applying", at=7, kind=kind)
    assert verdict(in_order(delivered(1), taken, terminated())) == "unknown"


@pytest.mark.parametrize(("kind", "phase"), [("pause", "applying"), ("kill", "failed")])
def test_other_faults_excuse_nobody(kind, phase):
    assert verdict(in_order(delivered(1), fault("a", phase=phase, at=7, kind=kind), terminated())) == "violated"


def test_what_the_census_ends_is_not_terminated():
    history = ended(GROUP, done(99, worker="z"), delivered(1), state("a", "Terminating:Wait", 5))
    assert find([*history, *exited("a", at=206)], "drained_before_termination").verdict.value == "unknown"


def test_without_acknowledgements_nobody_knows():
    history = ended(GROUP, in_order(delivered(1), terminated()))
    assert find(history, "drained_before_termination").verdict.value == "unknown"


def test_without_a_group_nobody_is_terminated():
    history = ended(done(99, worker="z"), in_order(delivered(1), terminated()))
    assert find(history, "drained_before_termination").reason == "the history tells of no group"
