"""Small literal histories for the tests of the checks. Times are seconds; a run's phases are fixed.

0 s start    50 s heal    60 s drain    200 s census    210 s end
"""

from __future__ import annotations

from collections.abc import Iterable

from parity.check import Finding, judge
from parity.history.events import (
    Census,
    Delivery,
    Effect,
    Event,
    Fault,
    Found,
    Health,
    Instance,
    Phase,
    Point,
    Submit,
    Submitted,
)
from parity.scenario.properties import Properties

NOTHING = {
    "no_job_lost": False,
    "no_phantom": False,
    "effect_exactly_once": False,
    "drained_within": None,
    "conservation": False,
}


def us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def submitted(*jobs: int, outcome: str = "ok", at: float = 1) -> list[Event]:
    told: list[Event] = []
    for job in jobs:
        told += [Submit(t_us=us(at), job=job), Submitted(t_us=us(at), job=job, outcome=outcome)]
    return told


def delivered(job: int, worker: str = "a", at: float = 2) -> list[Event]:
    return [Delivery(t_us=us(at), job=job, worker=worker)]


def effect(job: int, count: int = 1, at: float = 3) -> list[Event]:
    return [Effect(t_us=us(at), job=job, count=count)]


def acknowledged(job: int, worker: str = "a", at: float = 4) -> list[Event]:
    return [Point(t_us=us(at), job=job, worker=worker, point="acknowledged")]


def done(*jobs: int, worker: str = "a", at: float = 2) -> list[Event]:
    told: list[Event] = []
    for job in jobs:
        told += delivered(job, worker, at)
        told += [Point(t_us=us(at), job=job, worker=worker, point="committed")]
        told += effect(job, at=at) + acknowledged(job, worker, at)
    return told


def exited(instance: str = "a", at: float = 10, code: int = 137) -> list[Event]:
    return [Instance(t_us=us(at), instance=instance, state="exited", exit_code=code)]


def fault(*on: str, phase: str = "applied", at: float = 10, index: int = 0, kind: str = "kill") -> list[Event]:
    return [Fault(t_us=us(at), fault=index, kind=kind, target="a worker", phase=phase, on=on)]


def proved_fault(*on: str, at: float = 10, index: int = 0, kind: str = "kill") -> list[Event]:
    steps = ("applying", "applied", "proved")
    return [event for step in steps for event in fault(*on, phase=step, at=at, index=index, kind=kind)]


def queued(*jobs: int) -> list[Event]:
    return [Found(t_us=us(201), job=job, place="queue", queue="jobs") for job in jobs]


def dead(*jobs: int) -> list[Event]:
    return [Found(t_us=us(201), job=job, place="dead_letter", queue="jobs.dead") for job in jobs]


def start(*parts: Iterable[Event]) -> list[Event]:
    return [Phase(t_us=0, phase="start"), *[event for part in parts for event in part]]


def ended(
    *parts: Iterable[Event],
    found: Iterable[Event] = (),
    complete: bool | None = True,
    counts: tuple[int, int] | None = None,
    healed: bool | None = True,
    end: bool = True,
    drain: bool = True,
) -> list[Event]:
    """A whole run: what happened before the drain, then each phase. Events after 60 s go into the drain."""
    told = [event for part in parts for event in part]
    found = list(found)
    places = [event.place for event in found if isinstance(event, Found)]
    n_queued, n_dead = counts or (places.count("queue"), places.count("dead_letter"))
    history = start([event for event in told if event.t_us < us(60)])
    if healed is not None:
        history += [Health(t_us=us(59), healed=healed, detail="" if healed else "node b is down")]
    if drain:
        history += [Phase(t_us=us(60), phase="drain", deadline_us=us(120))]
    history += [event for event in told if event.t_us >= us(60)]
    history += [Phase(t_us=us(200), phase="census"), *found]
    if complete is not None:
        reason = "" if complete else "queue jobs has no leader"
        history += [Census(t_us=us(205), complete=complete, queued=n_queued, dead_lettered=n_dead, reason=reason)]
    if end:
        history += [Phase(t_us=us(210), phase="end")]
    return history


def find(history: Iterable[Event], name: str, claim: object = True, **more: object) -> Finding:
    """The finding of one property."""
    findings = judge(history, Properties(**{**NOTHING, name: claim, **more})).findings
    return next(finding for finding in findings if finding.property == name)


def said(finding: Finding) -> tuple[str, int, tuple[int, ...]]:
    return finding.verdict.value, finding.count, finding.witnesses
