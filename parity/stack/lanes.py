"""Work in lanes: what concerns one thing happens in its order, different things at the same time."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

#: How many pieces go on at a time, beside those that mostly wait: more launches at once only wait for the engine.
QUICK = 8


@dataclass(frozen=True, kw_only=True)
class _Piece:
    work: Callable[[], None]
    what: str
    patient: bool


class Lanes:
    """Carries work out on bounded threads.

    Args:
        quick: How many pieces go on at a time.
        patient: How many of those that mostly wait go on at a time, beside the others.
    """

    def __init__(self, *, quick: int = QUICK, patient: int = 32) -> None:
        self._quick = ThreadPoolExecutor(max_workers=quick, thread_name_prefix="fleet")
        self._patient = ThreadPoolExecutor(max_workers=patient, thread_name_prefix="fleet waiting")
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[_Piece]] = {}
        self._counted: Counter[str] = Counter()
        self._closed = False

    def put(self, lane: str, work: Callable[[], None], *, what: str = "", patient: bool = False) -> None:
        """Have something done after what is in its lane already.

        Args:
            lane: Whom it concerns.
            work: Does it; must not raise.
            what: What it counts as in `under_way`; empty: it does not count.
            patient: Whether it mostly waits.
        """
        with self._lock:
            if self._closed:
                return
            if what:
                self._counted[what] += 1
            piece = _Piece(work=work, what=what, patient=patient)
            if lane in self._waiting:
                self._waiting[lane].append(piece)
                return
            self._waiting[lane] = deque()
            self._begin(lane, piece)

    def under_way(self) -> dict[str, int]:
        """How much of what counts is not done yet."""
        with self._lock:
            return dict(self._counted)

    def close(self) -> None:
        """Drop what was not begun, and wait for what was, but not for what mostly waits."""
        with self._lock:
            self._closed = True
            for pieces in self._waiting.values():
                pieces.clear()
        self._quick.shutdown(wait=True, cancel_futures=True)
        self._patient.shutdown(wait=False, cancel_futures=True)

    def _begin(self, lane: str, piece: _Piece) -> None:
        (self._patient if piece.patient else self._quick).submit(self._carry_out, lane, piece)

    def _carry_out(self, lane: str, piece: _Piece) -> None:
        try:
            piece.work()
        finally:
            self._done(lane, piece)

    def _done(self, lane: str, piece: _Piece) -> None:
        with self._lock:
            if piece.what:
                self._counted[piece.what] -= 1
                self._counted += Counter()
            if self._closed:
                return
            if self._waiting[lane]:
                self._begin(lane, self._waiting[lane].popleft())
            else:
                del self._waiting[lane]
