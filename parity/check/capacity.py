"""What must hold of an Auto Scaling group, and of what it leans on.

converged   as many instances in service as are desired
bounds      the smallest and the largest size; AWS documents when the largest may be exceeded
drained     terminated without a job in hand: `parity.check.terminations`
stale       in service, with another revision of the code than the one that was deployed last
archived    what an instance that is gone had printed is in the archive
backlog     jobs submitted ok that have no effect yet
"""

from __future__ import annotations

from statistics import median

from parity.check.accounts import WITNESSES_MAX, Jobs
from parity.check.findings import HOLDS, UNKNOWN, VIOLATED, finding
from parity.check.ledger import Ledger
from parity.check.verdict import Finding
from parity.history.events import REFRESHING
from parity.scenario.properties import Properties

_NAMED_MAX = 3


def capacity_converges_within(ledger: Ledger, properties: Properties) -> Finding:
    """Whenever the number in service is not the desired one, it is within the bound.

    Each change of the desired number begins anew. What the watch did not see to its end within the bound is unknown.
    """
    name = "capacity_converges_within"
    bound_s = properties.capacity_converges_within
    assert bound_s is not None
    scaling = ledger.scaling
    if scaling.capacity is None:
        return finding(name, UNKNOWN, "the history tells of no group")
    waits_s = [wait_us / 1e6 for wait_us in scaling.converged_us]
    slow = [wait_s for wait_s in waits_s if wait_s > bound_s]
    apart_s = 0.0
    if scaling.apart_since_us is not None:
        apart_s = (ledger.phases.get("census", ledger.end_us) - scaling.apart_since_us) / 1e6
    numbers = f"{scaling.capacity.in_service} of {scaling.capacity.desired} in service"
    if slow or apart_s > bound_s:
        reason = f"{len(slow)} times it took longer than {bound_s:g} s"
        reason += f", {max(slow):.1f} s at most" if slow else ""
        reason += f"; at the end {numbers}, for {apart_s:.1f} s" if apart_s > bound_s else ""
        return finding(name, VIOLATED, reason)
    if apart_s:
        return finding(name, UNKNOWN, f"the watch ended with {numbers}, before {bound_s:g} s had passed")
    if not waits_s:
        return finding(name, UNKNOWN, "the numbers never differed: nothing had to converge")
    figures = f"{len(waits_s)} times, after {median(waits_s):.1f} s in the median and {max(waits_s):.1f} s at most"
    return finding(name, HOLDS, f"as many as desired came into service {figures}")


def capacity_in_bounds(ledger: Ledger, _properties: Properties) -> Finding:
    """The desired number is never out of bounds, and no more instances stay than the largest size allows.

    That fewer live than the smallest size while dead ones are replaced is what AWS documents, and is no violation.
    """
    name = "capacity_in_bounds"
    scaling = ledger.scaling
    if scaling.capacity is None:
        return finding(name, UNKNOWN, "the history tells of no group")
    if scaling.out_of_bounds:
        return finding(name, VIOLATED, "; ".join(scaling.out_of_bounds))
    if not scaling.lived:
        return finding(name, UNKNOWN, "no instance ever lived")
    return finding(name, HOLDS, f"{len(scaling.lived)} instances lived, never too many")


def activities_match(ledger: Ledger, _properties: Properties) -> Finding:
    """Instances that lived have a launch activity, those that ended a terminating one; and no others have either."""
    name = "activities_match"
    scaling = ledger.scaling
    if scaling.capacity is None:
        return finding(name, UNKNOWN, "the history tells of no group")
    launched = {one.instance for one in scaling.launches.values() if one.status == "Successful"}
    begun = {one.instance for one in scaling.launches.values()}
    terminated = {one.instance for one in scaling.terminations.values() if one.status == "Successful"}
    terminating = {one.instance for one in scaling.terminations.values()}
    wrong = [
        *_named("launched successfully, and never lived", launched - scaling.lived),
        *_named("lived without a launch activity", scaling.lived - begun),
        *_named("terminated successfully, and lives", terminated & scaling.living),
        *_named("ended without a terminate activity", scaling.ended - terminating - _looked_at_by_nobody(ledger)),
    ]
    if wrong:
        return finding(name, VIOLATED, "; ".join(wrong))
    if not begun and not terminating:
        return finding(name, UNKNOWN, "the history tells of no launch")
    figures = f"{len(launched)} launches and {len(terminated)} terminations"
    return finding(name, HOLDS, f"{figures} are of instances that lived and ended")


