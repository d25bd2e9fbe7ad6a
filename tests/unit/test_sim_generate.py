"""The generator makes scenarios that are valid, fair and simple where its choices are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_toy import QUORUM, SEARCHABLE, SPACE

from parity.model.settings import BrokerModel, ModelSettings
from parity.run.fits import check_fits
from parity.scenario.scenario import read_scenario
from parity.scenario.source import Source
from parity.scenario.steps import WORKERS
from parity.sim.generate import JOBS, STEPS_MAX, generate, generate_unmasked, is_fair
from parity.sim.handover import HypothesisDraws
from parity.sim.space import MIRRORED, make_space
from parity.sim.tape import Tape
from parity.stack.description import load_stack

ROOT = Path(__file__).parents[2]
CLASSIC = make_space("compose/rabbitmq+classic-queue", ModelSettings(broker=BrokerModel(queue_type="classic")))
ALONE = make_space("compose/rabbitmq", ModelSettings(nodes=1, workers=0), has_producer=False, points=("submitted",))
SPACES = {"quorum": SPACE, "classic": CLASSIC, "one node": ALONE}
RUNS = 150


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_scenario_is_valid_and_fair(space):
    """It loads from its own file as what it is, has no range left, and leaves somebody to work."""
    for seed in range(RUNS):
        scenario = generate(Tape(seed=seed), space)
        assert read_scenario(Source(scenario.to_yaml(), file="x"), name="x") == scenario
        assert is_fair(scenario, space)
        assert len(scenario.steps) <= STEPS_MAX + 1
        assert scenario.draw(Tape(seed=1)) == scenario.draw(Tape(seed=2)) == scenario


def test_a_scenario_fits_its_stack():
    files = load_stack("compose/rabbitmq", root=ROOT)
    for seed in range(RUNS):
        check_fits(generate(Tape(seed=seed), SPACE), files)


def test_benign_choices_make_the_simplest_scenario():
    """One job and nothing else, from as few choices as any scenario has."""
    tape = Tape()
    scenario = generate(tape, SPACE)
    assert scenario.steps == ()
    assert scenario.settings == {}
    assert scenario.workers is None
    assert scenario.workload.jobs.value == JOBS[0] == 1
    assert len(tape.choices) <= min(len(_choices(seed)) for seed in range(RUNS))


def test_bursts_of_every_kind_end_where_there_is_no_room_for_more_jobs(monkeypatch):
    monkeypatch.setattr("parity.sim.generate._ALL_WORK_S_MAX", 1.0)
    monkeypatch.setattr("parity.sim.generate._WORK_S_MAX", 0.9)
    scenarios = [generate(Tape(seed=seed), SPACE) for seed in range(10 * RUNS)]
    assert all(is_fair(scenario, SPACE) for scenario in scenarios)
    assert any(step.kind == "submit" for scenario in scenarios for step in scenario.steps)


def _choices(seed):
    tape = Tape(seed=seed)
    generate(tape, SPACE)
    return tape.choices


def test_a_tape_repeats_its_scenario():
    for seed in range(RUNS):
        assert generate(Tape(choices=_choices(seed)), SPACE) == generate(Tape(seed=seed), SPACE)


def test_without_the_mask_it_is_the_same_scenario():
    """The choices handed to Hypothesis make the scenario that a swarm's mask made."""
    for seed in range(RUNS):
        scenario, choices = generate_unmasked(Tape(seed=seed), SPACE)
        assert generate(Tape(choices=choices), SPACE) == scenario
        assert choices[0] == 0


def test_half_of_the_runs_are_a_swarm():
    """Half draw a mask, and under a mask each kind is there or not: many-step scenarios of few kinds become usual."""
    masked = sum(_choices(seed)[0] for seed in range(1000))
    assert 440 < masked < 560
    few = {True: 0, False: 0}
    many = Counter()
    for seed in range(2000):
        scenario, is_masked = generate(Tape(seed=seed), SPACE), bool(_choices(seed)[0])
        if len(scenario.steps) == STEPS_MAX:
            many[is_masked] += 1
            few[is_masked] += len({step.kind for step in scenario.steps}) <= 4
    assert few[True] / many[True] > 1.2 * few[False] / many[False]


def test_everything_possible_comes_up():
    seen: Counter[str] = Counter()
    for seed in range(6000):
        scenario = generate(Tape(seed=seed), SPACE)
        seen.update(scenario.settings)
        for step in scenario.steps:
            seen.update([f"{step.kind} {step.target}", step.of_kind or "", str(step.at.event) if _waits(step) else ""])
    for kind, targets in SPACE.targets.items():
        for target in targets or ("",):
            assert seen[f"{kind} {target}"], (kind, target)
    assert {*SEARCHABLE, *SPACE.job_kinds, *SPACE.points} <= seen.keys()


def _waits(step):
    return hasattr(step.at, "event")


def test_jobs_are_no_more_than_workers_can_do():
    """With jobs that take long there are few, or the drain would be late whatever the stack does."""
    slow = ModelSettings(worker={"job_duration": "2s"})
    space = make_space("x", QUORUM, searchable=SEARCHABLE, derive=lambda _: slow)
    turned = [scenario for seed in range(RUNS) if (scenario := generate(Tape(seed=seed), space)).settings]
    assert max(scenario.workload.jobs.value for scenario in turned) == 5


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_nobody_aims_at_workers_that_are_not_there(space):
    """Where nobody works at first, only what comes after a `scale` is aimed at workers."""
    for seed in range(4 * RUNS):
        scenario = generate(Tape(seed=seed), space)
        if scenario.workers and scenario.workers.value == 0:
            first = next(index for index, step in enumerate(scenario.steps) if step.kind == "scale")
            assert all(step.target not in WORKERS for step in scenario.steps[:first])


def test_policies_are_set_where_they_do_something():
    assert "set_policy" not in SPACE.kinds
    assert CLASSIC.policies == MIRRORED
    assert "set_policy" in CLASSIC.kinds


def test_one_node_has_no_follower_and_cannot_be_parted():
    targets = {target for aims in ALONE.targets.values() for target in aims}
    assert targets.isdisjoint({"queue follower", "producer", "that worker", "worker holding a job"})
    assert "partition" not in ALONE.kinds


def test_jobs_that_would_circle_for_ever_are_not_submitted():
    circling = QUORUM.model_copy(update={"broker": BrokerModel(queue_type="classic")})
    assert make_space("x", QUORUM).job_kinds == ("poison", "crash")
    assert make_space("x", circling).job_kinds == ()


@given(st.data())
def test_hypothesis_draws_valid_scenarios_too(data):
    draws = HypothesisDraws(data.draw)
    scenario = generate(draws, SPACE)
    assert is_fair(scenario, SPACE)
    assert generate(Tape(choices=draws.choices), SPACE) == scenario
