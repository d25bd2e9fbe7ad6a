"""The search finds every bug of the zoo, with fixed seeds, and flags no control; and its alarm rings when it must."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from parity.sim.run import simulate
from parity.sim.search import Canary, explore
from parity.sim.shrink import shrink
from parity.sim.zoo import Bug, Control, load_zoo
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

ROOT = Path(__file__).parents[2]
ZOO = load_zoo(ROOT / "tests" / "zoo" / "zoo.yaml")
RIGHT = model_settings(load_stack("compose/rabbitmq", root=ROOT))
SEED = 1
#: Ten times the median of what was measured (see bench/figures.json) for the bug that takes longest.
RUNS_MAX = 30_000
CONTROL_RUNS = 150


def names(members: tuple[Bug, ...] | tuple[Control, ...]) -> list[str]:
    return [member.name for member in members]


def test_there_are_enough_of_every_class():
    """At least thirty bugs and ten controls, and no class is left out."""
    assert len(ZOO.bugs) >= 30
    assert len(ZOO.controls) >= 10
    assert set(Counter(bug.kind for bug in ZOO.bugs)) == {"worker", "producer", "broker", "topology", "group"}
    assert len({bug.violates for bug in ZOO.bugs if bug.group}) >= 3
    assert sum(control.group is not None for control in ZOO.controls) >= 2
    assert sum(bug.stack is not None for bug in ZOO.bugs) >= 10
    assert len(set(names(ZOO.bugs) + names(ZOO.controls))) == len(ZOO.bugs) + len(ZOO.controls)


@pytest.mark.parametrize("bug", ZOO.bugs, ids=names(ZOO.bugs))
def test_every_bug_is_found(bug: Bug):
    explored = explore(bug.space(RIGHT), simulate, seed=SEED, runs=RUNS_MAX, property=bug.violates, processes=1)

    assert explored.failure is not None, f"{explored.runs} runs, {explored.silent} of them silent"


def test_a_bug_is_shrunk_to_about_its_cause():
    """In the median the shortest scenario has one step more than the planted cause at the most."""
    beyond = {}
    for bug in [bug for bug in ZOO.bugs if bug.depth <= 1][::4]:
        space = bug.space(RIGHT)
        failure = explore(space, simulate, seed=SEED, runs=RUNS_MAX, property=bug.violates, processes=1).failure
        assert failure is not None
        beyond[bug.name] = len(shrink(failure, space, simulate).scenario.steps) - bug.depth
    assert median(beyond.values()) <= 1, beyond


@pytest.mark.parametrize("control", ZOO.controls, ids=names(ZOO.controls))
def test_no_control_is_flagged(control: Control):
    explored = explore(control.space(RIGHT), simulate, seed=SEED, runs=CONTROL_RUNS, processes=1)

    failure = explored.failure
    assert failure is None, f"{failure.property} violated by\n{failure.scenario.to_yaml()}"


def test_the_canary_is_found():
    """A simulation that goes wrong on purpose: a search that does not find it finds nothing."""
    space = ZOO.controls[0].space(RIGHT)

    assert explore(space, Canary(simulate), seed=SEED, runs=50, processes=1).failure is not None