def _looked_at_by_nobody(ledger: Ledger) -> set[str]:
    """Instances that nobody terminates: their launch did not end well, or they stand by, and no check looks at them."""
    scaling = ledger.scaling
    failed = {one.instance for one in scaling.launches.values() if one.status in ("Failed", "Cancelled")}
    return failed | {instance for instance, state in scaling.states.items() if state == "Standby"}


def _named(what: str, instances: set[str]) -> list[str]:
    if not instances:
        return []
    some = ", ".join(sorted(instances)[:_NAMED_MAX])
    more = f" and {len(instances) - _NAMED_MAX} more" if len(instances) > _NAMED_MAX else ""
    return [f"{some}{more} {what}"]


def drained_before_termination(ledger: Ledger, _properties: Properties) -> Finding:
    """No instance was terminated with a job in hand. A group that took nothing from anybody at work says nothing."""
    name = "drained_before_termination"
    terminations = ledger.terminations
    if ledger.scaling.capacity is None:
        return finding(name, UNKNOWN, "the history tells of no group")
    terminated = terminations.ended_with.keys()
    if not terminated:
        return finding(name, UNKNOWN, "no instance was terminated")
    if not ledger.custody.acknowledging:
        return finding(name, UNKNOWN, "the application told of no acknowledgement")
    jobs = {one: terminations.interrupted(one) for one in terminated}
    interrupted = set[int]().union(*jobs.values())
    if interrupted:
        hasty = {one for one in terminated if jobs[one]}
        (text,) = _named(f"of {len(terminated)} instances were terminated with {len(interrupted)} jobs in hand", hasty)
        return finding(name, VIOLATED, text, Jobs(len(interrupted), tuple(sorted(interrupted)[:WITNESSES_MAX])))
    finished = sum(terminations.began_with[one] for one in terminated)
    if not finished:
        reason = f"the {len(terminated)} instances that were terminated had no job in hand when that began"
        return finding(name, UNKNOWN, reason)
    return finding(
        name, HOLDS, f"{len(terminated)} instances were terminated, after the {finished} jobs in their hands"
    )


def on_revision(ledger: Ledger, _properties: Properties) -> Finding:
    """Every instance that is in service at the end of the drain has the revision that was deployed last.

    What an instance has is what its worker said last. One that said nothing is unknown.
    """
    name = "on_revision"
    scaling = ledger.scaling
    if scaling.capacity is None:
        return finding(name, UNKNOWN, "the history tells of no group")
    if not scaling.deployed:
        return finding(name, UNKNOWN, "nothing was deployed")
    if "census" not in ledger.phases:
        return finding(name, UNKNOWN, "the drain did not end")
    serving = {instance for instance, state in scaling.states.items() if state == "InService"}
    silent = serving - scaling.revisions.keys()
    stale = {one for one in serving - silent if scaling.revisions[one] != scaling.deployed}
    if stale and scaling.capacity.excused == REFRESHING:
        (text,) = _named(f"of {len(serving)} in service were still to be refreshed when the drain ended", stale)
        return finding(name, UNKNOWN, text)
    if stale:
        had = ", ".join(sorted({scaling.revisions[one] for one in stale}))
        (text,) = _named(f"of {len(serving)} in service still had {had}, not {scaling.deployed}", stale)
        return finding(name, VIOLATED, text)
    if silent:
        (text,) = _named("never said which revision they have", silent)
        return finding(name, UNKNOWN, text)
    if not serving:
        return finding(name, UNKNOWN, "no instance was in service at the end")
    return finding(name, HOLDS, f"all {len(serving)} instances in service had {scaling.deployed}")


