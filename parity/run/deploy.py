"""Deploys in a run on containers: as a tool does it, but for the API calls, which are the group's model's own."""

from __future__ import annotations

import threading
import time

from parity.errors import CancelledError, EngineError, FaultError
from parity.model.constants import DISCOVERY_US
from parity.run.recorder import Recorder
from parity.run.scaled import ScaledGroup
from parity.scenario.steps import Step
from parity.stack.description import DeploySection
from parity.stack.engine import execute
from parity.stack.group import Group

#: How long an instance may take until it says that it has the revision: the job in hand is finished first.
_SAID_WITHIN_S = 60.0
_LOOK_S = 0.2


class Deploys:
    """Deploys to the instances of a run.

    Args:
        scaled: The run's group.
        workers: Its instances' containers.
        section: How a revision gets onto one of them.
        recorder: Where deploys are recorded, and where instances say what they have.
        cancelled: Set when the run is to end soon.
    """

    def __init__(
        self,
        scaled: ScaledGroup,
        workers: Group,
        section: DeploySection,
        recorder: Recorder,
        cancelled: threading.Event,
    ) -> None:
        self._scaled = scaled
        self._workers = workers
        self._section = section
        self._recorder = recorder
        self._cancelled = cancelled

    def carry_out(self, step: Step) -> str:
        """Deploy as a step says.

        Returns:
            What was done, in words.

        Raises:
            FaultError: An instance did not take the revision, or the group refuses.
            CancelledError: The run was cancelled meanwhile.
        """
        assert step.revision is not None
        self._scaled.begin_deploy(step.revision)
        if step.how != "discover":
            if refused := self._scaled.new_template(step.revision, refresh=step.how == "refresh"):
                raise FaultError(refused)
            return f"{step.revision} in the launch template"
        if self._cancelled.wait(DISCOVERY_US / 1e6):
            raise CancelledError("the run was cancelled")
        found = self._scaled.serving()
        taken = [worker for worker in found if self._take(worker, step.revision)]
        return f"{step.revision} on {', '.join(taken) or 'nobody'}"

    def _take(self, worker: str, revision: str) -> bool:
        """Have an instance take a revision; false where it ended instead."""
        container = self._workers.container(worker)
        command = [word.replace("{revision}", revision) for word in self._section.command]
        try:
            code, said = execute(container, *command)
        except EngineError:
            if worker in self._workers.alive():
                raise
            return False
        if code and worker in self._workers.alive():
            raise FaultError(f"{worker} did not take {revision}: exit code {code}: {said.strip()[-300:]}")
        return self._says(worker, revision)

    def _says(self, worker: str, revision: str) -> bool:
        deadline = time.monotonic() + _SAID_WITHIN_S
        while time.monotonic() < deadline:
            if worker not in self._workers.alive():
                return False
            if self._recorder.wait(lambda: self._recorder.revision_of(worker) == revision, within_s=_LOOK_S):
                return True
            if self._cancelled.is_set():
                raise CancelledError("the run was cancelled")
        raise FaultError(f"{worker} does not say that it has {revision}")
