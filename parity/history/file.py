"""The history's file: JSON Lines, one event a line, readable while it is written and after a crash."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from parity.errors import RecordError
from parity.history.events import Event

#: How much of the file is decoded at once: large enough to make the call's cost vanish, small enough for the
#: events of one chunk to stay in the processor's cache.
_CHUNK_BYTES = 1 << 17

_decoder = msgspec.json.Decoder(Event)


class HistoryWriter:
    """Appends events to a history's file. Threads may share it; closing it is leaving its `with` block.

    A file that ends in a torn line, because its last writer died, loses that line when it is opened again.

    Args:
        path: The file; created where it does not exist.
        flush_every: Events after which the operating system is handed what was written. With 1, the default,
            an event written is an event kept, even when this process is killed the moment after.
    """

    def __init__(self, path: Path, *, flush_every: int = 1) -> None:
        _cut_torn_line(path)
        self._file: BinaryIO = path.open("ab")
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        self._flush_every = flush_every
        self._unflushed = 0

    def write(self, *events: Event) -> None:
        """Append events, together."""
        lines = self._encoder.encode_lines(events)
        with self._lock:
            self._file.write(lines)
            self._unflushed += len(events)
            if self._unflushed >= self._flush_every:
                self._file.flush()
                self._unflushed = 0

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        with self._lock:
            self._file.flush()
            self._unflushed = 0

    def close(self) -> None:
        """Flush and close; nothing can be written afterwards."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _cut_torn_line(path: Path) -> None:
    """Take away what follows the last newline, or the next event would be glued to it."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = position = file.seek(0, 2)
        while position > 0:
            start = max(0, position - _CHUNK_BYTES)
            file.seek(start)
            newline = file.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < end:
            file.truncate(position)


def read_history(path: Path) -> Iterator[Event]:
    """The events of a history's file, in its order, without holding more than a chunk of them.

    A last line without its newline that is no event is left out: its writer was killed in the middle of it.

    Args:
        path: The file.

    Returns:
        An iterator over the events.

    Raises:
        RecordError: While iterating: the file cannot be read, or a line is no event; with file and line.
    """
    return chain.from_iterable(_read_chunks(path))


def _read_chunks(path: Path) -> Iterator[list[Event]]:
    decode_lines = _decoder.decode_lines
    line_number = 0
    try:
        with path.open("rb") as file:
            rest = b""
            while block := file.read(_CHUNK_BYTES):
                end = block.rfind(b"\n") + 1
                if not end:
                    rest += block
                    continue
                lines = rest + block[:end]
                rest = block[end:]
                count = lines.count(b"\n")
                try:
                    events = decode_lines(lines)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    events = []
                # The decoder minds values, not lines: it takes two events on one line, and one on two.
                if len(events) == count:
                    yield events
                else:
                    yield from _decode_one_by_one(path, lines, line_number)
                line_number += count
    except OSError as error:
        raise RecordError(f"{path}: the history cannot be read: {error.strerror}") from error
    if rest.strip():
        yield from _decode_torn_line(path, rest, line_number + 1)


def _decode_one_by_one(path: Path, lines: bytes, lines_before: int) -> Iterator[list[Event]]:
    """The events of lines that are not all events: blank ones pass, any other is an error that names it."""
    for line_number, line in enumerate(lines.split(b"\n"), lines_before + 1):
        if line.strip():
            try:
                event = _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _wrong(path, line_number, line, error) from error
            yield [event]


def _decode_torn_line(path: Path, line: bytes, line_number: int) -> Iterator[list[Event]]:
    """The last line without its newline: an event, or the beginning of one that is left out."""
    try:
        yield [_decoder.decode(line)]
    except msgspec.ValidationError as error:
        # No beginning of an event is well-formed JSON with the wrong contents.
        raise _wrong(path, line_number, line, error) from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return


def _wrong(path: Path, line_number: int, line: bytes, error: Exception) -> RecordError:
    return RecordError(f"{path}:{line_number}: expected an event, found {_shown(line)}: {error}")


def _shown(line: bytes) -> str:
    text = line[:80].decode("utf-8", errors="replace")
    return f"{text!r}..." if len(line) > 80 else repr(text)
