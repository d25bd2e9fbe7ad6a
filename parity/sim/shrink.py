"""Shrinking: from the run that failed to the simplest scenario that fails.

What is found is to be shown on containers, where nobody chooses the small timings. So a scenario is *robust* if it
fails whatever they are: with the benign choices inside the models, with 15 other tapes of them, and with a few more
where faults come a second late, as on a machine that is slow to apply them. A robust
scenario is the whole artefact; any other needs its tape. Where the failure found is not robust, the search goes on for
a while to one of the same property that is, and if there is none to what fails likewise with more room for its timings.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from parity.errors import DeterminismError
from parity.scenario.ranges import Draws
from parity.scenario.scenario import Scenario
from parity.sim.generate import generate, is_fair
from parity.sim.grouped import claimed
from parity.sim.search import Failure, Hunt, Progress, Simulate, violated
from parity.sim.simpler import simpler
from parity.sim.simulation import Simulation
from parity.sim.space import Space
from parity.sim.sturdier import sturdier
from parity.sim.tape import Tape

#: Beside the benign choices a robust scenario fails with these seeds' too. Scenarios are shrunk until their timing fits
#: just these: with seven of them, partitions were left that lasted 0.1 s longer on containers than it takes to notice.
_JITTERS = range(1, 16)
#: And with these seeds' where each fault comes so much later than its moment. Real: 0.005 to 0.6 s. Ours: more than
#: that. Why: few jobs are submitted in a second. Source: the histories of 54 runs on containers.
_LATE_US = 1_000_000
_LATE_JITTERS = range(16, 20)
#: For how many runs the search goes on to a failure that is robust. A number, not a time: it is repeated with the seed.
_ROBUST_WITHIN_RUNS = 1500
_TOLD_EVERY = 100
#: How much work shrinking is, in steps of the engine. Work, not time: a machine that is slow shrinks to the same.
#: Real: 240,000 to 1,700,000 for what was found on known-bad stacks, in 1 to 5 s of a processor.
WORK = 2_000_000
#: What a run is to set up, in as many steps.
_RUN_WORK = 500


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """The simplest failing run that was found.

    Args:
        scenario: Drawn; what to replay.
        index: The number of the run that was shrunk: the one found, or a later one that is robust.
        choices: The choices inside the models; all that come after them are the benign ones. Empty where robust.
        digest: The run's.
        property: What it violates.
        robust: Whether it fails whatever the small timings are.
        runs: How many runs the shrinking took.
        seconds: How long it took.
        finished: Whether nothing simpler was left to try when it ended; else it took as much as it may.
    """

    scenario: Scenario
    index: int
    choices: tuple[int, ...]
    digest: int
    property: str
    robust: bool
    runs: int
    seconds: float
    finished: bool = True


class _EnoughError(Exception):
    """Shrinking was as much work, or time, as it may be."""


class _Attempts:
    """Runs candidates, and counts them.

    Args:
        space: The scenarios.
        simulate: Runs one.
        property: What must be violated.
        work: How much work it may be, in steps of the engine; None: however much.
        until: When the time is over, by the process's own clock: other programs take nothing from it. None: never.
        progress: Told now and then how far it is.
    """

    def __init__(
        self,
        space: Space,
        simulate: Simulate,
        wanted: str,
        *,
        work: int | None,
        until: float | None,
        progress: Progress,
    ) -> None:
        self.space = space
        self.simulate = simulate
        self._wanted = wanted
        self._left = math.inf if work is None else work
        self._until = math.inf if until is None else until
        self._progress = progress
        self._robust: dict[str, bool] = {}
        #: Seeds of tapes, None for the benign one, and how late faults come.
        self._timings: list[tuple[int | None, int]] = [
            (None, 0),
            (None, _LATE_US),
            *((seed, 0) for seed in _JITTERS),
            *((seed, _LATE_US) for seed in _LATE_JITTERS),
        ]
        self.runs = 0

    def check(self) -> None:
        """End the shrinking where it was as much work as it may be, or its time is over.

        Raises:
            _EnoughError: It was.
        """
        if self._left <= 0 or time.process_time() > self._until:
            raise _EnoughError

    def simulation(self, scenario: Scenario, draws: Draws, *, late_us: int = 0) -> Simulation:
        """The run of a scenario."""
        self.runs += 1
        if self.runs % _TOLD_EVERY == 0:
            self._progress(f"shrinking: {self.runs:,} runs")
        simulation = self.simulate(scenario, self.space.settings_of(scenario), draws, late_us=late_us)
        self._left -= _RUN_WORK + simulation.steps
        return simulation

    def failing(self, hunt: Hunt, index: int) -> Failure | None:
        """The run of a number, where it violates what is looked for.

        Raises:
            _EnoughError: It was as much work as it may be; nothing was run.
        """
        self.check()
        self.runs += 1
        self._left -= _RUN_WORK
        # A run that breaks off is no failure to shrink, as in `fails`.
        with contextlib.suppress(Exception):
            return hunt.failure(index)
        return None

    def fails(self, scenario: Scenario, draws: Draws, *, late_us: int = 0) -> bool:
        """Whether a scenario violates the property.

        Raises:
            _EnoughError: It was as much work as it may be; nothing was run.
        """
        self.check()
        try:
            simulation = self.simulation(scenario, draws, late_us=late_us)
        # A candidate at which the models break is another failure than the one that is shrunk.
        except Exception:  # noqa: BLE001
            return False
        return self._wanted in violated(simulation, scenario)

    def fails_robustly(self, scenario: Scenario) -> bool:
        """Whether it does whatever the choices inside the models are, and where faults come late."""
        # Many choices make the same scenario, and Hypothesis asks for what it takes once more.
        key = scenario.model_dump_json()
        if key not in self._robust:
            withstood = next((one for one in self._timings if not self._fails_with(scenario, *one)), None)
            if withstood is not None:
                # What one scenario withstands the next one likely does too.
                self._timings.remove(withstood)
                self._timings.insert(0, withstood)
            self._robust[key] = withstood is None
        return self._robust[key]

    def _fails_with(self, scenario: Scenario, seed: int | None, late_us: int) -> bool:
        return self.fails(scenario, Tape(seed=seed), late_us=late_us)


def shrink(
    failure: Failure,
    space: Space,
    simulate: Simulate,
    *,
    work: int | None = WORK,
    for_s: float | None = None,
    progress: Progress = lambda _: None,
) -> Shrunk:
    """Shrink a failure.

    Args:
        failure: As the search found it.
        space: What it was found in.
        simulate: Runs a scenario.
        work: After so much, in steps of the engine, the simplest that was found by then is taken; None: without end.
        for_s: So it is after so many seconds of processor time; None: without end.
        progress: Told now and then how far it is.

    Raises:
        DeterminismError: The failure does not fail again.
    """
    start = time.monotonic()
    until = None if for_s is None else time.process_time() + for_s
    attempts = _Attempts(space, simulate, failure.property, work=work, until=until, progress=progress)
    if not attempts.fails(failure.scenario, Tape(choices=failure.choices)):
        raise DeterminismError(
            f"run {failure.seed}/{failure.index} on {space.stack} violated {failure.property} in the search and does "
            "not when it is done again"
        )
    best = _Best(scenario=failure.scenario, index=failure.index, choices=failure.choices)
    finished = True
    try:
        _shrink(best, failure, attempts)
    except _EnoughError:
        finished = False
    simulation = attempts.simulation(best.scenario, Tape(choices=best.choices))
    return Shrunk(
        scenario=best.scenario,
        index=best.index,
        choices=best.choices,
        digest=simulation.digest,
        property=failure.property,
        robust=best.robust,
        runs=attempts.runs,
        seconds=time.monotonic() - start,
        finished=finished,
    )


@dataclass(kw_only=True)
class _Best:
    """The simplest failing run so far."""

    scenario: Scenario
    index: int
    choices: tuple[int, ...]
    robust: bool = False

    def is_robust(self, scenario: Scenario) -> None:
        """A robust scenario needs no tape."""
        self.scenario, self.choices, self.robust = scenario, (), True


def _shrink(best: _Best, failure: Failure, attempts: _Attempts) -> None:
    robust = failure if attempts.fails_robustly(failure.scenario) else _robust_one(failure, attempts)
    if not failure.scenario_choices:
        # Written by hand: no choices made it that could be shrunk, and no search goes on to another.
        if robust:
            best.is_robust(failure.scenario)
    elif robust:
        best.index = robust.index
        best.is_robust(robust.scenario)
        _shrink_robust(best, robust, attempts)
    else:
        _shrink_plain(best, failure, attempts)
        _make_robust(best, attempts)
    if not best.robust:
        _tidy(best, lambda scenario: attempts.fails(scenario, Tape(choices=best.choices)), attempts.space)
        # What made it depend on its timings may be gone with the rest.
        _make_robust(best, attempts)
    if best.robust:
        _tidy(best, attempts.fails_robustly, attempts.space)
        return
    _calm(best, attempts)


def _make_robust(best: _Best, attempts: _Attempts) -> None:
    """Go on without a tape where the scenario needs none, or one that gives its timings more room."""
    space = attempts.space
    fair = (claimed(scenario, space) for scenario in sturdier(best.scenario) if is_fair(scenario, space))
    if (robust := _first(fair, attempts.fails_robustly)) is not None:
        best.is_robust(robust)


def _robust_one(failure: Failure, attempts: _Attempts) -> Failure | None:
    """The next run of the same search that violates the same property robustly, if there is one soon."""
    if not failure.scenario_choices:
        return None
    hunt = Hunt(space=attempts.space, simulate=attempts.simulate, seed=failure.seed, property=failure.property)
    for index in range(failure.index + 1, failure.index + 1 + _ROBUST_WITHIN_RUNS):
        other = attempts.failing(hunt, index)
        if other and attempts.fails_robustly(other.scenario):
            return other
    return None


def _shrink_robust(best: _Best, failure: Failure, attempts: _Attempts) -> None:
    """Shrink the choices that made the scenario; those inside the models are the benign ones and the jitters'."""

    def fails(draws: Draws, simplest: _Simplest) -> bool:
        scenario = generate(draws, attempts.space)
        if not attempts.fails_robustly(scenario):
            return False
        if simplest.beats():
            best.is_robust(scenario)
        return True

    _hand_over(failure.scenario_choices, fails)


