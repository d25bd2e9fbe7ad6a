"""A run on containers: submit, break, heal, drain, count, judge."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from parity.check import judge
from parity.check.verdict import Judgement
from parity.errors import CancelledError, FaultError, NotReadyError, ParityError
from parity.history.events import Census, Found, Health, Phase, PhaseName
from parity.history.file import HistoryWriter, read_history
from parity.run.application import Application
from parity.run.deploy import Deploys
from parity.run.record import Record
from parity.run.recorder import Recorder
from parity.run.steps import Steps, await_role
from parity.run.watch import Watch
from parity.scenario.properties import Properties
from parity.scenario.scenario import Scenario
from parity.scenario.steps import IN_TURN, NODES, SAME, Step
from parity.stack.broker import Consumers
from parity.stack.engine import wait_for
from parity.stack.faults.live import Live, Subject, workers_in_role
from parity.stack.policy import set_policy
from parity.stack.stack import Blueprint, Stack

Progress = Callable[[str], None]
#: How long a node may take to come back after everything was healed; it boots in about ten seconds.
_HUNG_AFTER_S = 30.0
#: How many jobs are recorded and handed over together where no rate says when each is due.
_AT_ONCE = 100


@dataclass(kw_only=True)
class DockerRun:
    """One run of a drawn scenario in a namespace of a stack.

    Args:
        stack: The shared stack.
        plan: The blueprint whose application runs; its backing services are the stack's.
        scenario: As drawn.
        record: Where it is written down.
        progress: Told what takes time.
        cancelled: Set from outside to end the run soon, without a judgement.
    """

    stack: Stack
    plan: Blueprint
    scenario: Scenario
    record: Record
    progress: Progress
    cancelled: threading.Event = field(default_factory=threading.Event)
    _workload_done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.name = f"run-{secrets.token_hex(4)}"
        self.description = self.plan.files.description
        self._broke_nodes = False
        self._heal_began_s = 0.0
        self._restarted: set[str] = set()

    def execute(self) -> Judgement:
        """Do it.

        Returns:
            The judgement, which rests on the history's file alone.

        Raises:
            ParityError: The run broke off; what was recorded until then stays.
        """
        with self.started():
            self._carry_out()
            self.finish()
        return self.judge(self.scenario.properties)

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """The application at work and watched, the faults phase begun; all of it gone when the block is left.

        Raises:
            ParityError: The application does not start.
        """
        self._settle_s = self.stack.broker.settle_s()
        with contextlib.ExitStack() as running:
            writer = running.enter_context(HistoryWriter(self.record.history))
            self.recorder = Recorder(writer, job_id=self.description.job_id, log=self.description.log)
            self._phase("start")
            namespace = running.enter_context(self.stack.namespace(self.name))
            for node in namespace.started_on:
                self.recorder.remark(f"the virtual host was stopped on {node} when it had been made, and was started")
            self.application = running.enter_context(
                Application(namespace, self.plan, self.scenario, recorder=self.recorder, record=self.record)
            )
            self.steps = self._make_steps()
            self._watch = running.enter_context(
                Watch(
                    self.stack,
                    self.name,
                    self.description.effects.sql,
                    self.recorder,
                    connections=self.scenario.properties.connections_under_limit,
                )
            )
            self._phase("faults")
            self.recorder.start_workload()
            yield

    def finish(self) -> None:
        """Heal, drain, count: the application is over afterwards, and the history complete.

        Raises:
            ParityError: The application gave up.
        """
        healed = self._heal()
        self.application.await_outcomes(self._check)
        self._drain()
        self._take_census(healed=healed)
        self._watch.stop()
        self._phase("end")

    def judge(self, properties: Properties) -> Judgement:
        """Judge what the history's file tells so far."""
        return judge(read_history(self.record.history), properties)

    def _make_steps(self) -> Steps:
        live = Live(
            stack=self.stack,
            virtual_host=self.name,
            group=self.application.group,
            submitters=self.application.submitters,
            holding=self.recorder.holding,
            latest=self.recorder.latest,
            scaled=self.application.scaled,
        )
        self._live = live
        return Steps(self.scenario, live, self.recorder, change=self._change, workload_done=self._workload_done)

    def _carry_out(self) -> None:
        """Submit the workload while the scenario's steps happen."""
        self._broke_nodes = any(_concerns_nodes(step) for step in self.scenario.steps)
        with self.steps:
            self._submit_workload()
            self.steps.wait(self._check)

    def _submit_workload(self) -> None:
        workload = self.scenario.workload
        jobs, at_once = workload.jobs.value, 1 if workload.rate else _AT_ONCE
        start = time.monotonic()
        for number in range(0, jobs, at_once):
            if workload.rate:
                time.sleep(max(0.0, start + number / workload.rate - time.monotonic()))
            self._check()
            self.application.submit("", min(at_once, jobs - number))
        self._workload_done.set()

    def _check(self) -> None:
        """Say so where the run cannot or must not go on.

        Raises:
            StackError: Workers or producers gave up.
            CancelledError: It was cancelled.
        """
        if self.cancelled.is_set():
            raise CancelledError("the run was cancelled")
        self.application.check_alive()

    @contextlib.contextmanager
    def broken(self, index: int, step: Step) -> Iterator[list[Subject]]:
        """Keep a fault that is no step of the scenario applied while the block runs.

        Args:
            index: Its number in the history.
            step: As drawn.

        Yields:
            What its role was.

        Raises:
            ParityError: It could not be applied, proved or healed.
        """
        self._broke_nodes = self._broke_nodes or _concerns_nodes(step)
        with self.steps.broken(index, step) as subjects:
            yield subjects

    def _change(self, step: Step) -> str:
        """Carry out a step that is no fault."""
        if step.kind == "submit":
            assert step.jobs is not None
            self.application.submit(step.of_kind or "", step.jobs.value)
            return f"{step.jobs.value} jobs"
        if step.kind == "scale":
            assert step.workers is not None
            self.application.scale(step.workers.value)
            return f"{len(self.application.group)} workers"
        if step.kind == "call":
            return self._call(step)
        if step.kind == "deploy":
            return self._deploy(step)
        assert step.policy is not None
        return set_policy(self.stack.broker, self.name, step.policy, queues=self.description.queues.work)

    def _call(self, step: Step) -> str:
        """Carry out a call of the AWS API."""
        scaled = self.application.scaled
        assert scaled is not None
        assert step.operation is not None
        workers = await_role(step.whose, lambda: workers_in_role(step, self._live)) if step.whose else []
        for worker in workers or [""]:
            if refused := scaled.call(step.operation, step.request or {}, worker):
                raise FaultError(refused)
        return step.operation

    def _deploy(self, step: Step) -> str:
        scaled, section = self.application.scaled, self.description.deploy
        assert scaled is not None
        assert section is not None
        deploys = Deploys(scaled, self.application.group, section, self.recorder, self.cancelled)
        return deploys.carry_out(step)

    def _heal(self) -> bool:
        """Wait until every node is up, no partition is left, and every queue has all its members."""
        deadline_s = self.scenario.heal
        self._heal_began_s = time.monotonic()
        self._phase("heal", within_s=deadline_s)
        try:
            wait_for("a healed stack", self._look_healed, within_s=deadline_s)
        except NotReadyError as error:
            self.recorder.record(Health, healed=False, detail=f"{error.last} after {error.waited_s:.0f} s")
            return False
        self.recorder.record(Health, healed=True)
        return True

    def _look_healed(self) -> tuple[bool | None, str]:
        self._check()
        for service in self.stack.start_dead():
            self.recorder.remark(f"{service} had died by itself while it started, and was started again")
        states = self.stack.broker.node_states()
        self._restart_hung([name for name, state in states.items() if state == "down"])
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
            names = [queue.name for queue in queues if queue.quorum]
            last += [f"{name} without election" for name in self.stack.broker.without_election(self.name, names)]
        return (None if last else True), ", ".join(last)

    def _restart_hung(self, down: list[str]) -> None:
        """Restart a node that does not come back by itself, once, as a liveness probe in production does.

        After a partition, a RabbitMQ 3.10 node on Erlang 25 can wait for its peers for ever while it starts.
        """
        if time.monotonic() - self._heal_began_s < _HUNG_AFTER_S:
            return
        for name in down:
            if name not in self._restarted:
                self._restarted.add(name)
                self.recorder.remark(f"{name} did not come back for {_HUNG_AFTER_S:.0f} s, and was restarted")
                self.stack.restart(name)

    def _drain(self) -> None:
        """Wait until everything is done, or nothing is left to do, or the deadline."""
        self._phase("drain", within_s=self.scenario.drain)
        deadline = time.monotonic() + self.scenario.drain
        empty_since: float | None = None
        while time.monotonic() < deadline:
            with contextlib.suppress(ParityError):
                # Refused while a service is still finding its feet; the deadline is what ends that.
                self._watch.look_at_effects()
                empty = sum(self._watch.look_at_queues()) == 0 and not self.recorder.working() and self._settled()
                empty_since = (empty_since or time.monotonic()) if empty else None
            # Statistics are late: only when they have said so for longer than that is the queue empty.
            if empty_since and time.monotonic() - empty_since > self._settle_s:
                return
            self._check()
            time.sleep(0.2)

    def _settled(self) -> bool:
        """Whether the Auto Scaling group, where there is one, has what it should have."""
        return self.application.scaled is None or self.application.scaled.settled()

    def _take_census(self, *, healed: bool) -> None:
        """End every consumer, read every queue out, count the effects a last time."""
        self.application.tell_archived()
        self._phase("census")
        self.application.end()
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
            self._watch.look_at_effects()
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
            count = consumers.of(queue)
            return (None if count else True), f"{count} consumers"

        with Consumers(self.stack.broker, self.name) as consumers:
            wait_for(f"the queue {queue} without consumers", look, within_s=30, every_s=0.1)

    def _phase(self, phase: PhaseName, within_s: float = 0.0) -> None:
        deadline_us = self.recorder.now_us() + round(within_s * 1e6) if within_s else 0
        self.recorder.record(Phase, phase=phase, deadline_us=deadline_us)
        if phase not in {"start", "end"}:
            self.progress(f"{self.scenario.name}: {phase}")


def _concerns_nodes(step: Step) -> bool:
    return step.target in (*NODES, IN_TURN, SAME)
