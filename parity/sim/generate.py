"""One generator of scenarios for two sources of choices: a tape that chance fills, and Hypothesis.

Every choice's first value is the simplest, and the simplest scenario makes the fewest choices: one job, no step, the
stack as it is. So whoever shrinks choices shrinks scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from parity.scenario.ranges import Draws, IntRange, SecondsRange
from parity.scenario.scenario import OnStack, Scenario, Workload
from parity.scenario.steps import CHOSEN, KINDS, SAME, THAT_WORKER, EventCount, Step
from parity.scenario.steps import WORKERS as WORKER_TARGETS
from parity.sim.space import NOT_WORKERS, SettingValue, Space

T = TypeVar("T")

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


class _Chooser:
    """Makes choices, and remembers those that make the same scenario without the mask of a swarm.

    Args:
        draws: Where they come from.
    """

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self.choices: list[int] = []

    def part(self, make: Callable[[], T]) -> T:
        """Make a part of the scenario that can be left out as a whole: Hypothesis likes to know."""
        part: Callable[[Callable[[], T]], T] | None = getattr(self._draws, "part", None)
        return make() if part is None else part(make)

    def one_of(self, options: Sequence[T]) -> T:
        """One of the options, the first being the simplest; no choice is made where there is none."""
        if len(options) == 1:
            return options[0]
        choice = self._draws.integer(0, len(options) - 1)
        self.choices.append(choice)
        return options[choice]

    def chance(self, one_in: int) -> bool:
        """True but one in so many times."""
        choice = self._draws.integer(0, one_in - 1)
        self.choices.append(choice)
        return choice > 0

    def mask(self, options: tuple[str, ...]) -> tuple[str, ...]:
        """A swarm's mask, half the time: each option is in it or not. Bugs that other faults hide need it."""
        self.choices.append(0)
        if not self._draws.integer(0, 1):
            return options
        return tuple(option for option in options if not self._draws.integer(0, 1)) or options

    def one_of_masked(self, options: tuple[str, ...], mask: tuple[str, ...]) -> str:
        """One of the options in the mask."""
        if len(options) == 1:
            return options[0]
        option = mask[self._draws.integer(0, len(mask) - 1)] if len(mask) > 1 else mask[0]
        self.choices.append(options.index(option))
        return option


def generate(draws: Draws, space: Space) -> Scenario:
    """A scenario, drawn: single values, no ranges. It is valid, and fair to liveness (see `is_fair`).

    Args:
        draws: Where choices come from.
        space: What may be done.
    """
    return _scenario(_Chooser(draws), space)


def generate_unmasked(draws: Draws, space: Space) -> tuple[Scenario, list[int]]:
    """The same, with the choices that make this scenario without the mask of a swarm: those to shrink."""
    chooser = _Chooser(draws)
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
    fewest = min([start or own or WORKERS[0], *scales])
    bearable = crashes == 0 or (crashes <= _CRASHES_MAX and fewest >= _CRASH_WORKERS_MIN)
    jobs = scenario.workload.jobs.value + _bursts(scenario.steps)
    bearable = bearable and jobs * _longest_s(scenario.settings, space) <= _ALL_WORK_S_MAX
    return works and coming and same and bearable and 0 not in scales and scenario.replace_workers


def _bursts(steps: Sequence[Step]) -> int:
    return sum(step.jobs.value for step in steps if step.jobs)


def _longest_s(settings: dict[str, SettingValue], space: Space) -> float:
    """How long a worker is busy with one job at most."""
    worker = space.settings_of(Scenario(name=NAME, about=_ABOUT, settings=settings)).worker
    return worker.job_duration[1] + worker.acknowledge_delay


def _crashes(steps: Sequence[Step], space: Space) -> int:
    """How many jobs take their worker along, each as often as it is delivered."""
    return sum(step.jobs.value for step in steps if step.jobs and step.of_kind in space.settings.crash)


def can_be_the_same(kind: str, before: Sequence[Step]) -> bool:
    """Whether a kind of step can aim at what the step before it was applied to."""
    if not before or not KINDS[before[-1].kind].fault:
        return False
    aims = [step.target for step in before if step.target != SAME]
    return bool(aims) and aims[-1] in KINDS[kind].targets


def _scenario(chooser: _Chooser, space: Space) -> Scenario:
    mask = chooser.mask(space.kinds) if space.kinds else ()
    settings = _settings(chooser, space)
    jobs_max = _jobs_max(settings, space)
    jobs = min(chooser.one_of(JOBS), jobs_max)
    workload = Workload(
        jobs=_exactly(jobs),
        rate=chooser.one_of((*RATES, *(jobs / seconds for seconds in SUBMITTING_S))),
        producers=chooser.one_of(PRODUCERS),
    )
    own = own_workers(space)
    workers = chooser.one_of((own, *(number for number in WORKERS if number != own)))
    steps: list[Step] = []
    if space.policies and (policy := chooser.one_of((None, *space.policies))):
        # What mirrors a queue usually does so from the start.
        steps.append(Step.model_validate({"set_policy": policy}))
    all_jobs_max = int(_ALL_WORK_S_MAX / max(_longest_s(settings, space), 0.001))
    maker = _StepMaker(chooser, space, steps, jobs=workload.jobs.value, jobs_max=all_jobs_max, workers=workers)
    while space.kinds and (step := chooser.part(lambda: maker.make(mask))):
        steps.append(step)
    if not workers:
        steps.append(_begin_work(chooser, own, is_first=not steps))
    return Scenario(
        name=NAME,
        about=_ABOUT,
        stacks=(OnStack(stack=space.stack),),
        workers=None if workers == own else _exactly(workers),
        settings=settings,
        workload=workload,
        steps=tuple(steps),
        properties=space.properties,
    )


