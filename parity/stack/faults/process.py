"""Faults of processes: kill, stop, restart, pause, out of memory, slow down, connections closed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker.errors
from docker.models.containers import Container

from parity.errors import FaultError
from parity.scenario.steps import IN_TURN, Step
from parity.stack import compose, launch
from parity.stack.engine import engine, translated, wait_for
from parity.stack.faults.clients import disconnect
from parity.stack.faults.live import Live, Subject
from parity.stack.submitter import CommandSubmitter

_CLUSTER_READY_S = 90.0
#: What runc says when it gives up, and how long it is asked again.
_NOT_FROZEN = "unable to freeze"
_FROZEN_S = 10.0


@contextlib.contextmanager
def killed(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """SIGKILL; nodes and services start again when the fault is healed, workers are their group's business."""
    del step
    with contextlib.ExitStack() as undo:
        for subject in subjects:
            _start_again_at_the_end(undo, subject, live)
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(_kill, subjects))
        yield _exited(subjects, live)


@contextlib.contextmanager
def stopped(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """SIGTERM and the service's own grace period."""
    del step
    with contextlib.ExitStack() as undo:
        for subject in subjects:
            _start_again_at_the_end(undo, subject, live)
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda subject: _stop(subject, live), subjects))
        yield _exited(subjects, live)


