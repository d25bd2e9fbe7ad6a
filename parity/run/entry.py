"""One scenario on one stack, and what every run of one does alike, on whatever runtime: its record and its result."""

from __future__ import annotations

import json
import shlex
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from parity import __version__
from parity.check.verdict import Judgement
from parity.errors import EngineError, ParityError
from parity.run.record import Record, new_record
from parity.run.result import Result
from parity.scenario.scenario import Expectation, Scenario
from parity.scenario.source import Source
from parity.stack.description import StackFiles

#: Where a stack lives.
Runtime: TypeAlias = Literal["docker", "sim"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One scenario on one stack.

    Args:
        files: The stack.
        scenario: The scenario as its file states it.
        expectation: What it should show.
        source: What to name on the command line to get this entry again.
        document: The scenario's file, for messages about it; None where it came from none.
    """

    files: StackFiles
    scenario: Scenario
    expectation: Expectation
    source: str
    document: Source | None = None


#: Told of every drawn scenario, with its seed, before it starts.
Announce = Callable[[Entry, Scenario, int], None]


def open_record(
    entry: Entry,
    drawn: Scenario,
    *,
    runtime: Runtime,
    seed: int,
    out: Path,
    again: str = "",
    facts: dict[str, Any] | None = None,
) -> Record:
    """A fresh record with all that is known before a run starts.

    Args:
        entry: What is to run.
        drawn: Its scenario, as drawn.
        runtime: Where it is to run.
        seed: What it was drawn with.
        out: Where records go.
        again: The command that replays it; the one that runs the drawn scenario again where none is given.
        facts: What only this runtime knows.
    """
    name = entry.files.name
    record = new_record(out, scenario=drawn.name, stack=name, seed=seed)
    known = {
        "parity": __version__,
        "scenario": entry.scenario.name,
        "stack": name,
        "runtime": runtime,
        "seed": seed,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "job_id": entry.files.description.job_id,
    }
    again = again or again_by(record, name, runtime, seed)
    record.write_start(drawn, known | (facts or {}) | {"again": again})
    return record


def again_by(record: Record, stack: str, runtime: Runtime, seed: int) -> str:
    """The command that runs a record's drawn scenario again."""
    words = ["parity", "run", str(record.scenario), "--stack", stack, "--seed", str(seed)]
    return shlex.join(words if runtime == "docker" else [*words, "--on", runtime])


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of executing a run.

    Args:
        judgement: None where it broke off.
        error: Why it did; empty where it did not.
        seconds: Wall time.
    """

    judgement: Judgement | None
    error: str
    seconds: float


def attempt(execute: Callable[[], Judgement], record: Record) -> Attempt:
    """Execute a run. One that breaks off came to something too: unknown.

    Raises:
        EngineError: The engine went away.
    """
    start = time.monotonic()
    judgement: Judgement | None = None
    error = ""
    try:
        judgement = execute()
    except EngineError:
        raise
    except ParityError as caught:
        error = str(caught)
    except Exception as caught:  # noqa: BLE001  # whatever broke a run off, its verdict is unknown and says why
        error = f"a defect of parity: {caught!r}"
        (record.folder / "traceback.txt").write_text(traceback.format_exc())
    return Attempt(judgement=judgement, error=error, seconds=time.monotonic() - start)


def conclude(
    entry: Entry, drawn: Scenario, record: Record, done: Attempt, *, runtime: Runtime, seed: int, faults_s: float = 0.0
) -> Result:
    """Make the result of what a run came to, and write it down.

    Args:
        entry: What was run.
        drawn: Its scenario, as drawn.
        record: Where it is written down.
        done: What came of it.
        runtime: Where it ran.
        seed: What it was drawn with.
        faults_s: How long it was under fault.
    """
    result = Result(
        scenario=drawn.name,
        stack=entry.files.name,
        runtime=runtime,
        seed=seed,
        expectation=entry.expectation,
        judgement=done.judgement,
        seconds=done.seconds,
        faults_s=faults_s,
        record=record.folder,
        error=done.error,
    )
    write_result(record, result)
    return result


def write_result(record: Record, result: Result) -> None:
    """Write down what a run came to."""
    data = result.as_dict()
    if result.judgement:
        data["findings"] = json.loads(msgspec.json.encode(result.findings))
        data["tally"] = json.loads(msgspec.json.encode(result.tally))
    data["as_expected"] = result.as_expected
    record.write_json("verdict.json", data)
