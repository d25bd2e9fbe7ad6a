"""The application of a run: its workers and producers, started for it and gone with it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from docker.models.containers import Container

from parity.errors import FaultError, ParityError, StackError, SubmitError
from parity.history.events import InstanceState
from parity.model.scaling.autoscaler import AS_BUILT
from parity.run.archive import Archive
from parity.run.record import Record
from parity.run.recorder import Recorder
from parity.run.scaled import ScaledGroup
from parity.run.wire import Wire
from parity.scenario.group import GroupSection
from parity.scenario.scenario import Scenario
from parity.stack import compose, launch
from parity.stack.broker import Consumers
from parity.stack.engine import log_tail, wait_for
from parity.stack.group import Group
from parity.stack.stack import Blueprint, Namespace
from parity.stack.submitter import CommandSubmitter, PublishSubmitter, Submitter

_WORKERS_READY_S = 60.0


class Application:
    """The workers and producers in a run's namespace; leaving the block keeps their logs and removes them.

    Args:
        namespace: Where they work.
        plan: The blueprint they are made from.
        scenario: As drawn: how many there are, and the settings they get.
        recorder: Told what they do.
        record: Where their logs are kept.
    """

    def __init__(
        self, namespace: Namespace, plan: Blueprint, scenario: Scenario, *, recorder: Recorder, record: Record
    ) -> None:
        self._namespace = namespace
        self._plan = plan
        self._scenario = scenario
        self._recorder = recorder
        self._record = record
        self._description = plan.files.description
        self._broker = namespace.stack.broker
        service = self._description.worker.service
        #: The Auto Scaling group that decides which workers there are, where the scenario has one.
        self.scaled = None if scenario.group is None else self._make_scaled(scenario.group)
        self._archive = Archive(recorder) if scenario.properties.logs_archived is not None else None
        self.group = Group(
            lambda name, number: self._make(service, name, number, told=self._told(name)),
            recorder if self.scaled is None else _Relay(recorder, self.scaled, self._archive),
            grace_s=compose.stop_grace_s(plan.services[service]),
            replace=scenario.replace_workers and self.scaled is None,
        )
        #: The AWS API that instances see, where they use it.
        self._wire: Wire | None = None
        if self.scaled is not None and self._description.worker.aws:
            self._wire = Wire(namespace, self.scaled, self.group, tools=namespace.stack.tools)
        self.submitters: list[Submitter] = []
        self._left = contextlib.ExitStack()
        self._next_job = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        try:
            if self._wire is not None:
                self._left.enter_context(self._wire)
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()

    def _start(self) -> None:
        for number in range(1, self._scenario.workload.producers + 1):
            self.submitters.append(self._make_submitter(number))
        if self.scaled is not None:
            self.scaled.begin(self.group)
            self._wait_for_workers(self.scaled.desired)
        else:
            self.scale(self._scenario.workers.value if self._scenario.workers else self._description.worker.count)

    def _make_scaled(self, section: GroupSection) -> ScaledGroup:
        deploy = self._description.deploy
        boots_with = deploy.boots_with if deploy else "template"
        service = self._plan.services[self._description.worker.service]
        return ScaledGroup(
            section,
            image=str(service["image"]),
            recorder=self._recorder,
            depth=self._depth,
            boots_with=boots_with,
            cpus=compose.cpus(service),
        )

    def _depth(self) -> int | None:
        """How many jobs are queued or in anybody's hands, as the broker tells; None while there is no queue."""
        work = self._description.queues.work
        queues = [queue for queue in self._broker.queues(self._namespace.name) if queue.name in work]
        return sum(queue.ready + queue.unacknowledged for queue in queues) if queues else None

    def _remove(self) -> None:
        self.end()
        containers = self.group.containers()
        for number, producer in enumerate(self._producers(), 1):
            containers[f"producer-{number}"] = producer.container
        self._record.keep_logs(containers)
        self.group.remove()
        for producer in self._producers():
            launch.remove(producer.container)
        self._left.close()

    def _told(self, worker: str) -> dict[str, str]:
        """What an instance is told besides: where the AWS API is, and the revision of the code that it boots with."""
        own = self._description.environment
        told = {key: value for key, value in (self._wire.environment if self._wire else {}).items() if key not in own}
        deploy = self._description.deploy
        if self.scaled is None or deploy is None:
            return told
        revision = self.scaled.revision_at_boot(worker)
        return told if revision == AS_BUILT else told | {deploy.environment: revision}

    def _make(
        self, service: str, name: str, number: int, *, told: Mapping[str, str] | None = None, stdin: bool = False
    ) -> Container:
        return self._namespace.make_container(
            service, name, number, settings=self._scenario.settings, plan=self._plan, told=told or {}, stdin=stdin
        )

    def _make_submitter(self, number: int) -> Submitter:
        section = self._description.submit
        if section.service is None:
            queues = self._description.queues
            return PublishSubmitter(self._broker, self._namespace.name, section, queues, self._recorder.outcomes)
        service = section.service
        return CommandSubmitter(
            lambda: self._make(service, f"producer-{number}", number, stdin=True), self._recorder.outcomes
        )

    def tell_archived(self) -> None:
        """Record what instances that ended had printed and what is archived of it, where that is to be judged."""
        if self._archive is None or self._wire is None or self.scaled is None:
            return
        bucket = self._description.log.archive.replace("{virtual_host}", self._namespace.name)
        ended = self.group.containers().keys() - set(self.group.alive())
        self._archive.tell({worker: self.scaled.id_of(worker) for worker in ended}, self._wire.objects(bucket))

    def end(self) -> None:
        """Kill every producer and worker; their containers stay until the block is left."""
        for submitter in self.submitters:
            submitter.close()
        if self.scaled is not None:
            self.scaled.close()
        self.group.close()

    def scale(self, workers: int) -> None:
        """Make it so many workers, or have the Auto Scaling group do so, and wait until they consume.

        Raises:
            StackError: They don't stay up, or don't consume in time.
            FaultError: The Auto Scaling group refuses.
        """
        if self.scaled is None:
            self.group.scale(workers)
        elif refused := self.scaled.call("SetDesiredCapacity", {"DesiredCapacity": workers}):
            raise FaultError(refused)
        if workers:
            self._wait_for_workers(workers)

    @property
    def desired(self) -> int:
        """How many workers there should be."""
        return self.group.desired if self.scaled is None else self.scaled.desired

    def _wait_for_workers(self, desired: int) -> None:
        """Wait until every worker consumes: only then does a fault hit what the scenario means."""
        queues = self._description.queues.work

        def look() -> tuple[bool | None, str]:
            self._check_workers()
            try:
                consuming = {queue: consumers.of(queue) or 0 for queue in queues}
            except ParityError as error:
                return None, str(error)
            last = ", ".join(f"{queue} has {count} consumers" for queue, count in consuming.items())
            # Who is told another number meanwhile never gets to this one.
            return (True if sum(consuming.values()) >= min(desired, self.desired) else None), last

        def hint() -> str:
            containers = self.group.containers()
            tails = [f"last lines of {name}:\n{log_tail(container)}" for name, container in containers.items()]
            return "\n".join(tails[-2:])

        with Consumers(self._broker, self._namespace.name) as consumers:
            wait_for(f"{desired} workers consuming", look, within_s=_WORKERS_READY_S, every_s=0.1, hint=hint)

    def submit(self, kind: str, count: int = 1) -> range:
        """Hand over jobs, to the producers in turn.

        Returns:
            Their numbers.
        """
        with self._lock:
            numbers = range(self._next_job, self._next_job + count)
            self._next_job = numbers.stop
        identities, producers = self._recorder.submit(numbers, kind), len(self.submitters)
        for turn, submitter in enumerate(self.submitters):
            if share := identities[(turn - numbers.start) % producers :: producers]:
                submitter.submit(share, kind)
        return numbers

    def check_alive(self) -> None:
        """Say so where workers or producers gave up.

        Raises:
            StackError: They did; carries their last lines.
        """
        self._check_workers()
        for submitter in self.submitters:
            if submitter.failure:
                raise SubmitError(f"the service {self._description.submit.service}: {submitter.failure}")

    def _check_workers(self) -> None:
        if self.scaled is not None and self.scaled.failure is not None:
            raise self.scaled.failure
        if self.group.failure:
            raise StackError(f"the service {self._description.worker.service} does not stay up: {self.group.failure}")

    def await_outcomes(self, check: Callable[[], None]) -> None:
        """Wait until every job handed over has an outcome, or the patience is over; none at all is an error.

        Args:
            check: Called again and again; what it raises ends the waiting.

        Raises:
            SubmitError: No job has an outcome, or a producer gave up.
        """
        patience_s = self._description.submit.patience
        deadline = time.monotonic() + patience_s
        for submitter in self.submitters:
            submitter.finish()
        while time.monotonic() < deadline:
            check()
            if self._recorder.wait(lambda: not self._recorder.pending(), within_s=0.2):
                break
        if self._next_job and not self._recorder.count("submitted"):
            tails = [f"; its last lines:\n{log_tail(producer.container)}" for producer in self._producers()]
            service = self._description.submit.service or "the broker"
            text = f"{service} gave no outcome for any of {self._next_job} jobs in {patience_s:.0f} s"
            raise SubmitError(text + "".join(tails[-1:]))

    def _producers(self) -> list[CommandSubmitter]:
        return [submitter for submitter in self.submitters if isinstance(submitter, CommandSubmitter)]


class _Relay:
    """Has the recorder and the Auto Scaling group told what the workers do."""

    def __init__(self, recorder: Recorder, scaled: ScaledGroup, archive: Archive | None) -> None:
        self._recorder = recorder
        self._scaled = scaled
        self._archive = archive

    def lines(self, instance: str, texts: Sequence[str]) -> None:
        self._recorder.lines(instance, texts)
        if self._archive is not None:
            self._archive.lines(instance, texts)

    def state(self, instance: str, state: InstanceState, exit_code: int | None, reason: str) -> None:
        self._recorder.state(instance, state, exit_code, reason)
        self._scaled.state(instance, state)
