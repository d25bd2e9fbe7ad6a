"""What a report says in words: the banner, the figures, the properties, the kinds of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from parity.check.verdict import Tally, Verdict
from parity.report.data import Group, Kind, Ruling, RunReport
from parity.report.groups import as_runs

_RUNS_MAX = 60
_NAMES_MAX = 3

MARKS: Mapping[Verdict, str] = {Verdict.HOLDS: "✓", Verdict.VIOLATED: "✗", Verdict.UNKNOWN: "?"}

PROPERTIES: Mapping[str, str] = {
    "no_job_lost": "Every job submitted ok is done, queued or dead-lettered.",
    "no_phantom": "Nothing carries a job identity that nobody submitted; nothing refused has an effect.",
    "effect_exactly_once": "No job has more than one effect.",
    "redelivered_within": "A job whose worker was taken away is delivered again in time.",
    "delivery_limit": "A job beyond its limit of deliveries is dead-lettered, one below it is not.",
    "drained_within": "Every job submitted ok is done or dead-lettered in time after the stack healed.",
    "conservation": "Submitted = done + dead-lettered + queued + in flight.",
    "not_vacuous": "Enough was submitted and every fault was proved, so the run says something.",
    "capacity_converges_within": "As many instances as desired are in service in time, whatever changed either number.",
    "capacity_in_bounds": "The group stays between its minimum and maximum, but where AWS documents that it may not.",
    "activities_match": "Launch and terminate activities are those of the instances that really lived.",
    "drained_before_termination": "No instance was terminated by its group with a job in hand.",
    "on_revision": "Every instance in service at the end has the revision that was deployed last.",
    "connections_under_limit": "The database always has room for one more connection.",
    "backlog_growth_at_scale_in": "No policy makes the group smaller while jobs pile up.",
    "logs_archived": "What an instance printed before it ended is in the archive.",
}

#: Member of the tally, its name, its unit, what it means.
SUBMITS = (
    ("ok", "submitted ok", "jobs", "The producer said ok: these must not get lost."),
    ("unknown", "unknown", "jobs", "No outcome came back: they may have been enqueued or not."),
    ("refused", "refused", "jobs", "Certainly not enqueued."),
)
WORK = (
    ("effects", "done", "jobs", "With at least one effect in the database."),
    ("redelivered", "redelivered", "deliveries", "Beyond a job's first: how a queue saves work from dead workers."),
)
WRONGS = (
    ("lost", "lost", "jobs", "Submitted ok, no effect, and in no queue once everything was up again and read out."),
    ("stuck", "stuck", "jobs", "Submitted ok, no effect, but the message is still queued or unacknowledged."),
    ("late", "late", "jobs", "Done, but only after the drain's deadline."),
    ("dead_lettered", "dead-lettered", "jobs", "Given up by the broker and put into the dead-letter queue."),
    ("duplicated", "duplicated", "jobs", "Done more than once: more than one effect."),
)

KINDS: Mapping[Kind, tuple[str, str]] = {
    "lost": ("Lost", "submitted ok, no effect, no message anywhere in a complete census"),
    "unaccounted": (
        "Unaccounted for",
        "submitted ok and not seen again, but without a complete census nobody can say lost",
    ),
    "stuck": ("Stuck", "submitted ok, no effect, the message still queued"),
    "duplicated": ("Duplicated", "more than one effect"),
    "dead_lettered": ("Dead-lettered", "found in a dead-letter queue"),
    "late": ("Late", "done, but only after the drain's deadline"),
    "unknown": ("Outcome unknown", "the submit was neither confirmed nor refused"),
    "witness": ("Witness", "named by a finding that does not hold"),
    "redelivered": ("Redelivered", "delivered more than once"),
    "usual": ("Usual", "delivered once"),
}


def headline(ruling: Ruling) -> str:
    """The verdict in one sentence."""
    if not ruling.judged:
        return "There is no verdict: the run did not come to its end."
    if ruling.error:
        return "Unknown: the run broke off."
    if ruling.verdict is Verdict.HOLDS:
        return "Everything that was claimed holds."
    names = [finding.property for finding in ruling.findings if finding.verdict is ruling.verdict]
    named = ", ".join(names[:_NAMES_MAX])
    if len(names) > _NAMES_MAX:
        named += f" and {len(names) - _NAMES_MAX} more"
    if ruling.verdict is Verdict.VIOLATED:
        return f"Violated: {named or 'no property is named'}."
    return f"Unknown: nothing was seen violated, but evidence is missing for {named or 'every property'}."


def expectation(ruling: Ruling) -> str:
    """Whether that was expected, in one sentence."""
    if not ruling.judged:
        return "No verdict is never a pass."
    if not ruling.expected_violated:
        return "As expected." if ruling.as_expected else "Not as expected: everything had to hold."
    named = ", ".join(ruling.expected_violated)
    if ruling.as_expected:
        return f"As expected: this is a known-bad stack, which had to be caught violating {named}."
    return f"Not as expected: this is a known-bad stack, and it was not caught violating {named}."


def runtime(name: str) -> str:
    """What the run was executed on, and how far that can be trusted."""
    known = {
        "docker": "docker: real services in containers",
        "sim": "sim: models in virtual time, which prove nothing about the real services",
    }
    return known.get(name, name or "not recorded")


def unaccounted(groups: Iterable[Group]) -> str:
    """What has to be said beside the number of jobs lost, where nobody could prove any lost."""
    total = sum(group.total for group in groups if group.kind == "unaccounted")
    if not total:
        return ""
    return f"None proved, but {total} unaccounted for: without a complete census nobody can say."


def figures(tally: Tally, members: tuple[tuple[str, str, str, str], ...]) -> list[dict[str, str | int]]:
    """Some members of the tally, ready to be printed."""
    return [
        {
            "name": name,
            "title": title,
            "value": getattr(tally, name),
            "unit": _unit(unit, getattr(tally, name)),
            "about": about,
        }
        for name, title, unit, about in members
    ]


def _unit(plural: str, count: int) -> str:
    if count != 1:
        return plural
    return {"jobs": "job", "deliveries": "delivery"}[plural]


def left_out(group: Group) -> str:
    """Which jobs of a group are not told of, by number; empty where all are."""
    if not group.left_out and not group.left_out_more:
        return ""
    runs = [str(first) if first == last else f"{first} to {last}" for first, last in group.left_out]
    more = f", and {group.left_out_more} more" if group.left_out_more else ""
    return f"{', '.join(runs)}{more}".removeprefix(", and ")


def numbers(group: Group) -> str:
    """All the jobs of a group by number, as far as they are known."""
    told = [(job, job) for job in group.told]
    jobs = sorted({job for first, last in (*told, *group.left_out) for job in range(first, last + 1)})
    return left_out(msgspec.structs.replace(group, left_out=as_runs(jobs)[:_RUNS_MAX]))


def went_wrong(report: RunReport) -> bool:
    """Whether the jobs told of are such that went wrong, and not merely out of the ordinary."""
    return report.ruling.verdict is not Verdict.HOLDS


def span(start_us: int, end_us: int) -> str:
    """A stretch of time, in seconds."""
    return f"{start_us / 1e6:.1f} to {end_us / 1e6:.1f} s ({(end_us - start_us) / 1e6:.1f} s)"
