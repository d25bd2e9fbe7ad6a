"""The lives of jobs, event by event, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from parity.check.accounts import DEAD, EFFECT, QUEUED
from parity.check.ledger import Ledger
from parity.history.events import Delivery, Effect, Event, Fault, Found, Instance, Point, Submit, Submitted
from parity.report.data import FaultSpan, Kind, Life, Line, Timeline

_LINES_MAX = 40
_AROUND_MAX = 8
#: A fault healed sooner, such as a kill with nothing to undo, is told of once.
_LASTING_US = 10_000
_POINTS = {
    "committed": "committed the job's effect",
    "acknowledged": "acknowledged the job: the broker may forget it",
    "rejected": "gave the job back to the broker",
}
_OUTCOMES = {
    "ok": "Submitted ok, says the producer: from here on it must not get lost.",
    "fail": "Refused: certainly not enqueued",
    "info": "Outcome unknown: it may have been enqueued or not",
}
_ENDS: Mapping[Kind, str] = {
    "lost": "Every queue was read to its end and the effects were counted: no message, no effect. The job is lost.",
    "unaccounted": "No effect and no message was seen, but the census is not complete: it may be lost or not.",
    "stuck": "No effect when the drain was over, and the message is still there: stuck, not lost.",
    "unknown": "No effect and no message was seen. That is no loss: the outcome never promised one.",
}


class Storyteller:
    """Tells lives of one run.

    Args:
        timeline: What happened around them.
        job_id: The pattern that makes a job's identity from its number.
        ledger: Of the same history.
    """

    def __init__(self, timeline: Timeline, *, job_id: str, ledger: Ledger) -> None:
        self._timeline = timeline
        self._job_id = job_id
        self._ledger = ledger
        self._over_us = ledger.census.t_us if ledger.census else timeline.end_us
        self._census_us = ledger.phases.get("census", timeline.end_us)

    def tell(self, job: int, events: list[Event], kinds: Iterable[Kind], witness_of: Iterable[str] = ()) -> Life:
        """A job's life.

        Args:
            job: Its number.
            events: Everything the history tells of it, in order.
            kinds: Why it is told.
            witness_of: The properties whose findings name it.
        """
        kinds = tuple(kinds)
        lines = _own_lines(events, self._census_us)
        ends = [_ENDS[kind] for kind in kinds if kind in _ENDS and self._applies(kind, job)]
        last_us = self._over_us if ends or not lines else lines[-1].t_us
        first_us = lines[0].t_us if lines else 0
        told = {(event.fault, event.t_us) for event in events if isinstance(event, Fault)}
        lines = sorted([*lines, *self._around(first_us, last_us, told)], key=lambda line: line.t_us)
        lines = _shortened(lines)
        lines += [Line(t_us=self._over_us, who="census", what=end, role="end") for end in ends]
        return Life(
            job=job, identity=self._identity(job), kinds=kinds, witness_of=tuple(witness_of), lines=tuple(lines)
        )

    def _applies(self, kind: Kind, job: int) -> bool:
        """Nothing is left to say of a job of unknown outcome that was seen again."""
        return kind != "unknown" or not self._ledger.accounts[job] & (EFFECT | QUEUED | DEAD)

    def _identity(self, job: int) -> str:
        try:
            return self._job_id.format(number=job) or f"job {job}"
        except (KeyError, IndexError, ValueError):
            return f"job {job}"

    def _around(self, first_us: int, last_us: int, told: set[tuple[int, int]]) -> list[Line]:
        """What was applied and healed during a life, besides what its own events tell already."""
        lines = []
        for fault in self._timeline.faults:
            if not fault.breaks or fault.applied_us is None:
                continue
            if first_us <= fault.applied_us <= last_us and (fault.fault, fault.applied_us) not in told:
                lines.append(_around_line(fault.applied_us, fault, "was applied"))
            lasted = fault.end_us - fault.applied_us >= _LASTING_US
            if fault.healed and lasted and first_us <= fault.end_us <= last_us:
                lines.append(_around_line(fault.end_us, fault, "was healed"))
        return lines[:_AROUND_MAX]


def _around_line(t_us: int, fault: FaultSpan, what: str) -> Line:
    on = f" ({', '.join(fault.on)})" if fault.on else ""
    return Line(t_us=t_us, who="fault", what=f"Meanwhile: {fault_name(fault)}{on} {what}.", role="around")


def fault_name(fault: FaultSpan | Fault) -> str:
    """A step by kind and target."""
    return f"{fault.kind.replace('_', ' ')} {fault.target}".strip()


def _own_lines(events: list[Event], census_us: int) -> list[Line]:
    lines = []
    delivered = 0
    given_back = False
    for event in events:
        if isinstance(event, Fault | Instance) and given_back:
            continue
        if isinstance(event, Delivery | Point):
            given_back = isinstance(event, Point) and event.point == "rejected"
        delivered += isinstance(event, Delivery)
        who, what = _WORDS[type(event)](event, delivered)
        if isinstance(event, Instance) and event.t_us >= census_us:
            what = "Ended by parity for the census, while it held the job."
        role: Literal["own", "holder"] = "holder" if isinstance(event, Fault | Instance) else "own"
        lines.append(Line(t_us=event.t_us, who=who, what=what, role=role))
    return lines


def _shortened(lines: list[Line]) -> list[Line]:
    if len(lines) <= _LINES_MAX:
        return lines
    half = _LINES_MAX // 2
    gone = lines[half:-half]
    gap = Line(t_us=gone[0].t_us, who="", what=f"{len(gone)} more events are left out here.", role="gap")
    return [*lines[:half], gap, *lines[-half:]]


def _submit(event: Submit, _: int) -> tuple[str, str]:
    kind = f" as a job of the kind {event.kind}" if event.kind else ""
    return "producer", f"Handed over to be submitted{kind}."


def _submitted(event: Submitted, _: int) -> tuple[str, str]:
    what = _OUTCOMES[event.outcome]
    if event.outcome == "ok":
        return "producer", what
    return "producer", f"{what} ({event.reason})." if event.reason else f"{what}."


def _delivery(event: Delivery, number: int) -> tuple[str, str]:
    what = "Delivered" if number == 1 else f"Delivered again, for the {_ordinal(number)} time"
    if event.redelivered is None:
        return event.worker, f"{what}."
    flag = "flags it as redelivered" if event.redelivered else "does not flag it as redelivered"
    return event.worker, f"{what}; the broker {flag}."


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _point(event: Point, _: int) -> tuple[str, str]:
    words = _POINTS.get(event.point, f"passed the point `{event.point}`")
    return event.worker, f"{words[0].upper()}{words[1:]}."


def _effect(event: Effect, _: int) -> tuple[str, str]:
    if event.count == 0:
        return "effects", "Counted: its effect is gone."
    if event.count == 1:
        return "effects", "Counted: one effect. The job is done."
    return "effects", f"Counted: {event.count} effects. The job was done more than once."


def _found(event: Found, _: int) -> tuple[str, str]:
    place = "the queue" if event.place == "queue" else "the dead-letter queue"
    return "census", f"Its message was found in {place} {event.queue}."


def _exited(event: Instance, _: int) -> tuple[str, str]:
    code = "" if event.exit_code is None else f" with exit code {event.exit_code}"
    reason = f" ({event.reason})" if event.reason else ""
    return event.instance, f"Exited{code}{reason}, while it held the job."


def _applied(event: Fault, _: int) -> tuple[str, str]:
    return "fault", f"{fault_name(event).capitalize()} was applied to {', '.join(event.on)}, which held the job."


_WORDS: dict[type, Callable[[Any, int], tuple[str, str]]] = {
    Submit: _submit,
    Submitted: _submitted,
    Delivery: _delivery,
    Point: _point,
    Effect: _effect,
    Found: _found,
    Instance: _exited,
    Fault: _applied,
}
