"""How soon a search finds the bugs of the zoo, by four strategies; and how short the scenarios become.

For each bug and each of some seeds, runs and seconds of processor time until the first violation of the bug's
property, or until the time is over (a time-out, counted as the time that was given). The strategies differ only in
where choices come from: `uniform`, `swarm` (a mask of kinds of steps, drawn for each run) and `mixed` (half of each, as
`parity explore` does) are tapes; `hypothesis` is Hypothesis's own generation driving the same generator and simulator.

Shrinking: the number of steps of the shortest scenario, less the number that the planted cause needs.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException, HypothesisWarning

from parity.model.settings import ModelSettings
from parity.scenario.ranges import Draws
from parity.sim.generate import generate
from parity.sim.handover import HypothesisDraws
from parity.sim.run import simulate
from parity.sim.search import explore, violated
from parity.sim.shrink import shrink
from parity.sim.space import Space
from parity.sim.tape import Tape
from parity.sim.zoo import Bug, load_zoo
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

SEEDS = 20
TIMEOUT_S = 4.0
PROCESSES = 2
RATIO_MIN = 10.0
#: What the first choice of a scenario, the swarm's mask, is made for a strategy; None: it is drawn.
FIRST_CHOICES: dict[str, tuple[int, ...]] = {"uniform": (0,), "swarm": (1,), "mixed": ()}
STRATEGIES = (*FIRST_CHOICES, "hypothesis")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One search.

    Args:
        runs: How many runs it took.
        cpu_s: How long it took.
        timed_out: Whether the time was over before anything was found.
    """

    runs: int
    cpu_s: float
    timed_out: bool


class _OverError(BaseException):
    """Ends Hypothesis's generation: found, or out of time."""


def bench(root: Path, seeds: int = SEEDS) -> dict[str, Any]:
    """Measure; seconds of processor time.

    Returns:
        Name, figures and bounds.
    """
    right = model_settings(load_stack("compose/rabbitmq", root=root))
    zoo = load_zoo(root / "tests" / "zoo" / "zoo.yaml")
    bugs = {bug.name: _Table(bug=bug) for bug in zoo.bugs}
    with ProcessPoolExecutor(max_workers=PROCESSES) as pool:
        searches = {
            (bug.name, strategy, seed): pool.submit(search, bug, right, strategy, seed)
            for bug in zoo.bugs
            for strategy in STRATEGIES
            for seed in range(seeds)
        }
        shrinks = {(bug.name, seed): pool.submit(shortest, bug, right, seed) for bug in zoo.bugs for seed in range(3)}
        for (name, strategy, seed), search_future in searches.items():
            bugs[name].found.setdefault(strategy, []).append(search_future.result())
            if seed == seeds - 1:
                _tell(f"{name} by {strategy}: {bugs[name].words(strategy)}")
        for (name, _), shrink_future in shrinks.items():
            bugs[name].shrunk.append(shrink_future.result())
    return _figures(list(bugs.values()), seeds)


@dataclass(kw_only=True)
class _Table:
    bug: Bug

    def __post_init__(self) -> None:
        self.found: dict[str, list[Found]] = {}
        #: Steps beyond the planted cause, and seconds.
        self.shrunk: list[tuple[int, float]] = []

    def words(self, strategy: str) -> str:
        """What a strategy came to, for who waits."""
        found = self.found[strategy]
        timed_out = sum(each.timed_out for each in found)
        return f"{median(each.cpu_s for each in found):.2f} s of a processor, {timed_out} of {len(found)} timed out"

    def row(self) -> dict[str, Any]:
        """The bug's line in the table."""
        row: dict[str, Any] = {"class": self.bug.kind, "depth": self.bug.depth}
        for strategy, searches in self.found.items():
            row[strategy] = {
                "runs_median": median(each.runs for each in searches),
                "runs_p90": _p90([each.runs for each in searches]),
                "cpu_s_median": round(median(each.cpu_s for each in searches), 3),
                "cpu_s_p90": round(_p90([each.cpu_s for each in searches]), 3),
                "timed_out": sum(each.timed_out for each in searches),
            }
        row["steps_beyond_the_cause"] = [steps for steps, _ in self.shrunk]
        row["shrink_s"] = [round(seconds, 2) for _, seconds in self.shrunk]
        return row


