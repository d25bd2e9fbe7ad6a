"""What becomes of a simulated run's workers while their instances wait in their group's terminate hook."""

from __future__ import annotations

from collections.abc import Callable

from parity.model.settings import WorkerModel
from parity.model.worker import Worker
from parity.sim.engine import Engine

#: Real: an instance asks the metadata service each second. Ours: it does so half a second after it was held, at once,
#: or a second after. Source: compose/images/app/hook.py.
_POLLS_US = (500_000, 0, 1_000_000)
#: Real: 5 to 100 ms from a request to its answer, through a relay. Ours: 50 ms. Source: runs on containers.
_CALL_US = 50_000
#: What SIGKILL leaves no time for.
KILLED = 137


class TerminateHook:
    """The agent in each instance that finds out that a terminate hook holds it.

    Args:
        engine: The time.
        settings: What the agent does then.
        worker: A worker's process by its name.
        complete: Tells every hook that a worker's instance waits in to go on.
    """

    def __init__(
        self,
        engine: Engine,
        settings: WorkerModel,
        *,
        worker: Callable[[str], Worker],
        complete: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._how = settings.in_hook
        self._worker = worker
        self._complete = complete
        self._draining: set[str] = set()

    def hold(self, worker: str) -> None:
        """A worker's instance waits in its hook from now on."""
        if self._how != "ignore":
            poll_us = _POLLS_US[self._engine.integer(0, 2)]
            self._engine.later(self._worker(worker), poll_us, self._notice, worker)

    def drained(self, worker: str, exit_code: int) -> bool:
        """A worker's process ended; returns whether that was for its hook. Its instance is still there then."""
        if worker not in self._draining or exit_code == KILLED:
            return False
        self._engine.after(_CALL_US, self._complete, worker)
        return True

    def _notice(self, worker: str) -> None:
        if self._how == "complete":
            self._engine.after(_CALL_US, self._complete, worker)
        else:
            self._draining.add(worker)
            self._worker(worker).drain()
