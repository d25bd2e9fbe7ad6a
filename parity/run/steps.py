"""A run's steps: each waits for its moment, is applied, proved, and healed when its time is over."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from parity.errors import ParityError
from parity.history.events import Fault, FaultPhase
from parity.run.recorder import Recorder
from parity.scenario.ranges import SecondsRange
from parity.scenario.scenario import Scenario
from parity.scenario.steps import KINDS, EventCount, Step
from parity.stack.engine import wait_for
from parity.stack.faults.kinds import FAULTS
from parity.stack.faults.live import Live, Subject, resolve

T = TypeVar("T")
#: How long after the last submit a moment of the history may still come.
_MOMENT_PATIENCE_S = 30.0
#: How long a role may have nobody to play it, such as a queue without a leader.
_ROLE_PATIENCE_S = 20.0


class Steps:
    """Carries out a drawn scenario's steps; leaving the block heals every fault that is left.

    Args:
        scenario: As drawn.
        live: What the steps reach.
        recorder: Where they are recorded.
        change: Carries out the steps that are no faults: submit, scale, set_policy.
        workload_done: Set when the last ordinary job was handed over.
    """

    def __init__(
        self,
        scenario: Scenario,
        live: Live,
        recorder: Recorder,
        *,
        change: Callable[[Step], str],
        workload_done: threading.Event,
    ) -> None:
        self._live = live
        self._recorder = recorder
        self._change = change
        self._workload_done = workload_done
        self._cancelled = threading.Event()
        self._applied = [threading.Event() for _ in scenario.steps]
        self._threads = [
            threading.Thread(target=self._carry_out, args=(index, step), name=f"step {index} {step.kind}", daemon=True)
            for index, step in enumerate(scenario.steps)
        ]
        #: An error that is no failed fault: a defect of ours or of the engine.
        self.failure: BaseException | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._cancelled.set()
        for thread in self._threads:
            thread.join()

    def wait(self, check: Callable[[], None]) -> None:
        """Wait until every step is over and healed.

        Args:
            check: Called again and again; what it raises ends the waiting.

        Raises:
            ParityError: A step met something that is no failed fault.
        """
        for thread in self._threads:
            while thread.is_alive():
                check()
                thread.join(timeout=0.2)
        if self.failure is not None:
            raise self.failure

    def _carry_out(self, index: int, step: Step) -> None:
        try:
            if not self._moment_came(index, step):
                _FaultRecord(self._recorder, index, step)("failed", detail="its moment never came")
            elif KINDS[step.kind].fault:
                with self.broken(index, step):
                    self._applied[index].set()
                    if step.lasts is not None:
                        self._cancelled.wait(step.lasts.value_s)
            else:
                self.changed(index, step)
        except ParityError:
            # The history says that it failed and why; what that means for the run is the verdict's to say.
            pass
        except BaseException as error:  # noqa: BLE001  # a thread's error belongs to the run, which raises it
            _FaultRecord(self._recorder, index, step)("failed", detail=repr(error))
            self.failure = error
        finally:
            self._applied[index].set()

    def _moment_came(self, index: int, step: Step) -> bool:
        if index and (step.after is not None or step.at is None):
            while not self._applied[index - 1].wait(timeout=0.2):
                if self._cancelled.is_set():
                    return False
        if isinstance(step.at, EventCount):
            return self._event_came(step.at)
        if step.after is not None:
            return not self._cancelled.wait(step.after.value_s)
        if isinstance(step.at, SecondsRange):
            return not self._cancelled.wait(max(0.0, step.at.value_s - self._recorder.since_workload_s()))
        return not self._cancelled.is_set()

    def _event_came(self, moment: EventCount) -> bool:
        wanted = moment.count.value
        waited_s = 0.0
        while waited_s < _MOMENT_PATIENCE_S:
            if self._recorder.wait(lambda: self._recorder.count(moment.event) >= wanted, within_s=0.5):
                return True
            if self._cancelled.is_set():
                return False
            if self._workload_done.is_set():
                waited_s += 0.5
        return False

    def changed(self, index: int, step: Step) -> str:
        """Carry out a step that is no fault.

        Args:
            index: The step's number in the history.
            step: As drawn.

        Returns:
            What was done, in words.

        Raises:
            ParityError: It failed, and the history says so.
        """
        record = _FaultRecord(self._recorder, index, step)
        record("applying")
        with record.failure():
            detail = self._change(step)
        record("applied", detail=detail)
        record("proved", detail=detail)
        record("healed")
        return detail

    @contextlib.contextmanager
    def broken(self, index: int, step: Step) -> Iterator[list[Subject]]:
        """Keep a fault applied while the block runs.

        Args:
            index: The step's number in the history.
            step: As drawn.

        Yields:
            What its role was.

        Raises:
            ParityError: It could not be applied, proved or healed, and the history says so.
        """
        record = _FaultRecord(self._recorder, index, step)
        with contextlib.ExitStack() as healing:
            # One fault is applied at a time, so that "the same" and "queue leader" mean what they say.
            with self._lock, record.failure():
                subjects = self._resolve(step)
                record.subjects = subjects
                record("applying")
                proof = healing.enter_context(FAULTS[step.kind](step, subjects, self._live))
                record("applied")
                record("proved", detail=proof)
                self._live.previous = subjects
            try:
                yield subjects
            finally:
                record("healing")
                with record.failure():
                    healing.close()
                record("healed")

    def _resolve(self, step: Step) -> list[Subject]:
        return await_role(step.target, lambda: resolve(step, self._live))


def await_role(role: str, resolved: Callable[[], list[T]]) -> list[T]:
    """Whoever a role is, as soon as somebody is.

    Args:
        role: As the scenario names it.
        resolved: Who it is right now; an error where that is nobody.

    Raises:
        NotReadyError: It was nobody for too long.
    """

    def look() -> tuple[list[T] | None, str]:
        try:
            return resolved(), ""
        except ParityError as error:
            return None, str(error)

    return wait_for(f"somebody to be {role!r}", look, within_s=_ROLE_PATIENCE_S, every_s=0.05)


class _FaultRecord:
    """Records the phases of one step."""

    def __init__(self, recorder: Recorder, index: int, step: Step) -> None:
        self._recorder = recorder
        self._fields: dict[str, Any] = {"fault": index, "kind": step.kind, "target": step.target}
        self.subjects: list[Subject] = []

    def __call__(self, phase: FaultPhase, *, detail: str = "") -> None:
        on = tuple(subject.name for subject in self.subjects)
        self._recorder.record(Fault, phase=phase, on=on, detail=detail, **self._fields)

    @contextlib.contextmanager
    def failure(self) -> Iterator[None]:
        """Record that the step failed where the block does."""
        try:
            yield
        except ParityError as error:
            self("failed", detail=str(error))
            raise