def _settings(chooser: _Chooser, space: Space) -> dict[str, SettingValue]:
    """Settings that differ from the stack's own: none, half the time."""
    if not space.searchable or not chooser.chance(2):
        return {}
    chosen = {name: chooser.one_of(values) for name, values in space.searchable.items()}
    return {name: value for name, value in chosen.items() if value != space.searchable[name][0]}


def _jobs_max(settings: dict[str, SettingValue], space: Space) -> int:
    longest_s = _longest_s(settings, space)
    return max([jobs for jobs in JOBS if jobs * longest_s <= _WORK_S_MAX], default=JOBS[0])


def _begin_work(chooser: _Chooser, own: int, *, is_first: bool) -> Step:
    written: dict[str, Any] = {"scale": _exactly(own or WORKERS[0])}
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
        jobs: How many ordinary jobs are submitted: no moment waits for more.
        jobs_max: How many there may be with every burst.
        workers: How many work from the start. Where nobody does, only submits are waited for.
    """

    def __init__(
        self, chooser: _Chooser, space: Space, before: list[Step], *, jobs: int, jobs_max: int, workers: int
    ) -> None:
        self._choose = chooser.one_of
        self._chooser = chooser
        self._space = space
        self._before = before
        self._jobs = jobs
        self._jobs_max = jobs_max
        self._workers = workers
        self._points = space.points if workers else ("submitted",)

    def make(self, mask: tuple[str, ...]) -> Step | None:
        """A step of a kind that the mask lets through, or the end of the steps, as where there is no room for jobs."""
        # The end is a choice even where it is the only one: a list that is full then shrinks like any other.
        if not self._chooser.chance(_ENDS_ONE_IN) or len(self._before) == STEPS_MAX:
            return None
        kind, target = self._aim(self._chooser.one_of_masked(self._space.kinds, mask))
        if kind == "submit" and self._room() < 1:
            return None
        written: dict[str, Any] = {kind: target} if target else self._operand(kind)
        written |= self._moment(target)
        written |= self._duration(kind)
        if target in CHOSEN:
            written["pick"] = _exactly(self._choose(range(3)))
        written |= self._parameters(kind)
        return Step.model_validate(written)

    def _aim(self, kind: str) -> tuple[str, str]:
        """A kind with its target; another kind where nothing that this one could be aimed at is there."""
        targets = self._space.targets[kind]
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
        for kind, targets in self._space.targets.items():
            possible = [one for one in targets if one != SAME and self._is_there(kind, one)]
            if possible:
                return kind, possible[0]
        return "scale", ""

    def _is_there(self, kind: str, target: str) -> bool:
        if target == SAME:
            return can_be_the_same(kind, self._before)
        if target == THAT_WORKER:
            return bool(self._of_workers())
        return target not in WORKER_TARGETS or self._workers > 0 or any(step.workers for step in self._before)

    def _of_workers(self) -> tuple[str, ...]:
        return tuple(point for point in self._points if point not in NOT_WORKERS)

    def _moment(self, target: str) -> dict[str, Any]:
        points = self._of_workers() if target == THAT_WORKER else self._points
        waits = bool(points) and target != SAME and (target == THAT_WORKER or self._chooser.chance(2))
        if waits:
            event = self._choose(points)
            return {"at": EventCount(event=event, count=_exactly(min(self._choose(COUNTS), self._jobs)))}
        gap = self._choose(GAPS)
        lasts = self._before[-1].lasts if self._before else None
        if lasts and self._chooser.chance(2):
            # Once the fault before it is over: what then comes to light needs no luck with two durations.
            gap = SecondsRange(low_ms=gap.low_ms + lasts.low_ms, high_ms=gap.low_ms + lasts.low_ms)
        return _later(gap, is_first=not self._before)

    def _duration(self, kind: str) -> dict[str, Any]:
        if KINDS[kind].lasts == "never":
            return {}
        lasts = self._choose(LASTS if KINDS[kind].lasts == "must" else (None, *LASTS))
        return {} if lasts is None else {"for": lasts}

    def _operand(self, kind: str) -> dict[str, Any]:
        if kind == "set_policy":
            return {kind: self._choose(self._space.policies)}
        if kind == "scale":
            fewest = _CRASH_WORKERS_MIN if _crashes(self._before, self._space) else 1
            return {kind: _exactly(max(fewest, self._choose(tuple(number for number in WORKERS if number))))}
        of_kind = self._choose((None, *self._space.job_kinds))
        if of_kind is None:
            return {kind: _exactly(min(self._room(), self._choose(BURSTS)))}
        if of_kind not in self._space.settings.crash:
            return {kind: _exactly(min(self._room(), self._choose(_BURSTS_OF_A_KIND))), "of_kind": of_kind}
        return {kind: _exactly(1), "of_kind": of_kind} if self._can_crash() else {kind: _exactly(1)}

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
            return {"percent": _exactly(self._choose(PERCENTS))}
        return {"kbit": _exactly(self._choose(KBITS))} if kind == "throttle" else {}


def _exactly(value: int) -> IntRange:
    return IntRange(low=value, high=value)
