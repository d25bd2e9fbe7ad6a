"""Shrinking: the handover to Hypothesis, what is left of planted bugs, and whether it needs its tape."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

import pytest
from hypothesis.database import choices_from_bytes, choices_to_bytes
from sim_toy import SMALL, SPACE, Toy, is_racy

from parity.errors import DeterminismError
from parity.sim.generate import generate, generate_unmasked, is_fair
from parity.sim.handover import shrink_choices
from parity.sim.search import Canary, explore, violated
from parity.sim.shrink import shrink
from parity.sim.tape import Tape


def found(bug, *, seed, space=SMALL):
    failure = explore(space, Toy(bug), seed=seed, runs=50_000, processes=1).failure
    assert failure
    return failure


@pytest.mark.parametrize("seed", range(20))
def test_a_tape_survives_the_handover(seed):
    """The first scenario that Hypothesis runs is the one that the tape made."""
    scenario, choices = generate_unmasked(Tape(seed=seed), SPACE)
    seen = []
    assert shrink_choices(choices, lambda draws: not seen.append(generate(draws, SPACE)))
    assert seen[0] == scenario
    assert choices_from_bytes(choices_to_bytes(choices)) == tuple(choices)


def test_a_tape_that_does_not_fail_is_not_shrunk():
    runs = []
    assert not shrink_choices([1, 2, 3], lambda draws: bool(runs.append(draws.integer(0, 9))))
    assert len(runs) == 1


def test_a_bug_of_three_steps_shrinks_to_three():
    """Hypothesis alone gets there in the median, and with the tidying every time."""
    shrunk = [shrink(found("race", seed=seed), SMALL, Toy("race")) for seed in range(3)]
    assert [len(one.scenario.steps) for one in shrunk] == [3] * 3
    assert all(one.robust and one.finished and one.choices == () for one in shrunk)
    # Each candidate that fails is run 16 times.
    assert median(one.runs for one in shrunk) < 1000
    for one in shrunk:
        assert [step.kind for step in one.scenario.steps] == ["kill", "restart", "pause"]
        assert one.scenario.workload.jobs.value == 1
        assert one.scenario.settings == {}


def test_hypothesis_alone_shrinks_to_three_in_the_median():
    lengths = []
    for seed in range(3):
        simplest = []

        def fails(draws, simplest=simplest):
            scenario = generate(draws, SMALL)
            if is_racy(scenario):
                simplest.append(scenario)
            return is_racy(scenario)

        assert shrink_choices(found("race", seed=seed).scenario_choices, fails)
        lengths.append(len(simplest[-1].steps))
    assert median(lengths) == 3


def test_what_is_shrunk_fails_as_it_stands():
    shrunk = shrink(found("race", seed=3), SMALL, Toy("race"))
    simulation = Toy("race")(shrunk.scenario, SMALL.settings, Tape(choices=shrunk.choices))
    assert shrunk.property in violated(simulation, shrunk.scenario)
    assert simulation.digest == shrunk.digest
    assert is_fair(shrunk.scenario, SMALL)


def test_a_failure_of_chance_keeps_its_tape():
    """It fails with one choice inside the models and not with the benign one: its tape is part of it."""
    shrunk = shrink(found("chance", seed=1, space=SPACE), SPACE, Toy("chance"))
    assert not shrunk.robust
    assert shrunk.choices == (0, 0, 3)
    assert [step.kind for step in shrunk.scenario.steps] == ["kill"]


def test_a_later_failure_that_needs_no_tape_is_taken():
    """The search found a failure of chance; a few runs on the same property fails whatever the chance is."""
    failure = found("either", seed=1, space=SPACE)
    shrunk = shrink(failure, SPACE, Toy("either"))
    assert shrunk.robust
    assert shrunk.index > failure.index
    assert [step.kind for step in shrunk.scenario.steps] == ["pause", "isolate"]


def test_enough_work_leaves_the_best_so_far():
    """However fast the machine is: twice the same."""
    failure = found("race", seed=1)
    shrunk, again = [shrink(failure, SMALL, Toy("race"), work=25_000) for _ in range(2)]
    assert not shrunk.finished
    assert (shrunk.scenario, shrunk.runs) == (again.scenario, again.runs)
    assert "no_job_lost" in violated(Toy("race")(shrunk.scenario, SMALL.settings, Tape()), shrunk.scenario)


def test_a_failure_that_does_not_fail_again_is_told():
    with pytest.raises(DeterminismError, match=r"run 1/.* does not when it is done again"):
        shrink(found("race", seed=1), SMALL, Toy("none"))


def test_the_canary_shrinks_to_one_step():
    canary = Canary(Toy("none"))
    failure = explore(SPACE, canary, seed=1, runs=100, processes=1).failure
    shrunk = shrink(failure, SPACE, canary)
    assert len(shrunk.scenario.steps) == 1
    assert shrunk.scenario.workload.jobs.value == 1


def test_without_hypothesis_tidying_does_it_all(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "parity.sim.handover", None)
    shrunk = shrink(found("race", seed=2), SMALL, Toy("race"))
    assert len(shrunk.scenario.steps) == 3


def test_a_failure_is_of_the_property_that_was_found():
    """Candidates that violate something else only are passed over."""
    failure = replace(found("step", seed=1, space=SPACE), property="conservation")
    assert shrink(failure, SPACE, Toy("step")).property == "conservation"
