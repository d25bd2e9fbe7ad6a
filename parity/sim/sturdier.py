"""Scenarios like one that fails with some small timings only, with more room for them."""

from __future__ import annotations

from collections.abc import Iterator

from parity.scenario.ranges import IntRange, SecondsRange
from parity.scenario.scenario import Scenario, Workload
from parity.scenario.steps import Step
from parity.sim.generate import JOBS, LASTS, SUBMITTING_S

#: Before a step that has no moment of its own: long enough for the jobs before it to be where they go, and for a
#: fault to have been applied.
_PAUSE = SecondsRange(low_ms=500, high_ms=500)
#: What lasts or waits for so long does so for a heartbeat or for nodes to give each other up, and may do so for longer.
_LONG_MS_MIN = 5000


def sturdier(scenario: Scenario) -> Iterator[Scenario]:
    """The scenario with longer durations, more time to submit, and pauses: what was close is so no more.

    Args:
        scenario: Drawn; it comes first, as it is.
    """
    lengths = [length for length in LASTS if length.low_ms > _LONG_MS_MIN]
    for length in (None, *lengths):
        longer = scenario if length is None else _lengthened(scenario, length)
        for workload in (scenario.workload, *_longer(scenario.workload)):
            yield longer.model_copy(update={"workload": workload})
    for index in range(len(scenario.steps)):
        yield _paused(scenario, index)


def _paused(scenario: Scenario, index: int) -> Scenario:
    """With a pause before a step that has no moment of its own."""
    steps = list(scenario.steps)
    if steps[index].at is None and steps[index].after is None:
        steps[index] = steps[index].model_copy(update={"at" if index == 0 else "after": _PAUSE})
    return scenario.model_copy(update={"steps": tuple(steps)})


def _lengthened(scenario: Scenario, length: SecondsRange) -> Scenario:
    steps = tuple(_step(step, length) for step in scenario.steps)
    return scenario.model_copy(update={"steps": steps})


def _step(step: Step, length: SecondsRange) -> Step:
    changed = {
        name: length
        for name in ("lasts", "after", "at")
        if isinstance(value := getattr(step, name), SecondsRange) and _LONG_MS_MIN <= value.low_ms < length.low_ms
    }
    return step.model_copy(update=changed)


def _longer(workload: Workload) -> Iterator[Workload]:
    """As many jobs as a search submits at all, for longer, by one producer or by two."""
    jobs = max(*JOBS, workload.jobs.value)
    for seconds in SUBMITTING_S:
        for producers in sorted({workload.producers, 2}):
            changed = {"jobs": IntRange(low=jobs, high=jobs), "rate": jobs / seconds, "producers": producers}
            yield workload.model_copy(update=changed)
