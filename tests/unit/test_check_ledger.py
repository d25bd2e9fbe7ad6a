"""The streaming ledger against an obviously correct one that reads the history again for each question."""

from __future__ import annotations

from statistics import median

import pytest
from check_histories import delivered, done, effect, exited, submitted
from hypothesis import event as note
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parity.check import accounts, judge
from parity.check.accounts import SWEEP_ACCOUNTS
from parity.check.intervals import Intervals
from parity.check.ledger import Ledger
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
from parity.scenario.properties import Properties

SECOND = 1_000_000
CLAIMS = Properties(redelivered_within=5, delivery_limit=1, drained_within=8, not_vacuous=2)

jobs = st.integers(0, 5)
names = st.sampled_from("abc")
EVENTS = st.one_of(
    st.builds(Submit, t_us=st.just(0), job=jobs),
    st.builds(Submit, t_us=st.just(0), job=jobs),
    st.builds(Submitted, t_us=st.just(0), job=jobs, outcome=st.sampled_from(["ok", "ok", "ok", "fail", "info"])),
    st.builds(Submitted, t_us=st.just(0), job=jobs, outcome=st.just("ok")),
    st.builds(Delivery, t_us=st.just(0), job=jobs, worker=names),
    st.builds(Delivery, t_us=st.just(0), job=jobs, worker=names),
    st.builds(Point, t_us=st.just(0), job=jobs, worker=names, point=st.sampled_from(["acknowledged", "committed"])),
    st.builds(Effect, t_us=st.just(0), job=jobs, count=st.sampled_from([1, 1, 1, 0, 2])),
    st.builds(Found, t_us=st.just(0), job=jobs, place=st.sampled_from(["queue", "dead_letter"]), queue=st.just("q")),
    st.builds(Phantom, t_us=st.just(0), identity=st.just("x"), seen=st.just("queue")),
    st.builds(Instance, t_us=st.just(0), instance=names, state=st.sampled_from(["exited", "exited", "running"])),
    st.builds(
        Fault,
        t_us=st.just(0),
        fault=st.integers(0, 1),
        kind=st.just("pause"),
        target=st.just("t"),
        phase=st.sampled_from(["applying", "applied", "applied", "proved", "healed", "failed"]),
        on=st.lists(names, max_size=2).map(tuple),
    ),
)
# One job's ordinary life, so that there are finished jobs to put away and to open again.
LIVES = jobs.map(lambda job: submitted(job) + done(job))


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    parts = st.lists(EVENTS.map(lambda event: [event]) | LIVES, max_size=25)
    told: list[Event] = []
    for phase in ("faults", "drain", "census", "end"):
        told += [event for part in draw(parts) for event in part]
        if phase == "drain" and draw(st.booleans()):
            told.append(Health(t_us=0, healed=draw(st.booleans())))
        if draw(st.integers(0, 9)):
            told.append(Phase(t_us=0, phase=phase))
        if phase == "census" and draw(st.integers(0, 4)):
            queued, dead = [
                sum(isinstance(event, Found) and event.place == place for event in told)
                for place in ("queue", "dead_letter")
            ]
            surplus = draw(st.sampled_from([0, 0, 1]))
            told.append(Census(t_us=0, complete=draw(st.booleans()), queued=queued + surplus, dead_lettered=dead))
    now = 0
    timed = []
    for event in told:
        now += draw(st.integers(0, 2)) * SECOND
        timed.append(event.__class__(**{**{f: getattr(event, f) for f in event.__struct_fields__}, "t_us": now}))
    return timed


