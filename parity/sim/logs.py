"""What a simulated run's workers print, and what of it reaches the archive before they end."""

from __future__ import annotations

from collections.abc import Callable

from parity.history.events import Archived, Printed
from parity.model.settings import WorkerModel
from parity.model.timeline import Process
from parity.sim.engine import Engine
from parity.sim.hook import KILLED
from parity.sim.observer import Observer

#: Real: 5 to 100 ms from a shipper's request to S3's answer, through a relay. Ours: 50 ms. Why: what was sent and not
#: answered may be lost. Source: runs on containers.
_PUT_US = 50_000


class Logs:
    """Counts lines: those printed, and those archived. What they say does not matter here.

    Args:
        engine: The time.
        observer: Tells of lines, and is told at the end what is where.
        settings: When lines are shipped.
        process: A worker's process by its name.
    """

    def __init__(
        self, engine: Engine, observer: Observer, settings: WorkerModel, *, process: Callable[[str], Process]
    ) -> None:
        self._engine = engine
        self._observer = observer
        self._streams = settings.log_shipping == "stream"
        self._in_hook = settings.log_shipping == "terminate"
        self._batch_us = round(settings.log_batch * 1e6)
        self._process = process
        #: When each line was printed.
        self._printed: dict[str, list[int]] = {}
        self._archived: dict[str, int] = {}
        self._gathering: set[str] = set()
        self._ended: set[str] = set()
        observer.on_line = self._line

    def ended(self, worker: str, exit_code: int, *, drained: bool) -> None:
        """A worker's process ended; `drained` where that was for its terminate hook."""
        self._ended.add(worker)
        if exit_code != KILLED and (self._streams or (self._in_hook and drained)):
            self._take(worker, len(self._printed.get(worker, [])))

    def tell(self) -> None:
        """Say what those that ended printed, and what is in the archive."""
        for worker in sorted(self._ended):
            times_us, archived = self._printed.get(worker, []), self._archived.get(worker, 0)
            missing = len(times_us) - archived
            self._observer.record(Printed, instance=worker, lines=len(times_us))
            since_us = times_us[archived] if missing else 0
            self._observer.record(Archived, instance=worker, lines=archived, missing=missing, missing_since_us=since_us)

    def _line(self, worker: str) -> None:
        self._printed.setdefault(worker, []).append(self._engine.now_us)
        if self._streams and worker not in self._gathering:
            self._gathering.add(worker)
            self._engine.later(self._process(worker), self._batch_us, self._put, worker)

    def _put(self, worker: str) -> None:
        self._gathering.discard(worker)
        self._engine.later(self._process(worker), _PUT_US, self._take, worker, len(self._printed[worker]))

    def _take(self, worker: str, lines: int) -> None:
        self._archived[worker] = max(lines, self._archived.get(worker, 0))
