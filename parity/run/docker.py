"""A run on containers: submit, break, heal, drain, count, judge."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from parity.check import judge
from parity.check.verdict import Judgement
from parity.errors import NotReadyError, ParityError, StackError, SubmitError
from parity.history.events import Census, Found, Health, Phase, PhaseName
from parity.history.file import HistoryWriter, read_history
from parity.run.record import Record
from parity.run.recorder import Recorder
from parity.run.steps import Steps
from parity.run.watch import Watch
from parity.scenario.scenario import Scenario
from parity.scenario.steps import NODES, SAME, Step
from parity.stack import launch
from parity.stack.engine import log_tail, wait_for
from parity.stack.faults.live import Live
from parity.stack.group import Group
from parity.stack.stack import Blueprint, Namespace, Stack
from parity.stack.submitter import CommandSubmitter, PublishSubmitter, Submitter

Progress = Callable[[str], None]
_WORKERS_READY_S = 60.0


@dataclass(kw_only=True)
class DockerRun:
    """One run of a drawn scenario in a namespace of a stack.

    Args:
        stack: The shared stack.
        plan: The blueprint whose application runs; its backing services are the stack's.
        scenario: As drawn.
        record: Where it is written down.
        progress: Told what takes time.
        settle_s: How old the broker's queue statistics can be.
    """

    stack: Stack
    plan: Blueprint
    scenario: Scenario
    record: Record
    progress: Progress
    settle_s: float
    _next_job: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _workload_done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.name = f"run-{secrets.token_hex(4)}"
        self.description = self.plan.files.description
        self.faults_s = 0.0
        self._broke_nodes = any(step.target in (*NODES, SAME) for step in self.scenario.steps)

    def execute(self) -> Judgement:
        """Do it.

        Returns:
            The judgement, which rests on the history's file alone.

        Raises:
            ParityError: The run broke off; what was recorded until then stays.
        """
        with HistoryWriter(self.record.history) as writer:
            self.recorder = Recorder(writer, job_id=self.description.job_id, log=self.description.log)
            self._phase("start")
            with self.stack.namespace(self.name) as namespace, self._application(namespace):
                self._run()
            self._phase("end")
        return judge(read_history(self.record.history), self.scenario.properties)

    @contextlib.contextmanager
    def _application(self, namespace: Namespace) -> Iterator[None]:
        """The run's workers and producers, gone when the block is left, their logs kept."""
        worker = self.plan.services[self.description.worker.service]
        self.group = Group(
            lambda name, number: self._make(namespace, self.description.worker.service, name, number),
            self.recorder,
            grace_s=launch.stop_grace_s(worker),
            replace=self.scenario.replace_workers,
        )
        self.submitters: list[Submitter] = []
        try:
            self._start_application(namespace)
            yield
        finally:
            self._end_application()
            containers = self.group.containers()
            for number, submitter in enumerate(self.submitters, 1):
                if isinstance(submitter, CommandSubmitter):
                    containers[f"producer-{number}"] = submitter.container
            self.record.keep_logs(containers)
            self.group.remove()
            for submitter in self.submitters:
                if isinstance(submitter, CommandSubmitter):
                    launch.remove(submitter.container)

    def _make(self, namespace: Namespace, service: str, name: str, number: int, *, stdin: bool = False) -> Any:
        return namespace.make_container(
            service, name, number, settings=self.scenario.settings, plan=self.plan, stdin=stdin
        )

    def _start_application(self, namespace: Namespace) -> None:
        for number in range(1, self.scenario.workload.producers + 1):
            self.submitters.append(self._make_submitter(namespace, number))
        desired = self.scenario.workers.value if self.scenario.workers else self.description.worker.count
        self.group.scale(desired)
        if desired:
            self._wait_for_workers(desired)

    def _make_submitter(self, namespace: Namespace, number: int) -> Submitter:
        section = self.description.submit
        if section.service is None:
            return PublishSubmitter(
                self.stack.broker, self.name, section, self.description.queues, self.recorder.outcome
            )
        service = section.service
        return CommandSubmitter(
            lambda: self._make(namespace, service, f"producer-{number}", number, stdin=True), self.recorder.outcome
        )

    def _wait_for_workers(self, desired: int) -> None:
        """Wait until every worker consumes: only then does a fault hit what the scenario means."""
        queues = self.description.queues.work

        def look() -> tuple[bool | None, str]:
            if self.group.failure:
                raise StackError(
                    f"the service {self.description.worker.service} does not stay up: {self.group.failure}"
                )
            try:
                consuming = {queue: self.stack.broker.consumers(self.name, queue) or 0 for queue in queues}
            except ParityError as error:
                return None, str(error)
            last = ", ".join(f"{queue} has {count} consumers" for queue, count in consuming.items())
            return (True if sum(consuming.values()) >= desired else None), last

        def hint() -> str:
            tails = [
                f"last lines of {name}:\n{log_tail(container)}" for name, container in self.group.containers().items()
            ]
            return "\n".join(tails[-2:])

        wait_for(f"{desired} workers consuming", look, within_s=_WORKERS_READY_S, every_s=0.1, hint=hint)

    def _run(self) -> None:
        live = Live(
            stack=self.stack,
            virtual_host=self.name,
            group=self.group,
            submitters=self.submitters,
            holding=self.recorder.holding,
        )
        with Watch(self.stack, self.name, self.description.effects.sql, self.recorder) as watch:
            self._phase("faults")
            self.recorder.start_workload()
            start = time.monotonic()
            with Steps(
                self.scenario, live, self.recorder, change=self._change, workload_done=self._workload_done
            ) as steps:
                self._submit_workload()
                workload_s = time.monotonic() - start
                steps.wait()
            self.faults_s = max(0.0, time.monotonic() - start - workload_s)
            healed = self._heal()
            self._await_outcomes()
            self._drain(watch)
            self._take_census(watch, healed=healed)

    def _submit_workload(self) -> None:
        workload = self.scenario.workload
        start = time.monotonic()
        for number in range(workload.jobs.value):
            if workload.rate:
                time.sleep(max(0.0, start + number / workload.rate - time.monotonic()))
            self._check_alive()
            self._submit_one("")
        self._workload_done.set()

    def _submit_one(self, kind: str) -> None:
        with self._lock:
            number = self._next_job
            self._next_job += 1
        identity = self.recorder.submit(number, kind)
        self.submitters[number % len(self.submitters)].submit(identity, kind)

    def _check_alive(self) -> None:
        if self.group.failure:
            raise StackError(f"the service {self.description.worker.service} does not stay up: {self.group.failure}")
        for submitter in self.submitters:
            if submitter.failure:
                raise SubmitError(f"the service {self.description.submit.service}: {submitter.failure}")

    def _change(self, step: Step) -> str:
        """Carry out a step that is no fault."""
        if step.kind == "submit":
            assert step.jobs is not None
            for _ in range(step.jobs.value):
                self._submit_one(step.of_kind or "")
            return f"{step.jobs.value} jobs"
        if step.kind == "scale":
            assert step.workers is not None
            self.group.scale(step.workers.value)
            if step.workers.value:
                self._wait_for_workers(step.workers.value)
            return f"{len(self.group)} workers"
        assert step.policy is not None
        self.stack.broker.set_policy(self.name, "parity", step.policy)
        return str(step.policy)

    def _heal(self) -> bool:
        """Wait until every node is up, no partition is left, and every queue has all its members."""
        deadline_s = self.scenario.heal
        self._phase("heal", within_s=deadline_s)
        try:
            wait_for("a healed stack", self._look_healed, within_s=deadline_s)
        except NotReadyError as error:
            self.recorder.record(Health, healed=False, detail=f"{error.last} after {error.waited_s:.0f} s")
            return False
        self.recorder.record(Health, healed=True)
        return True

    def _look_healed(self) -> tuple[bool | None, str]:
        for service in self.stack.start_dead():
            self.recorder.remark(f"{service} had died by itself while it started, and was started again")
        states = self.stack.broker.node_states()
        last = [f"{name} {state}" for name, state in states.items() if state != "running"]
        if not self.stack.database.is_ready():
            last.append(f"{self.description.database.service} not ready")
        try:
            queues = self.stack.broker.queues(self.name)
        except ParityError as error:
            return None, str(error)
        last += [f"{queue.name} without leader" for queue in queues if not queue.leader]
        last += [f"{queue.name} with a member missing" for queue in queues if not queue.online]
        if not last and self._broke_nodes:
            elected = self.stack.broker.has_elected
            last += [
                f"{queue.name} without election"
                for queue in queues
                if queue.quorum and not elected(self.name, queue.name)
            ]
        return (None if last else True), ", ".join(last)

    def _await_outcomes(self) -> None:
        patience_s = self.description.submit.patience
        for submitter in self.submitters:
            submitter.finish(patience_s)
        self.recorder.wait(lambda: not self.recorder.pending(), within_s=patience_s)
        self._check_alive()
        if self._next_job and not self.recorder.count("submitted"):
            tail = ""
            for submitter in self.submitters:
                if isinstance(submitter, CommandSubmitter):
                    tail = f"; its last lines:\n{log_tail(submitter.container)}"
            service = self.description.submit.service or "the broker"
            raise SubmitError(f"{service} gave no outcome for any of {self._next_job} jobs in {patience_s:.0f} s{tail}")

    def _drain(self, watch: Watch) -> None:
        """Wait until everything is done, or nothing is left to do, or the deadline."""
        self._phase("drain", within_s=self.scenario.drain)
        deadline = time.monotonic() + self.scenario.drain
        empty_since: float | None = None
        while time.monotonic() < deadline:
            with contextlib.suppress(ParityError):
                # Refused while a service is still finding its feet; the deadline is what ends that.
                watch.look_at_effects()
                empty = sum(watch.look_at_queues()) == 0 and not self.recorder.working()
                empty_since = (empty_since or time.monotonic()) if empty else None
            # Statistics are late: only when they have said so for longer than that is the queue empty.
            if empty_since and time.monotonic() - empty_since > self.settle_s:
                return
            self._check_alive()
            time.sleep(0.2)

    def _take_census(self, watch: Watch, *, healed: bool) -> None:
        """End every consumer, read every queue out, count the effects a last time."""
        self._phase("census")
        self._end_application()
        reason = "" if healed else "the stack did not heal"
        counts = {"queue": 0, "dead_letter": 0}
        queues = self.description.queues
        places = [("queue", name) for name in queues.work] + [("dead_letter", name) for name in queues.dead_letter]
        try:
            for place, queue in places:
                self._wait_for_no_consumer(queue)
                for identity in self.stack.broker.read_out(self.name, queue, queues):
                    number = self.recorder.found(identity)
                    counts[place] += 1
                    if number is not None:
                        self.recorder.record(Found, job=number, place=place, queue=queue)
            watch.look_at_effects()
        except ParityError as error:
            reason = str(error)
        self.recorder.record(
            Census,
            complete=not reason,
            queued=counts["queue"],
            dead_lettered=counts["dead_letter"],
            reason=reason,
        )

    def _wait_for_no_consumer(self, queue: str) -> None:
        def look() -> tuple[bool | None, str]:
            consumers = self.stack.broker.consumers(self.name, queue)
            return (None if consumers else True), f"{consumers} consumers"

        wait_for(f"the queue {queue} without consumers", look, within_s=30, every_s=0.1)

    def _end_application(self) -> None:
        for submitter in self.submitters:
            submitter.close()
        self.group.close()

    def _phase(self, phase: PhaseName, within_s: float = 0.0) -> None:
        deadline_us = self.recorder.now_us() + round(within_s * 1e6) if within_s else 0
        self.recorder.record(Phase, phase=phase, deadline_us=deadline_us)
        if phase not in {"start", "end"}:
            self.progress(f"{self.scenario.name}: {phase}")
