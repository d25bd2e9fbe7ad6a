"""The one owner of a region: its calls, its time, its state on disk, and what it asks of the fleet."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

from parity.aws.clock import Clock
from parity.aws.fleet import Fleet
from parity.aws.journal import Called, Entry, Journal, Moved, Snapshot, Stepped
from parity.aws.outstanding import outstanding
from parity.errors import NotReadyError, ParityError, ServiceError
from parity.model.scaling.api import OPERATIONS, READS, Region
from parity.model.scaling.region import Answer, Request
from parity.model.scaling.state import State
from parity.model.scaling.world import Action, Input, Notify

T = TypeVar("T")
SECOND_US = 1_000_000
#: How long time travel waits for what is under way before it goes on.
PATIENCE_S = 120.0
#: The longest journey. Times have an end, at which nothing could be told any more, and there is no way back from there.
JOURNEY_S_MAX = 366 * 86_400.0

log = logging.getLogger(__name__)


class Controller:
    """Owns a region; everything that happens to it goes through here, one thing at a time.

    A call has been carried out, is on disk, and its actions are with the fleet when its answer is given. Facts are
    taken in by a thread of its own, which also steps the region when something is due.

    Args:
        region: As `revive` gives it.
        fleet: Carries out what the region asks; it tells by `tell`.
        clock: Likewise from `revive`.
        journal: Where what happens is kept; None to keep nothing.
        notify: Delivers messages; it returns at once. None to drop them.
    """

    def __init__(
        self,
        region: Region,
        fleet: Fleet,
        clock: Clock,
        journal: Journal | None,
        *,
        notify: Callable[[Notify], None] | None = None,
    ) -> None:
        self._region = region
        self._fleet = fleet
        self._clock = clock
        self._journal = journal
        self._notify = notify
        #: Held while anything happens to the region.
        self._lock = threading.RLock()
        #: Held through a journey of time: there is one at a time.
        self._travel = threading.Lock()
        #: When the thread looks again by itself; None for not at all.
        self._looks_us: int | None = None
        #: Guards the inbox and what is below; held for moments only, so that `tell` may be called from anywhere.
        self._told = threading.Condition()
        self._inbox: deque[Input] = deque()
        #: The thread that is in `Fleet.apply`.
        self._handing_over = 0
        self._woken = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)

    # Life.

    def start(self) -> None:
        """Take over what an earlier process left in the fleet, ask again for what was not done, and let time pass."""
        with self._lock:
            self._fleet.adopt(self._region.state.instances)
            self._hand_over(outstanding(self._region))
        self._thread.start()

    def stop(self) -> None:
        """Let nothing more happen. The fleet stays as it is."""
        with self._told:
            self._stopped = True
            self._told.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        with self._lock:
            if self._journal:
                self._journal.close()
                self._journal = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What happens.

    def call(self, service: str, operation: str, request: Request, render: Callable[[Answer], T]) -> T:
        """Carry out a call of the API.

        Args:
            service: As botocore names it.
            operation: Likewise.
            request: Its parameters.
            render: Makes of the answer what is needed, while nothing else happens: the answer shares what it says with
                the region's state.

        Returns:
            What `render` made.

        Raises:
            ServiceError: It is refused.
            KeyError: It is not modelled.
            RecordError: It could not be kept.
        """
        if (service, operation) not in OPERATIONS:
            raise KeyError(service, operation)
        with self._lock:
            now_us = self._clock.now_us()
            # What breaks off is a defect of the model, and may have changed something: it is kept like what succeeds.
            changes = (service, operation) not in READS
            try:
                return render(self._region.call(now_us, service, operation, request))
            except ServiceError:
                changes = False
                raise
            finally:
                self._settle(now_us, Called(now_us, service, operation, dict(request)) if changes else None)

    def tell(self, fact: Input) -> None:
        """Take in a fact; from any thread, and at once."""
        with self._told:
            self._inbox.append(fact)
            # What is told while actions are handed over is taken in right after that.
            if self._handing_over != threading.get_ident():
                self._told.notify_all()

    def look(self, read: Callable[[State], T]) -> T:
        """Read the state while nothing happens to it.

        Args:
            read: Must not keep or change what it is given.
        """
        with self._lock:
            return read(self._region.state)

    # Time.

    @property
    def clock(self) -> Clock:
        """The time of the region; only `advance` sets it forward."""
        return self._clock

    def advance(self, duration_s: float, *, patience_s: float = PATIENCE_S) -> int:
        """Let time pass faster than it does, from one moment when something is due to the next.

        Before each the fleet is waited for until nothing is under way, while the clock stands still: what takes
        containers seconds takes no time of the region's, and every length of a journey gives the same.

        Args:
            duration_s: How far to go; a year at most.
            patience_s: How long the fleet may take each time.

        Returns:
            The time then, in microseconds since 1970.

        Raises:
            NotReadyError: The fleet took longer. The time is what it had come to.
            ValueError: It is too far, or back.
        """
        if not 0 <= duration_s <= JOURNEY_S_MAX:
            raise ValueError(f"time goes forward, by {JOURNEY_S_MAX:.0f} seconds at most, not by {duration_s}")
        with self._travel:
            try:
                with self._clock.hold():
                    end_us = self._clock.now_us() + round(duration_s * SECOND_US)
                    self._travel_to(end_us, patience_s)
                    return end_us
            finally:
                with self._lock:
                    self._keep(Moved(self._clock.offset_us))
                self._wake()

    def wait_idle(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until nothing is under way: no action of the fleet's, and no fact that was not taken in.

        Raises:
            NotReadyError: Something still is when `patience_s` are over.
        """
        until_s = time.monotonic() + patience_s
        pause_s = 0.001
        while self._anything():
            if time.monotonic() > until_s:
                raise NotReadyError(
                    "a fleet with nothing under way",
                    waited_s=patience_s,
                    last=self._fleet.under_way() or "facts that were not taken in",
                )
            time.sleep(pause_s)
            pause_s = min(0.05, 2 * pause_s)

    def _travel_to(self, end_us: int, patience_s: float) -> None:
        while True:
            self.wait_idle(patience_s)
            with self._lock:
                due_us = self._region.due_us()
                self._clock.forward_to(end_us if due_us is None else min(end_us, due_us))
                self._step([])
                self._wake_in_time()
            if self._clock.now_us() >= end_us and not self._anything():
                return

    def _anything(self) -> bool:
        """Whether something is under way. In this order: an answer is told before the fleet is not busy any more."""
        if self._fleet.busy():
            return True
        with self._told:
            waiting = bool(self._inbox)
        with self._lock:
            due_us = self._region.due_us()
            return waiting or (due_us is not None and due_us <= self._clock.now_us())

    # Within.

    def _run(self) -> None:
        while True:
            self._take_in()
            with self._told:
                if not (self._stopped or self._inbox or self._woken):
                    self._told.wait(self._wait_s())
                if self._stopped:
                    return

    def _take_in(self) -> None:
        """Take in what was told, and do what is due."""
        with self._lock:
            with self._told:
                self._woken = False
            try:
                self._step(self._told_since())
            except Exception:
                # A defect in one thing must not end the thread, and with it time: what is due next happens.
                log.exception("what was due or told was not taken in as it should be")
            self._looks_us = self._region.due_us()

    def _told_since(self) -> list[Input]:
        with self._told:
            inputs = list(self._inbox)
            self._inbox.clear()
        return inputs

    def _wait_s(self) -> float | None:
        """How long there is nothing to do; None when only a call, a fact or a journey can change that."""
        if self._looks_us is None:
            return None
        wait_s = self._clock.wait_s(self._looks_us)
        return None if wait_s and self._clock.held else wait_s

    def _wake(self) -> None:
        """Have the thread look what is due."""
        with self._told:
            self._woken = True
            self._told.notify_all()

    def _wake_in_time(self) -> None:
        """Wake the thread if something is due before it looks by itself; called with the region's lock."""
        due_us = self._region.due_us()
        if due_us is not None and (self._looks_us is None or due_us < self._looks_us):
            self._looks_us = due_us
            self._wake()

    def _step(self, inputs: Sequence[Input]) -> None:
        """Let time pass to now, and take facts in."""
        now_us = self._clock.now_us()
        due_us = self._region.due_us()
        if not inputs and (due_us is None or due_us > now_us):
            return
        actions: list[Action] = []
        try:
            actions = self._region.step(now_us, inputs)
        finally:
            self._keep(Stepped(now_us, list(inputs)))
        self._hand_over(actions)

    def _settle(self, now_us: int, entry: Entry | None) -> None:
        """Keep a call, hand over what it brought about, and see that what it made due is not overslept."""
        actions = self._region.step(now_us)
        if actions and entry is None:
            # Time had passed before the call, and brought them about.
            entry = Stepped(now_us)
        if entry:
            self._keep(entry)
        self._hand_over(actions)
        self._wake_in_time()

    def _keep(self, entry: Entry) -> None:
        if not self._journal:
            return
        self._journal.add(entry)
        if self._journal.wants_snapshot:
            self._journal.keep(Snapshot(self._clock.offset_us, self._region.state))

    def _hand_over(self, actions: Sequence[Action]) -> None:
        wanted = []
        for action in actions:
            if not isinstance(action, Notify):
                wanted.append(action)
            elif self._notify:
                self._notify(action)
        if not wanted:
            return
        self._handing_over = threading.get_ident()
        try:
            self._fleet.apply(wanted)
        finally:
            self._handing_over = 0
        # A fleet that answers at once needs no other thread.
        if self._inbox:
            self._step(self._told_since())


