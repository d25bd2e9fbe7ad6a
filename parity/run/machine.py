"""A machine's side of runs that are spread over a cluster: its session, and what that tells whoever began it."""

from __future__ import annotations

import contextlib
import functools
import io
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from parity.cluster import Mailbox
from parity.errors import EngineError, ParityError
from parity.run.deal import Share
from parity.run.entry import Entry
from parity.run.result import Result
from parity.run.session import Progress, by_stack, plans_of, run_on
from parity.run.stacks import Stacks
from parity.scenario.scenario import Scenario
from parity.stack.compose import compose_command
from parity.stack.engine import engine
from parity.stack.reaper import reap
from parity.stack.stack import Blueprint

#: How a session ends that was told to.
INTERRUPTED = "it was interrupted there"


@dataclass(frozen=True, kw_only=True)
class Told:
    """A session says what takes time."""

    machine: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Announced:
    """A session is about to start a run."""

    machine: str
    number: int
    drawn: Scenario


@dataclass(frozen=True, kw_only=True)
class Came:
    """A run is over. Its record is packed."""

    machine: str
    number: int
    result: Result
    record: bytes


@dataclass(frozen=True, kw_only=True)
class Free:
    """A session has nothing to do."""

    machine: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is the same for every session.

    Args:
        seed: What ranges are drawn with.
        lanes: How many may run side by side.
    """

    seed: int
    lanes: int


def look() -> str:
    """Why this machine cannot run anything; empty where it can."""
    try:
        engine()
        compose_command()
    except EngineError as error:
        return str(error).partition("\n")[0]
    return ""


def group(shares: list[Share]) -> list[list[int]]:
    """Which entries can share a stack: the compose tool knows, and may be here only.

    Raises:
        ParityError: The compose tool refuses a stack.
    """
    try:
        entries = [share.entry() for share in shares]
        numbers = {id(entry): share.number for entry, share in zip(entries, shares, strict=True)}
        return [[numbers[id(entry)] for entry in alike] for alike in by_stack(entries, plans_of(entries))]
    except ParityError as error:
        # Ray cannot carry every kind of error; each can be read.
        raise ParityError(str(error)) from None


def serve(receive: Callable[[], list[Share]], outbox: Mailbox, machine: str, plan: Plan) -> str:
    """A session: run what is sent until nothing more is.

    Returns:
        Why it ended early; empty where it did not.
    """

    def progress(text: str) -> None:
        # There may be nobody left to tell; what was started must be removed all the same.
        with contextlib.suppress(Exception):
            outbox.put(Told(machine=machine, text=text))

    try:
        for line in reap():
            progress(f"left over from an earlier run, removed: {line}")
        with tempfile.TemporaryDirectory(prefix="parity-out-") as out, Stacks(progress) as stacks:
            outbox.put(Free(machine=machine))
            run = functools.partial(
                _run_part, stacks, {}, machine=machine, plan=plan, out=Path(out), outbox=outbox, progress=progress
            )
            while shares := receive():
                for came in run(shares):
                    outbox.put(came)
                outbox.put(Free(machine=machine))
    except ParityError as error:
        return str(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    return ""


def tidy() -> list[str]:
    """Remove what a session left that was killed here."""
    try:
        return reap()
    except ParityError as error:
        raise ParityError(str(error)) from None


def _run_part(
    stacks: Stacks,
    plans: dict[str, Blueprint],
    shares: list[Share],
    *,
    machine: str,
    plan: Plan,
    out: Path,
    outbox: Mailbox,
    progress: Progress,
) -> Iterator[Came]:
    entries = [share.entry() for share in shares]
    numbers = {id(entry): share.number for entry, share in zip(entries, shares, strict=True)}
    # What the compose tool said for an earlier part is known.
    plans |= plans_of([entry for entry in entries if entry.files.name not in plans])

    def announce(entry: Entry, drawn: Scenario, _: int) -> None:
        outbox.put(Announced(machine=machine, number=numbers[id(entry)], drawn=drawn))

    due = list(shares)
    runs = run_on(
        stacks,
        entries,
        plans=plans,
        seed=plan.seed,
        out=out,
        progress=progress,
        announce=announce,
        lanes=plan.lanes,
    )
    with contextlib.closing(runs):
        for result in runs:
            # Entries of one name on one stack are told apart by nothing that is shown of them.
            key = (result.scenario, result.stack, result.expectation)
            share = next(share for share in due if (share.scenario.name, share.stack, share.expectation) == key)
            due.remove(share)
            yield Came(machine=machine, number=share.number, result=result, record=packed(result.record))


def packed(folder: Path) -> bytes:
    """A folder's files as an archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    return archive.getvalue()


def unpack(archive: bytes, folder: Path) -> None:
    """Put an archive's files into a folder."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        tar.extractall(folder, filter="data")
