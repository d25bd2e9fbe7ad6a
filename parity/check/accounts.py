"""What is known of each job, packed into one integer a job, with finished jobs kept as runs.

An account's low bits are the facts below; the bits from `DELIVERED` on count the job's deliveries. An
account is an integer and not an object because a history holds a million events and each of them reads and
writes one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from heapq import nsmallest
from typing import NamedTuple

from parity.check.intervals import Intervals

#: The job was handed to the application's way of submitting.
SUBMITTED = 1
#: The submit was confirmed.
OK = 2
#: The submit certainly enqueued nothing.
FAIL = 4
#: The outcome of the submit is unknown.
INFO = 8
#: The last count of the job's effects was at least one.
EFFECT = 16
#: Some count of the job's effects was more than one.
DUPLICATED = 32
#: The census found the job in a queue.
QUEUED = 64
#: The census found the job in a dead-letter queue.
DEAD = 128
#: The job had an effect that is gone again.
VANISHED = 256
#: One delivery; the count is `account >> DELIVERIES_SHIFT`.
DELIVERED = 512
DELIVERIES_SHIFT = 9

#: Anything that tells of a submit: without one of these nobody submitted the job.
ANY_SUBMIT = SUBMITTED | OK | FAIL | INFO

#: How many accounts may be open before the finished ones among them are put away. A sweep costs as much as
#: the accounts it reads, so the next one waits until their number has doubled.
SWEEP_ACCOUNTS = 4096

#: How many witnesses a finding names.
WITNESSES_MAX = 20


def is_ok(account: int) -> bool:
    """Submitted ok."""
    return account & OK != 0


def is_refused(account: int) -> bool:
    """Certainly not enqueued, and never confirmed by another submit of the same job."""
    return account & (OK | FAIL) == FAIL


def is_done(account: int) -> bool:
    """At least one effect, whatever the submit's outcome."""
    return account & EFFECT != 0


def is_stuck(account: int) -> bool:
    """Submitted ok, no effect, and still in a queue."""
    return account & (OK | EFFECT | QUEUED | DEAD) == OK | QUEUED


def is_unaccounted(account: int) -> bool:
    """Submitted ok, no effect, and found nowhere: lost, if the census was complete."""
    return account & (OK | EFFECT | QUEUED | DEAD) == OK


def is_finished(account: int) -> bool:
    """Nothing more has to come: the submit's outcome is known, and the job is done or was refused."""
    if not account & SUBMITTED:
        return False
    return bool(account & EFFECT and account & (OK | INFO)) or account & (OK | FAIL | EFFECT) == FAIL


def deliveries(account: int) -> int:
    """How often the job was delivered, as far as workers told."""
    return account >> DELIVERIES_SHIFT


class Jobs(NamedTuple):
    """Some jobs: how many, and the first of them by number."""

    total: int
    first: tuple[int, ...]


class Accounts(dict[int, int]):
    """Accounts by job number. Reading one that is not open re-opens it, exactly as it was put away.

    Only open accounts are items of the mapping. Finished ones are put away by `sweep` under their account's
    value, as runs of job numbers: nearly all finished jobs share one value, and their numbers are dense.
    A job nobody has heard of has the account 0, and reading it opens nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._finished: dict[int, Intervals] = {}
        #: With this many open accounts the ledger sweeps.
        self.sweep_at = SWEEP_ACCOUNTS

    def __missing__(self, job: int) -> int:
        for account, jobs in self._finished.items():
            if jobs.discard(job):
                self[job] = account
                return account
        return 0

    def sweep(self, held: Container[int]) -> None:
        """Put the finished jobs away, except those a worker still holds.

        Args:
            held: Jobs an instance holds: a fault on it may still concern them.
        """
        # One comprehension for each finished value, of which there are few, beats a loop that sorts the jobs
        # into lists; and building what stays open beats deleting nearly everything.
        finished = {account for account in set(self.values()) if is_finished(account)}
        still_open = {job: account for job, account in self.items() if account not in finished or job in held}
        for account in finished:
            jobs = [job for job, value in self.items() if value == account and job not in held]
            jobs.sort()
            self._finished.setdefault(account, Intervals()).add_sorted(jobs)
        self.clear()
        self.update(still_open)
        self.sweep_at = max(SWEEP_ACCOUNTS, 2 * len(self))

    def totals(self) -> Counter[int]:
        """How many jobs there are of each account's value, open and put away."""
        totals = Counter(self.values())
        for account, jobs in self._finished.items():
            totals[account] += len(jobs)
        return totals

    def count(self, wanted: Callable[[int], bool]) -> int:
        """How many jobs have an account that is wanted."""
        return sum(count for account, count in self.totals().items() if wanted(account))

    def select(self, wanted: Callable[[int], bool], *, first: int = WITNESSES_MAX) -> Jobs:
        """The jobs with an account that is wanted, and so many of the first of them by number."""
        return Jobs(self.count(wanted), tuple(nsmallest(first, self._numbers(wanted))))

    def _numbers(self, wanted: Callable[[int], bool]) -> Iterator[int]:
        yield from (job for job, account in self.items() if wanted(account))
        for account, jobs in self._finished.items():
            if wanted(account):
                yield from jobs

    @property
    def runs(self) -> int:
        """How many runs of job numbers the accounts put away form."""
        return sum(jobs.runs for jobs in self._finished.values())
