"""Measures now and then what alarms and policies look at, and tells it as datapoints."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from parity.errors import ParityError
from parity.model.scaling.world import Input
from parity.service.backlog import Backlog, Depth, measured
from parity.stack.processor import Processor
from parity.stack.trouble import Trouble

#: How often queues are looked at; the age of what waits is as exact as this.
_LOOK_S = 5.0


class Meter:
    """Measures in a thread of its own, in real time.

    Args:
        processor: Of the instances.
        backlog: The queues.
        instances: Says which instances run now.
        tell: Where datapoints go.
        period_s: From one datapoint of a metric to the next.
        say: Told when something cannot be measured, and when it can again.
        requests: What a load balancer counted since the last time.
    """

    def __init__(
        self,
        processor: Processor,
        backlog: Backlog,
        *,
        instances: Callable[[], Iterable[str]],
        tell: Callable[[Input], None],
        period_s: float,
        say: Callable[[str], None],
        requests: Callable[[], Sequence[Input]] = tuple,
    ) -> None:
        self._processor = processor
        self._backlog = backlog
        self._instances = instances
        self._tell = tell
        self._period_s = period_s
        self._requests = requests
        self._trouble = Trouble(say, wrong="what alarms look at cannot be measured: ", over="it can be measured again")
        self._depths: dict[str, Depth] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    @property
    def depths(self) -> dict[str, Depth]:
        """The queues as they were seen last; empty while the broker does not say."""
        return self._depths

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """Measure no more."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause_s = min(_LOOK_S, self._period_s)
        due_s = time.monotonic() + self._period_s
        while not self._ended.is_set():
            self._look()
            if time.monotonic() >= due_s:
                due_s += self._period_s
                self._measure()
            self._ended.wait(pause_s)

    def _look(self) -> None:
        try:
            self._processor.notice(self._instances())
            self._depths = self._backlog.look(now_s=time.monotonic())
            self._trouble.found("")
        except ParityError as error:
            self._depths = {}
            self._trouble.found(str(error))

    def _measure(self) -> None:
        for point in self._requests():
            self._tell(point)
        # What keeps it from being measured is said when it is looked at.
        with contextlib.suppress(ParityError):
            for point in self._processor.measure(self._instances()) + measured(self._depths):
                self._tell(point)
