"""What a container prints, however the engine's frames and blocks cut it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.stack.streams import STDERR, STDOUT, Attached, Lines


def frame(stream: int, text: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(text)) + text


class TestLines:
    def test_a_block_gives_the_lines_of_its_frames_in_their_order(self):
        block = frame(STDOUT, b"a\nb\n") + frame(STDERR, b"c\n") + frame(STDOUT, b"d\n")
        assert Lines(STDOUT, STDERR).feed(block) == ["a", "b", "c", "d"]

    def test_streams_that_do_not_count_are_passed_over(self):
        block = frame(STDOUT, b"ok ") + frame(STDERR, b"a word to the user\n") + frame(STDOUT, b"job-1\n")
        assert Lines(STDOUT).feed(block) == ["ok job-1"]

    def test_a_torn_line_waits_for_its_rest(self):
        lines = Lines(STDOUT)
        assert lines.feed(frame(STDOUT, b"delivered jo")) == []
        assert lines.feed(frame(STDOUT, b"b-1")) == []
        assert lines.feed(frame(STDOUT, b"\ncommit")) == ["delivered job-1"]

    def test_torn_lines_of_two_streams_are_not_mixed(self):
        block = frame(STDOUT, b"delivered jo") + frame(STDERR, b"disconn") + frame(STDOUT, b"b-1\n")
        lines = Lines(STDOUT, STDERR)
        assert lines.feed(block) == ["delivered job-1"]
        assert lines.feed(frame(STDERR, b"ected\n")) == ["disconnected"]

    def test_a_frame_torn_in_its_header_or_text_waits_for_its_rest(self):
        whole, lines = frame(STDOUT, b"delivered job-1\n"), Lines(STDOUT)
        assert [lines.feed(whole[at : at + 1]) for at in range(len(whole))][-1] == ["delivered job-1"]

    def test_a_character_torn_between_frames_is_whole_again(self):
        first, second = "ü\n".encode()[:1], "ü\n".encode()[1:]
        lines = Lines(STDOUT)
        assert lines.feed(frame(STDOUT, first)) == []
        assert lines.feed(frame(STDOUT, second)) == ["ü"]

    def test_bytes_that_are_no_text_spoil_their_own_line_only(self):
        assert Lines(STDOUT).feed(frame(STDOUT, b"a\xc3\nb\xff\nc\n")) == ["a\ufffd", "b\ufffd", "c"]

    def test_only_a_newline_ends_a_line(self):
        text = "a\u2028b\x0bc\rd"
        assert Lines(STDOUT).feed(frame(STDOUT, f"{text}\n\n".encode())) == [text, ""]

    def test_a_long_line_comes_in_many_frames(self):
        pieces = [b"x" * 30_000] * 10 + [b"\n"]
        assert Lines(STDOUT).feed(b"".join(frame(STDOUT, piece) for piece in pieces)) == ["x" * 300_000]

    @given(st.text(alphabet="aé€\n", max_size=200), st.lists(st.integers(1, 9)), st.lists(st.integers(1, 30)))
    def test_however_it_is_cut_the_lines_are_the_same(self, text: str, frames: list[int], blocks: list[int]):
        stream = b"".join(frame(STDOUT, piece) for piece in cut(text.encode(), frames))
        lines = Lines(STDOUT)
        assert [line for block in cut(stream, blocks) for line in lines.feed(block)] == text.split("\n")[:-1]


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Pieces of these sizes, and what is left."""
    for size in sizes:
        if data:
            yield data[:size]
            data = data[size:]
    if data:
        yield data


@pytest.fixture
def ends() -> Iterator[tuple[Attached, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield Attached(near, near), far


class TestAttached:
    def test_blocks_come_until_the_end(self, ends):
        attached, far = ends
        blocks = attached.blocks()
        far.sendall(b"one")
        assert next(blocks) == b"one"
        far.sendall(b"two")
        assert next(blocks) == b"two"
        far.close()
        assert list(blocks) == []

    def test_what_came_while_a_block_was_handled_is_one_block(self, ends):
        attached, far = ends
        blocks = attached.blocks()
        far.sendall(b"one")
        next(blocks)
        for _ in range(3):
            far.sendall(b"more")
        assert next(blocks) == b"moremoremore"

    def test_silence_is_no_end(self, ends):
        attached, far = ends
        attached._socket.settimeout(0.01)
        later = threading.Timer(0.05, far.sendall, [b"late"])
        later.start()
        assert next(attached.blocks()) == b"late"
        later.join()

    def test_it_writes_all(self, ends):
        attached, far = ends
        assert attached.write(b"job-1\n") == 6
        assert far.recv(100) == b"job-1\n"

    def test_it_says_how_much_was_taken_before_the_end(self, ends):
        attached, far = ends
        attached._socket.settimeout(0.01)
        data = b"x" * 10_000_000
        taken = attached.write(data)
        assert 0 < taken < len(data)
        far.close()
        assert attached.write(b"more") == 0
