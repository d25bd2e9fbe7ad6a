"""A region's state on disk: snapshots, and what happened since, so that nothing that was answered is lost.

A folder has generations: `snapshot-N.json` is the state, `journal-N.jsonl` what happened to it since, a line each.
A snapshot begins a new generation; it is written aside and renamed, and only then the older one is removed. So at any
moment there is a snapshot, or none yet, and every journal from it on.

Lines go to the operating system before anything is answered or done because of them. That survives the death of the
process, in whatever way; it does not survive the machine losing power, as the containers do not either.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from parity.errors import RecordError
from parity.model.scaling.state import State
from parity.model.scaling.world import Input

#: A snapshot is made when the journal is this long and twice as long as the last snapshot, so that however large the
#: state is, writing it costs no more than writing what happened.
JOURNAL_BYTES_MIN = 4_000_000

log = logging.getLogger(__name__)


class Called(msgspec.Struct, frozen=True, tag="call"):
    """A call of the API that may have changed the state."""

    now_us: int
    service: str
    operation: str
    request: dict[str, Any]


class Stepped(msgspec.Struct, frozen=True, tag="step"):
    """Time went on, or facts came in."""

    now_us: int
    inputs: list[Input] = []


class Moved(msgspec.Struct, frozen=True, tag="clock"):
    """The clock was set forward."""

    offset_us: int


Entry = Called | Stepped | Moved


class Snapshot(msgspec.Struct):
    """All there is at one moment. `offset_us` is the clock's."""

    offset_us: int
    state: State


class Journal:
    """The state on disk of one region; one process at a time has it.

    Used under the controller's lock. What is on disk is read by `snapshot`, then `entries`; then lines are added.

    Args:
        folder: Made where it is not there.

    Raises:
        RecordError: Another process has it, or what is there cannot be read.
    """

    def __init__(self, folder: Path, *, journal_bytes_min: int = JOURNAL_BYTES_MIN) -> None:
        self._folder = folder
        self._journal_bytes_min = journal_bytes_min
        self._encode = msgspec.json.Encoder().encode
        self._snapshot_bytes = 0
        self._written = 0
        self._writer: threading.Thread | None = None
        self._broken = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise RecordError(f"{folder} is in use: another process serves this region") from None
        except OSError as problem:
            raise RecordError(f"{folder} cannot be used: {problem.strerror}") from problem
        self._generation = max(self._numbers("snapshot"), default=0)
        self._file = self._open(max([self._generation, *self._numbers("journal")]))

    def snapshot(self) -> Snapshot | None:
        """The newest snapshot; None where there is none yet."""
        path = self._path("snapshot", self._generation)
        if not path.exists():
            return None
        raw = path.read_bytes()
        self._snapshot_bytes = len(raw)
        try:
            return msgspec.json.decode(raw, type=Snapshot)
        except msgspec.MsgspecError as problem:
            raise RecordError(f"{path}: not a snapshot of this version: {problem}") from problem

    def entries(self) -> Iterator[Entry]:
        """What happened since that snapshot, in order, without a line that the process died over."""
        decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
        numbers = [number for number in sorted(self._numbers("journal")) if number >= self._generation]
        for number in numbers:
            path = self._path("journal", number)
            for count, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError as problem:
                    raise RecordError(f"{path}:{count}: not a line of this version: {problem}") from problem

    def add(self, entry: Entry) -> None:
        """Write what happened.

        Raises:
            RecordError: It could not be written, or an earlier one could not: what is on disk is whole, and older.
        """
        if self._broken:
            raise RecordError(self._broken)
        line = self._encode(entry) + b"\n"
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError as problem:
            # Half a line must not stand before the next one, and what follows a gap would not be the same.
            os.ftruncate(self._file, self._written)
            self._broken = f"the journal in {self._folder} cannot be written: {problem.strerror}"
            raise RecordError(self._broken) from problem
        self._written += len(line)

    @property
    def wants_snapshot(self) -> bool:
        """Whether so much was added that a snapshot is due, and the last one is written."""
        if self._written < max(self._journal_bytes_min, 2 * self._snapshot_bytes):
            return False
        return self._writer is None or not self._writer.is_alive()

    def begin(self, snapshot: Snapshot) -> None:
        """Write the first snapshot.

        Raises:
            RecordError: It could not be written.
        """
        try:
            self._write(self._turn(snapshot), self._generation)
        except OSError as problem:
            raise RecordError(f"{self._folder} cannot be written: {problem.strerror}") from problem

    def keep(self, snapshot: Snapshot) -> None:
        """Begin a new generation: what is added from now on happens after this. Written by another thread."""
        self._finish_writing()
        raw = self._turn(snapshot)
        self._writer = threading.Thread(
            target=self._try_write, args=(raw, self._generation), name="snapshot", daemon=True
        )
        self._writer.start()

    def close(self) -> None:
        """Let go of it."""
        self._finish_writing()
        os.close(self._file)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _turn(self, snapshot: Snapshot) -> bytes:
        """Turn to the next journal; the older ones count until the snapshot is written."""
        raw = self._encode(snapshot)
        os.close(self._file)
        self._generation = 1 + max([self._generation, *self._numbers("journal")])
        self._file = self._open(self._generation)
        self._snapshot_bytes = len(raw)
        return raw

    def _try_write(self, raw: bytes, generation: int) -> None:
        """Write a snapshot; where that fails the older one and the journals since stay, and say the same."""
        try:
            self._write(raw, generation)
        except OSError:
            log.exception("a snapshot was not written; the journal goes on without it")

    def _write(self, raw: bytes, generation: int) -> None:
        path = self._path("snapshot", generation)
        aside = path.with_suffix(".new")
        try:
            with aside.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        for kind in ("snapshot", "journal"):
            for number in self._numbers(kind):
                if number < generation:
                    self._path(kind, number).unlink(missing_ok=True)

    def _finish_writing(self) -> None:
        if self._writer:
            self._writer.join()

    def _open(self, number: int) -> int:
        """A journal to be added to, without the line that was being written when its process died."""
        path = self._path("journal", number)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._written = path.read_bytes().rfind(b"\n") + 1
        os.ftruncate(file, self._written)
        return file

    def _path(self, kind: str, number: int) -> Path:
        return self._folder / f"{kind}-{number}.{'json' if kind == 'snapshot' else 'jsonl'}"

    def _numbers(self, kind: str) -> list[int]:
        found = self._folder.glob(f"{kind}-*.json*")
        return [int(path.stem.rpartition("-")[2]) for path in found]
