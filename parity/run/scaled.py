"""The Auto Scaling group of a run on containers: its instances are the run's worker containers."""

from __future__ import annotations

import contextlib
import heapq
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, TypeVar

from parity.errors import EngineError, ParityError, StackError
from parity.history.events import InstanceState
from parity.model.scaling.autoscaler import IMPAIRED_S, Autoscaler, no_room
from parity.model.scaling.region import Answer
from parity.model.scaling.state import State
from parity.model.scaling.world import Action, Checked, Input, Launch, LaunchFailed, Removed, Running, Terminate
from parity.run.recorder import Recorder
from parity.scenario.group import GroupSection
from parity.stack import launch
from parity.stack.group import Group
from parity.stack.processor import Processor

T = TypeVar("T")
#: As many containers are started or stopped side by side.
_AT_ONCE = 4


class ScaledGroup:
    """Runs the group's model in real time, and does what it asks.

    Everything the model is told and asked goes through one thread at a time.

    Args:
        section: What the scenario says of the group.
        image: The image that instances are started from.
        recorder: The clock, and told what the group does. What its workers do it is told by `Group` as well.
        depth: How many jobs are queued or in anybody's hands, as the broker tells.
        cpus: How many processors an instance may use; 0: all that there are.
        boots_with: Which revision of the code instances boot with.
    """

    def __init__(
        self,
        section: GroupSection,
        *,
        image: str,
        recorder: Recorder,
        depth: Callable[[], int | None],
        boots_with: str,
        cpus: float = 0.0,
    ) -> None:
        self._section = section
        self._recorder = recorder
        self._depth = depth
        self._processor = Processor(self._container_of, cpus=cpus)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._scaler = Autoscaler(section, image=image, record=recorder.record, boots_with=boots_with)
        self._workers: Group | None = None
        self._pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="instances")
        self._thread = threading.Thread(target=self._run, name="auto scaling", daemon=True)
        self._meter = threading.Thread(target=self._measure, name="metrics", daemon=True)
        self._closed = threading.Event()
        self._failing: Counter[str] = Counter()
        #: Facts to be told later, by when in microseconds of the run.
        self._later: list[tuple[int, int, tuple[Input, ...]]] = []
        self._turns = count()
        self._ended: set[str] = set()
        #: Why the group cannot go on, where it cannot.
        self.failure: BaseException | None = None

    def begin(self, workers: Group) -> None:
        """Make the group, and launch its first instances.

        Raises:
            ServiceError: The setup is refused.
        """
        self._workers = workers
        with self._lock:
            self._carry_out(self._scaler.begin(self._recorder.now_us()))
        self._thread.start()
        self._meter.start()

    def close(self) -> None:
        """Nothing is launched or replaced any more; what was begun is over."""
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
        for thread in (self._thread, self._meter):
            if thread.ident is not None:
                thread.join(timeout=30)
        self._pool.shutdown(wait=True, cancel_futures=True)

    # What steps and faults use.

    def call(self, operation: str, request: Mapping[str, Any], worker: str = "") -> str:
        """Carry out a call; returns AWS's error, empty where it was not refused."""
        with self._lock:
            refused = self._scaler.call(self._recorder.now_us(), operation, request, worker=worker)
            self._step()
        return refused

    def begin_deploy(self, revision: str) -> None:
        """From now on instances should have a revision."""
        with self._lock:
            self._scaler.begin_deploy(revision)

    def new_template(self, revision: str, *, refresh: bool) -> str:
        """Deploy by the launch template; returns AWS's error, empty where it was not refused."""
        with self._lock:
            refused = self._scaler.new_template(self._recorder.now_us(), revision, refresh=refresh)
            self._step()
        return refused

    def revision_at_boot(self, worker: str) -> str:
        """The revision that an instance has which boots now."""
        with self._lock:
            return self._scaler.revision_at_boot(worker)

    def serving(self) -> list[str]:
        """The workers that are in service."""
        with self._lock:
            return self._scaler.serving()

    def answer(self, service: str, operation: str, request: Mapping[str, Any], render: Callable[[Answer], T]) -> T:
        """Carry out a call that came over the wire, and make of the answer what is needed.

        Raises:
            ServiceError: It is refused.
        """
        with self._lock:
            rendered = render(self._scaler.answer(self._recorder.now_us(), service, operation, request))
            self._step()
        return rendered

    def look(self, read: Callable[[State], T]) -> T:
        """Read the region's state while nothing happens to it."""
        with self._lock:
            return read(self._scaler.region.state)

    def tell(self, *inputs: Input) -> None:
        """Take facts in."""
        with self._lock:
            self._step(*inputs)

    def id_of(self, worker: str) -> str:
        """An instance's id by its worker's name."""
        return self._scaler.id_of(worker)

    def zones(self, pick: int | None) -> list[str]:
        """The zones, or the one picked."""
        names = self._scaler.zones()
        return names if pick is None else [names[pick % len(names)]]

    def workers_in(self, zones: Sequence[str]) -> list[str]:
        """The workers that live in these zones."""
        assert self._workers is not None
        with self._lock:
            return [worker for worker in self._workers.alive() if self._scaler.zone_of(worker) in zones]

    def fail_zones(self, zones: Sequence[str]) -> Callable[[], None]:
        """Have every launch in these zones fail; returns what ends that."""
        with self._lock:
            self._failing.update(zones)

        def heal() -> None:
            with self._lock:
                self._failing.subtract(zones)
                self._step()

        return heal

    def impair_later(self, workers: Sequence[str]) -> Callable[[], None]:
        """Workers that reach nothing any more: EC2 finds that out in two minutes. Returns what ends it."""
        with self._changed:
            ids = [self._scaler.id_of(worker) for worker in workers]
            due_us = self._recorder.now_us() + round(IMPAIRED_S * 1e6 / self._section.pace)
            facts = tuple(Checked(instance_id=one, healthy=False) for one in ids)
            entry = (due_us, next(self._turns), facts)
            heapq.heappush(self._later, entry)
            self._changed.notify_all()

        def heal() -> None:
            with self._lock:
                if entry in self._later:
                    self._later.remove(entry)
                    heapq.heapify(self._later)
                self._step(*(Checked(instance_id=one, healthy=True) for one in ids))

        return heal

    @property
    def desired(self) -> int:
        """How many instances there should be."""
        with self._lock:
            return self._scaler.group.desired

    def settled(self) -> bool:
        """Whether as many are in service as should be, and none is on its way in or out."""
        with self._lock:
            return self._scaler.settled()

    def state(self, worker: str, state: InstanceState) -> None:
        """A worker's container changed state, as its own thread saw."""
        if state == "exited" and not self._closed.is_set():
            with self._lock:
                if worker not in self._ended:
                    self._ended.add(worker)
                    self._step(Removed(instance_id=self._scaler.id_of(worker)))

    # Within.

    def _step(self, *inputs: Input) -> None:
        if not self._closed.is_set():
            self._carry_out(self._scaler.step(self._recorder.now_us(), inputs))
            self._changed.notify_all()

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Launch):
                self._pool.submit(self._launch, action)
            elif isinstance(action, Terminate):
                self._pool.submit(self._terminate, action)

    def _launch(self, action: Launch) -> None:
        assert self._workers is not None
        with self._lock:
            failing, worker = bool(self._failing[action.zone]), self._scaler.worker_of(action.instance_id)
        if self._closed.is_set():
            return
        if failing:
            self.tell(no_room(action))
            return
        try:
            self._workers.launch(worker)
            address = launch.address(self._workers.container(worker))
        except (EngineError, StackError) as error:
            self.tell(LaunchFailed(instance_id=action.instance_id, message=str(error)))
        except BaseException as error:  # noqa: BLE001  # a thread's error belongs to the run, which raises it
            self.failure = error
        else:
            self.tell(Running(instance_id=action.instance_id, private_ip=address))

    def _terminate(self, action: Terminate) -> None:
        assert self._workers is not None
        worker = self._scaler.worker_of(action.instance_id)
        try:
            if worker in self._workers.alive():
                self._workers.stop(worker)
            else:
                self.state(worker, "exited")
        except ParityError as error:
            self.failure = error

    def _run(self) -> None:
        """Step whenever something is due."""
        try:
            with self._changed:
                while not self._closed.is_set():
                    now_us = self._recorder.now_us()
                    while self._later and self._later[0][0] <= now_us:
                        self._step(*heapq.heappop(self._later)[2])
                    self._step()
                    self._changed.wait(self._wait_s())
        except BaseException as error:  # noqa: BLE001  # as above
            self.failure = error

    def _wait_s(self) -> float | None:
        dues_us = [due_us for due_us in (self._scaler.due_us(), self._later[0][0] if self._later else None) if due_us]
        return max(0.001, (min(dues_us) - self._recorder.now_us()) / 1e6) if dues_us else None

    def _measure(self) -> None:
        """Tell the metrics again and again: the queue's depth, and what the instances take of the processor."""
        every_s = self._section.metrics_every / self._section.pace
        due_s = time.monotonic() + every_s
        # By the clock, however long it takes: a period of the group's without a datapoint would be no data.
        while not self._closed.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + every_s, time.monotonic())
            points: list[Input] = [*self._processor.measure(self._running())]
            # A broker that is broken on purpose tells nothing; that is no data, as it would be in production.
            with contextlib.suppress(ParityError):
                if (depth := self._depth()) is not None:
                    with self._lock:
                        points += self._scaler.readings(depth)
            self.tell(*points)

    def _running(self) -> list[str]:
        """The ids of the instances whose containers live."""
        assert self._workers is not None
        with self._lock:
            return [self._scaler.id_of(worker) for worker in self._workers.alive()]

    def _container_of(self, instance_id: str) -> str:
        """The id of an instance's container."""
        assert self._workers is not None
        with self._lock:
            worker = self._scaler.worker_of(instance_id)
        return str(self._workers.container(worker).id)
