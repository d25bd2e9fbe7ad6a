"""The search: many simulated runs, each from a tape of its own, until one violates what is claimed."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import msgspec

from parity.check.judge import judge
from parity.check.verdict import Judgement, Verdict
from parity.errors import DeterminismError, ParityError, SimulationError
from parity.history.events import Phantom
from parity.model.settings import ModelSettings
from parity.scenario.ranges import Draws
from parity.scenario.scenario import Scenario
from parity.sim.generate import generate_unmasked
from parity.sim.simulation import Simulation
from parity.sim.space import Space
from parity.sim.tape import Tape

Progress: TypeAlias = Callable[[str], None]

#: One run in so many is done twice: 5 %, as FoundationDB does.
_TWICE_ONE_IN = 20
#: How long a process searches before it reports: short beside a person's patience, long beside the reporting.
_PORTION_S = 0.3
_PORTION_FIRST = 8
_PORTION_MAX = 5000


class Simulate(Protocol):
    """Runs a drawn scenario in virtual time."""

    def __call__(self, scenario: Scenario, settings: ModelSettings, draws: Draws, *, late_us: int = 0) -> Simulation:
        """Run it.

        Args:
            scenario: As drawn.
            settings: What stands for the stack.
            draws: Where whatever chance decides inside the models comes from.
            late_us: How much later than its moment every fault comes, as on a machine that is slow to apply it.
        """


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that violated something.

    Args:
        scenario: What was done, drawn.
        scenario_choices: The choices that generate it, free of any swarm's mask; none where it was written by hand.
        choices: The choices made inside the models.
        digest: The run's.
        property: What was violated; the first in the order of properties where several were.
        seed: The search's.
        index: The run's number in the search: `seed/index` is its tape's own seed.
        runs: How many runs the search took.
        seconds: How long it took.
    """

    scenario: Scenario
    scenario_choices: tuple[int, ...]
    choices: tuple[int, ...]
    digest: int
    property: str
    seed: int
    index: int
    runs: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What a search did.

    Args:
        runs: How many runs there were, those done twice counted once.
        seconds: Wall time.
        twice: How many of them were done twice, and came out the same.
        silent: How many said nothing: a step that no model covers, or a verdict of unknown.
        unmodelled: What no model covers, and how often it was asked for.
        probes: Rare branches of the models, and how many runs reached each.
    """

    runs: int
    seconds: float
    twice: int = 0
    silent: int = 0
    unmodelled: dict[str, int] = field(default_factory=dict)
    probes: dict[str, int] = field(default_factory=dict)

    @property
    def runs_per_s(self) -> float:
        """Runs a second of wall time: a speed of the search, never of a real system."""
        return self.runs / self.seconds if self.seconds else 0.0

    def unreached(self, known: frozenset[str]) -> list[str]:
        """Those of the probes a model knows that no run reached."""
        return sorted(known - self.probes.keys())


@dataclass(frozen=True, kw_only=True)
class Explored(Effort):
    """What a search came to.

    Args:
        failure: The first run, by its number, that violated something; None: none did.
    """

    failure: Failure | None


@dataclass(frozen=True, kw_only=True)
class Hunt:
    """What a search looks for, and where. Processes are handed it.

    Args:
        space: The scenarios.
        simulate: Runs one; a function of a module, so that other processes find it.
        seed: Where all tapes come from.
        property: The one property that counts; empty: any.
    """

    space: Space
    simulate: Simulate
    seed: int
    property: str = ""

    def failure(self, index: int, *, runs: int = 0, seconds: float = 0.0) -> Failure | None:
        """The run of a number, once more and with all that is known of it; None where it violates nothing."""
        tape = Tape(seed=f"{self.seed}/{index}")
        scenario, scenario_choices = generate_unmasked(tape, self.space)
        generated = len(tape.choices)
        simulation = self.simulate(scenario, self.space.settings_of(scenario), tape)
        broken = self.wanted(violated(simulation, scenario))
        if not broken:
            return None
        return Failure(
            scenario=scenario,
            scenario_choices=tuple(scenario_choices),
            choices=tuple(tape.choices[generated:]),
            digest=simulation.digest,
            property=broken[0],
            seed=self.seed,
            index=index,
            runs=runs,
            seconds=seconds,
        )

    def wanted(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Of the properties violated those that count."""
        return tuple(name for name in names if self.property in ("", name))

    def run(self, index: int) -> tuple[Simulation, Scenario]:
        """The run of a number.

        Raises:
            SimulationError: It broke off.
        """
        tape = Tape(seed=f"{self.seed}/{index}")
        try:
            scenario, _ = generate_unmasked(tape, self.space)
            return self.simulate(scenario, self.space.settings_of(scenario), tape), scenario
        except ParityError:
            raise
        except Exception as error:
            # Whatever the models raised: by its number the run can be done again.
            raise SimulationError(f"run {self.seed}/{index} on {self.space.stack} broke off: {error!r}") from error


