"""A toy in place of the models: it plays a scenario in microseconds, and has bugs that are planted."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from check_histories import done, ended, submitted

from parity.history.events import Effect, Event
from parity.model.settings import BrokerModel, ModelSettings
from parity.scenario.ranges import Draws, SecondsRange
from parity.scenario.scenario import Scenario
from parity.scenario.steps import Step
from parity.sim.simulation import Simulation
from parity.sim.space import Space, make_space

QUORUM = ModelSettings(
    broker=BrokerModel(queue_type="quorum", delivery_limit=20, dead_letter=True), poison=("poison",), crash=("crash",)
)
SEARCHABLE = {"heartbeat": (10, 4, 60), "prefetch": (5, 1, 50), "job_duration": ("0.05", "0.5..1.0")}
SPACE: Space = make_space("compose/rabbitmq", QUORUM, searchable=SEARCHABLE)
#: Few kinds, so that a bug of three steps is met in a second.
SMALL: Space = replace(
    make_space("compose/rabbitmq", QUORUM),
    targets=dict.fromkeys(("kill", "restart", "pause"), ("queue leader", "queue follower", "database")),
)


def moments_s(scenario: Scenario) -> Iterator[tuple[Step, float]]:
    """Each step with its time; the n-th event of any name is at n * 40 ms."""
    now = 0.0
    for step in scenario.steps:
        if isinstance(step.at, SecondsRange):
            now = step.at.value_s
        elif step.at is not None:
            now = step.at.count.value * 0.04
        elif step.after is not None:
            now += step.after.value_s
        yield step, now


def is_racy(scenario: Scenario) -> bool:
    """A kill, a restart of the same 100 to 800 ms later, and then a pause of another."""
    timed = list(moments_s(scenario))
    for number, (kill, kill_s) in enumerate(timed):
        for other, (restart, restart_s) in enumerate(timed[number + 1 :], number + 1):
            is_race = kill.kind == "kill" and restart.kind == "restart" and restart.target in (kill.target, "the same")
            if is_race and 0.1 <= restart_s - kill_s <= 0.8:
                later = [step for step, _ in timed[other + 1 :]]
                if any(step.kind == "pause" and step.target not in (kill.target, "the same") for step in later):
                    return True
    return False


@dataclass(frozen=True)
class Toy:
    """A simulation with a planted bug.

    Args:
        bug: `race`: see `is_racy`. `chance`: a kill, if the third choice inside is the unlucky one of four, which is
            not the benign one. `either`: that, or a pause beside an isolation. `soon`: a kill, if no step comes late,
            or a pause beside an isolation. `step`: any step. `none`: nothing.
        fickle: Whether runs read something that is no choice.
    """

    bug: str = "race"
    fickle: bool = False

    def __call__(
        self,
        scenario: Scenario,
        settings: ModelSettings,  # noqa: ARG002
        draws: Draws,
        *,
        late_us: int = 0,
    ) -> Simulation:
        luck = [draws.integer(0, 3) for _ in range(3)]
        kinds = {step.kind for step in scenario.steps}
        is_broken = {
            "race": lambda: is_racy(scenario),
            "chance": lambda: "kill" in kinds and luck[2] == 3,
            "either": lambda: ("kill" in kinds and luck[2] == 3) or ("pause" in kinds and "isolate" in kinds),
            "soon": lambda: ("kill" in kinds and not late_us) or ("pause" in kinds and "isolate" in kinds),
            "step": lambda: bool(kinds),
            "none": lambda: False,
        }[self.bug]()
        jobs = min(scenario.workload.jobs.value, 2)
        events = ended(submitted(*range(jobs)), done(*range(jobs)))
        if is_broken:
            events = [event for event in events if not (isinstance(event, Effect) and event.job == 0)]
        return Simulation(
            events=events,
            digest=digest_of(scenario, luck, events) ^ (os.urandom(1)[0] if self.fickle else 0),
            probes=frozenset(kinds),
            steps=len(events),
        )


def digest_of(scenario: Scenario, luck: list[int], events: list[Event]) -> int:
    return zlib.crc32(f"{scenario.model_dump_json()} {luck} {events}".encode())
