"""Scenarios that are a little simpler than one: less of it, or rounder values in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from parity.scenario.group import GroupSection
from parity.scenario.ranges import IntRange, SecondsRange
from parity.scenario.scenario import Scenario, Workload
from parity.scenario.steps import GROUP_KINDS, THAT_WORKER, EventCount, Step
from parity.sim.generate import BURSTS, COUNTS, DELAYS, GAPS, JOBS, LASTS, PRODUCERS, RATES
from parity.sim.grouped import DESIRED, SIZES, without_a_group

T = TypeVar("T")

#: How many jobs fewer steps may need, and when they may begin instead: after the first jobs, and when they are many.
_MORE_JOBS = (20, 50)
_LATER = tuple(gap for gap in GAPS if gap.low_ms in {500, 2000})


def simpler(scenario: Scenario) -> Iterator[Scenario]:
    """Every scenario that is one change simpler and valid, the largest changes first.

    Args:
        scenario: Drawn.
    """
    yield from _with_fewer_steps(scenario)
    if scenario.settings:
        yield scenario.model_copy(update={"settings": {}})
    for name in scenario.settings:
        rest = {other: value for other, value in scenario.settings.items() if other != name}
        yield scenario.model_copy(update={"settings": rest})
    if scenario.workers is not None:
        yield scenario.model_copy(update={"workers": None})
    if scenario.group is not None:
        yield _without_a_group(scenario, scenario.group)
        for section in _groups(scenario.group):
            yield scenario.model_copy(update={"group": section})
    for workload in _workloads(scenario.workload):
        yield scenario.model_copy(update={"workload": workload})
    for index, step in enumerate(scenario.steps):
        for written in _steps(step, is_first=index == 0):
            yield from _with_step(scenario, index, written)


def _without_a_group(scenario: Scenario, section: GroupSection) -> Scenario:
    """As many workers and no group, nor what only makes sense with one."""
    steps = [step for step in scenario.steps if step.kind not in GROUP_KINDS]
    desired = IntRange(low=section.desired, high=section.desired)
    changed = {"group": None, "workers": desired, "properties": without_a_group(scenario.properties)}
    return _with_steps(scenario.model_copy(update=changed), steps)


def _groups(section: GroupSection) -> Iterator[GroupSection]:
    """The group, one change simpler; where that is no group it is passed over."""
    plain = GroupSection()
    changes: list[dict[str, Any]] = [
        {"setup": (*section.setup[:index], *section.setup[index + 1 :])} for index in range(len(section.setup))
    ]
    simplest = {name: getattr(plain, name) for name in ("pace", "min_size", "max_size", "zones")}
    changes += [{name: value} for name, value in simplest.items() if getattr(section, name) != value]
    changes += [{"desired": size} for size in _before(DESIRED, section.desired)]
    for change in changes:
        changed = section.model_copy(update=change)
        if changed.min_size <= changed.desired <= changed.max_size:
            yield changed


def _with_fewer_steps(scenario: Scenario) -> Iterator[Scenario]:
    """Halves first, then pairs, then single steps; what came after them comes sooner, or when it came."""
    count = len(scenario.steps)
    sizes = sorted({count, count // 2, 2, 1} - {0}, reverse=True)
    for size in sizes:
        for start in range(count - size + 1):
            before, gone, after = (
                scenario.steps[:start],
                scenario.steps[start : start + size],
                scenario.steps[start + size :],
            )
            yield _with_steps(scenario, (*before, *after))
            if after and after[0].at is None:
                yield _with_steps(scenario, (*before, _when_it_was(gone, after[0]), *after[1:]))
            yield from _with_a_later_start(scenario, (*before, *after))
            yield from _with_more_jobs(scenario, (*before, *after))


def _with_more_jobs(scenario: Scenario, steps: Sequence[Step]) -> Iterator[Scenario]:
    """Fewer steps may do the same to more jobs: a reader follows steps, not jobs."""
    fewer = _with_steps(scenario, steps)
    for jobs in _MORE_JOBS:
        if jobs > scenario.workload.jobs.value:
            workload = scenario.workload.model_copy(update={"jobs": IntRange(low=jobs, high=jobs)})
            yield fewer.model_copy(update={"workload": workload})


def _with_a_later_start(scenario: Scenario, steps: Sequence[Step]) -> Iterator[Scenario]:
    """Fewer steps may do the same if they begin when some jobs are there."""
    if steps and steps[0].at is None and steps[0].target != THAT_WORKER:
        for gap in _LATER:
            yield _with_steps(scenario, (_but(steps[0], at=gap), *steps[1:]))


def _when_it_was(gone: Sequence[Step], step: Step) -> Step:
    """The step that follows others, at its own time without them."""
    waited_ms = sum(each.after.low_ms for each in (*gone, step) if each.after)
    since = next((each.at for each in reversed(gone) if each.at is not None), None)
    if isinstance(since, EventCount):
        return _but(step, at=since, after=None)
    if since is not None:
        waited_ms += since.low_ms
        return _but(step, at=SecondsRange(low_ms=waited_ms, high_ms=waited_ms), after=None)
    return _but(step, after=SecondsRange(low_ms=waited_ms, high_ms=waited_ms) if waited_ms else None)


def _with_steps(scenario: Scenario, steps: Sequence[Step]) -> Scenario:
    """The scenario with other steps; the first step's time counts from the start."""
    if steps and steps[0].after is not None:
        steps = (_but(steps[0], at=steps[0].after, after=None), *steps[1:])
    return scenario.model_copy(update={"steps": tuple(steps)})