class Naive:
    """What a history says, asked of the whole history each time."""

    def __init__(self, history: list[Event]) -> None:
        self.history = history
        self.numbers = sorted({event.job for event in history if hasattr(event, "job")})
        self.census = next((e for e in reversed(history) if isinstance(e, Census)), None)
        self.health = next((e for e in reversed(history) if isinstance(e, Health)), None)
        self.drain = next((e.t_us for e in history if isinstance(e, Phase) and e.phase == "drain"), None)
        self.ended = any(isinstance(e, Phase) and e.phase == "end" for e in history)
        self.proof = self.census is not None and self.census.complete
        at = next((i for i, e in enumerate(history) if isinstance(e, Phase) and e.phase == "census"), None)
        self.watched = history if at is None else history[:at]
        self.watch_end = history[-1].t_us if at is None and history else history[at].t_us if history else 0

    def of(self, job: int, kind: type) -> list:
        return [event for event in self.history if isinstance(event, kind) and event.job == job]

    def outcome(self, job: int) -> str:
        outcomes = {event.outcome for event in self.of(job, Submitted)}
        return "ok" if "ok" in outcomes else "fail" if "fail" in outcomes else "info"

    def known(self, job: int) -> bool:
        return bool(self.of(job, Submit) or self.of(job, Submitted))

    def done(self, job: int) -> bool:
        effects = self.of(job, Effect)
        return bool(effects) and effects[-1].count > 0

    def found(self, job: int, place: str) -> bool:
        return any(event.place == place for event in self.of(job, Found))

    def deliveries(self, job: int) -> int:
        return len(self.of(job, Delivery))

    def ok(self) -> list[int]:
        return [job for job in self.numbers if self.outcome(job) == "ok"]

    def fate(self, job: int) -> str:
        if self.done(job):
            return "done"
        if self.found(job, "dead_letter"):
            return "dead"
        return "queued" if self.found(job, "queue") else "missing"

    def fated(self, fate: str) -> list[int]:
        return [job for job in self.ok() if self.fate(job) == fate]

    def late(self) -> list[int]:
        told = []
        for job in self.ok():
            count = 0
            for at, event in enumerate(self.history):
                if isinstance(event, Effect) and event.job == job:
                    first = count == 0 and event.count > 0
                    count = event.count
                    drain = [e for e in self.history[:at] if isinstance(e, Phase) and e.phase == "drain"]
                    if first and drain and event.t_us > drain[-1].t_us + 8 * SECOND and job not in told:
                        told.append(job)
        return [job for job in told if self.done(job)]

    def waits(self) -> tuple[list[tuple[int, int]], dict[int, int]]:  # noqa: C901, PLR0912 - a rule after another
        """Waits of orphaned jobs that were delivered again, and since when the others wait."""
        waits, orphaned = [], {}
        for job in self.numbers:
            holder, since, dead, healed, aimed = None, None, set(), set(), {}
            for at, event in enumerate(self.history):
                over = at >= len(self.watched)
                if isinstance(event, Delivery) and event.job == job:
                    if since is not None:
                        waits.append((event.t_us - since, job))
                    elif holder in aimed and holder != event.worker:
                        waits.append((event.t_us - aimed[holder], job))
                    holder, since = event.worker, event.t_us if event.worker in dead else None
                elif isinstance(event, Point) and event.job == job and event.point == "acknowledged":
                    if holder == event.worker:
                        holder = since = None
                elif isinstance(event, Instance) and event.state == "running":
                    dead.discard(event.instance)
                hit = []
                if isinstance(event, Instance) and event.state == "exited" and not over:
                    hit = [event.instance]
                    dead.add(event.instance)
                elif isinstance(event, Fault) and event.phase == "applied" and not over:
                    hit = list(event.on)
                elif isinstance(event, Fault) and event.phase == "healed":
                    healed.update(event.on)
                elif isinstance(event, Fault) and event.phase == "applying":
                    aimed.update(dict.fromkeys(event.on, event.t_us))
                elif isinstance(event, Fault) and event.phase == "failed":
                    aimed = {name: t_us for name, t_us in aimed.items() if name not in event.on}
                for name in hit:
                    if holder == name and (since is None or name in healed):
                        since = event.t_us
                    healed.discard(name)
                    aimed.pop(name, None)
            if since is not None:
                orphaned[job] = since
        return waits, orphaned


