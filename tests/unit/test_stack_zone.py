"""In which order a zone is lost and found again: on a busy machine each part of it takes its time."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

from parity.scenario.steps import Step
from parity.stack.faults import link, zone


def test_a_zone_is_cut_off_before_ec2_finds_out_and_reached_before_it_hears_of_that(monkeypatch):
    told = []

    def scaled(begins, ends):
        def begin(_):
            told.append(begins)
            return lambda: told.append(ends)

        return begin

    @contextlib.contextmanager
    def lossy(step, subjects, live):
        assert (step.percent.low, [subject.name for subject in subjects], live) == (100, ["worker-1"], the_run)
        told.append("cut off")
        yield "packets dropped"
        told.append("reached")

    group = SimpleNamespace(
        zones=lambda pick: [["a", "b"][pick]],
        fail_zones=scaled("launches fail", "launches succeed"),
        impair_later=scaled("EC2 will find out", "EC2 hears that it is over"),
    )
    the_run = SimpleNamespace(scaled=group)
    monkeypatch.setattr(link, "lossy", lossy)
    step = Step.model_validate({"lose_zone": "any zone", "pick": 0, "at": "1s", "for": "8s"})
    with zone.lost(step, [SimpleNamespace(name="worker-1")], the_run) as proof:
        told.append("lost")
    assert proof == "launches are refused in a; packets dropped"
    assert told == [
        "launches fail",
        "cut off",
        "EC2 will find out",
        "lost",
        "reached",
        "EC2 hears that it is over",
        "launches succeed",
    ]