class Portion(msgspec.Struct, kw_only=True):
    """What a stretch of runs came to."""

    start: int
    runs: int = 0
    failing: int | None = None
    #: Of the failing run: the first property that it violates, and its digest.
    property: str = ""
    digest: int = 0
    twice: int = 0
    silent: int = 0
    seconds: float = 0.0
    unmodelled: dict[str, int] = msgspec.field(default_factory=dict)
    probes: dict[str, int] = msgspec.field(default_factory=dict)

    def add(self, more: Portion) -> None:
        """Add what another stretch did; what it found is somebody else's matter."""
        self.runs += more.runs
        self.twice += more.twice
        self.silent += more.silent
        for into, counts in ((self.probes, more.probes), (self.unmodelled, more.unmodelled)):
            for name, count in counts.items():
                into[name] = into.get(name, 0) + count

    def effort(self, seconds: float) -> dict[str, Any]:
        """As the arguments of an `Effort` that took so long."""
        return {
            "runs": self.runs,
            "seconds": seconds,
            "twice": self.twice,
            "silent": self.silent,
            "unmodelled": self.unmodelled,
            "probes": self.probes,
        }


def judged(simulation: Simulation, scenario: Scenario) -> Judgement | None:
    """The judgement of a simulated run; None where no model covers what was asked for, or a step came to nothing."""
    return None if simulation.unmodelled or simulation.failed else judge(simulation.events, scenario.properties)


def violated(simulation: Simulation, scenario: Scenario) -> tuple[str, ...]:
    """The properties that a simulated run violates, in their order."""
    judgement = judged(simulation, scenario)
    return broken_by(judgement) if judgement else ()


def broken_by(judgement: Judgement) -> tuple[str, ...]:
    """The properties that a judgement finds violated, in their order."""
    return tuple(finding.property for finding in judgement.findings if finding.verdict is Verdict.VIOLATED)


@dataclass(frozen=True)
class Canary:
    """A simulation that goes wrong on purpose: whatever a scenario breaks leaves a job that nobody submitted.

    A search that does not find it finds nothing: run one now and then, and expect `no_phantom` to be violated.

    Args:
        simulate: The simulation that is falsified.
    """

    simulate: Simulate

    def __call__(self, scenario: Scenario, settings: ModelSettings, draws: Draws, *, late_us: int = 0) -> Simulation:
        """The simulation, falsified if there is a step."""
        simulation = self.simulate(scenario, settings, draws, late_us=late_us)
        if not scenario.steps:
            return simulation
        last = simulation.events[-1]
        told = Phantom(t_us=last.t_us, identity="canary", seen="effect")
        return Simulation(
            events=[*simulation.events[:-1], told, last],
            digest=simulation.digest,
            probes=simulation.probes,
            steps=simulation.steps,
        )


def explore(
    space: Space,
    simulate: Simulate,
    *,
    seed: int,
    for_s: float | None = None,
    runs: int | None = None,
    property: str = "",  # noqa: A002  # the field's word
    processes: int = 2,
    progress: Progress = lambda _: None,
) -> Explored:
    """Search until something is violated, or the time or the runs are used up.

    The failure found is the one with the lowest number, so it is the same with any number of processes.

    Args:
        space: The scenarios.
        simulate: Runs one; a function of a module, or of a class that can be pickled.
        seed: Where all choices come from.
        for_s: For how many seconds; None: until the runs are done.
        runs: How many runs at most; None: as many as the time takes.
        property: The one property that counts; empty: any.
        processes: How many to spread over; with 1 all is done in this one.
        progress: Told from time to time how far the search is.

    Raises:
        DeterminismError: A run done twice came out differently.
        SimulationError: A run broke off.
    """
    assert for_s is not None or runs is not None, "a search has an end"
    hunt = Hunt(space=space, simulate=simulate, seed=seed, property=property)
    start = time.monotonic()
    portions = _Portions(until=None if for_s is None else start + for_s, runs=runs)
    for portion in _in_processes(hunt, portions, processes) if processes > 1 else _in_this_one(hunt, portions):
        portions.took(portion)
        seconds = time.monotonic() - start
        progress(f"{portions.total.runs:,} runs, {portions.total.runs / seconds:,.0f} a second")
    return _explored(hunt, portions, time.monotonic() - start)