def _with_step(scenario: Scenario, index: int, changed: Step) -> Iterator[Scenario]:
    try:
        # A copy is not validated; what was written is.
        step = Step.model_validate(changed.model_dump(by_alias=True))
    except ValidationError:
        return
    yield _with_steps(scenario, (*scenario.steps[:index], step, *scenario.steps[index + 1 :]))


def _workloads(workload: Workload) -> Iterator[Workload]:
    jobs = workload.jobs.value
    for fewer in JOBS:
        if fewer < jobs:
            yield workload.model_copy(update={"jobs": IntRange(low=fewer, high=fewer)})
    for rate in _before(RATES, workload.rate):
        yield workload.model_copy(update={"rate": rate})
    for producers in _before(PRODUCERS, workload.producers):
        yield workload.model_copy(update={"producers": producers})


def _before(values: Sequence[T], value: T) -> Sequence[T]:
    """The simpler ones of a ladder's values."""
    return values[: values.index(value)] if value in values else values


def _steps(step: Step, *, is_first: bool) -> Iterator[Step]:
    """The step, one change simpler; some of them are no valid steps."""
    for name in ("cut", "direction", "of_kind"):
        if getattr(step, name) is not None:
            yield _but(step, **{name: None})
    if step.whose is not None and (step.request or {}).get("ShouldDecrementDesiredCapacity"):
        yield _but(step, request={"ShouldDecrementDesiredCapacity": False})
    if step.operation == "SetDesiredCapacity":
        sizes = _before(SIZES, (step.request or {}).get("DesiredCapacity"))
        yield from (_but(step, request={"DesiredCapacity": size}) for size in sizes)
    if step.pick is not None and step.pick.value and step.chosen:
        yield _but(step, pick=IntRange(low=0, high=0))
    yield from _moments(step, is_first=is_first)
    if step.lasts is not None:
        if step.kind in {"kill", "stop"}:
            yield _but(step, lasts=None)
        yield from (_but(step, lasts=shorter) for shorter in _shorter(LASTS, step.lasts))
    if step.by is not None:
        yield from (_but(step, by=shorter) for shorter in _shorter(DELAYS, step.by))
    if step.jobs is not None:
        fewer = (number for number in BURSTS if number < step.jobs.value)
        yield from (_but(step, jobs=IntRange(low=number, high=number)) for number in fewer)


def _moments(step: Step, *, is_first: bool) -> Iterator[Step]:
    if isinstance(step.at, EventCount):
        if step.target != THAT_WORKER:
            yield _but(step, at=None)
            name = "at" if is_first else "after"
            yield from (_but(step, **{"at": None, name: gap}) for gap in GAPS if gap.low_ms)
        for count in COUNTS:
            if count < step.at.count.value:
                yield _but(step, at=EventCount(event=step.at.event, count=IntRange(low=count, high=count)))
        return
    name = "at" if step.at is not None else "after"
    gap = getattr(step, name)
    if gap is not None:
        yield _but(step, **{name: None})
        yield from (_but(step, **{name: shorter}) for shorter in _shorter(GAPS, gap) if shorter.low_ms)


def _shorter(ladder: Sequence[SecondsRange], value: SecondsRange) -> Iterator[SecondsRange]:
    return (shorter for shorter in ladder if shorter.low_ms < value.low_ms)


def _but(step: Step, **changed: Any) -> Step:
    return step.model_copy(update=changed)