def _shrink_plain(best: _Best, failure: Failure, attempts: _Attempts) -> None:
    """Shrink both: the choices that made the scenario, and those made inside the models."""

    def fails(draws: Draws, simplest: _Simplest) -> bool:
        scenario = generate(draws, attempts.space)
        generated = len(simplest.choices)
        if not attempts.fails(scenario, draws):
            return False
        if simplest.beats():
            best.scenario, best.choices = scenario, tuple(simplest.choices[generated:])
        return True

    _hand_over((*failure.scenario_choices, *failure.choices), fails)


class _Simplest:
    """Tells whether the choices of a run are the simplest yet, as Hypothesis orders them: the fewest, the lowest."""

    def __init__(self) -> None:
        self._key: tuple[int, list[int]] | None = None
        #: Those of the run under way.
        self.choices: list[int] = []

    def beats(self) -> bool:
        """Whether this run's choices are simpler than all before; they are the ones to beat then."""
        key = (len(self.choices), list(self.choices))
        if self._key is not None and key >= self._key:
            return False
        self._key = key
        return True


def _hand_over(choices: Sequence[int], fails: Callable[[Draws, _Simplest], bool]) -> None:
    """Let Hypothesis shrink, where it is installed and the choices are not too many for it."""
    try:
        from parity.sim.handover import CHOICES_MAX, EnoughIsTried, HypothesisDraws, shrink_choices  # noqa: PLC0415
    except ModuleNotFoundError:
        # Hypothesis comes with the extra `pytest`. Without it what follows does all the shrinking.
        return
    if len(choices) > CHOICES_MAX:
        return
    simplest = _Simplest()
    over = False

    def condition(draws: Draws) -> bool:
        nonlocal over
        assert isinstance(draws, HypothesisDraws)
        simplest.choices = draws.choices
        try:
            return fails(draws, simplest)
        except _EnoughError:
            over = True
            raise EnoughIsTried from None

    shrink_choices(choices, condition)
    if over:
        raise _EnoughError


