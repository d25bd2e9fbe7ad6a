"""The application of a run: its workers and producers, started for it and gone with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from docker.models.containers import Container

from parity.errors import ParityError, StackError, SubmitError
from parity.run.record import Record
from parity.run.recorder import Recorder
from parity.scenario.scenario import Scenario
from parity.stack import launch
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
        self.group = Group(
            lambda name, number: self._make(service, name, number),
            recorder,
            grace_s=launch.stop_grace_s(plan.services[service]),
            replace=scenario.replace_workers,
        )
        self.submitters: list[Submitter] = []
        self._next_job = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        try:
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
        self.scale(self._scenario.workers.value if self._scenario.workers else self._description.worker.count)

    def _remove(self) -> None:
        self.end()
        containers = self.group.containers()
        for number, producer in enumerate(self._producers(), 1):
            containers[f"producer-{number}"] = producer.container
        self._record.keep_logs(containers)
        self.group.remove()
        for producer in self._producers():
            launch.remove(producer.container)

    def _make(self, service: str, name: str, number: int, *, stdin: bool = False) -> Container:
        return self._namespace.make_container(
            service, name, number, settings=self._scenario.settings, plan=self._plan, stdin=stdin
        )

    def _make_submitter(self, number: int) -> Submitter:
        section = self._description.submit
        if section.service is None:
            queues = self._description.queues
            return PublishSubmitter(self._broker, self._namespace.name, section, queues, self._recorder.outcome)
        service = section.service
        return CommandSubmitter(
            lambda: self._make(service, f"producer-{number}", number, stdin=True), self._recorder.outcome
        )

    def end(self) -> None:
        """Kill every producer and worker; their containers stay until the block is left."""
        for submitter in self.submitters:
            submitter.close()
        self.group.close()

    def scale(self, workers: int) -> None:
        """Make it so many workers, and wait until they consume.

        Raises:
            StackError: They don't stay up, or don't consume in time.
        """
        self.group.scale(workers)
        if workers:
            self._wait_for_workers(workers)

    def _wait_for_workers(self, desired: int) -> None:
        """Wait until every worker consumes: only then does a fault hit what the scenario means."""
        queues = self._description.queues.work

        def look() -> tuple[bool | None, str]:
            self._check_workers()
            try:
                consuming = {queue: self._broker.consumers(self._namespace.name, queue) or 0 for queue in queues}
            except ParityError as error:
                return None, str(error)
            last = ", ".join(f"{queue} has {count} consumers" for queue, count in consuming.items())
            return (True if sum(consuming.values()) >= desired else None), last

        def hint() -> str:
            containers = self.group.containers()
            tails = [f"last lines of {name}:\n{log_tail(container)}" for name, container in containers.items()]
            return "\n".join(tails[-2:])

        wait_for(f"{desired} workers consuming", look, within_s=_WORKERS_READY_S, every_s=0.1, hint=hint)

    def submit(self, kind: str) -> int:
        """Hand over one job, to the producers in turn.

        Returns:
            Its number.
        """
        with self._lock:
            number = self._next_job
            self._next_job += 1
        identity = self._recorder.submit(number, kind)
        self.submitters[number % len(self.submitters)].submit(identity, kind)
        return number

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
