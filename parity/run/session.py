"""A session: several scenarios on their stacks, a stack brought up once for all that can share it."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
import traceback
from collections.abc import Callable, Iterator
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
from parity.scenario.scenario import Expectation, Scenario
from parity.scenario.source import Source
from parity.stack.kept import kept_stack
from parity.stack.stack import Blueprint, Stack, running_stack

Progress = Callable[[str], None]
_READY_AGAIN_S = 60.0


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


def run_entries(
    entries: list[Entry],
    *,
    seed: int,
    out: Path,
    progress: Progress,
    announce: Callable[[Entry, Scenario, int], None],
) -> Iterator[Result]:
    """Run scenarios one after the other, each in a namespace of its own.

    Args:
        entries: What to run; checked before anything is started.
        seed: What ranges are drawn with.
        out: Where records go.
        progress: Told what takes time.
        announce: Told of every drawn scenario before it starts.

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
    for group in groups.values():
        yield from _run_group(group, seed=seed, out=out, progress=progress, announce=announce)


def _run_group(
    group: list[Entry],
    *,
    seed: int,
    out: Path,
    progress: Progress,
    announce: Callable[[Entry, Scenario, int], None],
) -> Iterator[Result]:
    waiting = list(group)
    while waiting:
        with _stack_for(waiting[0].plan, progress) as stack:
            settle_s = stack.broker.settle_s()
            while waiting:
                entry = waiting.pop(0)
                yield _run_one(entry, stack, settle_s, seed=seed, out=out, progress=progress, announce=announce)
                if waiting and not _ready_again(stack, progress):
                    progress("the stack does not heal: building a new one")
                    break


@contextlib.contextmanager
def _stack_for(plan: Blueprint, progress: Progress) -> Iterator[Stack]:
    with kept_stack(plan, progress=progress) as kept:
        if kept is not None:
            yield kept
            return
    with running_stack(plan, progress=progress) as stack:
        yield stack


def _ready_again(stack: Stack, progress: Progress) -> bool:
    try:
        stack.wait_ready(within_s=_READY_AGAIN_S)
    except ParityError as error:
        progress(str(error))
        return False
    return True


def _run_one(
    entry: Entry,
    stack: Stack,
    settle_s: float,
    *,
    seed: int,
    out: Path,
    progress: Progress,
    announce: Callable[[Entry, Scenario, int], None],
) -> Result:
    drawn = entry.scenario.draw(SeededDraws(seed, entry.scenario.name))
    stack.use_images(entry.plan, progress)
    record = new_record(out, scenario=drawn.name, stack=entry.plan.files.name, seed=seed)
    record.write_start(drawn, _facts(entry, stack, seed, record))
    announce(entry, drawn, seed)
    run = DockerRun(stack=stack, plan=entry.plan, scenario=drawn, record=record, progress=progress, settle_s=settle_s)
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
    _write_result(record, stack, result)
    return result


def _facts(entry: Entry, stack: Stack, seed: int, record: Record) -> dict[str, Any]:
    scenario = shlex.quote(str(record.scenario))
    return {
        "parity": __version__,
        "scenario": entry.scenario.name,
        "stack": entry.plan.files.name,
        "runtime": "docker",
        "seed": seed,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "job_id": entry.plan.files.description.job_id,
        "images": stack.image_digests(entry.plan),
        "again": f"parity run {scenario} --stack {shlex.quote(entry.plan.files.name)} --seed {seed}",
    }


def _write_result(record: Record, stack: Stack, result: Result) -> None:
    data = result.as_dict()
    if result.judgement:
        data["findings"] = json.loads(msgspec.json.encode(result.findings))
        data["tally"] = json.loads(msgspec.json.encode(result.tally))
    data["as_expected"] = result.as_expected
    record.write_json("verdict.json", data)
    record.keep_logs(stack.containers, since_s=round(time.time() - result.seconds - 5))
