"""A worker's life as its group tells it: what it printed, then its end, then its replacement."""

from __future__ import annotations

import queue
import socket
import struct
from collections.abc import Callable, Iterator, Sequence

import pytest

from parity.stack import group as module
from parity.stack.group import Group
from parity.stack.streams import STDERR, STDOUT, Attached


class FakeContainer:
    """A container whose output is a pair of sockets, and whose end the engine hears of after its output's."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number
        self.near, self.far = socket.socketpair()
        self.attrs = {"State": {"Running": True, "OOMKilled": False, "ExitCode": 0, "Error": ""}}
        self._state = dict(self.attrs["State"])

    def prints(self, text: bytes, stream: int = STDOUT) -> None:
        self.far.sendall(struct.pack(">BxxxL", stream, len(text)) + text)

    def dies(self, **state: object) -> None:
        self._state |= {"Running": False, **state}
        self.far.close()

    def wait(self) -> None:
        self.attrs = {"State": self._state}

    def reload(self) -> None:
        pass

    def unpause(self) -> None:
        pass

    def kill(self) -> None:
        self.dies(ExitCode=137)

    def logs(self, **_options: object) -> bytes:
        return b"Traceback\n"


class Told:
    """The listener: what it was told, as it comes."""

    def __init__(self) -> None:
        self._told: queue.Queue[tuple[object, ...]] = queue.Queue()

    def lines(self, instance: str, texts: Sequence[str]) -> None:
        self._told.put((instance, *texts))

    def state(self, instance: str, state: str, exit_code: int | None, reason: str) -> None:
        self._told.put((instance, state, exit_code, reason))

    def next(self, count: int) -> list[tuple[object, ...]]:
        return [self._told.get(timeout=30) for _ in range(count)]


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch) -> list[FakeContainer]:
    monkeypatch.setattr(module, "attach", lambda container: Attached(container.near, container.near))
    monkeypatch.setattr(module.launch, "start", lambda _container: None)
    return []


@pytest.fixture
def make(containers: list[FakeContainer]) -> Iterator[Callable[..., tuple[Group, Told]]]:
    groups: list[Group] = []

    def group(*, replace: bool = False) -> tuple[Group, Told]:
        def container(name: str, number: int) -> FakeContainer:
            containers.append(FakeContainer(name, number))
            return containers[-1]

        told = Told()
        groups.append(Group(container, told, grace_s=1, replace=replace))  # type: ignore[arg-type]
        groups[-1].scale(1)
        assert told.next(2) == [("worker-1", "starting", None, ""), ("worker-1", "running", None, "")]
        return groups[-1], told

    yield group
    for one in groups:
        one.close()


def test_what_it_printed_last_comes_before_its_end(make, containers):
    group, told = make()
    containers[0].prints(b"delivered job-1\ncommitted job-1\n")
    containers[0].prints(b"a word to people\n", STDERR)
    containers[0].dies(ExitCode=3)
    lines: list[object] = []
    while (happened := told.next(1)[0])[1] != "exited":
        lines += happened[1:]
    assert lines == ["delivered job-1", "committed job-1", "a word to people"]
    assert happened == ("worker-1", "exited", 3, "")
    assert group.alive() == []


def test_its_exit_code_is_read_once_the_engine_has_it(make, containers):
    """Its output ends before the engine has noted its end; read at once it would still be running."""
    _, told = make()
    containers[0].dies(ExitCode=137, OOMKilled=True)
    assert told.next(1) == [("worker-1", "exited", 137, "out of memory")]


def test_a_dead_one_is_replaced_by_one_with_another_name(make, containers):
    group, told = make(replace=True)
    containers[0].prints(b"delivered job-1\n")
    containers[0].dies(ExitCode=137)
    assert told.next(4) == [
        ("worker-1", "delivered job-1"),
        ("worker-1", "exited", 137, ""),
        ("worker-2", "starting", None, ""),
        ("worker-2", "running", None, ""),
    ]
    assert group.alive() == ["worker-2"]


def test_those_that_die_before_a_sign_of_life_are_not_replaced_for_ever(make, containers):
    group, told = make(replace=True)
    for number in range(1, 6):
        containers[-1].dies(ExitCode=1)
        expected = [(f"worker-{number}", "exited", 1, "")]
        if number < 5:
            expected += [(f"worker-{number + 1}", state, None, "") for state in ("starting", "running")]
        assert told.next(len(expected)) == expected
    group.close()
    assert "worker-5 and the ones before it died at once" in group.failure
