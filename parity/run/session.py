"""A session on containers: several scenarios on their stacks, a stack brought up once for all that can share it."""

from __future__ import annotations

import functools
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import Any

from parity.run.deal import Deal
from parity.run.docker import DockerRun
from parity.run.draws import SeededDraws
from parity.run.entry import Announce, Entry, attempt, conclude, open_record
from parity.run.fits import check_fits
from parity.run.record import Record
from parity.run.result import Result
from parity.run.stacks import Stacks
from parity.stack import owner
from parity.stack.stack import Blueprint, Stack, blueprint, prepare_images

Progress = Callable[[str], None]
#: How many runs that keep to themselves go on side by side: what two processors carry without being late.
LANES = 4
#: How many stacks are up side by side: runs that have a stack to themselves mostly wait.
STACKS = 2
#: Bringing a stack up takes as long as about so many of them.
_RUNS_WORTH_A_STACK = 3


def run_entries(
    entries: list[Entry],
    *,
    seed: int,
    out: Path,
    progress: Progress,
    announce: Announce,
    lanes: int = LANES,
    stacks: int = STACKS,
) -> Generator[Result, None, None]:
    """Run scenarios, each in a namespace of its own.

    Those whose steps keep to their own workers and queues run side by side; one that breaks what others share,
    a node or the database, has its stack to itself. Where there is enough to run, another stack stands beside.

    Args:
        entries: What to run; checked before anything is started.
        seed: What ranges are drawn with.
        out: Where records go.
        progress: Told what takes time.
        announce: Told of every drawn scenario before it starts.
        lanes: How many may run side by side on one stack.
        stacks: How many stacks may be up side by side.

    Yields:
        A result for each entry, as it comes. A run that breaks off is a result too: unknown.

    Raises:
        SourceError: A scenario asks a stack for what it does not have, or the compose tool refuses the stack.
        EngineError: The engine or an image is missing.
        StackError: A stack does not come up.
    """
    for entry in entries:
        check_fits(entry.scenario, entry.files, document=entry.document)
    plans = plans_of(entries)
    numbers = {id(entry): number for number, entry in enumerate(entries)}
    groups = [[numbers[id(entry)] for entry in group] for group in by_stack(entries, plans)]
    alone = alone_of(entries, lanes)
    stacks = min(stacks, sum(_worth(len(alone.intersection(group))) for group in groups))
    run = functools.partial(run_on, plans=plans, seed=seed, out=out, announce=announce, lanes=lanes)
    if stacks > 1:
        with owner.held(owner.users_lock("stacks")) as mine:
            if mine:
                # Here, and not by whoever needs one first: this can take minutes, and must end with Ctrl-C.
                for plan in plans.values():
                    prepare_images(plan, progress)
                deal = Deal(groups, alone=alone, machines=stacks, lanes=lanes)
                yield from _Beside(entries, deal, run, progress).results(stacks)
                return
        progress("another parity has stacks side by side: one stack does here")
    with Stacks(progress) as own:
        yield from run(own, entries, progress=progress)


def alone_of(entries: list[Entry], lanes: int) -> set[int]:
    """The numbers of those entries that have a stack to themselves."""
    return {number for number, entry in enumerate(entries) if lanes == 1 or not entry.scenario.keeps_to_itself}


def _worth(alone: int) -> int:
    """How many stacks of a kind so many runs are worth that have one to themselves."""
    return max(1, math.ceil(alone / _RUNS_WORTH_A_STACK))


class _Beside:
    """Runs on stacks that stand side by side, each with a thread that has it.

    Args:
        entries: What to run; its images are there.
        deal: Who runs which, and when.
        run: Runs some of them: `run_on` with what is the same for all.
        progress: Told what takes time.
    """

    def __init__(
        self,
        entries: list[Entry],
        deal: Deal,
        run: Callable[..., Generator[Result, None, None]],
        progress: Progress,
    ) -> None:
        self._entries = entries
        self._deal = deal
        self._run = run
        self._progress = progress
        self._dealing = threading.Lock()
        self._cancelled = threading.Event()
        self._told: queue.SimpleQueue[Result | BaseException | None] = queue.SimpleQueue()

    def results(self, stacks: int) -> Generator[Result, None, None]:
        """Begin, and hand out results as they come. Leaving early takes everything down first."""
        with ThreadPoolExecutor(max_workers=stacks, thread_name_prefix="stack") as pool:
            try:
                for number in range(1, stacks + 1):
                    pool.submit(self._serve, f"stack {number}")
                while stacks:
                    told = self._told.get()
                    if isinstance(told, BaseException):
                        raise told
                    if told is None:
                        stacks -= 1
                    else:
                        yield told
            finally:
                self._cancelled.set()

    def _serve(self, name: str) -> None:
        """Run what is dealt until nothing is left."""

        def progress(text: str) -> None:
            self._progress(f"{name}: {text}")

        try:
            with Stacks(progress, cancelled=self._cancelled) as stacks:
                while numbers := self._next(name):
                    dealt = [self._entries[number] for number in numbers]
                    runs = self._run(stacks, dealt, progress=self._progress, cancelled=self._cancelled)
                    with closing(runs):
                        for result in runs:
                            self._told.put(result)
        except BaseException as error:  # noqa: BLE001  # it is raised again where the results are taken
            self._told.put(error)
        else:
            self._told.put(None)

    def _next(self, name: str) -> list[int]:
        with self._dealing:
            return [] if self._cancelled.is_set() else self._deal.next(name)


