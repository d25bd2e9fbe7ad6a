"""One generator of scenarios for two sources of choices: a tape that chance fills, and Hypothesis.

Every choice's first value is the simplest, and the simplest scenario makes the fewest choices: one job, no step, the
stack as it is. So whoever shrinks choices shrinks scenarios.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from parity.scenario.group import GroupSection
from parity.scenario.ranges import Draws, SecondsRange
from parity.scenario.scenario import OnStack, Scenario, Workload
from parity.scenario.steps import CHOSEN, KINDS, SAME, THAT_WORKER, ZONES, EventCount, Step
from parity.scenario.steps import WORKERS as WORKER_TARGETS
from parity.sim import grouped
from parity.sim.chooser import Chooser, exactly
from parity.sim.space import NOT_WORKERS, OF_A_GROUP, SettingValue, Space

#: Steps that chance puts into a scenario, at most. Where nobody works at first, one more begins the work.
STEPS_MAX = 6
#: One in so many times a list of steps ends here: about three steps are the most usual.
_ENDS_ONE_IN = 5
JOBS = (1, 2, 5, 20, 50, 200)
#: Jobs a second, first the default of scenario files; 0: all at once.
RATES = (25.0, 0.0, 5.0, 100.0)
#: Or all of them within so many seconds, evenly: who is cut off, and who wakes, is then submitted to for longer than it
#: takes nodes to give each other up.
SUBMITTING_S = (20, 40)
PRODUCERS = (1, 2)
WORKERS = (3, 1, 2, 0)
BURSTS = (1, 2, 5, 20, 50)
#: Jobs that fail each time keep workers busy up to the delivery limit: a few say all.
_BURSTS_OF_A_KIND = (1, 2)
COUNTS = (1, 2, 3, 5, 10, 20, 50, 100, 200)
PERCENTS = (10, 50, 90)
KBITS = (1000, 100, 10)


def _durations(*values_ms: int) -> tuple[SecondsRange, ...]:
    return tuple(SecondsRange(low_ms=value, high_ms=value) for value in values_ms)


#: From one step to the next. Below a second what races, from 5 s on what waits for heartbeats and net_ticktime.
GAPS = _durations(0, 100, 200, 500, 1000, 2000, 5000, 8000, 12_000, 20_000, 30_000)
#: How long a fault lasts.
LASTS = _durations(500, 1000, 2000, 5000, 8000, 12_000, 20_000, 30_000)
DELAYS = _durations(100, 500, 2000, 5000)
#: Work that is left for the drain takes one worker no longer than this, or a late job would be the scenario's fault.
_WORK_S_MAX = 20.0
#: And with every burst no longer than this.
_ALL_WORK_S_MAX = 40.0
#: One job that takes its worker along twenty times is all that two workers, replaced each time, can bear beside theirs.
_CRASHES_MAX = 1
_CRASH_WORKERS_MIN = 2
#: A scenario of the search has no name until it is kept.
NAME = "found"
_ABOUT = "A scenario of the search."


def generate(draws: Draws, space: Space) -> Scenario:
    """A scenario, drawn: single values, no ranges. It is valid, and fair to liveness (see `is_fair`).

    Args:
        draws: Where choices come from.
        space: What may be done.
    """
    return _scenario(Chooser(draws), space)


def generate_unmasked(draws: Draws, space: Space) -> tuple[Scenario, list[int]]:
    """The same, with the choices that make this scenario without the mask of a swarm: those to shrink."""
    chooser = Chooser(draws)
    return _scenario(chooser, space), chooser.choices


def own_workers(space: Space) -> int:
    """How many workers there are where the scenario does not say."""
    return space.settings.workers


def is_fair(scenario: Scenario, space: Space) -> bool:
    """Whether every job can be done on a stack that is right, so that a late one is not the scenario's fault.

    Somebody works in the end, no moment waits for what cannot come, and `the same` was something.
    """
    own = own_workers(space)
    start = scenario.workers.value if scenario.workers else own
    if scenario.group is not None:
        start = scenario.group.desired
    scales = [step.workers.value for step in scenario.steps if step.workers is not None]
    last = scenario.steps[-1] if scenario.steps else None
    works = start > 0 or (last is not None and last.kind == "scale" and not isinstance(last.at, EventCount))
    moments = [step.at for step in scenario.steps if isinstance(step.at, EventCount)]
    coming = all(
        moment.count.value <= scenario.workload.jobs.value and (start > 0 or moment.event == "submitted")
        for moment in moments
    )
    same = all(
        step.target != SAME or can_be_the_same(step.kind, scenario.steps[:index])
        for index, step in enumerate(scenario.steps)
    )
    crashes = _crashes(scenario.steps, space)
    of_the_group = grouped.is_fair(scenario, space) and not (scenario.group and crashes)
    fewest = min([start or own or WORKERS[0], *scales])
    bearable = crashes == 0 or (crashes <= _CRASHES_MAX and fewest >= _CRASH_WORKERS_MIN)
    jobs = scenario.workload.jobs.value + _bursts(scenario.steps)
    bearable = bearable and jobs * _longest_s(scenario.settings, space) <= _ALL_WORK_S_MAX
    return works and coming and same and bearable and of_the_group and 0 not in scales and scenario.replace_workers


def _bursts(steps: Sequence[Step]) -> int:
    return sum(step.jobs.value for step in steps if step.jobs)


def _longest_s(settings: dict[str, SettingValue], space: Space) -> float:
    """How long a worker is busy with one job at most."""
    return grouped.busy_s(space.settings_of(Scenario(name=NAME, about=_ABOUT, settings=settings)).worker)


def _crashes(steps: Sequence[Step], space: Space) -> int:
    """How many jobs take their worker along, each as often as it is delivered."""
    return sum(step.jobs.value for step in steps if step.jobs and step.of_kind in space.settings.crash)


def can_be_the_same(kind: str, before: Sequence[Step]) -> bool:
    """Whether a kind of step can aim at what the step before it was applied to."""
    if not before or not KINDS[before[-1].kind].fault:
        return False
    aims = [step.target for step in before if step.target != SAME]
    return bool(aims) and aims[-1] in KINDS[kind].targets


def _scenario(chooser: Chooser, space: Space) -> Scenario:
    masked = bool(space.kinds) and chooser.is_masked()
    has_group = space.group is not None and (space.group.always or chooser.rarely(grouped.one_in(space)))
    kinds = (*space.kinds, *(space.group.kinds if space.group is not None and has_group else ()))
    mask = chooser.mask(kinds, grouped.undisturbed(kinds, space) if has_group else ()) if masked else kinds
    settings = _settings(chooser, space)
    longest_s = _longest_s(settings, space)
    section = chooser.part(lambda: grouped.draw_section(chooser, space, busy_s=longest_s)) if has_group else None
    jobs = min(chooser.one_of(JOBS), _jobs_max(longest_s))
    workload = Workload(
        jobs=exactly(jobs),
        rate=chooser.one_of((*RATES, *(jobs / seconds for seconds in SUBMITTING_S))),
        producers=chooser.one_of(PRODUCERS),
    )
    own = section.desired if section else own_workers(space)
    workers = own if section else chooser.one_of((own, *(number for number in WORKERS if number != own)))
    steps: list[Step] = []
    if space.policies and (policy := chooser.one_of((None, *space.policies))):
        # What mirrors a queue usually does so from the start.
        steps.append(Step.model_validate({"set_policy": policy}))
    all_jobs_max = int(_ALL_WORK_S_MAX / max(longest_s, 0.001))
    maker = _StepMaker(
        chooser, space, steps, section=section, jobs=workload.jobs.value, jobs_max=all_jobs_max, workers=workers
    )
    while kinds and (step := chooser.part(lambda: maker.make(mask))):
        steps.append(step)
    if not workers:
        steps.append(_begin_work(chooser, own, is_first=not steps))
    if grouped.is_suspended(steps):
        steps.append(grouped.resume(_later(chooser.one_of(GAPS), is_first=False)))
    scenario = Scenario(
        name=NAME,
        about=_ABOUT,
        stacks=(OnStack(stack=space.stack),),
        workers=None if workers == own else exactly(workers),
        group=section,
        settings=settings,
        workload=workload,
        steps=tuple(steps),
    )
    return grouped.claimed(scenario, space)


def _settings(chooser: Chooser, space: Space) -> dict[str, SettingValue]:
    """Settings that differ from the stack's own: none, half the time."""
    if not space.searchable or not chooser.chance(2):
        return {}
    chosen = {name: chooser.one_of(values) for name, values in space.searchable.items()}
    return {name: value for name, value in chosen.items() if value != space.searchable[name][0]}


