"""Stacks that stand side by side: who runs what, and how it ends when something goes wrong on one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_result import result as judged

from parity.check.verdict import Verdict
from parity.errors import CancelledError, StackError
from parity.run import session
from parity.run.entry import Entry
from parity.run.result import Result
from parity.run.session import run_entries
from parity.scenario.scenario import Expectation, load_scenario
from parity.stack import owner
from parity.stack.description import load_stack

ROOT = Path(__file__).parents[2]
WITHIN_S = 20.0
#: Those that have a stack to themselves, then those that go side by side on one.
ALONE = ["queue-leader-killed", "connections-exhausted", "slow-link", "clients-cut-off", "rolling-restart"]
TOGETHER = ["poison-job", "worker-stopped-gracefully"]


class Containers:
    """What stands for the containers: every run holds, once `meanwhile` is over."""

    def __init__(self) -> None:
        self.ran: dict[str, list[str]] = {}
        self.prepared = 0
        self.cancelled: threading.Event | None = None
        self.meanwhile: Callable[[str], None] = lambda _: None

    def prepare_images(self, *_: Any) -> dict[str, str]:
        self.prepared += 1
        return {}

    def run_on(self, _, entries, *, cancelled=None, **__) -> Iterator[Result]:
        self.cancelled = cancelled
        for entry in entries:
            if cancelled is not None and cancelled.is_set():
                # As a stack does that is asked whether it is ready.
                raise CancelledError("the wait was cancelled")
            self.ran.setdefault(threading.current_thread().name, []).append(entry.scenario.name)
            self.meanwhile(entry.scenario.name)
            yield replace(judged(no_job_lost=Verdict.HOLDS), scenario=entry.scenario.name)


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Containers:
    stand_in = Containers()
    # Another parity of the user's may be at work on this machine.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(session, "run_on", stand_in.run_on)
    monkeypatch.setattr(session, "prepare_images", stand_in.prepare_images)
    monkeypatch.setattr(session, "plans_of", lambda entries: {entries[0].files.name: None})
    monkeypatch.setattr(session, "by_stack", lambda entries, _: [entries])
    return stand_in


def runs(names: list[str], **options: Any) -> Iterator[Result]:
    files = load_stack("compose/rabbitmq", root=ROOT)
    scenarios = [load_scenario(ROOT / "scenarios" / f"{name}.yaml") for name in names]
    entries = [
        Entry(files=files, scenario=scenario, expectation=Expectation(), source=scenario.name) for scenario in scenarios
    ]
    return run_entries(entries, seed=1, out=Path("out"), progress=lambda _: None, announce=lambda *_: None, **options)


def test_two_stacks_run_at_the_same_time_and_every_result_comes_once(containers):
    both = threading.Barrier(2)
    first = {TOGETHER[0], ALONE[2]}

    def meanwhile(name: str) -> None:
        if name in first:
            both.wait(WITHIN_S)

    containers.meanwhile = meanwhile
    assert sorted(result.scenario for result in runs(ALONE + TOGETHER)) == sorted(ALONE + TOGETHER)
    assert len(containers.ran) == 2
    assert containers.prepared == 1, "images are there before anybody needs one"
    assert sorted(name for ran in containers.ran.values() for name in ran) == sorted(ALONE + TOGETHER)


@pytest.mark.parametrize(("names", "options"), [(ALONE[:3] + TOGETHER, {}), (ALONE + TOGETHER, {"stacks": 1})])
def test_one_stack_does_where_another_is_not_worth_its_while_or_not_wanted(containers, names, options):
    assert len(list(runs(names, **options))) == len(names)
    assert list(containers.ran) == [threading.current_thread().name]


def test_a_stack_that_does_not_come_up_ends_them_all(containers):
    begun = threading.Event()

    def meanwhile(name: str) -> None:
        if name == TOGETHER[0]:
            begun.set()
            assert containers.cancelled.wait(WITHIN_S), "told to end"
        else:
            begun.wait(WITHIN_S)
            raise StackError(f"no stack for {name}")

    containers.meanwhile = meanwhile
    with pytest.raises(StackError, match="no stack for"):
        list(runs(ALONE + TOGETHER))
    assert sum(len(ran) for ran in containers.ran.values()) == 2, "nothing else was begun"


def test_leaving_early_waits_until_everything_is_down(containers):
    ended = []

    def meanwhile(name: str) -> None:
        if name == TOGETHER[1]:
            assert containers.cancelled.wait(WITHIN_S), "told to end"
            ended.append(name)

    containers.meanwhile = meanwhile
    results = runs(ALONE + TOGETHER)
    assert next(results)
    results.close()
    assert ended == [TOGETHER[1]]


def test_only_one_parity_at_a_time_has_stacks_side_by_side(containers):
    with owner.held(owner.users_lock("stacks")) as mine:
        assert mine
        assert len(list(runs(ALONE + TOGETHER))) == len(ALONE + TOGETHER)
    assert list(containers.ran) == [threading.current_thread().name]
    assert containers.prepared == 0
    assert len(list(runs(ALONE + TOGETHER))) == len(ALONE + TOGETHER)
    assert containers.prepared == 1, "the other is gone"
