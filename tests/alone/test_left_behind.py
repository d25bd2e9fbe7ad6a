"""Whatever ends parity, the next command finds nothing of it left: no container, network, volume, rule or process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from parity.history.events import Delivery
from parity.history.file import read_history
from parity.scenario.scenario import load_scenario

ROOT = Path(__file__).parents[2]
PARITY = [sys.executable, "-m", "parity"]
#: A script starts its background jobs with SIGINT ignored, and what is ignored is inherited.
AS_A_BACKGROUND_JOB = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
pytestmark = [pytest.mark.docker, pytest.mark.alone]


class Running:
    """A parity command under way, its progress read line by line."""

    def __init__(self, *arguments: str, out: Path) -> None:
        self.process = subprocess.Popen(
            [*AS_A_BACKGROUND_JOB, *PARITY, *arguments, *(["--out", str(out)] if arguments[0] == "run" else [])],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._seen = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._seen:
                self.lines.append(line.rstrip())
                self._seen.notify_all()

    def wait_for(self, reached: Callable[[], bool], *, within_s: float = 240) -> None:
        with self._seen:
            deadline = within_s
            while not reached():
                assert self.process.poll() is None, "\n".join(self.lines)
                assert self._seen.wait(timeout=0.2) or (deadline := deadline - 0.2) > 0, "\n".join(self.lines)

    def wait_for_line(self, pattern: str) -> None:
        self.wait_for(lambda: any(re.search(pattern, line) for line in self.lines))

    def finish(self, within_s: float = 240) -> int:
        return self.process.wait(timeout=within_s)


def stack_of(out: Path) -> str:
    """The id of the stack that the one run recorded below `out` is on."""
    (record,) = out.glob("*/run.json")
    return str(json.loads(record.read_text())["stack_id"])


class Belongings:
    """All that a stack consists of: containers, network, and the volumes its containers have."""

    def __init__(self, stack_id: str) -> None:
        self._client = docker.from_env()
        self._chosen = {"label": f"dev.parity.stack={stack_id}"}
        self._volumes: set[str] = set()
        assert self.left(), "there is something to be left"

    def left(self) -> set[str]:
        containers = self._client.containers.list(all=True, filters=self._chosen, ignore_removed=True)
        for container in containers:
            mounts = container.attrs["Mounts"]
            self._volumes |= {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
        found = {f"container {container.name}" for container in containers}
        found |= {f"network {network.name}" for network in self._client.networks.list(filters=self._chosen)}
        return found | {f"volume {v.name}" for v in self._client.volumes.list() if v.name in self._volumes}


def parity(*arguments: str, state: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A parity command, run to its end."""
    environment = os.environ | ({"PARITY_STATE_DIR": str(state)} if state else {})
    return subprocess.run([*PARITY, *arguments], cwd=ROOT, capture_output=True, text=True, env=environment, check=False)


def faults_applied(out: Path) -> bool:
    return any('"phase":"proved"' in path.read_text() for path in out.glob("*/history.jsonl"))


def test_killed_in_the_middle_of_a_fault(tmp_path: Path) -> None:
    """SIGKILL while a worker is paused: the next command removes everything; the record stays readable."""
    run = Running("run", "worker-paused-past-its-lease", out=tmp_path)
    run.wait_for(lambda: faults_applied(tmp_path))
    belongings = Belongings(stack_of(tmp_path))
    run.process.send_signal(signal.SIGKILL)
    run.finish()
    assert belongings.left()
    assert parity("status").returncode == 0
    assert belongings.left() == set()
    (record,) = tmp_path.iterdir()
    assert load_scenario(record / "scenario.yaml").name == "worker-paused-past-its-lease"
    assert any(isinstance(event, Delivery) for event in read_history(record / "history.jsonl"))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_in_the_middle_of_a_fault(tmp_path: Path, ending: signal.Signals) -> None:
    """An interrupted parity heals, removes everything itself, and says 130."""
    run = Running("run", "worker-paused-past-its-lease", out=tmp_path)
    run.wait_for(lambda: faults_applied(tmp_path))
    belongings = Belongings(stack_of(tmp_path))
    run.process.send_signal(ending)
    assert run.finish() == 130, "\n".join(run.lines)
    assert belongings.left() == set()


def everything() -> set[str]:
    """Containers and networks of every stack that is there."""
    client, chosen = docker.from_env(), {"label": "dev.parity.stack"}
    containers = client.containers.list(all=True, filters=chosen, ignore_removed=True)
    return {thing.name for thing in [*containers, *client.networks.list(filters=chosen)]}


def test_interrupted_while_two_stacks_come_up_side_by_side(tmp_path: Path) -> None:
    """Both are taken down, though neither is the main thread's, and neither waits until it is up."""
    before = everything()
    enough = ["queue-leader-killed", "connections-exhausted", "disk-alarm", "slow-link"]
    run = Running("run", *enough, "--stack", "compose/rabbitmq", out=tmp_path)
    run.wait_for_line(r"stack 1: waiting for the cluster")
    run.wait_for_line(r"stack 2: waiting for the cluster")
    assert len(everything() - before) >= 10, "two stacks of four services and a network each"
    run.process.send_signal(signal.SIGINT)
    assert run.finish(within_s=60) == 130, "\n".join(run.lines)
    assert everything() == before


def test_a_kept_stack_is_repaired(tmp_path: Path) -> None:
    """SIGKILL while a node of a kept stack is isolated: the next command takes the rules away, the stack stays."""
    name, out = "compose/rabbitmq+quorum-autoheal", tmp_path / "out"
    up = parity("up", name, state=tmp_path / "state")
    assert up.returncode == 0, up.stderr
    try:
        run = Running("run", "leader-isolated-in-a-minority", "--stack", name, out=out)
        run.wait_for(lambda: faults_applied(out))
        stack_id = stack_of(out)
        belongings = Belongings(stack_id)
        run.process.send_signal(signal.SIGKILL)
        run.finish()
        repaired = parity("status")
        assert "clear_network" in repaired.stderr
        left = belongings.left()
        assert {thing for thing in left if "-run-" in thing} == set()
        assert {thing for thing in left if thing.startswith("container")}
        again = Running("run", "poison-job", "--stack", name, out=tmp_path / "again")
        assert again.finish() == 0, "\n".join(again.lines)
        assert stack_of(tmp_path / "again") == stack_id
    finally:
        down = parity("down", name)
        assert down.returncode == 0, down.stderr
    assert belongings.left() == set()


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    """Two runs of the same scenario at once, on stacks of their own, neither disturbed by the other's end."""
    outs = [tmp_path / "1", tmp_path / "2"]
    runs = [Running("run", "slow-worker", out=out) for out in outs]
    for run in runs:
        assert run.finish() == 0, "\n".join(run.lines)
    first, second = map(stack_of, outs)
    assert first != second
