"""Conformance: whether all that a history shows of each job is something that the contract allows.

One pass. For each job the set of lives it may have had is kept; a thing seen strikes out those that do not fit it,
and where none is left the stack did what the contract forbids. Before that is said the job's events are tried in every
order in which they can have happened: sources are recorded by threads of their own, and one may be ahead of another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from parity.check.intervals import Intervals
from parity.check.reorder import first_misfit, lives_in_any_order, touches
from parity.check.verdict import Verdict
from parity.history.events import Census, Delivery, Effect, Event, Found, Phase, Point, Submit, Submitted
from parity.model.contract import LATENESS_US, Automaton, Contract, Node, Surroundings
from parity.model.contract.automaton import ENDED, FOUND, SUBMIT
from parity.model.contract.circumstances import Circumstance, Together
from parity.model.contract.describe import describe_event, describe_lives
from parity.model.contract.surroundings import NEVER_US

#: How many jobs may be open before the finished ones among them are put away.
SWEEP_JOBS = 4096
#: How many differences are kept with the job's life; the others are only counted.
DIFFERENCES_MAX = 100


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the stack did and the contract forbids."""

    job: int
    #: When it was seen, in microseconds since the run began.
    t_us: int
    #: The rule that it breaks, by its name in `RULES`.
    rule: str
    #: What the job's state may have been, in words.
    expected: str
    #: What was seen, in words.
    observed: str
    #: The job's events up to there. Those of a job that was finished long before are left out.
    life: tuple[Event, ...] = ()


class Conformance(msgspec.Struct, frozen=True, kw_only=True):
    """How a history stands to a contract."""

    verdict: Verdict
    #: One sentence.
    reason: str
    #: What the stack did and the contract forbids: one for each job, the first thing seen of it.
    differences: tuple[Difference, ...] = ()
    #: How many there are; more than are kept where there are many.
    count: int = 0
    #: Jobs that did what a known deviation says, by its id.
    known: dict[str, int] = {}
    #: How often each branch was shown for certain, and how often it may have been.
    branches: dict[str, int] = {}
    possible: dict[str, int] = {}
    jobs: int = 0
    events: int = 0


def conformance(events: Iterable[Event], contract: Contract) -> Conformance:
    """Hold a history against a contract.

    Args:
        events: The history, in its order; read once, and never held.
        contract: What the stack promises.

    Returns:
        Violated with the differences, or holds; unknown where the history is cut off, or its settings are not covered.

    Raises:
        RecordError: The events come from a file that cannot be read.
    """
    uncovered = contract.uncovered()
    if uncovered:
        reason = f"the contract does not cover {', '.join(uncovered)}"
        return Conformance(
            verdict=Verdict.UNKNOWN,
            reason=reason,
            differences=(),
            count=0,
            known={},
            branches={},
            possible={},
            jobs=0,
            events=0,
        )
    check = _Filter(contract)
    check.fold(events)
    return check.result()


