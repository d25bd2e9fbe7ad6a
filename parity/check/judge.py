"""Judging a history: one pass into the ledger, then one finding for each property that is claimed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from parity.check.accounts import (
    ANY_SUBMIT,
    DEAD,
    DUPLICATED,
    EFFECT,
    OK,
    deliveries,
    is_done,
    is_ok,
    is_refused,
    is_stuck,
    is_unaccounted,
)
from parity.check.capacity import (
    activities_match,
    backlog_growth_at_scale_in,
    capacity_converges_within,
    capacity_in_bounds,
    connections_under_limit,
    drained_before_termination,
    logs_archived,
    on_revision,
)
from parity.check.findings import census_gap
from parity.check.harness import not_vacuous
from parity.check.ledger import Ledger
from parity.check.liveness import drained_within, redelivered_within
from parity.check.safety import (
    conservation,
    delivery_limit,
    effect_exactly_once,
    no_job_lost,
    no_phantom,
)
from parity.check.verdict import Finding, Judgement, Tally, Verdict
from parity.history.events import Event
from parity.scenario.properties import PROPERTY_NAMES, Properties

Check = Callable[[Ledger, Properties], Finding]

CHECKS: Mapping[str, Check] = {
    "no_job_lost": no_job_lost,
    "no_phantom": no_phantom,
    "effect_exactly_once": effect_exactly_once,
    "redelivered_within": redelivered_within,
    "delivery_limit": delivery_limit,
    "drained_within": drained_within,
    "conservation": conservation,
    "not_vacuous": not_vacuous,
    "capacity_converges_within": capacity_converges_within,
    "capacity_in_bounds": capacity_in_bounds,
    "activities_match": activities_match,
    "drained_before_termination": drained_before_termination,
    "on_revision": on_revision,
    "connections_under_limit": connections_under_limit,
    "backlog_growth_at_scale_in": backlog_growth_at_scale_in,
    "logs_archived": logs_archived,
}


def judge(events: Iterable[Event], properties: Properties, *, checks: Mapping[str, Check] = CHECKS) -> Judgement:
    """Judge a history by the properties that are claimed of it.

    Args:
        events: The history, in its order; read once, and never held.
        properties: What is claimed, with bounds in seconds.
        checks: The judgement of each property, by its name.

    Returns:
        A finding for each property claimed, in the order of their fields, and the tally.

    Raises:
        RecordError: The events come from a file that cannot be read.
    """
    bound_s = properties.drained_within
    ledger = Ledger(
        drained_within_us=None if bound_s is None else round(bound_s * 1e6),
        watch_custody=properties.redelivered_within is not None or properties.drained_before_termination,
    )
    ledger.fold(events)
    claimed = [name for name in PROPERTY_NAMES if _is_claimed(getattr(properties, name))]
    findings = tuple(_judge_one(name, ledger, properties, checks) for name in claimed)
    return Judgement(findings=findings, tally=tally(ledger))


def _is_claimed(claim: float | None) -> bool:
    # A bound of 0 is a claim, and `0 == False`.
    return claim is not None and claim is not False


def _judge_one(name: str, ledger: Ledger, properties: Properties, checks: Mapping[str, Check]) -> Finding:
    try:
        finding = checks[name](ledger, properties)
    # A check that crashed has seen something nobody thought of. Whatever it is, it is no evidence that the
    # property holds, and it must not take the other findings with it: so everything is caught, here only.
    except Exception as error:  # noqa: BLE001
        reason = f"the check crashed: {type(error).__name__}: {error}"
        return Finding(property=name, verdict=Verdict.UNKNOWN, reason=reason)
    if finding.verdict is Verdict.HOLDS and ledger.truncated:
        reason = f"the history stops before its end; up to there, {finding.reason}"
        return msgspec.structs.replace(finding, verdict=Verdict.UNKNOWN, reason=reason)
    return finding


def tally(ledger: Ledger) -> Tally:
    """The run in numbers."""
    totals = ledger.accounts.totals()

    def count(wanted: Callable[[int], bool]) -> int:
        return sum(jobs for account, jobs in totals.items() if wanted(account))

    ok, refused = count(is_ok), count(is_refused)
    return Tally(
        ok=ok,
        # Neither confirmed nor refused: `info`, or a submit whose outcome never came back.
        unknown=count(lambda account: account & ANY_SUBMIT != 0) - ok - refused,
        refused=refused,
        effects=count(is_done),
        redelivered=sum(max(0, deliveries(account) - 1) * jobs for account, jobs in totals.items()),
        duplicated=count(lambda account: account & DUPLICATED != 0),
        lost=0 if census_gap(ledger) else count(is_unaccounted),
        stuck=count(is_stuck),
        late=sum(ledger.accounts[job] & (OK | EFFECT) == OK | EFFECT for job in ledger.late),
        dead_lettered=count(lambda account: account & DEAD != 0),
    )