def expected(history: list[Event]) -> dict[str, tuple[str, set[int]]]:
    """Verdict and witnesses of each property."""
    naive = Naive(history)
    numbers, ok, missing = naive.numbers, naive.ok(), naive.fated("missing")
    told: dict[str, tuple[str, set[int]]] = {}

    told["no_job_lost"] = ("holds", set())
    if missing:
        told["no_job_lost"] = ("violated" if naive.proof else "unknown", set(missing))

    touched = [
        j for j in numbers if naive.deliveries(j) or naive.of(j, Found) or any(e.count for e in naive.of(j, Effect))
    ]
    strange = {j for j in touched if not naive.known(j)}
    strange |= {j for j in numbers if naive.done(j) and naive.outcome(j) == "fail"}
    phantoms = [event for event in history if isinstance(event, Phantom)]
    told["no_phantom"] = ("violated" if strange or phantoms else "holds", strange)

    twice = {j for j in numbers if any(event.count > 1 for event in naive.of(j, Effect))}
    anything = any(naive.done(j) for j in numbers)
    told["effect_exactly_once"] = ("violated" if twice else "holds" if anything else "unknown", twice)

    told["redelivered_within"] = expected_redelivery(naive)
    told["delivery_limit"] = expected_limit(naive)
    told["drained_within"] = expected_drain(naive)

    hits = any(isinstance(e, Instance) and e.state == "exited" for e in naive.watched)
    hits |= any(isinstance(e, Fault) and e.phase == "applied" for e in naive.watched)
    both = {
        j for j in ok if naive.found(j, "dead_letter") and ((naive.done(j) and not hits) or naive.found(j, "queue"))
    }
    if both:
        told["conservation"] = ("violated", both)
    elif not naive.proof:
        told["conservation"] = ("unknown", set())
    else:
        surplus = [
            getattr(naive.census, field) - sum(isinstance(e, Found) and e.place == place for e in history)
            for field, place in (("queued", "queue"), ("dead_lettered", "dead_letter"))
        ]
        agrees = min(surplus) >= 0 and sum(surplus) in (0, len(phantoms))
        told["conservation"] = ("violated", set(missing) if agrees else set())
        if agrees and not missing:
            told["conservation"] = ("holds", set())

    phases = [(e.fault, e.phase) for e in history if isinstance(e, Fault)]
    real = all(
        (step, "failed") not in phases
        and phases.count((step, "applied")) >= phases.count((step, "applying"))
        and phases.count((step, "proved")) >= max(phases.count((step, p)) for p in ("applying", "applied"))
        for step in (0, 1)
    )
    worked = any(naive.done(j) or naive.deliveries(j) for j in numbers)
    told["not_vacuous"] = ("holds" if real and worked and len(ok) >= 2 else "unknown", set())
    if not naive.ended:
        told = {name: ("unknown" if verdict == "holds" else verdict, who) for name, (verdict, who) in told.items()}
    return told


def expected_redelivery(naive: Naive) -> tuple[str, set[int]]:
    if not any(naive.deliveries(job) for job in naive.numbers):
        return "unknown", set()
    waits, orphaned = naive.waits()
    open_ = {job: s for job, s in orphaned.items() if not naive.done(job) and not naive.found(job, "dead_letter")}
    bad = {job for wait, job in waits if wait > 5 * SECOND}
    bad |= {job for job, since in open_.items() if naive.watch_end - since > 5 * SECOND}
    if bad:
        return "violated", bad
    if open_ or not waits:
        return "unknown", set(open_)
    return "holds", set()


def expected_limit(naive: Naive) -> tuple[str, set[int]]:
    if not any(naive.deliveries(job) for job in naive.numbers):
        return "unknown", set()
    beyond = {job for job in naive.numbers if naive.deliveries(job) > 2}
    if beyond:
        return "violated", beyond
    hits = sum(isinstance(e, Instance) and e.state == "exited" for e in naive.watched)
    hits += sum(isinstance(e, Fault) and e.phase == "applied" for e in naive.watched)
    hidden = {job: 2 - naive.deliveries(job) for job in naive.numbers if naive.found(job, "dead_letter")}
    if not hits and any(hidden.values()):
        return "violated", {job for job, n in hidden.items() if n}
    unexplained = {job for job, n in hidden.items() if n > hits}
    return ("unknown" if unexplained else "holds"), unexplained


def expected_drain(naive: Naive) -> tuple[str, set[int]]:
    if naive.drain is None:
        return "unknown", set()
    bad = {*naive.fated("queued"), *naive.late()}
    broken = any(isinstance(e, Fault) and e.phase == "applied" for e in naive.history)
    whole = naive.health.healed if naive.health else not broken
    if bad:
        return ("violated" if whole else "unknown"), bad
    missing = naive.fated("missing")
    if missing and not naive.proof:
        return "unknown", set(missing)
    return "holds", set()