class _Filter:
    """The open jobs of a history: for each the node it is at, and what was seen of it."""

    def __init__(self, contract: Contract) -> None:
        self._automaton = Automaton(contract)
        self._surroundings = Surroundings(contract.settings, contract.policies)
        #: For each open job the node it is at, the node it began at, and its events since; in the order of opening.
        self._open_jobs: dict[int, list[Any]] = {}
        self._put_away: dict[Node, Intervals] = {}
        self._job_max = -1
        self._sweep_at = SWEEP_JOBS
        #: Jobs of which an event fits no life, with the time by which an explanation must be there, in order.
        self._disputed: dict[int, int] = {}
        #: Jobs that differed: nothing more is asked of them.
        self._lost: set[int] = set()
        self._differences: list[Difference] = []
        self._deviations = contract.deviations
        self._known: Counter[str] = Counter()
        #: What is so at present, and all that ever was at a time.
        self._active: Together | None = None
        self._together: dict[tuple[Circumstance, ...], Together] = {}
        self._look_us = 0
        self._census: Census | None = None
        self._ended = False
        self._jobs = self._events = 0
        #: Jobs of which a complete census would have been needed.
        self._undecided = 0

    def fold(self, events: Iterable[Event]) -> None:  # noqa: C901
        """Take in events, in the order of the history."""
        # As in the ledger, what is done for nearly every event stands in the loop itself: a call would cost more.
        find, nowhere = self._open_jobs.get, self._automaton.nowhere
        count = 0
        symbol: Any
        event: Any
        for event in events:
            count += 1
            kind = type(event)
            if kind is Point:
                symbol = (event.point, event.worker)
            elif kind is Delivery:
                symbol = (event.redelivered, event.worker)
            elif kind is Effect:
                symbol = event.count
            elif kind is Submitted:
                symbol = event.outcome
            elif kind is Submit:
                symbol = (event.kind, SUBMIT)
            elif kind is Found:
                symbol = (event.place, FOUND)
            else:
                self._rare(event)
                continue
            record = find(event.job)
            if record is None:
                record = self._open(event.job)
            record.append(event)
            edge = record[0][symbol]
            edge.count += 1
            record[0] = node = edge.target
            if event.t_us >= self._look_us or node is nowhere:
                self._look(event, record)
            elif self._active is not None and (
                kind is Delivery or kind is Submit or (kind is Point and event.point != "committed")
            ):
                record[0] = node[self._active].target
        self._events += count

    def _open(self, job: int) -> list[Any]:
        """Take up a job that was not heard of, or one that was put away."""
        start = self._automaton.start
        if job > self._job_max:
            # A number above all others cannot have been put away, so nobody need look for it there.
            self._job_max = job
            self._jobs += 1
        else:
            away = (node for node, jobs in self._put_away.items() if jobs.discard(job))
            node = next(away, None)
            self._jobs += node is None
            # A node is a mapping, and false before its first step.
            start = start if node is None else node
        record = self._open_jobs[job] = [start, start]
        return record

    def _look(self, event: Any, record: list[Any]) -> None:
        """An event that fits no life, or the time at which something ends."""
        if record[0] is self._automaton.nowhere:
            if event.job in self._lost:
                return
            self._disputed.setdefault(event.job, event.t_us + LATENESS_US)
        self._pass(event.t_us)
        if self._active is not None and touches(event):
            record[0] = record[0][self._active].target

    def _pass(self, t_us: int) -> None:
        """Time has come to a moment: what is so now, which disputes are over, what can be put away."""
        while (job := next(iter(self._disputed), None)) is not None and self._disputed[job] < t_us:
            self._settle(job, t_us)
        if len(self._open_jobs) >= self._sweep_at:
            self._sweep(t_us)
        active, until_us = self._surroundings.now(t_us)
        self._active = self._together.setdefault(active, Together(active)) if active else None
        first_us = next(iter(self._disputed.values()), NEVER_US)
        self._look_us = min(until_us + 1, first_us + 1, t_us + LATENESS_US)

    def _rare(self, event: Event) -> None:
        for circumstance in self._surroundings.follow(event):
            self._reach(circumstance, event.t_us)
        if isinstance(event, Census):
            self._census = event
        elif isinstance(event, Phase):
            self._ended = self._ended or event.phase == "end"
        self._pass(event.t_us)

    def _reach(self, circumstance: Circumstance, t_us: int) -> None:
        """A circumstance comes over all open jobs; acknowledgements of long before have arrived by then."""
        before_us = t_us - LATENESS_US
        for record in self._open_jobs.values():
            node = record[0]
            arrived = node.acknowledging and record[-1].t_us < before_us
            record[0] = (node.settled() if arrived else node)[circumstance].target

    def _settle(self, job: int, t_us: int) -> None:
        """A dispute is over: either the job's events fit in some order, or it differs."""
        del self._disputed[job]
        record = self._open_jobs[job]
        _, start, *events = record
        record[0] = node = lives_in_any_order(start, events, self._surroundings, t_us)
        if not node.lives:
            self._differ(job, start, events)

    def _differ(self, job: int, start: Node, events: list[Event]) -> None:
        self._lost.add(job)
        if len(self._lost) > DIFFERENCES_MAX and not self._deviations:
            return
        at, expected, rule = first_misfit(start, events, self._surroundings)
        event = events[at]
        life = tuple(events[: at + 1])
        self._tell(job, rule, expected, describe_event(event), t_us=event.t_us, life=life)

    def _tell(self, job: int, rule: str, expected: Node, observed: str, *, t_us: int, life: tuple[Event, ...]) -> None:
        """Keep a difference, or count it where it is a known deviation."""
        if rule in self._deviations:
            self._known[self._deviations[rule]] += 1
        elif len(self._differences) < DIFFERENCES_MAX:
            self._differences.append(
                Difference(
                    job=job,
                    t_us=t_us,
                    rule=rule,
                    expected=describe_lives(expected.lives),
                    observed=observed,
                    life=life,
                )
            )

    def _sweep(self, t_us: int) -> None:
        """Put away the jobs that were finished long enough ago for nothing to be on its way any more."""
        before_us = t_us - LATENESS_US
        groups: dict[Node, list[int]] = {}
        for job, record in self._open_jobs.items():
            if record[2].t_us >= before_us:
                break  # It was opened since, and so were all that follow.
            if record[0].finished and record[-1].t_us < before_us:
                groups.setdefault(record[0], []).append(job)
        for node, jobs in groups.items():
            for job in jobs:
                del self._open_jobs[job]
            jobs.sort()
            self._put_away.setdefault(node.settled(), Intervals()).add_sorted(jobs)
        # A quarter more than are open: each job is looked at a few times.
        self._sweep_at = len(self._open_jobs) + max(SWEEP_JOBS, len(self._open_jobs) // 4)

    def result(self) -> Conformance:
        """What the whole history comes to."""
        for job in list(self._disputed):
            self._settle(job, NEVER_US)
        for job, node, count in self._last():
            self._end(job, node, count)
        certain, possible = self._automaton.shown()
        verdict, reason = self._verdict()
        return Conformance(
            verdict=verdict,
            reason=reason,
            differences=tuple(sorted(self._differences, key=lambda difference: difference.t_us)),
            count=len(self._lost) - self._known.total(),
            known=dict(self._known),
            branches=dict(certain),
            possible=dict(possible),
            jobs=self._jobs,
            events=self._events,
        )

    def _last(self) -> Iterator[tuple[int, Node, int]]:
        """Every job, or one of those that were put away alike, with where it is and how many they are."""
        yield from ((job, record[0], 1) for job, record in self._open_jobs.items() if job not in self._lost)
        for node, jobs in self._put_away.items():
            if len(jobs):
                yield next(iter(jobs)), node, len(jobs)

    def _end(self, job: int, node: Node, count: int) -> None:
        edge = node[ENDED]
        if self._census is not None and self._census.complete:
            edge.count += count
            if not edge.target.lives:
                self._lost.add(job)
                observed = "the complete census found no more of it"
                life = tuple(self._open_jobs.get(job, [])[2:])
                self._tell(job, edge.denied[0], node, observed, t_us=self._census.t_us, life=life)
        elif not edge.target.lives:
            self._undecided += 1

    def _verdict(self) -> tuple[Verdict, str]:
        different = len(self._lost) - self._known.total()
        if different:
            return Verdict.VIOLATED, f"{different} of {self._jobs} jobs did what the contract forbids"
        if self._surroundings.unknown:
            return Verdict.UNKNOWN, f"a policy was set that the contract does not know: {self._surroundings.unknown[0]}"
        if not self._ended:
            return Verdict.UNKNOWN, "the history stops before its end; up to there, nothing differs"
        if self._undecided:
            return Verdict.UNKNOWN, f"what became of {self._undecided} jobs only a complete census could tell"
        if not self._jobs:
            return Verdict.UNKNOWN, "there was no job"
        return Verdict.HOLDS, f"all {self._jobs} jobs did what the contract allows"
