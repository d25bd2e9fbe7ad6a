"""Safety: what must never happen, judged over the whole history.

    lost         submitted ok, no effect, and nowhere to be found in a complete census
    phantom      an identity that was never submitted, or an effect of a refused submit
    duplicated   more than one effect
    exceeded     delivered more often than the limit allows, or given up before the limit

Jobs that are stuck, late or dead-lettered are none of these; `parity.check.liveness` tells of them.
"""

from __future__ import annotations

from parity.check.accounts import (
    ANY_SUBMIT,
    DEAD,
    DUPLICATED,
    EFFECT,
    OK,
    QUEUED,
    Jobs,
    deliveries,
    is_done,
    is_ok,
    is_refused,
    is_stuck,
    is_unaccounted,
)
from parity.check.findings import HOLDS, UNKNOWN, VIOLATED, census_gap, finding
from parity.check.ledger import Ledger
from parity.check.verdict import Finding
from parity.scenario.properties import Properties


def no_job_lost(ledger: Ledger, _properties: Properties) -> Finding:
    """No job submitted ok is without effect and nowhere to be found.

    Absence needs proof: with no complete census a job that is unaccounted for may still be in a queue nobody
    could read, so it is unknown, never lost. Jobs that all have effects need no census.
    """
    name = "no_job_lost"
    ok = ledger.accounts.count(is_ok)
    missing = ledger.accounts.select(is_unaccounted)
    if not missing.total:
        return finding(name, HOLDS, f"all {ok} jobs submitted ok are accounted for")
    gap = census_gap(ledger)
    if gap:
        return finding(
            name,
            UNKNOWN,
            f"{missing.total} of {ok} jobs submitted ok are unaccounted for, but {gap}",
            missing,
        )
    reason = f"{missing.total} of {ok} jobs submitted ok have no effect and are in no queue of a complete census"
    return finding(name, VIOLATED, reason, missing)


def _is_phantom(account: int) -> bool:
    # A submit's outcome without its submit is evidence enough that the job was submitted.
    never_submitted = account != 0 and not account & ANY_SUBMIT
    return never_submitted or (is_refused(account) and is_done(account))


def no_phantom(ledger: Ledger, _properties: Properties) -> Finding:
    """Nothing carries a job identity that was never submitted, and nothing refused has an effect."""
    name = "no_phantom"
    jobs = ledger.accounts.select(_is_phantom)
    strangers = ledger.phantoms.total()
    if not jobs.total and not strangers:
        return finding(name, HOLDS, "every identity seen was submitted, and nothing refused has an effect")
    parts = []
    if strangers:
        seen = ", ".join(f"{count} as {where}" for where, count in sorted(ledger.phantoms.items()))
        first = ", ".join(ledger.phantom_identities)
        parts.append(f"{strangers} identities were never submitted ({seen}; first: {first})")
    if jobs.total:
        refused = ledger.accounts.count(lambda account: is_refused(account) and is_done(account))
        parts.append(f"{refused} refused jobs have an effect and {jobs.total - refused} jobs were never submitted")
    return finding(name, VIOLATED, "; ".join(parts), Jobs(jobs.total + strangers, jobs.first))


def effect_exactly_once(ledger: Ledger, _properties: Properties) -> Finding:
    """No job has more than one effect. A job without any is the business of other properties."""
    name = "effect_exactly_once"
    done = ledger.accounts.count(is_done)
    twice = ledger.accounts.select(lambda account: account & DUPLICATED != 0)
    if twice.total:
        return finding(name, VIOLATED, f"{twice.total} of {done} jobs with an effect have more than one", twice)
    if not done:
        return finding(name, UNKNOWN, "no job has an effect, so none could have two")
    return finding(name, HOLDS, f"all {done} jobs with an effect have exactly one")


