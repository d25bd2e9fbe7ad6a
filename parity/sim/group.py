"""The Auto Scaling group of a simulated run: its instances are the world's workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from parity.model.scaling.autoscaler import IMPAIRED_S, Autoscaler, no_room
from parity.model.scaling.world import Action, Checked, Input, Launch, Removed, Running, Terminate
from parity.model.settings import WorkerModel
from parity.model.timeline import Process
from parity.scenario.group import GroupSection
from parity.sim.engine import Engine
from parity.sim.observer import Observer
from parity.sim.processor import Processor

#: Real: 50 to 300 ms from the request to the engine's refusal. Ours: 0.1 s. Source: runs on containers.
_REFUSED_US = 100_000


class Instances(Protocol):
    """What the group needs of the world."""

    def launch(self, worker: str) -> None:
        """Start a worker; `Group.running` is called when it runs."""
        ...

    def end(self, worker: str) -> None:
        """Stop a worker gracefully; `Group.ended` is called when it is gone."""
        ...

    def alive(self) -> list[str]:
        """The workers that live."""
        ...

    def process(self, worker: str) -> Process:
        """A worker's process."""
        ...

    def depth(self) -> int:
        """How many jobs are queued or in anybody's hands."""
        ...

    def processor_us(self) -> dict[str, int]:
        """How much processor time each worker that lives took in all its life."""
        ...

    def in_hook(self, worker: str) -> None:
        """A worker's instance is being terminated, and waits for a lifecycle hook."""
        ...


class Group:
    """Runs the group's model in the simulation's time.

    Args:
        engine: The time.
        observer: Told what the group does.
        section: What the scenario says of it.
        instances: The workers.
        settings: How workers work; which revision of the code instances boot with, and what they may use.
    """

    def __init__(
        self, engine: Engine, observer: Observer, section: GroupSection, instances: Instances, settings: WorkerModel
    ) -> None:
        self._engine = engine
        self._section = section
        self._instances = instances
        self._every_us = max(1, round(section.metrics_every * 1e6 / section.pace))
        self.scaler = Autoscaler(section, image="worker", record=observer.record, boots_with=settings.boots_with)
        self._processor = Processor(settings.processors)
        self._armed_us: int | None = None
        #: How many faults fail launches in a zone.
        self._failing: Counter[str] = Counter()
        self._zones = [Process(engine, zone) for zone in self.scaler.zones()]
        self._closed = False
        #: Those that were seen to wait in their terminate hook.
        self._in_hook: set[str] = set()

    def begin(self) -> None:
        """Make the group, and launch its first instances."""
        self._carry_out(self.scaler.begin(self._engine.now_us))
        self._engine.after(self._every_us, self._measure)

    def close(self) -> None:
        """Nothing is replaced any more."""
        self._closed = True

    def call(self, operation: str, request: Mapping[str, Any], worker: str = "") -> str:
        """Carry out a call; returns AWS's error, empty where it was not refused."""
        refused = self.scaler.call(self._engine.now_us, operation, request, worker=worker)
        self._step()
        return refused

    def new_template(self, revision: str, *, refresh: bool) -> str:
        """Deploy by the launch template; returns AWS's error, empty where it was not refused."""
        refused = self.scaler.new_template(self._engine.now_us, revision, refresh=refresh)
        self._step()
        return refused

    def tell(self, *inputs: Input) -> None:
        """Take facts in."""
        self._step(*inputs)

    def running(self, worker: str) -> None:
        """A worker that was launched runs."""
        self._step(Running(instance_id=self.scaler.id_of(worker)))

    def ended(self, worker: str) -> None:
        """A worker is gone."""
        self._step(Removed(instance_id=self.scaler.id_of(worker)))

    def complete(self, worker: str) -> None:
        """Tell every hook that a worker's instance waits in to go on."""
        member = self.scaler.group.members.get(self.scaler.id_of(worker))
        for hook in list(member.waits) if member is not None else ():
            request = {"LifecycleHookName": hook, "LifecycleActionResult": "CONTINUE"}
            self.call("CompleteLifecycleAction", request, worker)

    def in_zones(self, pick: int | None, *, everybody: bool) -> list[Process]:
        """Zones, or the one picked, as what a fault is applied to; with the workers that live there or without."""
        zones = self._zones if pick is None else [self._zones[pick % len(self._zones)]]
        names = {zone.name for zone in zones}
        workers = [one for one in self._instances.alive() if self.scaler.zone_of(one) in names] if everybody else []
        return [*zones, *(self._instances.process(worker) for worker in workers)]

    def fail_zones(self, zones: list[str]) -> Callable[[], None]:
        """Have every launch in these zones fail; returns what ends that."""
        self._failing.update(zones)

        def heal() -> None:
            self._failing.subtract(zones)
            self._step()

        return heal

    def impair_later(self, workers: list[str]) -> Callable[[], None]:
        """Workers that reach nothing any more: EC2 finds that out in two minutes. Returns what ends it."""
        ids = [self.scaler.id_of(worker) for worker in workers]
        healed = False

        def impair() -> None:
            if not healed:
                self._step(*(Checked(instance_id=one, healthy=False) for one in ids))

        def heal() -> None:
            nonlocal healed
            healed = True
            self._step(*(Checked(instance_id=one, healthy=True) for one in ids))

        self._engine.after(round(IMPAIRED_S * 1e6 / self._section.pace), impair)
        return heal

    def _step(self, *inputs: Input) -> None:
        if not self._closed:
            self._carry_out(self.scaler.step(self._engine.now_us, inputs))

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Launch):
                self._launch(action)
            elif isinstance(action, Terminate):
                self._instances.end(self.scaler.worker_of(action.instance_id))
        self._look_for_hooks()
        self._arm()

    def _look_for_hooks(self) -> None:
        group = self.scaler.group
        if not group.hooks:
            return
        for instance_id, member in group.members.items():
            if member.lifecycle == "Terminating:Wait" and instance_id not in self._in_hook:
                self._in_hook.add(instance_id)
                self._instances.in_hook(self.scaler.worker_of(instance_id))

    def _launch(self, action: Launch) -> None:
        if self._failing[action.zone]:
            self._engine.after(_REFUSED_US, self._step, no_room(action))
            return
        self._instances.launch(self.scaler.worker_of(action.instance_id))

    def _arm(self) -> None:
        """Be woken when something is due."""
        due_us = self.scaler.due_us()
        if due_us is not None and (self._armed_us is None or due_us < self._armed_us):
            self._armed_us = due_us
            self._engine.after(max(0, due_us - self._engine.now_us), self._wake, due_us)

    def _wake(self, due_us: int) -> None:
        if self._armed_us == due_us:
            self._armed_us = None
            self._step()

    def _measure(self) -> None:
        if self._closed:
            return
        taken_us = {self.scaler.id_of(worker): us for worker, us in self._instances.processor_us().items()}
        points = self._processor.measure(self._engine.now_us, taken_us)
        self._step(*self.scaler.readings(self._instances.depth()), *points)
        self._engine.after(self._every_us, self._measure)
