"""What becomes of jobs that a quorum queue's leader wrote down while it reached no other node, as on containers."""

from __future__ import annotations

from pathlib import Path

from parity.history.events import Submitted
from parity.scenario.scenario import Scenario
from parity.sim.run import simulate
from parity.sim.search import violated
from parity.sim.tape import Tape
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

ROOT = Path(__file__).parents[2]
#: Its producer takes what was on a connection that broke for submitted, so that what is overwritten is lost.
STACK = "compose/rabbitmq+lost-connections-are-confirms"


def run(seed, *steps, cut_off):
    """Whether jobs were lost; None where the leader was sent none that it could not commit."""
    scenario = Scenario.model_validate(
        {
            "name": "minority",
            "about": "The leader is cut off, and its clients lose it.",
            "stacks": [{"stack": STACK}],
            "workload": {"jobs": 50, "rate": 25},
            "steps": [{"isolate": "queue leader", "at": "500ms", "for": cut_off}, *steps],
        }
    )
    simulation = simulate(scenario, model_settings(load_stack(STACK, root=ROOT), scenario), Tape(seed=seed))
    unsure = {
        event.job for event in simulation.events if isinstance(event, Submitted) and event.reason == "connection-lost"
    }
    return "no_job_lost" in violated(simulation, scenario) if unsure else None


def outcomes(*steps, cut_off="1s"):
    found = [run(seed, *steps, cut_off=cut_off) for seed in range(12)]
    assert sum(lost is not None for lost in found) >= 4
    return {lost for lost in found if lost is not None}


def test_a_leader_that_goes_on_keeps_them():
    """Back before anybody gave it up: it still leads, and commits what it has."""
    assert outcomes({"close_connections": "producer"}, cut_off="3s") == {False}


def test_a_leader_that_was_asked_to_stop_may_keep_them():
    assert outcomes({"restart": "the same"}) == {False, True}


def test_a_leader_that_is_killed_loses_them():
    assert outcomes({"kill": "the same"}) == {True}
