"""The ledger: everything the properties need to know of a history, gathered in one pass over its events.

The pass takes time in proportion to the events. Its memory grows with the jobs that are open, orphaned, late
or odd, not with those that are finished; an application that never tells its acknowledgements leaves its jobs
held, and so open, where `redelivered_within` is claimed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from parity.check.accounts import (
    DEAD,
    DELIVERED,
    DUPLICATED,
    EFFECT,
    FAIL,
    INFO,
    OK,
    QUEUED,
    SUBMITTED,
    VANISHED,
    Accounts,
)
from parity.check.custody import Custody
from parity.check.scaling import Scaling
from parity.check.terminations import Terminations
from parity.history.events import (
    Census,
    Delivery,
    Effect,
    Event,
    Fault,
    Found,
    Health,
    Instance,
    Phantom,
    Phase,
    Point,
    Submit,
    Submitted,
)

_OUTCOMES = {"ok": OK, "fail": FAIL, "info": INFO}
_PLACES = {"queue": QUEUED, "dead_letter": DEAD}

_DELIVERED_TWICE = 2 * DELIVERED

#: Later than anything: a history's times are microseconds in 64 bits.
NEVER_US = 1 << 63


class Ledger:
    """One pass over a history.

    Args:
        drained_within_us: Microseconds after the start of the drain from which a job is late; None takes the
            deadline that the drain's own event carries.
        watch_custody: Whether anybody will ask who held which job.
    """

    def __init__(self, *, drained_within_us: int | None = None, watch_custody: bool = True) -> None:
        self.accounts = Accounts()
        self.custody = Custody()
        self.terminations = Terminations(self.custody)
        self.scaling = Scaling(self.terminations)
        #: When each phase was entered, in microseconds.
        self.phases: dict[str, int] = {}
        self.census: Census | None = None
        self.health: Health | None = None
        #: `Found` events by place.
        self.found: Counter[str] = Counter()
        #: `Phantom` events by what carried the identity, and the first identities.
        self.phantoms: Counter[str] = Counter()
        self.phantom_identities: list[str] = []
        #: `Fault` events by (index of the step, phase), and each step's kind and target.
        self.fault_phases: Counter[tuple[int, str]] = Counter()
        self.fault_names: dict[int, str] = {}
        #: Jobs whose first effect was seen only after the drain's deadline; whatever their submit's outcome.
        self.late: set[int] = set()
        #: The last first effect of a job submitted ok that was seen during the drain, in microseconds.
        self.last_effect_us: int | None = None
        #: When the last event happened.
        self.end_us = 0
        self._drained_within_us = drained_within_us
        self._late_from_us = NEVER_US
        self._watch_custody = watch_custody
        self._submitted_max = -1
        self._rare: dict[type, Callable[[Any], None]] = {
            Phantom: self._phantom,
            Found: self._found,
            Census: self._census,
            Fault: self._fault,
            Instance: self._instance,
            Health: self._health,
            Phase: self._phase,
        }
        for kind, handle in self.scaling.handlers.items():
            self._rare[kind] = self._of_the_group(handle)

    @property
    def truncated(self) -> bool:
        """Whether the history stops before its end: whatever wrote it died, or it is still being written."""
        return "end" not in self.phases

    def fold(self, events: Iterable[Event]) -> None:  # noqa: C901, PLR0912, PLR0915
        """Enter events, in the order of the history."""
        # The five events that make up nearly all of a history are handled in the loop itself and told apart
        # by identity of their class: a call an event would cost more than what is done with it.
        accounts, custody, rare = self.accounts, self.custody, self._rare.get
        scaling = self.scaling
        holders, orphans, gone = custody.holders, custody.orphans, custody.gone
        submitted_max = self._submitted_max
        draining, acknowledging = "drain" in self.phases, custody.acknowledging
        event: Any = None
        for event in events:
            kind = type(event)
            if kind is Point:
                if event.point == "acknowledged":
                    job = event.job
                    acknowledging = True
                    if holders.get(job) == event.worker:
                        del holders[job]
                        if job in orphans:
                            custody.acknowledged(job, event.worker)
                    else:
                        self.terminations.acknowledged(job, event.worker)
                elif event.point == "rejected" and holders.get(event.job) == event.worker:
                    del holders[event.job]
            elif kind is Delivery:
                job = event.job
                worker = event.worker
                accounts[job] = account = accounts[job] + DELIVERED
                if account >= _DELIVERED_TWICE:
                    self._again(event)
                holders[job] = worker
                if gone and worker in gone:
                    custody.orphans[job] = event.t_us
            elif kind is Effect:
                job = event.job
                account = accounts[job]
                if draining or event.count != 1 or account & EFFECT:
                    self._effect(event, account)
                else:
                    accounts[job] = account | EFFECT
                    if account & OK:
                        scaling.backlog -= 1
            elif kind is Submit:
                job = event.job
                if job > submitted_max:
                    # A number above all others cannot have been put away, so nobody need look for it there.
                    submitted_max = job
                    accounts[job] = accounts.get(job, 0) | SUBMITTED
                else:
                    accounts[job] |= SUBMITTED
                if len(accounts) >= accounts.sweep_at:
                    self._sweep()
            elif kind is Submitted:
                account = accounts[event.job]
                accounts[event.job] = after = account | _OUTCOMES[event.outcome]
                if after & (OK | EFFECT) == OK and not account & OK:
                    scaling.backlog += 1
            else:
                handle = rare(kind)
                if handle is not None:
                    handle(event)
                    draining = "drain" in self.phases
        self._submitted_max, custody.acknowledging = submitted_max, acknowledging
        if event is not None:
            self.end_us = event.t_us

    def _sweep(self) -> None:
        if not self._watch_custody:
            self.custody.holders.clear()
        self.accounts.sweep(self.custody.holders)

    def _effect(self, event: Effect, account: int) -> None:
        """An effect that is not simply a job's first one before the drain."""
        if event.count == 0:
            if account & EFFECT:
                self.accounts[event.job] = (account & ~EFFECT) | VANISHED
                self.scaling.backlog += account & OK != 0
                self.late.discard(event.job)
            return
        if account & (OK | EFFECT) == OK:
            self.scaling.backlog -= 1
        if "drain" in self.phases and not account & EFFECT:
            if account & OK:
                self.last_effect_us = event.t_us
            if event.t_us > self._late_from_us:
                self.late.add(event.job)
        self.accounts[event.job] = account | EFFECT | (DUPLICATED if event.count > 1 else 0)

    def _phantom(self, event: Phantom) -> None:
        self.phantoms[event.seen] += 1
        if len(self.phantom_identities) < 3:
            self.phantom_identities.append(event.identity)

    def _found(self, event: Found) -> None:
        self.found[event.place] += 1
        self.accounts[event.job] |= _PLACES[event.place]

    def _census(self, event: Census) -> None:
        self.census = event

    def _health(self, event: Health) -> None:
        self.health = event

    def _phase(self, event: Phase) -> None:
        self.phases.setdefault(event.phase, event.t_us)
        if event.phase == "drain":
            bound_us = self._drained_within_us
            self._late_from_us = event.t_us + bound_us if bound_us is not None else event.deadline_us or NEVER_US

    def _again(self, event: Delivery) -> None:
        """A job is delivered again; whoever has it still has it in the custody."""
        self.custody.redelivered(event.job, event.worker, event.t_us)
        holder = self.custody.holders.get(event.job, "")
        if holder != event.worker:
            self.terminations.redelivered(event.job, holder)

    def _fault(self, event: Fault) -> None:
        self.fault_phases[event.fault, event.phase] += 1
        self.fault_names.setdefault(event.fault, f"{event.kind} on {event.target}")
        self.terminations.fault(event)
        if event.phase == "applied" and not self._watch_is_over:
            self.custody.hits += 1
            for name in event.on:
                self.custody.hit(name, event.t_us)
        elif event.phase == "healed":
            for name in event.on:
                self.custody.heal(name)
        elif event.phase == "applying":
            for name in event.on:
                self.custody.aim(name, event.t_us)
        elif event.phase == "failed":
            for name in event.on:
                self.custody.missed(name)

    def _of_the_group(self, handle: Callable[[Any], None]) -> Callable[[Any], None]:
        """The same until the watch is over."""
        return lambda event: None if self._watch_is_over else handle(event)

    def _instance(self, event: Instance) -> None:
        if not self._watch_is_over:
            self.scaling.instance(event)
        if event.state in ("starting", "running"):
            self.custody.gone.discard(event.instance)
        elif event.state == "exited" and not self._watch_is_over:
            self.terminations.exited(event)
            self.custody.hits += 1
            self.custody.gone.add(event.instance)
            self.custody.hit(event.instance, event.t_us)

    @property
    def _watch_is_over(self) -> bool:
        # The census stops the workers and empties the queues itself: no job it touches can be redelivered.
        return "census" in self.phases
