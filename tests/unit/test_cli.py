"""The command line without an engine: what it refuses, how it says so, and with which exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def parity(tmp_path):
    """Runs `parity` in the project's folder where no engine answers, and everything it keeps goes to `tmp_path`."""
    environment = os.environ | {
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "PARITY_STATE_DIR": str(tmp_path / "state"),
        "NO_COLOR": "1",
        "TERMINAL_WIDTH": "200",
        "COLUMNS": "200",
    }

    def run(*arguments: str, cwd: Path = ROOT, docker_host: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "parity", *arguments],
            capture_output=True,
            text=True,
            cwd=cwd,
            env=environment | ({"DOCKER_HOST": docker_host} if docker_host else {}),
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return done

    return run


COMMANDS = (
    "run",
    "explore",
    "shrink",
    "replay",
    "report",
    "up",
    "down",
    "status",
    "env",
    "clock",
    "logs",
    "doctor",
    "clean",
)


class TestHelp:
    def test_it_lists_every_command(self, parity):
        done = parity("--help")
        assert done.returncode == 0
        assert all(f" {command} " in done.stdout for command in COMMANDS)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_its_own_and_needs_no_engine(self, parity, command):
        done = parity(command, "--help")
        assert done.returncode == 0
        assert f"parity {command}" in done.stdout

    def test_no_command_is_answered_with_help(self, parity):
        done = parity()
        assert done.returncode == 2
        assert "Usage" in done.stdout + done.stderr


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["rn"], "No such command 'rn'"),
            (["run", "--sed", "3"], "No such option: --sed"),
            (["run", "--seed", "many"], "Invalid value for '--seed'"),
            (["run", "worker-kiled-mid-job"], "no such scenario; did you mean 'worker-killed-mid-job'?"),
            (["run", "--stack", "compose/rabitmq"], "no such folder; did you mean 'compose/rabbitmq'?"),
            (["run", "--stack", "compose/rabbitmq+no-confirm"], "no overlay 'no-confirm'; did you mean 'no-confirms'?"),
            (["up", "compose/rabitmq"], "no such folder; did you mean 'compose/rabbitmq'?"),
        ],
    )
    def test_each_is_said_once_with_exit_status_2_and_no_traceback(self, parity, arguments, said):
        done = parity(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.count(said) == 1

    def test_a_bad_scenario_is_named_by_file_line_and_column(self, parity, tmp_path):
        path = tmp_path / "bad.yaml"
        path.write_text("about: x\nsteps:\n  - {kil: database, at: 1s}\n")
        done = parity("run", str(path))
        assert done.returncode == 2
        assert done.stderr == f"parity: {path}:3:6: no kind of step is called 'kil'; did you mean 'kill'?\n"

    def test_a_folder_without_scenarios_says_so(self, parity, tmp_path):
        done = parity("run", cwd=tmp_path)
        assert done.returncode == 2
        assert "scenarios: no scenario to run" in done.stderr


class TestWithoutAnEngine:
    @pytest.mark.parametrize(
        "command", ["run --on docker worker-killed-mid-job", "up", "down", "status", "logs", "clean"]
    )
    def test_it_says_that_there_is_none_and_the_way_out(self, parity, command):
        done = parity(*command.split())
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.count("parity: no Docker engine answers") == 1
        assert "Start one" in done.stderr
        assert "DOCKER_HOST" in done.stderr

    @pytest.mark.parametrize("command", ["run --json --on docker worker-killed-mid-job", "status --json"])
    def test_json_prints_nothing_but_json(self, parity, command):
        done = parity(*command.split())
        assert done.returncode == 2
        assert done.stdout == ""

    def test_doctor_lists_what_is_missing_and_fails(self, parity):
        done = parity("doctor")
        assert done.returncode == 1
        assert "missing Docker engine: no Docker engine answers" in done.stdout

    def test_doctors_json_is_an_object_a_line(self, parity):
        done = parity("doctor", "--json")
        assert done.returncode == 1
        examined = {one["name"]: one["good"] for one in map(json.loads, done.stdout.splitlines())}
        assert examined["Python"] is True
        assert examined["Docker engine"] is False

    def test_a_host_that_is_no_address_is_an_engine_that_is_not_there(self, parity):
        done = parity("status", docker_host="nonsense://x")
        assert done.returncode == 2
        assert done.stderr.startswith("parity: no Docker engine answers")
