"""Which jobs went wrong, in what way, and whose lives are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from parity.check.accounts import (
    ANY_SUBMIT,
    DEAD,
    DUPLICATED,
    EFFECT,
    OK,
    WITNESSES_MAX,
    deliveries,
    is_ok,
    is_refused,
    is_stuck,
    is_unaccounted,
)
from parity.check.findings import census_gap
from parity.check.ledger import Ledger
from parity.check.verdict import Finding, Verdict
from parity.report.data import Group, Kind

#: Lives told of each kind, and in all: a report is read by people. As many as a finding names witnesses; of
#: jobs whose submit's outcome is unknown fewer, because most of them came to a good end.
LIVES_OF_A_KIND_MAX = WITNESSES_MAX
LIVES_OF_UNKNOWN_MAX = 6
LIVES_MAX = 60
#: Jobs looked at to say which are left out, and runs of their numbers that are printed.
_NUMBERS_MAX = 2000
_RUNS_MAX = 40


def find_groups(ledger: Ledger, findings: Sequence[Finding]) -> tuple[Group, ...]:
    """The jobs that went wrong by kind, the worst kind first; kinds without a job are left out."""
    room = LIVES_MAX
    groups: list[Group] = []
    known: set[int] = set()
    sorted_out: set[int] = set()
    for kind, total, numbers in _kinds(ledger):
        told_before = [job for job in numbers if job in known]
        cap = LIVES_OF_UNKNOWN_MAX if kind == "unknown" else LIVES_OF_A_KIND_MAX
        fresh = [job for job in numbers if job not in known][: max(0, min(room, cap - len(told_before)))]
        room -= len(fresh)
        known.update(fresh)
        sorted_out.update(numbers)
        if total:
            groups.append(_group(kind, total, numbers, sorted([*told_before, *fresh])))
    rest = sorted({job for job in _witnesses(findings) if job not in sorted_out})
    if rest:
        groups.append(_group("witness", len(rest), rest, rest[:room]))
    return tuple(groups)


def find_redelivered(ledger: Ledger) -> Group:
    """The jobs that were delivered more than once; of which `told` are candidates for an example."""
    total, numbers = ledger.accounts.select(lambda account: deliveries(account) > 1, first=_NUMBERS_MAX)
    return _group("redelivered", total, numbers, numbers[:LIVES_OF_A_KIND_MAX])


def kind_of_loss(ledger: Ledger) -> Kind:
    """What a job that is nowhere to be found may be called: lost only where the census proves it."""
    return "unaccounted" if census_gap(ledger) else "lost"


def _kinds(ledger: Ledger) -> Iterable[tuple[Kind, int, Sequence[int]]]:
    late = sorted(job for job in ledger.late if ledger.accounts[job] & (OK | EFFECT) == OK | EFFECT)
    yield kind_of_loss(ledger), *_select(ledger, is_unaccounted)
    yield "stuck", *_select(ledger, is_stuck)
    yield "duplicated", *_select(ledger, lambda account: account & DUPLICATED != 0)
    yield "dead_lettered", *_select(ledger, lambda account: account & DEAD != 0)
    yield "late", len(late), late[:_NUMBERS_MAX]
    yield "unknown", *_select(ledger, _is_unknown)


def _is_unknown(account: int) -> bool:
    return bool(account & ANY_SUBMIT) and not is_ok(account) and not is_refused(account)


def _select(ledger: Ledger, wanted: Callable[[int], bool]) -> tuple[int, tuple[int, ...]]:
    jobs = ledger.accounts.select(wanted, first=_NUMBERS_MAX)
    return jobs.total, jobs.first


def _witnesses(findings: Iterable[Finding]) -> Iterable[int]:
    return (job for finding in findings if finding.verdict is not Verdict.HOLDS for job in finding.witnesses)


def _group(kind: Kind, total: int, numbers: Sequence[int], told: Sequence[int]) -> Group:
    left_out = sorted(set(numbers) - set(told))
    runs = as_runs(left_out)[:_RUNS_MAX]
    named = sum(last - first + 1 for first, last in runs)
    return Group(
        kind=kind, total=total, told=tuple(told), left_out=runs, left_out_more=max(0, total - len(told) - named)
    )


def as_runs(numbers: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Ascending numbers as runs: first and last of each."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return tuple(runs)