def connections_under_limit(ledger: Ledger, _properties: Properties) -> Finding:
    """Whenever the database was looked at, it had room for one more connection."""
    name = "connections_under_limit"
    scaling = ledger.scaling
    if scaling.connections is None:
        return finding(name, UNKNOWN, "nobody told how many connections the database has")
    used, limit = scaling.connections.used, scaling.connections.limit
    most = f"{used} connections at most, of {limit} that the database has"
    if used >= limit:
        return finding(name, VIOLATED, most)
    if used == scaling.connections_least:
        # Parity itself has some, and they are counted too.
        return finding(name, UNKNOWN, f"nobody ever connected to the database: always {used} connections of {limit}")
    return finding(name, HOLDS, most)


def logs_archived(ledger: Ledger, properties: Properties) -> Finding:
    """What every instance that ended had printed is in the archive, but for the last moments that are allowed for."""
    name = "logs_archived"
    bound_s = properties.logs_archived
    assert bound_s is not None
    scaling = ledger.scaling
    unread = scaling.ended - scaling.archived.keys()
    if not scaling.printed or unread:
        reason = f"{', '.join(sorted(unread)[:_NAMED_MAX])}: nobody looked into the archive"
        return finding(name, UNKNOWN, reason if unread else "no instance ended, so that nothing had to be archived")
    wrong = [text for one in scaling.archived if (text := _astray(ledger, one, bound_s))]
    lines = sum(printed.lines for printed in scaling.printed.values())
    if wrong:
        more = f"; and {len(wrong) - _NAMED_MAX} more instances" if len(wrong) > _NAMED_MAX else ""
        return finding(name, VIOLATED, "; ".join(wrong[:_NAMED_MAX]) + more)
    if not lines:
        return finding(name, UNKNOWN, f"the {len(scaling.printed)} instances that ended had printed nothing")
    missing = sum(archived.missing for archived in scaling.archived.values())
    figures = f"{lines - missing} of {lines} lines of {len(scaling.printed)} instances that ended are in the archive"
    late = f", the other {missing} were printed in the last {bound_s:g} s of an instance" if missing else ""
    return finding(name, HOLDS, figures + late)


def _astray(ledger: Ledger, instance: str, bound_s: float) -> str:
    """How an instance's lines differ from those in the archive by more than is allowed for; empty where they do not."""
    scaling = ledger.scaling
    printed, archived = scaling.printed.get(instance), scaling.archived[instance]
    if printed is None:
        return f"{instance}: the archive has {archived.lines} lines of it, and nobody saw it print"
    if not archived.missing:
        same = (printed.lines, printed.digest) == (archived.lines, archived.digest)
        return "" if same else f"{instance}: the archive has lines that it did not print, or has them twice"
    ended_us = scaling.ended_us.get(instance, ledger.end_us)
    before_s = (ended_us - archived.missing_since_us) / 1e6
    if before_s <= bound_s:
        return ""
    missing = f"{archived.missing} of {printed.lines} lines are missing"
    return f"{instance}: {missing}, the first from {before_s:.1f} s before its end"


def backlog_growth_at_scale_in(ledger: Ledger, properties: Properties) -> Finding:
    """Where a policy lowers the desired number, the backlog has not grown by more than the bound since it changed last.

    A group that works its backlog off may be made smaller, however much is left; one that falls behind may not.
    """
    name = "backlog_growth_at_scale_in"
    bound = properties.backlog_growth_at_scale_in
    assert bound is not None
    scaling = ledger.scaling
    if scaling.capacity is None:
        return finding(name, UNKNOWN, "the history tells of no group")
    if not scaling.shrunk:
        return finding(name, UNKNOWN, "no policy lowered the desired number")
    worst = max(scaling.shrunk, key=lambda one: one.growth)
    if worst.growth > bound:
        over = sum(one.growth > bound for one in scaling.shrunk)
        sizes = f"{worst.policy} lowered the desired number from {worst.before} to {worst.after}"
        backlog = f"with a backlog of {worst.backlog} jobs, {worst.growth} more than when it changed last"
        more = f"; {over} times in all" if over > 1 else ""
        return finding(name, VIOLATED, f"at {worst.t_us / 1e6:.3f} s {sizes} {backlog}{more}")
    times = f"{len(scaling.shrunk)} times a policy lowered the desired number"
    return finding(name, HOLDS, f"{times}, with a backlog that had grown by {max(0, worst.growth)} jobs at most")
