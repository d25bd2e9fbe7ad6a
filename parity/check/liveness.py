"""Liveness: what must happen within a bound.

    stuck   submitted ok, no effect, still in a queue at the census
    late    done, but only after the bound

A lost job is neither: it is judged once, by `no_job_lost`.
"""

from __future__ import annotations

from statistics import median

from parity.check.accounts import (
    DEAD,
    WITNESSES_MAX,
    Jobs,
    deliveries,
    is_done,
    is_ok,
    is_stuck,
    is_unaccounted,
)
from parity.check.findings import HOLDS, UNKNOWN, VIOLATED, census_gap, finding
from parity.check.ledger import Ledger
from parity.check.verdict import Finding
from parity.scenario.properties import Properties


def _jobs(numbers: set[int]) -> Jobs:
    return Jobs(len(numbers), tuple(sorted(numbers)[:WITNESSES_MAX]))


def _never_redelivered(ledger: Ledger, bound_us: float) -> tuple[set[int], set[int]]:
    """Orphaned jobs that are unfinished and were never delivered again: after the bound, and before it.

    A done job is in neither: the broker may have had the acknowledgement. Nor is a dead-lettered one: the
    dead-letter queue was its next stop. Where the watch ended before the bound had passed, nobody can say
    whether the delivery would have come in time.
    """
    watched_until_us = ledger.phases.get("census", ledger.end_us)
    overdue: set[int] = set()
    pending: set[int] = set()
    for job, since_us in ledger.custody.orphans.items():
        account = ledger.accounts[job]
        if is_done(account) or account & DEAD:
            continue
        (overdue if watched_until_us - since_us > bound_us else pending).add(job)
    return overdue, pending


def redelivered_within(ledger: Ledger, properties: Properties) -> Finding:
    """A job whose holder is lost is delivered again within the bound. See `parity.check.custody`."""
    name = "redelivered_within"
    bound_s = properties.redelivered_within
    assert bound_s is not None
    custody, bound_us = ledger.custody, bound_s * 1e6
    if not ledger.accounts.count(lambda account: deliveries(account) > 0):
        return finding(name, UNKNOWN, "the application told of no delivery")
    figures = ""
    if custody.waits:
        waits_s = [wait_us / 1e6 for wait_us, _ in custody.waits]
        figures = (
            f"{len(waits_s)} orphaned jobs were delivered again, after {median(waits_s):.3f} s in the median "
            f"and {max(waits_s):.3f} s at most"
        )
    overdue, pending = _never_redelivered(ledger, bound_us)
    slow = {job for wait_us, job in custody.waits if wait_us > bound_us}
    if slow or overdue:
        reason = f"{len(slow)} orphaned jobs waited longer than {bound_s:g} s and {len(overdue)} wait still"
        reason += f"; {figures}" if figures else ""
        return finding(name, VIOLATED, reason, _jobs(slow | overdue))
    if pending:
        reason = f"the watch over {len(pending)} orphaned jobs ended before {bound_s:g} s had passed"
        return finding(name, UNKNOWN, reason, _jobs(pending))
    if not figures:
        released = len(custody.acknowledged_after) + len(custody.orphans)
        reason = "no instance was lost with a job that had to be delivered again"
        return finding(name, UNKNOWN, f"{reason}; {released} orphaned jobs were done or acknowledged")
    return finding(name, HOLDS, figures)


def _cannot_blame(ledger: Ledger) -> str:
    """Why a queue that did not drain says nothing; empty where the stack was whole."""
    if ledger.health is not None:
        return "" if ledger.health.healed else f"the stack did not heal: {ledger.health.detail or 'no detail given'}"
    broken = any(phase == "applied" for _, phase in ledger.fault_phases)
    return "nobody told whether the stack healed" if broken else ""


def drained_within(ledger: Ledger, properties: Properties) -> Finding:
    """Within the bound from the start of the drain every job submitted ok is done or dead-lettered.

    Lost jobs cannot drain and are judged elsewhere. A stack that did not heal owes nobody a drained queue,
    so there it is unknown; but a queue that drained all the same has drained.
    """
    name = "drained_within"
    bound_s = properties.drained_within
    assert bound_s is not None
    drain_us = ledger.phases.get("drain")
    if drain_us is None:
        return finding(name, UNKNOWN, "the history has no drain")
    accounts = ledger.accounts
    stuck = accounts.select(is_stuck)
    late = _jobs({job for job in ledger.late if is_ok(accounts[job])})
    if stuck.total or late.total:
        reason = f"{stuck.total} jobs are stuck in a queue and {late.total} were done later than {bound_s:g} s"
        excuse = _cannot_blame(ledger)
        first = tuple(sorted({*stuck.first, *late.first})[:WITNESSES_MAX])
        jobs = Jobs(stuck.total + late.total, first)
        return (
            finding(name, UNKNOWN, f"{reason}, but {excuse}", jobs) if excuse else finding(name, VIOLATED, reason, jobs)
        )
    missing, gap = accounts.select(is_unaccounted), census_gap(ledger)
    if missing.total and gap:
        return finding(name, UNKNOWN, f"{missing.total} jobs are neither done nor found, and {gap}", missing)
    last_s = max(0, (ledger.last_effect_us or drain_us) - drain_us) / 1e6
    lost = f"; {missing.total} lost jobs are left out" if missing.total else ""
    return finding(name, HOLDS, f"the last job was done {last_s:.3f} s after the drain began{lost}")