@pytest.fixture(autouse=True, scope="module")
def eager_sweeps():
    """Put finished jobs away at nearly every submit, so that late events meet them there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "SWEEP_ACCOUNTS", 2)
        yield


@settings(max_examples=400, deadline=None)
@example([Effect(t_us=0, job=3, count=1), Effect(t_us=0, job=3, count=0)])
@given(histories())
def test_the_ledger_agrees_with_the_naive_one(history):
    judgement = judge(history, CLAIMS)
    for finding in judgement.findings:
        note(f"{finding.property} {finding.verdict.value}")
    told = {f.property: (f.verdict.value, set(f.witnesses)) for f in judgement.findings}
    assert told == expected(history)

    naive, tally = Naive(history), judgement.tally
    known = [job for job in naive.numbers if naive.known(job)]
    assert tally.ok == len(naive.ok())
    assert (tally.refused, tally.unknown) == (
        sum(naive.outcome(job) == "fail" for job in known),
        sum(naive.outcome(job) == "info" for job in known),
    )
    assert tally.effects == sum(naive.done(job) for job in naive.numbers)
    assert tally.redelivered == sum(max(0, naive.deliveries(job) - 1) for job in naive.numbers)
    assert tally.lost == (len(naive.fated("missing")) if naive.proof else 0)
    assert (tally.stuck, tally.late) == (len(naive.fated("queued")), len(naive.late()))
    assert tally.dead_lettered == sum(naive.found(job, "dead_letter") for job in naive.numbers)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), unique=True)), st.lists(st.integers(-2, 33)))
def test_intervals_are_a_set(added, discarded):
    intervals, plain = Intervals(), set()
    for numbers in added:
        new = sorted(set(numbers) - plain)
        intervals.add_sorted(new)
        plain.update(new)
        for number in discarded[: len(new)]:
            assert intervals.discard(number) is (number in plain)
            plain.discard(number)
        assert list(intervals) == sorted(plain)
        assert len(intervals) == len(plain)
        assert all((number in intervals) is (number in plain) for number in range(-2, 34))
        assert intervals.runs == sum(number - 1 not in plain for number in plain)


def test_finished_jobs_cost_nothing(monkeypatch):
    monkeypatch.setattr(accounts, "SWEEP_ACCOUNTS", SWEEP_ACCOUNTS)
    ledger = Ledger()
    ledger.fold(event for job in range(100_000) for event in submitted(job) + done(job))
    assert len(ledger.accounts) <= SWEEP_ACCOUNTS
    assert ledger.accounts.runs == 1
    assert len(ledger.custody.holders) == 0
    assert ledger.accounts.count(lambda _: True) == 100_000


def test_a_job_that_never_finishes_does_not_keep_others_open():
    ledger = Ledger()
    ledger.fold(submitted(0))
    ledger.fold(event for job in range(1, 10_000) for event in submitted(job) + done(job))
    assert len(ledger.accounts) <= 4


def test_a_late_event_reopens_a_finished_job_as_it_was():
    ledger = Ledger()
    history = [event for job in range(10) for event in submitted(job) + done(job)]
    ledger.fold(history + submitted(10))
    assert 3 not in ledger.accounts
    before = ledger.accounts.totals()
    ledger.fold(effect(3, count=2, at=9))
    assert ledger.accounts[3] & accounts.DUPLICATED
    assert ledger.accounts.totals().total() == before.total()


def test_a_finished_job_that_is_still_held_can_be_orphaned():
    ledger = Ledger()
    held = submitted(0) + delivered(0) + effect(0)
    others = [event for job in range(1, 10) for event in submitted(job) + done(job, worker="b")]
    ledger.fold(held + others + exited("a") + delivered(0, "b", at=11))
    assert ledger.custody.waits == [(SECOND, 0)]


def test_nobody_held_is_remembered_where_nobody_asks():
    ledger = Ledger(watch_custody=False)
    ledger.fold(event for job in range(1_000) for event in submitted(job) + delivered(job) + effect(job))
    assert len(ledger.accounts) <= 4
    assert len(ledger.custody.holders) <= 4


def test_waits_are_measured_from_the_loss():
    ledger = Ledger()
    told = [event for job in range(3) for event in submitted(job) + delivered(job)]
    again = [event for job in range(3) for event in delivered(job, "b", at=11 + job)]
    ledger.fold(told + exited("a", at=10) + again)
    assert median(wait_us for wait_us, _ in ledger.custody.waits) == 2 * SECOND
