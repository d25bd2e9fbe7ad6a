"""What simulated instances take of their processors, and a group that is scaled by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sim_toy import QUORUM

from parity.check import judge
from parity.history.events import Activity, Capacity, Connections
from parity.model.scaling.world import Measured
from parity.model.settings import ModelSettings
from parity.run.draws import SeededDraws
from parity.scenario.scenario import Scenario, load_scenario
from parity.sim.engine import Engine
from parity.sim.observer import Observer
from parity.sim.processor import Processor
from parity.sim.run import simulate
from parity.sim.simulation import Simulation
from parity.sim.tape import Tape
from parity.sim.world import World
from parity.stack.description import load_stack
from parity.stack.modelled import model_settings

ROOT = Path(__file__).parents[2]
SHIPPED = load_scenario(ROOT / "scenarios/scaled-in-while-jobs-pile-up.yaml")


def worker(**told: Any) -> ModelSettings:
    return QUORUM.model_copy(update={"worker": QUORUM.worker.model_copy(update=told)})


def world(settings: ModelSettings) -> tuple[Engine, World]:
    """A world with one worker."""
    engine = Engine(Tape())
    return engine, World(engine, Observer(engine), settings, producers=1, workers=1, replace=True)


def taken_s(engine: Engine, stack: World, *moments_s: float) -> list[float]:
    """What the worker had taken at some moments."""
    told: list[float] = []
    for moment_s in moments_s:
        engine.after(round(moment_s * 1e6), lambda: told.append(stack.processor_us()["worker-1"] / 1e6))
    engine.after(round(moments_s[-1] * 1e6) + 1, setattr, engine, "stopped", True)
    engine.run(steps_max=100_000)
    return told


class TestWorker:
    def at_work(self, settings: ModelSettings, *moments_s: float) -> list[float]:
        """With one job from 5 s on, give or take what its way takes."""
        engine, stack = world(settings)
        engine.after(5_000_000, lambda: stack.producers[0].submit(stack.observer.submit(""), ""))
        return [round(one, 1) for one in taken_s(engine, stack, *moments_s)]

    def test_it_takes_what_its_job_does_while_it_is_at_work_on_it(self):
        assert self.at_work(worker(job_duration=(2.0, 2.0), job_processor_time=0.5), 4, 6.05, 10) == [0, 0.3, 0.5]

    def test_work_that_needs_none(self):
        assert self.at_work(worker(job_duration=(2.0, 2.0)), 4, 6, 10) == [0, 0, 0]

    def test_a_job_takes_as_long_as_its_processors_need_for_it(self):
        slow = worker(job_duration=(1.0, 1.0), job_processor_time=0.5, processors=0.1)
        assert self.at_work(slow, 7.55, 20) == [0.3, 0.5]

    def test_more_processors_make_one_job_no_faster(self):
        fast = worker(job_duration=(0.0, 0.0), job_processor_time=4.0, processors=8.0)
        assert self.at_work(fast, 7.05, 20) == [2.0, 4.0]

    def test_who_stands_still_takes_none_and_who_dies_no_more(self):
        engine, stack = world(worker(job_duration=(2.0, 2.0), job_processor_time=0.5))
        engine.after(5_000_000, lambda: stack.producers[0].submit(stack.observer.submit(""), ""))
        process = stack.workers["worker-1"]
        engine.after(6_000_000, stack.freeze, process)
        engine.after(60_000_000, process.die)
        engine.after(70_000_000, setattr, engine, "stopped", True)
        engine.run(steps_max=100_000)
        assert process.processor_us() == 500_000
        assert stack.processor_us() == {}


class TestDatapoints:
    def test_they_are_percentages_of_what_an_instance_may_use_since_the_last(self):
        processor = Processor(0.5)
        assert processor.measure(1_000_000, {"i-1": 400_000}) == []
        points = processor.measure(3_000_000, {"i-1": 600_000, "i-2": 700_000})
        assert points == [Measured("AWS/EC2", "CPUUtilization", (("InstanceId", "i-1"),), total=20.0)]
        # 0.7 s in 1 s of half a processor: a job's share is exact, and its beginning and end need not be.
        assert processor.measure(4_000_000, {"i-2": 1_400_000})[0].total == 100.0


def shipped(stack: str, seed: int) -> tuple[Simulation, Scenario]:
    scenario = SHIPPED.draw(SeededDraws(seed, SHIPPED.name))
    simulation = simulate(scenario, model_settings(load_stack(stack, root=ROOT), scenario), Tape(seed=seed))
    return simulation, scenario


@pytest.mark.parametrize("seed", range(3))
class TestAGroupThatIsScaledByIt:
    def test_it_stays_large_while_there_is_work_and_shrinks_when_it_is_done(self, seed):
        simulation, scenario = shipped("compose/rabbitmq+burns-processor", seed)
        findings = {one.property: one for one in judge(simulation.events, scenario.properties).findings}
        assert {one.verdict.value for one in findings.values()} == {"holds"}, findings
        sizes = [event.desired for event in simulation.events if isinstance(event, Capacity)]
        assert max(sizes) == 6
        assert sizes[-1] == 2

    def test_it_is_made_smaller_while_workers_wait_for_the_database(self, seed):
        simulation, scenario = shipped("compose/rabbitmq+burns-processor-few-connections", seed)
        findings = {one.property: one for one in judge(simulation.events, scenario.properties).findings}
        bad = {name for name, one in findings.items() if one.verdict.value == "violated"}
        assert bad == {"backlog_growth_at_scale_in", "connections_under_limit"}, findings
        causes = [event.cause for event in simulation.events if isinstance(event, Activity)]
        assert any("AlarmLow" in cause and "changing the desired capacity from 6 to" in cause for cause in causes)
        used = [event for event in simulation.events if isinstance(event, Connections)]
        assert {event.limit for event in used} == {4}
        # Parity's own connections count, as they do on containers.
        assert used[0].used >= 2
