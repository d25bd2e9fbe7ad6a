"""What becomes of a mirrored queue that two nodes lead, as it was seen on containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.history.events import Fault, Submit, Submitted
from parity.model.settings import ModelSettings
from parity.scenario.scenario import Scenario
from parity.sim.run import simulate
from parity.sim.search import violated
from parity.sim.tape import Tape
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

ROOT = Path(__file__).parents[2]
STACK = "compose/rabbitmq+classic-ignore"
MIRRORED = {"set_policy": {"definition": {"ha-mode": "all", "ha-sync-mode": "automatic"}}}


@pytest.fixture(scope="module")
def settings() -> ModelSettings:
    return model_settings(load_stack(STACK, root=ROOT))


def scenario(*steps, producers) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "parted",
            "about": "Nodes part, and nobody works until the end.",
            "stacks": [{"stack": STACK}],
            "workers": 0,
            "workload": {"jobs": 300, "rate": 10, "producers": producers},
            "steps": [MIRRORED, *steps, {"scale": 3, "after": "20s"}],
        }
    )


PAUSED = ({"pause": "queue leader", "for": "12s"}, {"restart": "the same", "after": "17s"})


def submitted(events):
    """When each job was submitted, when it was confirmed, and those that have no effect."""
    at = {event.job: event.t_us for event in events if isinstance(event, Submit)}
    ok = {event.job: event.t_us for event in events if isinstance(event, Submitted) and event.outcome == "ok"}
    done = {event.job for event in events if type(event).__name__ == "Effect"}
    return at, ok, ok.keys() - done


def moment(events, kind, phase):
    return next(e.t_us for e in events if isinstance(e, Fault) and e.kind == kind and e.phase == phase)


def test_a_leader_that_wakes_loses_what_is_published_later_and_not_what_waited(settings):
    events = simulate(scenario(*PAUSED, producers=1), settings, Tape()).events

    at, _, lost = submitted(events)
    woke_us, restarted_us = moment(events, "pause", "healed"), moment(events, "restart", "applying")
    assert lost
    assert all(woke_us < at[job] < restarted_us for job in lost)


def test_mirrors_lead_while_their_leader_stands_still(settings):
    events = simulate(scenario(*PAUSED, producers=2), settings, Tape()).events

    _, ok, lost = submitted(events)
    paused_us, woke_us = moment(events, "pause", "applied"), moment(events, "pause", "healed")
    # The second producer's node is not the leader.
    assert any(paused_us + 6_000_000 < ok[job] < woke_us for job in ok if job % 2)
    assert all(job % 2 == 0 for job in lost)


@pytest.mark.parametrize(("producers", "broken"), [(1, ()), (2, ("no_job_lost", "conservation"))])
def test_when_the_cluster_dies_the_side_is_kept_whose_node_is_back_first(settings, producers, broken):
    steps = ({"isolate": "queue leader", "for": "12s"}, {"kill": "every node", "after": "12s"})
    parted = scenario(*steps, producers=producers)

    assert violated(simulate(parted, settings, Tape()), parted) == broken


def test_what_a_leader_confirms_when_it_wakes_is_on_its_disk(settings):
    """No mirror: the node stands still while it writes, and is killed when it goes on."""
    steps = ({"pause": "queue leader", "at": "1s", "for": "500ms"}, {"kill": "queue leader", "after": "1s"})
    killed = scenario(*steps, producers=1)
    killed = killed.model_copy(update={"steps": killed.steps[1:]})

    for seed in range(20):
        assert "no_job_lost" not in violated(simulate(killed, settings, Tape(seed=seed)), killed)
