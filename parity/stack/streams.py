"""What a container prints and reads, through the engine's attach stream: blocks of bytes, and the lines in them.

Attached before its start, a container tells everything from its first byte on. The stream comes straight from the
process: following the log instead would have the engine read every line back from its file and parse it.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, cast

from docker.models.containers import Container

from parity.stack.engine import engine, translated

STDOUT, STDERR = 1, 2

_HEADER = struct.Struct(">BxxxL")
_BLOCK_BYTES = 1 << 18
#: After each block the next one gathers for so long. A worker that prints thousands of lines a second is then read
#: 200 times a second, and no line waits for longer than this.
_GATHER_S = 0.005


class Lines:
    """Takes the engine's frames apart into whole lines; what is torn waits for its rest.

    Args:
        streams: Which of the container's streams count.
    """

    def __init__(self, *streams: int) -> None:
        self._streams = streams
        self._frames = b""
        self._torn = dict.fromkeys(streams, b"")

    def feed(self, block: bytes) -> list[str]:
        """Add a block.

        Returns:
            The lines it completes, without their ends, in the order of their frames.
        """
        lines: list[str] = []
        for stream, text in self._runs(block):
            whole, newline, torn = text.rpartition(b"\n")
            if newline:
                lines += (self._torn[stream] + whole).decode(errors="replace").split("\n")
                self._torn[stream] = torn
            else:
                self._torn[stream] += torn
        return lines

    def _runs(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """The text of the whole frames, those that follow one another in a stream as one."""
        data = self._frames + block
        at, current = 0, 0
        run: list[bytes] = []
        while len(data) - at >= _HEADER.size:
            stream, size = _HEADER.unpack_from(data, at)
            end = at + _HEADER.size + size
            if end > len(data):
                break
            if stream in self._streams:
                if run and stream != current:
                    yield current, b"".join(run)
                    run = []
                current = stream
                run.append(data[at + _HEADER.size : end])
            at = end
        self._frames = data[at:]
        if run:
            yield current, b"".join(run)


class Attached:
    """A container's standard streams.

    Args:
        connection: The socket to the engine.
        stream: What the SDK made of it; closing that closes the connection.
    """

    def __init__(self, connection: socket.socket, stream: Any) -> None:
        self._socket = connection
        self._stream = stream

    def blocks(self) -> Iterator[bytes]:
        """What comes, block by block, until the container's end.

        Raises:
            OSError: The connection broke off.
        """
        while True:
            try:
                block = self._socket.recv(_BLOCK_BYTES)
            except TimeoutError:
                # The SDK's timeout is for answers; a container may be silent for as long as it likes.
                continue
            if not block:
                return
            yield block
            time.sleep(_GATHER_S)

    def write(self, data: bytes) -> int:
        """Write to the standard input.

        Returns:
            How many bytes were taken: fewer than there are where it broke off.
        """
        written = 0
        with contextlib.suppress(OSError), memoryview(data) as rest:
            while written < len(data):
                written += self._socket.send(rest[written:])
        return written

    def finish(self) -> None:
        """Close the standard input."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let go of the connection."""
        with contextlib.suppress(OSError):
            self._stream.close()


def attach(container: Container, *, stdin: bool = False) -> Attached:
    """Attach to a container that was created and not started.

    Args:
        container: The container.
        stdin: Whether its standard input is written to.

    Raises:
        EngineError: The engine refuses.
    """
    wanted = {"stdin": int(stdin), "stdout": 1, "stderr": 1, "stream": 1}
    with translated(f"attach to {container.name}"):
        stream: Any = engine().api.attach_socket(str(container.id), params=wanted)
    # The SDK wraps the connection for reading only; writing needs the socket below it.
    return Attached(cast("socket.socket", getattr(stream, "_sock", stream)), stream)
