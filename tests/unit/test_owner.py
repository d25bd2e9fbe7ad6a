"""Locks name the owner of what was started, and die with it, however it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
from lock_holder import holder_of

from parity.stack import owner


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


@pytest.fixture
def holder(path):
    """Another process that holds the lock."""
    process = holder_of(path)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_lock_is_held_while_its_block_runs_and_free_afterwards(path):
    with owner.held(path) as mine:
        assert mine
        assert owner.is_held(str(path))
    assert not owner.is_held(str(path))


def test_a_lock_file_that_is_gone_is_held_by_nobody(path):
    assert not owner.is_held(str(path))
    assert not path.exists(), "looking must not make it"


def test_a_lock_is_held_by_a_living_process(path, holder):
    assert owner.is_held(str(path))
    with owner.held(path) as mine:
        assert not mine
    assert owner.is_held(str(path)), "asking must not take it away from its holder"


def test_a_lock_is_free_when_its_process_was_killed(path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not owner.is_held(str(path))
    with owner.held(path) as mine:
        assert mine


def test_a_lock_is_free_when_its_process_ended(path, holder):
    holder.communicate()
    assert not owner.is_held(str(path))


def test_a_command_that_is_started_meanwhile_does_not_inherit_the_lock(path):
    """A compose tool that outlives parity must not keep what parity left from being removed."""
    with owner.held(path):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False)
    try:
        assert not owner.is_held(str(path))
    finally:
        child.communicate()


def test_only_one_of_many_threads_gets_a_lock(path):
    got, started, looked = [], threading.Barrier(8, timeout=10), threading.Barrier(8, timeout=10)

    def take():
        started.wait()
        with owner.held(path) as mine:
            got.append(mine)
            looked.wait()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open anybody's lock")
def test_a_lock_that_may_not_be_opened_is_somebodys(path):
    path.touch(mode=0)
    assert owner.is_held(str(path))


class TestStateFolder:
    def test_it_is_where_the_environment_says_and_nobody_elses(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PARITY_STATE_DIR", str(tmp_path / "state"))
        folder = owner.state_folder()
        assert folder.is_relative_to(tmp_path / "state")
        assert folder.stat().st_mode & 0o777 == 0o700

    def test_stacks_have_folders_of_their_own(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PARITY_STATE_DIR", str(tmp_path))
        assert owner.lock_path("a").parent != owner.lock_path("b").parent
        assert owner.new_stack_id() != owner.new_stack_id()

    def test_a_stack_is_kept_once_it_is_marked(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PARITY_STATE_DIR", str(tmp_path))
        folder = owner.stack_folder("a")
        assert not owner.is_marked_kept(folder)
        owner.mark_kept("a")
        assert owner.is_marked_kept(folder)


#: Has the user's lock of its first argument, says whether it waited, and holds it until its standard input ends.
ONE_OF_MANY = """
import sys
from parity.stack import owner

with owner.one_at_a_time(sys.argv[1], wait=lambda: print("waits", flush=True)):
    print("has it", flush=True)
    sys.stdin.read()
"""


def test_what_one_may_do_at_a_time_is_waited_for_whatever_the_state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def start(state):
        environment = os.environ | {"PARITY_STATE_DIR": str(tmp_path / state)}
        command = [sys.executable, "-c", ONE_OF_MANY, "images"]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )

    with start("1") as first, start("2") as second:
        try:
            said = sorted([first.stdout.readline(), second.stdout.readline()])
            assert said == ["has it\n", "waits\n"]
        finally:
            first.kill()
            second.kill()


def test_what_is_waited_for_is_had_when_its_holder_dies(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def start():
        command = [sys.executable, "-c", ONE_OF_MANY, "images"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    with start() as first:
        assert first.stdout.readline() == "has it\n"
        with start() as second:
            assert second.stdout.readline() == "waits\n"
            first.kill()
            assert second.stdout.readline() == "has it\n"
            second.stdin.close()
            assert second.wait(timeout=30) == 0
