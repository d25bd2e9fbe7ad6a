"""Sets of job numbers kept as runs, so that a million finished jobs cost as much as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence


class Intervals:
    """A set of integers, kept as sorted runs with no two of them touching.

    Its memory grows with the number of gaps, not of members.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        for first, last in zip(self._firsts, self._lasts, strict=True):
            yield from range(first, last + 1)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    @property
    def runs(self) -> int:
        """How many runs the members form: what the set costs."""
        return len(self._firsts)

    def add_sorted(self, numbers: Sequence[int]) -> None:
        """Add numbers that are strictly ascending and not members yet."""
        if not numbers:
            return
        self._size += len(numbers)
        first = last = numbers[0]
        if numbers[-1] - first == len(numbers) - 1:
            self._add_run(first, numbers[-1])
            return
        for number in numbers:
            if number > last + 1:
                self._add_run(first, last)
                first = number
            last = number
        self._add_run(first, last)

    def _add_run(self, first: int, last: int) -> None:
        at = bisect_right(self._firsts, first)
        joins_before = at > 0 and self._lasts[at - 1] == first - 1
        joins_after = at < len(self._firsts) and self._firsts[at] == last + 1
        if joins_before and joins_after:
            del self._firsts[at]
            del self._lasts[at - 1]
        elif joins_before:
            self._lasts[at - 1] = last
        elif joins_after:
            self._firsts[at] = first
        else:
            self._firsts.insert(at, first)
            self._lasts.insert(at, last)

    def discard(self, number: int) -> bool:
        """Take a number out; False where it was no member."""
        at = bisect_right(self._firsts, number) - 1
        if at < 0 or number > self._lasts[at]:
            return False
        first, last = self._firsts[at], self._lasts[at]
        runs = [(first, number - 1), (number + 1, last)]
        kept = [run for run in runs if run[0] <= run[1]]
        self._firsts[at : at + 1] = [run[0] for run in kept]
        self._lasts[at : at + 1] = [run[1] for run in kept]
        self._size -= 1
        return True
