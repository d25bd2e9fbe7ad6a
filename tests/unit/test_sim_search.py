"""The search: found, repeated, spread over processes; and proved to be deterministic."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from sim_toy import SMALL, SPACE, Toy, is_racy

from parity.errors import DeterminismError, SimulationError
from parity.sim.search import Canary, explore
from parity.sim.simulation import Simulation

ROOT = Path(__file__).parents[2]


def test_a_planted_bug_is_found():
    found = explore(SMALL, Toy("race"), seed=1, runs=20_000, processes=1)
    assert found.failure
    assert found.failure.property == "no_job_lost"
    assert is_racy(found.failure.scenario)
    assert found.runs == found.failure.runs == found.failure.index + 1


def test_the_same_failure_with_one_and_with_two_processes():
    one, two = (explore(SMALL, Toy("race"), seed=2, runs=20_000, processes=number) for number in (1, 2))
    assert one.failure
    assert two.failure
    assert (one.failure.index, one.failure.scenario) == (two.failure.index, two.failure.scenario)
    assert (one.failure.choices, one.failure.digest) == (two.failure.choices, two.failure.digest)


def test_nothing_wrong_is_a_clean_report():
    """All runs are done, one in twenty twice; branches reached are counted, and those never reached told."""
    told = []
    clean = explore(SMALL, Toy("none"), seed=1, runs=200, processes=1, progress=told.append)
    assert clean.failure is None
    assert (clean.runs, clean.twice, clean.silent) == (200, 10, 0)
    assert clean.probes.keys() == {"kill", "restart", "pause", "scale"}
    assert clean.unreached(frozenset({"kill", "never"})) == ["never"]
    assert clean.runs_per_s > 0
    assert told[-1].startswith("200 runs, ")


def test_time_ends_a_search():
    """At least one stretch of runs is done, however short the time."""
    clean = explore(SPACE, Toy("none"), seed=1, for_s=0.0, processes=1)
    assert clean.failure is None
    assert 0 < clean.runs < 100


def test_only_the_property_that_counts():
    """A run that loses a job does not balance either; a search for one property passes over the others."""
    assert explore(SPACE, Toy("step"), seed=1, runs=200, processes=1).failure.property == "no_job_lost"
    found = explore(SPACE, Toy("step"), seed=1, runs=200, processes=1, property="conservation")
    assert found.failure.property == "conservation"
    assert explore(SPACE, Toy("step"), seed=1, runs=200, processes=1, property="no_phantom").failure is None


def test_runs_that_read_a_clock_are_caught():
    with pytest.raises(DeterminismError, match=r"run 1/0 .* came out differently"):
        explore(SPACE, Toy("none", fickle=True), seed=1, runs=100, processes=1)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_breaks_off_names_its_seed(processes):
    with pytest.raises(SimulationError, match=r"run 7/\d+ on compose/rabbitmq broke off: ZeroDivisionError"):
        explore(SPACE, Broken(), seed=7, runs=200, processes=processes)


@dataclass(frozen=True)
class Broken:
    """A simulation whose models break at the first step."""

    def __call__(self, scenario, settings, draws):
        1 / (0 if scenario.steps else 1)
        return Toy("none")(scenario, settings, draws)


def test_the_canary_is_found():
    """A search whose alarm is broken finds nothing, so one that must ring is kept at hand."""
    found = explore(SPACE, Canary(Toy("none")), seed=1, runs=100, processes=1)
    assert found.failure
    assert found.failure.property == "no_phantom"
    assert explore(SPACE, Canary(Toy("none")), seed=1, runs=100, processes=2).failure


def test_what_no_model_covers_says_nothing():
    clean = explore(SPACE, unmodelled, seed=1, runs=40, processes=1)
    assert clean.failure is None
    assert clean.silent == sum(clean.unmodelled.values()) > 10


def unmodelled(scenario, settings, draws):
    told = Toy("step")(scenario, settings, draws)
    return Simulation(events=told.events, digest=1, unmodelled=("throttle",) if scenario.steps else ())


PRINT_A_FAILURE = """
from sim_toy import SMALL, Toy
from parity.sim.search import explore
from parity.sim.shrink import shrink
found = explore(SMALL, Toy("race"), seed=2, runs=20_000, processes=1).failure
shrunk = shrink(found, SMALL, Toy("race"))
print(found.index, found.digest, shrunk.digest, shrunk.scenario.to_yaml())
"""


def test_the_order_of_sets_changes_nothing():
    """Two processes that hash text differently find the same failure and shrink it to the same scenario."""
    told = [
        subprocess.run(
            [sys.executable, "-c", PRINT_A_FAILURE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert "steps:" in told[0]
