"""Deploys on the models: who gets the revision, who is missed, and what becomes of the work meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from sim_toy import QUORUM

from parity.check import judge
from parity.check.conformance import conformance
from parity.history.events import Capacity, Deployed, Event, Fault, Instance, Lifecycle, Revision
from parity.model.contract import Contract
from parity.model.settings import ModelSettings
from parity.scenario.scenario import Scenario
from parity.sim.run import simulate
from parity.sim.simulation import Simulation
from parity.sim.tape import Tape

HOOK = {
    "call": "PutLifecycleHook",
    "request": {
        "LifecycleHookName": "warm-up",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 30,
        "DefaultResult": "CONTINUE",
    },
}
TEMPLATE = QUORUM
DEPLOYED = QUORUM.model_copy(update={"worker": QUORUM.worker.model_copy(update={"boots_with": "deployed"})})


def scenario(*steps: dict[str, Any], jobs: int = 150, rate: float = 15, **group: Any) -> Scenario:
    sizes = {"min_size": 2, "max_size": 4, "desired": 2, "pace": 10, **group}
    return Scenario.model_validate(
        {
            "name": "deploys",
            "about": "By hand.",
            "stacks": [{"stack": "compose/rabbitmq"}],
            "group": sizes,
            "workload": {"jobs": jobs, "rate": rate},
            "steps": list(steps),
            "properties": {"on_revision": True, "not_vacuous": 1},
        }
    )


def simulated(made: Scenario, settings: ModelSettings, seed: str = "") -> Simulation:
    simulation = simulate(made, settings, Tape(seed) if seed else Tape())
    assert not simulation.failed, [event for event in simulation.events if isinstance(event, Fault)]
    return simulation


def verdicts(simulation: Simulation, made: Scenario) -> dict[str, str]:
    return {one.property: one.verdict.value for one in judge(simulation.events, made.properties).findings}


def last_said(events: list[Event]) -> dict[str, str]:
    return {event.instance: event.revision for event in events if isinstance(event, Revision)}


def in_service(events: list[Event]) -> set[str]:
    """At the end of the drain: the census ends them all by itself."""
    states = {event.instance: event.state for event in events if isinstance(event, Lifecycle)}
    return {name for name, state in states.items() if state == "InService"}


def workers(events: list[Event]) -> list[str]:
    return [event.instance for event in events if isinstance(event, Instance) and event.state == "running"]


def test_who_is_found_has_it_in_place() -> None:
    """No instance is replaced, no job is lost, and each says the revision once before and once after."""
    made = scenario({"deploy": "discover", "revision": "two", "at": "2s"})
    simulation = simulated(made, TEMPLATE)
    assert verdicts(simulation, made)["on_revision"] == "holds"
    assert set(verdicts(simulation, made).values()) == {"holds"}
    said = [(event.instance, event.revision) for event in simulation.events if isinstance(event, Revision)]
    assert sorted(said) == [(f"worker-{n}", name) for n in (1, 2) for name in ("as-built", "two")]
    assert workers(simulation.events) == ["worker-1", "worker-2"]


RACE = (
    {"deploy": "discover", "revision": "two", "at": "5s"},
    {"scale": 4, "at": "5500ms"},
)


@pytest.mark.parametrize(("settings", "verdict"), [(TEMPLATE, "violated"), (DEPLOYED, "holds")], ids=["bad", "control"])
def test_who_is_launched_meanwhile_is_missed(settings: ModelSettings, verdict: str) -> None:
    """Whatever the models choose: it is stale unless its boot has what is deployed."""
    made = scenario(*RACE, setup=[HOOK])
    for seed in range(10):
        simulation = simulated(made, settings, str(seed))
        assert verdicts(simulation, made)["on_revision"] == verdict
        late = {name: said for name, said in last_said(simulation.events).items() if name in ("worker-3", "worker-4")}
        assert set(late.values()) == {"as-built" if settings is TEMPLATE else "two"}


def test_a_boot_before_the_deploy_does_not_help() -> None:
    """What is deployed is fetched when an instance boots; one that booted before, and is found by nobody, is stale."""
    early = {"scale": 4, "at": "4s"}
    late = {"deploy": "discover", "revision": "two", "at": "6s"}
    made = scenario(early, late, setup=[HOOK | {"request": HOOK["request"] | {"HeartbeatTimeout": 60}}], desired=2)
    simulation = simulated(made, DEPLOYED)
    assert verdicts(simulation, made)["on_revision"] == "violated"


def test_a_refresh_replaces_everybody() -> None:
    """And the drain waits until it did; who is launched meanwhile has it too."""
    made = scenario({"deploy": "refresh", "revision": "two", "at": "8s"}, {"scale": 4, "at": "8500ms"})
    simulation = simulated(made, TEMPLATE)
    assert verdicts(simulation, made)["on_revision"] == "holds"
    said = last_said(simulation.events)
    assert {said[name] for name in ("worker-1", "worker-2")} == {"as-built"}, "nobody told those that were there"
    assert len(in_service(simulation.events)) == 4
    assert {said[name] for name in in_service(simulation.events)} == {"two"}


def test_a_refresh_keeps_half_of_the_instances() -> None:
    made = scenario({"deploy": "refresh", "revision": "two", "at": "2s"}, desired=4)
    simulation = simulated(made, TEMPLATE)
    begun = next(event.t_us for event in simulation.events if isinstance(event, Deployed))
    numbers = [event for event in simulation.events if isinstance(event, Capacity) and event.t_us > begun]
    assert min(event.in_service for event in numbers) == 2


def test_the_template_alone_leaves_who_is_there() -> None:
    made = scenario({"deploy": "template", "revision": "two", "at": "2s"}, {"scale": 3, "at": "3s"})
    simulation = simulated(made, TEMPLATE)
    assert verdicts(simulation, made)["on_revision"] == "violated"
    assert last_said(simulation.events) == {"worker-1": "as-built", "worker-2": "as-built", "worker-3": "two"}


def test_one_that_dies_over_it_is_replaced() -> None:
    """The deploy goes on with the next; the group launches another, which has what it boots with."""
    steps = ({"deploy": "discover", "revision": "two", "at": "2s"}, {"kill": "any worker", "at": "3150ms", "pick": 0})
    for settings, verdict in ((TEMPLATE, "violated"), (DEPLOYED, "holds")):
        made = scenario(*steps)
        simulation = simulated(made, settings)
        assert workers(simulation.events) == ["worker-1", "worker-2", "worker-3"]
        assert verdicts(simulation, made)["on_revision"] == verdict
        assert last_said(simulation.events)["worker-2"] == "two"


def test_what_was_fetched_ahead_is_given_back() -> None:
    """A worker that starts anew loses nothing, and the contract allows what is seen."""
    made = scenario({"deploy": "discover", "revision": "two", "at": "1s"}, jobs=200, rate=0)
    settings = TEMPLATE.model_copy(
        update={"worker": TEMPLATE.worker.model_copy(update={"prefetch": 20, "job_duration": (0.05, 0.1)})}
    )
    for seed in range(10):
        simulation = simulated(made, settings, str(seed))
        judgement = judge(simulation.events, made.properties)
        assert (judgement.tally.effects, judgement.tally.lost) == (200, 0)
        assert judgement.tally.redelivered == 0, "a job that was not begun was never said to be delivered"
        found = conformance(simulation.events, Contract(settings))
        assert found.verdict.value == "holds", found.differences