def revive(journal: Journal, new: Callable[[], State]) -> tuple[Region, Clock]:
    """The region and clock that a journal says there were, or new ones.

    Args:
        journal: Just opened.
        new: Makes the state of a region that never was before.

    Raises:
        RecordError: The journal cannot be read, or it is not the model's that reads it.
    """
    snapshot = journal.snapshot()
    if snapshot is None:
        snapshot = Snapshot(offset_us=0, state=new())
        journal.begin(snapshot)
    region, offset_us = Region(snapshot.state), snapshot.offset_us
    for entry in journal.entries():
        if isinstance(entry, Moved):
            offset_us = entry.offset_us
        else:
            _happen(region, entry)
    clock = Clock(offset_us)
    # The system's clock may have been set back in between; the region's time does not go back.
    clock.forward_to(region.now_us)
    return region, clock


def _happen(region: Region, entry: Called | Stepped) -> None:
    """Let happen again what an entry says. What it asks of the world was asked then, or is found to be outstanding."""
    try:
        if isinstance(entry, Called):
            region.call(entry.now_us, entry.service, entry.operation, entry.request)
            region.step(entry.now_us)
        else:
            region.step(entry.now_us, entry.inputs)
    except ParityError:
        raise
    except Exception:
        # It is replayed because it may have changed something; that it breaks off again is what makes it the same.
        log.exception("broke off when it happened first, and does again: %r", entry)
