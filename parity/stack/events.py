"""What happens to a stack's containers, as the engine tells it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import docker.errors
import requests

from parity.stack.engine import engine

_PAUSE_S = 1.0


class Events:
    """Reads the engine's events in a thread, for as long as it is not closed.

    Args:
        filters: Which events, as the Engine API has them.
        on_event: Called with each; must not raise.
        on_gap: Called once the engine listens again after it did not, and at first: events may have been missed.
    """

    def __init__(
        self, filters: dict[str, Any], *, on_event: Callable[[dict[str, Any]], None], on_gap: Callable[[], None]
    ) -> None:
        self._filters = filters
        self._on_event = on_event
        self._on_gap = on_gap
        self._closed = threading.Event()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._closed.set()
        if self._stream is not None:
            with contextlib.suppress(OSError, AttributeError):
                self._stream.close()

    def _read(self) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(docker.errors.DockerException, requests.RequestException, OSError, ValueError):
                self._stream = engine().events(decode=True, filters=self._filters)
                self._on_gap()
                for event in self._stream:
                    self._on_event(event)
            # The engine went away, or restarts; whoever closed this does not wait.
            self._closed.wait(_PAUSE_S)