def run_on(
    stacks: Stacks,
    entries: list[Entry],
    *,
    plans: Mapping[str, Blueprint],
    seed: int,
    out: Path,
    progress: Progress,
    announce: Announce,
    lanes: int,
    cancelled: threading.Event | None = None,
) -> Generator[Result, None, None]:
    """Run scenarios that fit, as `run_entries` does, on stacks that outlive them.

    Args:
        stacks: Where they come from; the one that was last used stays up.
        entries: What to run.
        plans: Their stacks' blueprints, as `plans_of` has them.
        seed: What ranges are drawn with.
        out: Where records go.
        progress: Told what takes time.
        announce: Told of every drawn scenario before it starts.
        lanes: How many may run side by side.
        cancelled: Set from outside to end what is under way soon.

    Yields:
        A result for each entry, as it comes.

    Raises:
        EngineError: The engine or an image is missing.
        StackError: A stack does not come up.
    """
    cancelled = cancelled or threading.Event()
    run = functools.partial(run_entry, seed=seed, out=out, progress=progress, announce=announce, cancelled=cancelled)
    for group in by_stack(entries, plans):
        together = [entry for entry in group if lanes > 1 and entry.scenario.keeps_to_itself]
        if together:
            made = [(entry, plans[entry.files.name]) for entry in together]
            jobs = [functools.partial(run, entry, plan, stacks.ready(plan)) for entry, plan in made]
            yield from _side_by_side(jobs, lanes, cancelled)
        for entry in group:
            if entry not in together:
                plan = plans[entry.files.name]
                yield run(entry, plan, stacks.ready(plan))


def by_stack(entries: list[Entry], plans: Mapping[str, Blueprint]) -> list[list[Entry]]:
    """Entries that can share a stack, together."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(plans[entry.files.name].fingerprint(), []).append(entry)
    return list(groups.values())


def plans_of(entries: list[Entry]) -> dict[str, Blueprint]:
    """Each stack's blueprint, by its name; the compose tool is asked once for each, a second of a processor's time."""
    files = {entry.files.name: entry.files for entry in entries}
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        return dict(zip(files, pool.map(blueprint, files.values()), strict=True))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _side_by_side(jobs: list[functools.partial[Result]], lanes: int, cancelled: threading.Event) -> Iterator[Result]:
    """Run entries in threads; results come as they are there. Leaving early cancels what is under way."""
    with ThreadPoolExecutor(max_workers=lanes) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            cancelled.set()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def run_entry(
    entry: Entry,
    plan: Blueprint,
    stack: Stack,
    *,
    seed: int,
    out: Path,
    progress: Progress,
    announce: Announce,
    cancelled: threading.Event | None = None,
) -> Result:
    """Run one scenario on a stack that is ready.

    Args:
        entry: What to run.
        plan: Its stack's blueprint.
        stack: As `Stacks.ready` hands it out.
        seed: What ranges are drawn with.
        out: Where the record goes.
        progress: Told what takes time.
        announce: Told of the drawn scenario before it starts.
        cancelled: Set from outside to end the run soon.

    Returns:
        The result; unknown where the run broke off.

    Raises:
        EngineError: The engine went away.
    """
    drawn = entry.scenario.draw(SeededDraws(seed, entry.scenario.name))
    record = open_record(entry, drawn, runtime="docker", seed=seed, out=out, facts=facts_of(stack, plan))
    announce(entry, drawn, seed)
    run = DockerRun(stack=stack, plan=plan, scenario=drawn, record=record, progress=progress)
    run.cancelled = cancelled or run.cancelled
    done = attempt(run.execute, record)
    result = conclude(entry, drawn, record, done, runtime="docker", seed=seed, faults_s=record.faulted_s())
    keep_logs(record, stack, result)
    return result


def facts_of(stack: Stack, plan: Blueprint) -> dict[str, Any]:
    """What a record tells of the stack a run is on."""
    return {"stack_id": stack.id, "images": stack.image_digests(plan)}


def keep_logs(record: Record, stack: Stack, result: Result) -> None:
    """Write down what the stack's services logged during a run."""
    record.keep_logs(stack.containers, since_s=round(time.time() - result.seconds - 5))
