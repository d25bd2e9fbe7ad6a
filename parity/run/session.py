"""A session: several scenarios on their stacks, a stack brought up once for all that can share it."""

from __future__ import annotations

import functools
import json
import shlex
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from parity import __version__
from parity.check.verdict import Judgement
from parity.errors import EngineError, ParityError
from parity.run.docker import DockerRun
from parity.run.draws import SeededDraws
from parity.run.fits import check_fits
from parity.run.record import Record, new_record
from parity.run.result import Result
from parity.run.stacks import Stacks
from parity.scenario.scenario import Expectation, Scenario
from parity.scenario.source import Source
from parity.stack.stack import Blueprint, Stack

Progress = Callable[[str], None]
#: How many runs that keep to themselves go on side by side: what two processors carry without being late.
LANES = 4


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One scenario on one stack.

    Args:
        plan: The stack.
        scenario: The scenario as its file states it.
        expectation: What it should show.
        source: What to name on the command line to get this entry again.
        document: The scenario's file, for messages about it; None where it came from none.
    """

    plan: Blueprint
    scenario: Scenario
    expectation: Expectation
    source: str
    document: Source | None = None


#: Told of every drawn scenario, with its seed, before it starts.
Announce = Callable[[Entry, Scenario, int], None]


def run_entries(
    entries: list[Entry],
    *,
    seed: int,
    out: Path,
    progress: Progress,
    announce: Announce,
    lanes: int = LANES,
) -> Generator[Result, None, None]:
    """Run scenarios, each in a namespace of its own.

    Those whose steps keep to their own workers and queues run side by side; one that breaks what others share,
    a node or the database, has the stack to itself.

    Args:
        entries: What to run; checked before anything is started.
        seed: What ranges are drawn with.
        out: Where records go.
        progress: Told what takes time.
        announce: Told of every drawn scenario before it starts.
        lanes: How many may run side by side.

    Yields:
        A result for each entry, as it comes. A run that breaks off is a result too: unknown.

    Raises:
        SourceError: A scenario asks a stack for what it does not have.
        EngineError: The engine or an image is missing.
        StackError: A stack does not come up.
    """
    for entry in entries:
        check_fits(entry.scenario, entry.plan.files, document=entry.document)
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.plan.fingerprint(), []).append(entry)
    with Stacks(progress) as stacks:
        for group in groups.values():
            together = [entry for entry in group if lanes > 1 and entry.scenario.keeps_to_itself]
            if together:
                jobs = [
                    functools.partial(
                        run_entry,
                        entry,
                        stacks.ready(entry.plan),
                        seed=seed,
                        out=out,
                        progress=progress,
                        announce=announce,
                    )
                    for entry in together
                ]
                yield from _side_by_side(jobs, lanes)
            for entry in group:
                if entry not in together:
                    stack = stacks.ready(entry.plan)
                    yield run_entry(entry, stack, seed=seed, out=out, progress=progress, announce=announce)


def _side_by_side(jobs: list[functools.partial[Result]], lanes: int) -> Iterator[Result]:
    """Run entries in threads; results come as they are there. Leaving early cancels what is under way."""
    cancelled = threading.Event()
    with ThreadPoolExecutor(max_workers=lanes) as pool:
        futures = [pool.submit(job, cancelled=cancelled) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            cancelled.set()
            pool.shutdown(wait=False, cancel_futures=True)


def run_entry(
    entry: Entry,
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
    record = open_record(entry, drawn, stack, seed=seed, out=out)
    announce(entry, drawn, seed)
    run = DockerRun(stack=stack, plan=entry.plan, scenario=drawn, record=record, progress=progress)
    run.cancelled = cancelled or run.cancelled
    start = time.monotonic()
    judgement: Judgement | None = None
    error = ""
    try:
        judgement = run.execute()
    except EngineError:
        raise
    except ParityError as caught:
        error = str(caught)
    except Exception as caught:  # noqa: BLE001  # whatever broke a run off, its verdict is unknown and says why
        error = f"a defect of parity: {caught!r}"
        (record.folder / "traceback.txt").write_text(traceback.format_exc())
    result = Result(
        scenario=drawn.name,
        stack=entry.plan.files.name,
        runtime="docker",
        seed=seed,
        expectation=entry.expectation,
        judgement=judgement,
        seconds=time.monotonic() - start,
        faults_s=run.faults_s,
        record=record.folder,
        error=error,
    )
    write_result(record, stack, result)
    return result


def open_record(entry: Entry, drawn: Scenario, stack: Stack, *, seed: int, out: Path, again: str = "") -> Record:
    """A fresh record with all that is known before a run starts.

    Args:
        entry: What is to run.
        drawn: Its scenario, as drawn.
        stack: Where.
        seed: What it was drawn with.
        out: Where records go.
        again: The command that replays it; the one that runs the drawn scenario again where none is given.
    """
    name = entry.plan.files.name
    record = new_record(out, scenario=drawn.name, stack=name, seed=seed)
    scenario = shlex.quote(str(record.scenario))
    again = again or f"parity run {scenario} --stack {shlex.quote(name)} --seed {seed}"
    record.write_start(drawn, _facts(entry, stack, seed, again))
    return record


def _facts(entry: Entry, stack: Stack, seed: int, again: str) -> dict[str, Any]:
    return {
        "parity": __version__,
        "scenario": entry.scenario.name,
        "stack": entry.plan.files.name,
        "runtime": "docker",
        "stack_id": stack.id,
        "seed": seed,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "job_id": entry.plan.files.description.job_id,
        "images": stack.image_digests(entry.plan),
        "again": again,
    }


def write_result(record: Record, stack: Stack, result: Result) -> None:
    """Write down what a run came to, and what the stack's services logged meanwhile."""
    data = result.as_dict()
    if result.judgement:
        data["findings"] = json.loads(msgspec.json.encode(result.findings))
        data["tally"] = json.loads(msgspec.json.encode(result.tally))
    data["as_expected"] = result.as_expected
    record.write_json("verdict.json", data)
    record.keep_logs(stack.containers, since_s=round(time.time() - result.seconds - 5))