def _tidy(best: _Best, fails: Callable[[Scenario], bool], space: Space) -> None:
    """Take away and make simpler whatever can be, one thing at a time, until nothing can."""
    tried: set[str] = {best.scenario.model_dump_json()}
    while candidate := _first(_untried(best.scenario, space, tried), fails):
        best.scenario = candidate


def _untried(scenario: Scenario, space: Space, tried: set[str]) -> Iterator[Scenario]:
    for changed in simpler(scenario):
        candidate = claimed(changed, space)
        key = candidate.model_dump_json()
        if key not in tried and is_fair(candidate, space):
            tried.add(key)
            yield candidate


def _first(candidates: Iterator[Scenario], fails: Callable[[Scenario], bool]) -> Scenario | None:
    return next((candidate for candidate in candidates if fails(candidate)), None)


def _calm(best: _Best, attempts: _Attempts) -> None:
    """Make the choices inside the models the benign ones, in ever smaller stretches, as far as it still fails."""

    def still_fails(choices: list[int]) -> bool:
        return attempts.fails(best.scenario, Tape(choices=choices))

    choices = _without_tail(list(best.choices))
    size = max(1, len(choices))
    while choices:
        for start in range(0, len(choices), size):
            stretch = choices[start : start + size]
            calmer = [*choices[:start], *([0] * len(stretch)), *choices[start + size :]]
            if any(stretch) and still_fails(calmer):
                choices = calmer
        best.choices = tuple(_without_tail(choices))
        if size == 1:
            break
        size //= 2


def _without_tail(choices: list[int]) -> list[int]:
    """Choices without the benign ones at their end, which a tape makes anyway."""
    end = len(choices)
    while end and not choices[end - 1]:
        end -= 1
    return choices[:end]