def delivery_limit(ledger: Ledger, properties: Properties) -> Finding:
    """No job is delivered more than the limit allows, and none is given up before.

    The limit counts deliveries beyond the first, so a job may be delivered `limit + 1` times. The broker's
    count and the workers' differ: a message prefetched by a worker that dies counts at the broker, and no
    worker ever told of it. A job dead-lettered after fewer deliveries than expected is therefore

    - violated where nothing in the run could have hidden a delivery: no fault was applied, no worker exited;
    - explained where no more deliveries are missing than there were faults and exits, each of which takes a
      given message from at most one holder; the reason counts these jobs;
    - unknown where more are missing, which only a connection that came and went could have hidden.
    """
    name = "delivery_limit"
    limit = properties.delivery_limit
    assert limit is not None
    expected, hits, accounts = limit + 1, ledger.custody.hits, ledger.accounts
    if not accounts.count(lambda account: deliveries(account) > 0):
        return finding(name, UNKNOWN, "the application told of no delivery")

    def missing(account: int) -> int:
        return expected - deliveries(account) if account & DEAD else 0

    beyond = accounts.select(lambda account: deliveries(account) > expected)
    if beyond.total:
        return finding(name, VIOLATED, f"{beyond.total} jobs were delivered more than {expected} times", beyond)
    early = accounts.select(lambda account: missing(account) > 0)
    if early.total and not hits:
        reason = f"{early.total} jobs were dead-lettered before their delivery number {expected}"
        return finding(name, VIOLATED, f"{reason}, with no fault or exit that could have hidden one", early)
    unexplained = accounts.select(lambda account: missing(account) > hits)
    if unexplained.total:
        reason = f"{unexplained.total} jobs were dead-lettered with more deliveries missing than the {hits} faults"
        return finding(name, UNKNOWN, f"{reason} and exits are known to have hidden", unexplained)
    reason = f"no job was delivered more than {expected} times"
    if early.total:
        reason += f"; {early.total} were dead-lettered after fewer, which {hits} faults and exits explain"
    return finding(name, HOLDS, reason)


def _found_disagrees(ledger: Ledger) -> str:
    """How the census's own counts differ from what it found, if they do.

    Messages with an identity the run never submitted may be among the counts: they have no job number.
    """
    assert ledger.census is not None
    queued, dead = ledger.found["queue"], ledger.found["dead_letter"]
    surplus_queued, surplus_dead = ledger.census.queued - queued, ledger.census.dead_lettered - dead
    strangers = ledger.phantoms["queue"]
    if min(surplus_queued, surplus_dead) >= 0 and surplus_queued + surplus_dead in (0, strangers):
        return ""
    return (
        f"the census counted {ledger.census.queued} queued and {ledger.census.dead_lettered} dead-lettered "
        f"messages but found the jobs of {queued} and {dead}"
    )


def _is_buried_alive(account: int) -> bool:
    return account & (OK | DEAD | EFFECT) == OK | DEAD | EFFECT


def _is_in_two_queues(account: int) -> bool:
    return account & (OK | DEAD | QUEUED) == OK | DEAD | QUEUED


def conservation(ledger: Ledger, _properties: Properties) -> Finding:
    """Every job submitted ok is exactly one of done, dead-lettered or queued at the census.

    Done and still queued is an exception: at-least-once delivery permits it, and the reason counts it. So is done
    and dead-lettered in a run where something was broken: an acknowledgement that did not arrive brings a job back
    that is done, and one that comes back too often is given up. A job that is none of them is lost, and does not
    balance either.
    """
    name = "conservation"
    accounts = ledger.accounts
    buried = accounts.select(_is_buried_alive)
    both = accounts.select(_is_in_two_queues)
    if not ledger.custody.hits:
        both = accounts.select(lambda account: _is_buried_alive(account) or _is_in_two_queues(account))
    if both.total:
        return finding(name, VIOLATED, f"{both.total} jobs are dead-lettered and also done or queued", both)
    gap = census_gap(ledger)
    if gap:
        return finding(name, UNKNOWN, gap)
    disagreement = _found_disagrees(ledger)
    if disagreement:
        return finding(name, VIOLATED, disagreement)
    ok, lost = accounts.count(is_ok), accounts.select(is_unaccounted)
    done = accounts.count(lambda account: is_ok(account) and is_done(account))
    dead = accounts.count(lambda account: account & (OK | DEAD | EFFECT) == OK | DEAD)
    queued = accounts.count(is_stuck)
    again = accounts.count(lambda account: account & (OK | EFFECT | QUEUED) == OK | EFFECT | QUEUED)
    balance = f"{ok} submitted ok = {done} done + {dead} dead-lettered + {queued} queued + {lost.total} lost"
    if again:
        balance += f" ({again} done and queued again)"
    if buried.total:
        balance += f" ({buried.total} done and dead-lettered)"
    return finding(name, VIOLATED if lost.total else HOLDS, balance, lost)