@contextlib.contextmanager
def restarted(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """A graceful stop and a start; `in turn` waits until each is ready before the next."""
    in_turn = step.target == IN_TURN
    proofs = []
    for batch in [[subject] for subject in subjects] if in_turn else [subjects]:
        with stopped(step, batch, live) as proof:
            proofs.append(proof)
        if in_turn:
            # The next node goes down only when this one carries its share of every queue again.
            live.stack.wait_ready(within_s=_CLUSTER_READY_S)
    yield "; ".join(proofs)


@contextlib.contextmanager
def paused(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """Every process of the containers frozen by the kernel's freezer."""
    del step
    with contextlib.ExitStack() as undo:
        for subject in subjects:
            undo.enter_context(live.stack.undo.pending(_entry("unpause", subject)))
            _freeze(subject)
        for subject in subjects:
            subject.container.reload()
            if subject.container.status != "paused":
                raise FaultError(f"{subject.name} is {subject.container.status}, not paused")
        yield f"{_names(subjects)} frozen"


def _freeze(subject: Subject) -> None:
    """Have the engine freeze a container; again where the kernel did not get all of its processes to stand still.

    runc tells the freezer a thousand times within a few milliseconds, and gives up: one process that is in a call which
    cannot be interrupted, such as a read from a slow disk, is enough.

    Raises:
        NotReadyError: It is not frozen in time.
        EngineError: The engine refuses for another reason.
    """

    def look() -> tuple[bool | None, str]:
        try:
            subject.container.pause()
        except docker.errors.APIError as error:
            if _NOT_FROZEN not in str(error.explanation or error):
                raise
            return None, f"the engine said: {error.explanation}"
        return True, ""

    with translated(f"pause {subject.name}"):
        wait_for(f"{subject.name} frozen", look, within_s=_FROZEN_S, every_s=0.05)


@contextlib.contextmanager
def out_of_memory(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """The container's memory limit comes down to what it uses; the next few megabytes are too many."""
    del step
    began_s = int(time.time())
    for subject in subjects:
        with translated(f"limit the memory of {subject.name}"):
            stats: Any = subject.container.stats(stream=False)
            used = int(stats["memory_stats"]["usage"])
            limit = used + 4 * 1024 * 1024
            subject.container.update(mem_limit=limit, memswap_limit=limit)
            # Of the worker and what takes the memory, it is the worker that the kernel is to pick.
            hungry = "echo 1000 > /proc/1/oom_score_adj; x=$(head -c 64000000 /dev/zero | tr '\\0' x)"
            subject.container.exec_run(["sh", "-c", hungry], detach=True)
    proof = _exited(subjects, live)
    for subject in subjects:
        if not subject.container.attrs["State"]["OOMKilled"] and not _told_of_memory(subject.container, began_s):
            raise FaultError(f"{proof}, but not for memory")
    yield proof


def _told_of_memory(container: Container, since_s: int) -> bool:
    """Whether the engine told that a container ran out of memory.

    Its flag stays unset where the kernel's word comes after that of the exit, on a busy machine; the event does not.
    """
    chosen = {"container": container.id, "event": "oom"}
    with translated(f"look why {container.name} ended"):
        events = engine().events(since=since_s, until=int(time.time()) + 1, filters=chosen, decode=True)
        return any(True for _ in events)


@contextlib.contextmanager
def slowed_down(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """The containers get a share of one processor."""
    assert step.percent is not None
    period_us = launch.CPU_PERIOD_US
    with contextlib.ExitStack() as undo:
        for subject in subjects:
            had_us = subject.container.attrs["HostConfig"]["CpuQuota"]
            quota_us = step.percent.value * period_us // 100
            # One that may use less already is not to get more.
            quota_us = min(quota_us, had_us) if had_us > 0 else quota_us
            back = {"cpu_period": period_us, "cpu_quota": had_us if had_us > 0 else -1}
            undo.enter_context(live.stack.undo.pending(_entry("update", subject) | {"limits": back}))
            with translated(f"slow {subject.name} down"):
                subject.container.update(cpu_period=period_us, cpu_quota=quota_us)
                subject.container.reload()
            if subject.container.attrs["HostConfig"]["CpuQuota"] != quota_us:
                raise FaultError(f"{subject.name} has no processor quota")
        yield f"{_names(subjects)} at {step.percent.value}% of a processor"


@contextlib.contextmanager
def connections_closed(step: Step, subjects: list[Subject], live: Live) -> Iterator[str]:
    """The broker closes the clients' connections, each client's once."""
    del step
    closed, missed = disconnect(subjects, live)
    if missed:
        raise FaultError(f"the broker lists no connection of {', '.join(missed)}")
    yield "connections closed: " + ", ".join(f"{name} {count}" for name, count in sorted(closed.items()))


def _kill(subject: Subject) -> None:
    with translated(f"kill {subject.name}"):
        subject.container.kill()


def _stop(subject: Subject, live: Live) -> None:
    if subject.role == "worker":
        live.group.stop(subject.name)
        return
    service = live.stack.plan.files.description.submit.service if subject.role == "producer" else subject.name
    definition = live.stack.plan.services[str(service)]
    with translated(f"stop {subject.name}"):
        subject.container.stop(timeout=compose.stop_grace_s(definition))


def _start_again_at_the_end(undo: contextlib.ExitStack, subject: Subject, live: Live) -> None:
    if subject.role == "worker":
        return
    if subject.role == "producer":
        # Its standard input hangs on its life, so it is its submitter that starts it again.
        for submitter in live.submitters:
            if isinstance(submitter, CommandSubmitter) and submitter.container.id == subject.container.id:
                undo.callback(submitter.restart)
        return
    undo.callback(live.stack.broker.forget_ports)
    undo.enter_context(live.stack.undo.pending(_entry("start", subject)))


def _exited(subjects: list[Subject], live: Live) -> str:
    """Wait until the containers have exited and their group knows, or the next step may aim at the dead.

    Returns:
        With which codes they exited.
    """

    def look() -> tuple[str | None, str]:
        states = []
        for subject in subjects:
            if subject.role == "worker" and subject.name in live.group.alive():
                return None, f"{subject.name} is alive as far as its group knows"
            subject.container.reload()
            state = subject.container.attrs["State"]
            if state["Running"]:
                return None, f"{subject.name} is {state['Status']}"
            states.append(f"{subject.name} exited with {state['ExitCode']}{' (out of memory)' * state['OOMKilled']}")
        return ", ".join(states), ""

    return wait_for(f"{_names(subjects)} to exit", look, within_s=30, every_s=0.02)


def _entry(do: str, subject: Subject) -> dict[str, object]:
    return {"do": do, "container": subject.container.id, "name": subject.name}


def _names(subjects: list[Subject]) -> str:
    return ", ".join(subject.name for subject in subjects)
