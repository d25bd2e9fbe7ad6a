"""A simulated run: the same phases as a run on containers, in virtual time."""

from __future__ import annotations

from parity.history.events import Census, Connections, Found, Health, Phase, PhaseName
from parity.model.settings import ModelSettings
from parity.scenario.ranges import Draws
from parity.scenario.scenario import Scenario
from parity.sim.engine import Engine
from parity.sim.observer import Observer
from parity.sim.simulation import Simulation
from parity.sim.steps import Steps
from parity.sim.world import World

#: Runs that never end are cut off: a schedule that makes work faster than it is done.
STEPS_MAX = 2_000_000
_LOOK_US = 200_000
#: How long the queue must have been empty: as on containers, whose figures are late.
_SETTLE_US = 1_000_000
_PATIENCE_US = 60_000_000
#: Real: 5 to 300 ms from parity's submit to the producer's publish, through the engine and a pipe. Ours: none; 60 or
#: 240 ms for the whole workload where drawn. Why: which of two things that begin together is first, nobody can say.
#: Source: the histories of 268 runs on containers.
_INPUT_US = 60_000
_WORKERS_READY_US = 60_000_000


def simulate(
    scenario: Scenario, settings: ModelSettings, draws: Draws, *, late_us: int = 0, steps_max: int = STEPS_MAX
) -> Simulation:
    """Run a drawn scenario on the models.

    Args:
        scenario: As drawn: no range is left.
        settings: What stands for the stack.
        draws: Every choice of the models; the low end is the benign one.
        late_us: How much later than its moment every fault comes, as on a machine that is slow to apply it.
        steps_max: Events of the engine after which the run is cut off.

    Returns:
        The history and what else the run leaves. A run that was cut off has a history without an end.
    """
    return _SimulatedRun(scenario, settings, draws, late_us).execute(steps_max)


class _SimulatedRun:
    def __init__(self, scenario: Scenario, settings: ModelSettings, draws: Draws, late_us: int) -> None:
        self.scenario = scenario
        self.engine = Engine(draws)
        self.observer = Observer(self.engine)
        workers = scenario.workers.value if scenario.workers is not None else settings.workers
        self._phase("start")
        self.world = World(
            self.engine,
            self.observer,
            settings,
            producers=scenario.workload.producers,
            workers=workers,
            replace=scenario.replace_workers,
            section=scenario.group,
            logs=scenario.properties.logs_archived is not None,
        )
        self.workers = workers if scenario.group is None else scenario.group.desired
        self.steps = Steps(self.world, scenario, self._submit_many, self._step_over, late_us=late_us)
        self.healed = False
        self._next_producer = 0
        self._workload_done = False
        self._deadline_us = 0
        self._empty_since_us = -1

    def execute(self, steps_max: int) -> Simulation:
        """Let it happen."""
        self.engine.after(0, self._await_workers)
        self.engine.run(steps_max=steps_max)
        return Simulation(
            events=self.observer.events,
            digest=self.engine.digest,
            probes=frozenset(self.engine.probes),
            unmodelled=tuple(self.steps.unmodelled),
            failed=tuple(self.steps.failed),
            steps=self.engine.steps,
        )

    def _phase(self, phase: PhaseName, within_s: float = 0.0) -> None:
        self._deadline_us = self.engine.now_us + round(within_s * 1e6)
        self.observer.record(Phase, phase=phase, deadline_us=self._deadline_us if within_s else 0)

    def _await_workers(self) -> None:
        ready = self.world.consuming() >= self.workers and all(p.connection is not None for p in self.world.producers)
        if not ready and self.engine.now_us < _WORKERS_READY_US:
            self.engine.after(_LOOK_US, self._await_workers)
            return
        self._phase("faults")
        if self.scenario.properties.connections_under_limit:
            self._count_connections(-1)
        self.steps.start()
        # Where drawn, jobs reach the producer so late that a step of the same moment is before them.
        self.engine.after(_INPUT_US * (0, 1, 4)[self.engine.integer(0, 2)], self._hand_over, 0)

    def _count_connections(self, before: int) -> None:
        database = self.world.database
        if database.connections != before:
            self.observer.record(Connections, used=database.connections, limit=database.places)
        self.engine.after(_LOOK_US, self._count_connections, database.connections)

    # Submitting.

    def _submit(self, kind: str) -> None:
        job = self.observer.submit(kind)
        producers = self.world.producers
        producers[job % len(producers)].submit(job, kind)

    def _submit_many(self, count: int, kind: str) -> None:
        for _ in range(count):
            self._submit(kind)

    def _hand_over(self, number: int) -> None:
        workload = self.scenario.workload
        jobs = workload.jobs.value
        if not workload.rate:
            self._submit_many(jobs, "")
            number = jobs
        elif number < jobs:
            self._submit("")
            number += 1
        if number < jobs:
            self.engine.after(round(1e6 / workload.rate), self._hand_over, number)
        else:
            self._workload_done = True
            self.steps.workload_done()
            self._step_over()

    def _step_over(self) -> None:
        if self._workload_done and self.steps.over:
            self.engine.after(_LOOK_US, self._begin_heal)

    def _begin_heal(self) -> None:
        self._phase("heal", self.scenario.heal)
        self._heal()

    # Heal, drain, count.

    def _heal(self) -> None:
        unhealed = self.world.unhealed()
        if unhealed and self.engine.now_us < self._deadline_us:
            self.engine.after(_LOOK_US, self._heal)
            return
        self.healed = not unhealed
        self.observer.record(Health, healed=self.healed, detail=unhealed)
        self._deadline_us = self.engine.now_us + _PATIENCE_US
        self._await_outcomes()

    def _await_outcomes(self) -> None:
        if self.observer.pending and self.engine.now_us < self._deadline_us:
            self.engine.after(_LOOK_US, self._await_outcomes)
        else:
            self._phase("drain", self.scenario.drain)
            self._drain()

    def _drain(self) -> None:
        now_us = self.engine.now_us
        if not self.world.empty() or not self._settled():
            self._empty_since_us = -1
        elif self._empty_since_us < 0:
            self._empty_since_us = now_us
        settled = self._empty_since_us >= 0 and now_us - self._empty_since_us > _SETTLE_US
        if settled or now_us >= self._deadline_us:
            if self.world.logs is not None:
                self.world.logs.tell()
            self._phase("census")
            self.world.close()
            self.engine.after(_SETTLE_US, self._count)
        else:
            self.engine.after(_LOOK_US, self._drain)

    def _settled(self) -> bool:
        """Whether the group, where there is one, has what it should have."""
        return self.world.group is None or self.world.group.scaler.settled()

    def _count(self) -> None:
        queued, dead = self.world.queue.contents(), self.world.queue.dead
        for message in queued:
            self.observer.record(Found, job=message.job, place="queue", queue="jobs")
        for message in dead:
            self.observer.record(Found, job=message.job, place="dead_letter", queue="jobs.dead")
        reason = "" if self.healed else "the stack did not heal"
        self.observer.record(Census, complete=self.healed, queued=len(queued), dead_lettered=len(dead), reason=reason)
        self._phase("end")
        self.engine.stopped = True