def _jobs_max(longest_s: float) -> int:
    return max([jobs for jobs in JOBS if jobs * longest_s <= _WORK_S_MAX], default=JOBS[0])


def _begin_work(chooser: Chooser, own: int, *, is_first: bool) -> Step:
    written: dict[str, Any] = {"scale": exactly(own or WORKERS[0])}
    return Step.model_validate(written | _later(chooser.one_of(GAPS), is_first=is_first))


def _later(gap: SecondsRange, *, is_first: bool) -> dict[str, Any]:
    """The moment of a step that comes so long after the one before it."""
    return {"at" if is_first else "after": gap} if gap.low_ms else {}


class _StepMaker:
    """Makes the next step of a scenario.

    Args:
        chooser: Makes the choices.
        space: What may be done.
        before: The steps before it; the list grows.
        section: The scenario's group; None where it has none.
        jobs: How many ordinary jobs are submitted: no moment waits for more.
        jobs_max: How many there may be with every burst.
        workers: How many work from the start. Where nobody does, only submits are waited for.
    """

    def __init__(
        self,
        chooser: Chooser,
        space: Space,
        before: list[Step],
        *,
        section: GroupSection | None,
        jobs: int,
        jobs_max: int,
        workers: int,
    ) -> None:
        self._choose = chooser.one_of
        self._chooser = chooser
        self._space = space
        self._before = before
        self._jobs = jobs
        self._jobs_max = jobs_max
        self._workers = workers
        self._points = space.points if workers else ("submitted",)
        self._targets = dict(space.targets)
        self._job_kinds = space.job_kinds
        self._on_group: grouped.GroupSteps | None = None
        if section is not None and space.group is not None:
            self._on_group = grouped.GroupSteps(chooser, space, section, before)
            self._targets |= space.group.targets
            # A group takes its time over each of those that a job takes along.
            self._job_kinds = tuple(kind for kind in space.job_kinds if kind not in space.settings.crash)
        self._kinds = tuple(self._targets)

    def make(self, mask: tuple[str, ...]) -> Step | None:
        """A step of a kind that the mask lets through, or the end of the steps, as where there is no room for jobs."""
        # The end is a choice even where it is the only one: a list that is full then shrinks like any other.
        if not self._chooser.chance(_ENDS_ONE_IN) or len(self._before) == STEPS_MAX:
            return None
        kind = self._chooser.one_of_masked(self._kinds, mask)
        if self._on_group is not None and kind in OF_A_GROUP:
            kind = self._on_group.possible(kind)
            if kind and not self._targets[kind]:
                return self._done_to_group(self._on_group, kind)
        if not kind or (kind == "submit" and self._room() < 1):
            return None
        kind, target = self._aim(kind)
        written: dict[str, Any] = {kind: target} if target else self._operand(kind)
        written |= self._moment(target)
        written |= self._duration(kind, target)
        if target in CHOSEN:
            written["pick"] = exactly(self._choose(range(3)))
        written |= self._parameters(kind)
        return Step.model_validate(written)

    def _done_to_group(self, group: grouped.GroupSteps, kind: str) -> Step:
        """A deploy or a call."""
        written = group.written(kind)
        whose = written.get("whose")
        moment = self._at("delivery") if whose == grouped.HOLDING else self._moment(SAME if whose == SAME else "")
        return Step.model_validate(written | moment)

    def _aim(self, kind: str) -> tuple[str, str]:
        """A kind with its target; another kind where nothing that this one could be aimed at is there."""
        targets = self._targets[kind]
        if not targets:
            return kind, ""
        if SAME in targets and can_be_the_same(kind, self._before) and self._choose((False, False, True)):
            # Two faults of one thing do more to it than two of any two.
            return kind, SAME
        target = self._choose(targets)
        # What cannot be is the simplest that can: the choice keeps its place when what is before it shrinks.
        possible = [one for one in (target, *targets) if self._is_there(kind, one)]
        return (kind, possible[0]) if possible else self._instead()

    def _instead(self) -> tuple[str, str]:
        """What is done where there are no workers to do it to."""
        for kind, targets in self._targets.items():
            possible = [one for one in targets if one != SAME and self._is_there(kind, one)]
            if possible:
                return kind, possible[0]
        return "scale", ""

    def _is_there(self, kind: str, target: str) -> bool:
        if target == SAME:
            return can_be_the_same(kind, self._before)
        if target == THAT_WORKER:
            return bool(self._of_workers()) and not grouped.is_suspended(self._before)
        return target not in WORKER_TARGETS or self._workers > 0 or any(step.workers for step in self._before)

    def _of_workers(self) -> tuple[str, ...]:
        return tuple(point for point in self._points if point not in NOT_WORKERS)

    def _moment(self, target: str) -> dict[str, Any]:
        points = self._of_workers() if target == THAT_WORKER else self._points
        free = bool(points) and target != SAME and not grouped.is_suspended(self._before)
        if free and (target == THAT_WORKER or self._chooser.chance(2)):
            return self._at(self._choose(points))
        gap = self._choose(GAPS)
        lasts = self._before[-1].lasts if self._before else None
        if lasts and self._chooser.chance(2):
            # Once the fault before it is over: what then comes to light needs no luck with two durations.
            gap = SecondsRange(low_ms=gap.low_ms + lasts.low_ms, high_ms=gap.low_ms + lasts.low_ms)
        return _later(gap, is_first=not self._before)

    def _at(self, event: str) -> dict[str, Any]:
        return {"at": EventCount(event=event, count=exactly(min(self._choose(COUNTS), self._jobs)))}

    def _duration(self, kind: str, target: str) -> dict[str, Any]:
        if KINDS[kind].lasts == "never":
            return {}
        options = LASTS if self._on_group is None or target not in ZONES else self._on_group.lasting(LASTS)
        lasts = self._choose(options if KINDS[kind].lasts == "must" else (None, *LASTS))
        return {} if lasts is None else {"for": lasts}

    def _operand(self, kind: str) -> dict[str, Any]:
        if kind == "set_policy":
            return {kind: self._choose(self._space.policies)}
        if kind == "scale":
            sizes = self._on_group.sizes() if self._on_group else tuple(number for number in WORKERS if number)
            fewest = _CRASH_WORKERS_MIN if _crashes(self._before, self._space) else 1
            return {kind: exactly(max(fewest, self._choose(sizes)))}
        of_kind = self._choose((None, *self._job_kinds))
        if of_kind is None:
            return {kind: exactly(min(self._room(), self._choose(BURSTS)))}
        if of_kind not in self._space.settings.crash:
            return {kind: exactly(min(self._room(), self._choose(_BURSTS_OF_A_KIND))), "of_kind": of_kind}
        return {kind: exactly(1), "of_kind": of_kind} if self._can_crash() else {kind: exactly(1)}

    def _room(self) -> int:
        """How many jobs may still be added."""
        return self._jobs_max - self._jobs - _bursts(self._before)

    def _can_crash(self) -> bool:
        numbers = [step.workers.value for step in self._before if step.workers]
        start = self._workers or own_workers(self._space) or WORKERS[0]
        return not _crashes(self._before, self._space) and min([start, *numbers]) >= _CRASH_WORKERS_MIN

    def _parameters(self, kind: str) -> dict[str, Any]:
        if kind == "isolate":
            chosen = {
                "cut": self._choose((None, "clients", "everything")),
                "direction": self._choose((None, "in", "out")),
            }
            return {name: value for name, value in chosen.items() if value}
        if kind == "partition":
            return {"shape": self._choose(self._space.shapes)}
        if kind == "delay":
            return {"by": self._choose(DELAYS)}
        if kind in {"lose", "slow_down"}:
            return {"percent": exactly(self._choose(PERCENTS))}
        return {"kbit": exactly(self._choose(KBITS))} if kind == "throttle" else {}