def _figures(tables: list[_Table], seeds: int) -> dict[str, Any]:
    medians = {
        strategy: median(median(each.cpu_s for each in table.found[strategy]) for table in tables)
        for strategy in STRATEGIES
    }
    ratios = [
        median(each.cpu_s for each in table.found["hypothesis"]) / median(each.cpu_s for each in table.found["mixed"])
        for table in tables
    ]
    beyond = [steps for table in tables for steps, _ in table.shrunk]
    seconds = [taken for table in tables for _, taken in table.shrunk]
    return {
        "name": "search power",
        "figures": {
            "seeds": seeds,
            "timeout_cpu_s": TIMEOUT_S,
            "cpu_s_median_over_bugs": {strategy: round(value, 3) for strategy, value in medians.items()},
            "hypothesis_to_mixed_median_ratio": round(median(ratios), 1),
            "steps_beyond_the_cause_median": median(beyond),
            "steps_beyond_the_cause_p90": _p90(beyond),
            "shrink_cpu_s_median": round(median(seconds), 2),
            "shrink_cpu_s_p90": round(_p90(seconds), 2),
            "bugs": {table.bug.name: table.row() for table in tables},
        },
        "bound": {"hypothesis_to_mixed_min": RATIO_MIN, "steps_beyond_the_cause_median_max": 1, "shrink_s_max": 2.0},
    }


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _p90(values: list[Any]) -> Any:
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def search(bug: Bug, right: ModelSettings, strategy: str, seed: int) -> Found:
    """One search with one strategy and seed."""
    space = bug.space(right)
    attempt = _Attempt(space, bug.violates)
    if strategy == "hypothesis":
        return _by_hypothesis(attempt, seed)
    for index in count():
        tape = Tape(f"{seed}/{index}", FIRST_CHOICES[strategy])
        if attempt.fails(tape) or attempt.over:
            return attempt.found()
    raise AssertionError


class _Attempt:
    """Runs, counted and timed."""

    def __init__(self, space: Space, wanted: str) -> None:
        self._space = space
        self._wanted = wanted
        self._start_s = time.process_time()
        self._runs = 0
        self._failed = False

    def fails(self, draws: Draws) -> bool:
        """One run; whether it violates what is looked for."""
        self._runs += 1
        scenario = generate(draws, self._space)
        simulation = simulate(scenario, self._space.settings_of(scenario), draws)
        self._failed = self._wanted in violated(simulation, scenario)
        return self._failed

    @property
    def over(self) -> bool:
        """Whether the time is."""
        return time.process_time() - self._start_s > TIMEOUT_S

    def found(self) -> Found:
        """What it came to."""
        spent_s = time.process_time() - self._start_s
        return Found(
            runs=self._runs,
            cpu_s=spent_s if self._failed else max(spent_s, TIMEOUT_S),
            timed_out=not self._failed,
        )


def _by_hypothesis(attempt: _Attempt, seed: int) -> Found:
    @settings(
        max_examples=1_000_000,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=tuple(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @hypothesis_seed(seed)
    @given(st.data())
    def searching(data: st.DataObject) -> None:
        if attempt.fails(HypothesisDraws(data.draw)) or attempt.over:
            raise _OverError

    _quietly(searching)
    return attempt.found()


def _quietly(call: Callable[[], None]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            call()
    except (_OverError, HypothesisException):
        # What was found is remembered; without a find Hypothesis may have run out of scenarios it had not tried.
        pass


def shortest(bug: Bug, right: ModelSettings, seed: int) -> tuple[int, float]:
    """Steps of the shortest scenario beyond the planted cause's, and seconds of processor time to get there."""
    space = bug.space(right)
    failure = explore(space, simulate, seed=seed, runs=100_000, property=bug.violates, processes=1).failure
    assert failure is not None, f"{bug.name} was not found"
    start_s = time.process_time()
    shrunk = shrink(failure, space, simulate)
    return len(shrunk.scenario.steps) - bug.depth, time.process_time() - start_s
