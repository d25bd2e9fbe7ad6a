"""How many scenarios a second one core simulates, against the same model written plainly on simpy.

Both simulate 50 jobs, 3 workers, 3 nodes and up to 6 faults, the same number of each drawn from the same seeds. Ours
does it with its digest, history, probes and properties; the peer only counts effects. Virtual time over an abstract
model: no speed of a real system, nor one to compare with simulators that run real code.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench import simpy_peer
from parity.check import judge
from parity.model.settings import ModelSettings
from parity.scenario.scenario import Scenario
from parity.sim.run import simulate
from parity.sim.tape import Tape
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

SCENARIOS = 200
ROUNDS = 5
RATIO_MIN = 2.0
JOBS, WORKERS, NODES, FAULTS_MAX = 50, 3, 3, 6
_KINDS = (
    {"kill": "any worker"},
    {"pause": "any worker", "for": "2s"},
    {"kill": "any node", "for": "2s"},
    {"isolate": "any node", "cut": "everything", "for": "2s"},
    {"kill": "database", "for": "2s"},
)


def bench(root: Path) -> dict[str, Any]:
    """Measure; scenarios a second of processor time.

    Returns:
        Name, figures and bound.
    """
    settings = model_settings(load_stack("compose/rabbitmq", root=root))
    scenarios = [_scenario(seed) for seed in range(SCENARIOS)]
    ours: list[float] = []
    peer: list[float] = []
    steps = events = 0
    for _ in range(ROUNDS):
        seconds, steps, events = _ours(scenarios, settings)
        ours.append(SCENARIOS / seconds)
        peer.append(SCENARIOS / _peer(scenarios))
    return {
        "name": "simulator",
        "figures": {
            "scenarios_per_s": round(median(ours)),
            "simpy_scenarios_per_s": round(median(peer)),
            "ratio": round(median(one / other for one, other in zip(ours, peer, strict=True)), 2),
            "engine_events_a_scenario": round(steps / SCENARIOS),
            "history_events_a_scenario": round(events / SCENARIOS),
        },
        "bound": {"ratio_min": RATIO_MIN},
    }


def _scenario(seed: int) -> Scenario:
    draw = random.Random(seed)
    steps = [draw.choice(_KINDS) | {"at": f"{draw.randrange(2000)}ms"} for _ in range(draw.randint(0, FAULTS_MAX))]
    return Scenario.model_validate(
        {"name": "bench", "about": "Faults by chance.", "workers": WORKERS, "workload": {"jobs": JOBS}, "steps": steps}
    )


def _ours(scenarios: list[Scenario], settings: ModelSettings) -> tuple[float, int, int]:
    steps = events = 0
    start = time.process_time()
    for seed, scenario in enumerate(scenarios):
        simulation = simulate(scenario, settings, Tape(seed))
        judge(simulation.events, scenario.properties)
        steps += simulation.steps
        events += len(simulation.events)
    return time.process_time() - start, steps, events


def _peer(scenarios: list[Scenario]) -> float:
    start = time.process_time()
    for seed, scenario in enumerate(scenarios):
        simpy_peer.run(seed, jobs=JOBS, workers=WORKERS, nodes=NODES, faults=len(scenario.steps))
    return time.process_time() - start