def search_portion(hunt: Hunt, start: int, count: int) -> Portion:
    """Run a stretch of numbers, up to the first that violates something.

    Args:
        hunt: What is looked for.
        start: The first number.
        count: How many.

    Raises:
        DeterminismError: A run done twice came out differently.
        SimulationError: A run broke off.
    """
    portion = Portion(start=start)
    begin = time.monotonic()
    unmodelled: Counter[str] = Counter()
    probes: Counter[str] = Counter()
    for index in range(start, start + count):
        simulation, scenario = hunt.run(index)
        portion.runs += 1
        probes.update(simulation.probes)
        unmodelled.update(set(simulation.unmodelled))
        if index % _TWICE_ONE_IN == 0:
            _same_again(hunt, index, simulation)
            portion.twice += 1
        judgement = judged(simulation, scenario)
        if judgement is None or judgement.verdict is Verdict.UNKNOWN:
            portion.silent += 1
        elif wanted := hunt.wanted(broken_by(judgement)):
            portion.failing, portion.property, portion.digest = index, wanted[0], simulation.digest
            break
    portion.probes, portion.unmodelled = dict(probes), dict(unmodelled)
    portion.seconds = time.monotonic() - begin
    return portion


def _same_again(hunt: Hunt, index: int, simulation: Simulation) -> None:
    again, _ = hunt.run(index)
    if (again.digest, again.events) != (simulation.digest, simulation.events):
        raise DeterminismError(_differs(hunt, index))


def _differs(hunt: Hunt, index: int) -> str:
    return (
        f"run {hunt.seed}/{index} on {hunt.space.stack}, done again with the same choices, came out differently: "
        "the models read something that is no choice, such as a clock or the order of a set"
    )


class _Portions:
    """Deals out the numbers, and sums up what came of them.

    Args:
        until: When no more are dealt out, by the monotonic clock; None: never.
        runs: How many numbers there are; None: no end.
    """

    def __init__(self, *, until: float | None, runs: int | None) -> None:
        self._until = until
        self._runs = runs
        self._next = 0
        self._size = _PORTION_FIRST
        self.total = Portion(start=0)

    def deal(self) -> tuple[int, int] | None:
        """The next stretch: its first number and how many; None when the search is over."""
        start = self._next
        left = _PORTION_MAX if self._runs is None else self._runs - start
        late = start > 0 and self._until is not None and time.monotonic() >= self._until
        if self.total.failing is not None or left <= 0 or late:
            return None
        count = min(self._size, left)
        self._next += count
        return start, count

    def took(self, portion: Portion) -> None:
        """Add what a stretch came to. The lowest failing number wins."""
        total = self.total
        if portion.failing is not None and (total.failing is None or portion.failing < total.failing):
            total.failing, total.digest = portion.failing, portion.digest
        total.add(portion)
        rate = portion.runs / max(portion.seconds, 1e-6)
        self._size = max(1, min(_PORTION_MAX, int(rate * _PORTION_S), 4 * self._size))


def _in_this_one(hunt: Hunt, portions: _Portions) -> Iterator[Portion]:
    while dealt := portions.deal():
        yield search_portion(hunt, *dealt)


def _in_processes(hunt: Hunt, portions: _Portions, processes: int) -> Iterator[Portion]:
    # Spawned, not forked: threads of this process may hold locks, and a fork would copy them locked.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max_workers=processes, mp_context=context, initializer=_begin, initargs=(hunt,))
    pending: set[Future[Portion]] = set()
    try:
        while True:
            while len(pending) < processes and (dealt := portions.deal()):
                pending.add(pool.submit(_search_here, *dealt))
            if not pending:
                return
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            # A stretch below the failing one may still be under way, and may fail too: all are waited for.
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise SimulationError("a process of the search died: killed, or out of memory") from error
    finally:
        pool.shutdown(cancel_futures=True)


_hunt: Hunt


def _begin(hunt: Hunt) -> None:
    global _hunt  # noqa: PLW0603  # a process of the pool has one search, handed to it once and not with every stretch
    _hunt = hunt


def _search_here(start: int, count: int) -> Portion:
    return search_portion(_hunt, start, count)


def _explored(hunt: Hunt, portions: _Portions, seconds: float) -> Explored:
    total = portions.total
    failure = None
    if total.failing is not None:
        failure = hunt.failure(total.failing, runs=total.runs, seconds=seconds)
        if failure is None or failure.digest != total.digest:
            raise DeterminismError(_differs(hunt, total.failing))
    return Explored(failure=failure, **total.effort(seconds))
