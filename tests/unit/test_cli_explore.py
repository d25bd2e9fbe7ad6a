"""`parity explore`, `shrink` and `replay` without Docker: what is found, kept, and seen again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from test_cli_sim import ROOT
from test_cli_sim import parity as without_docker
from test_result import result
from typer.testing import CliRunner

from parity.check.verdict import Verdict
from parity.cli import replay as replay_command
from parity.cli.app import app
from parity.errors import ParityError
from parity.scenario.scenario import load_scenario
from parity.sim.failure import read_failure, read_tape, write_tape

BAD = "compose/rabbitmq+automatic-acknowledgement"
EXPLORE = ("explore", "--stack", BAD, "--seed", "1", "--property", "no_job_lost")


@pytest.fixture(autouse=True)
def _in_the_projects_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


def parity(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in this process: what it does with its errors is `main`'s."""
    done = CliRunner(env={"NO_COLOR": "1", "TERMINAL_WIDTH": "200", "COLUMNS": "200"}).invoke(app, arguments)
    if done.exception is None or isinstance(done.exception, SystemExit):
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)
    if not isinstance(done.exception, ParityError):
        raise done.exception
    return subprocess.CompletedProcess(arguments, 2, done.stdout, f"{done.stderr}parity: {done.exception}\n")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a search of a known-bad stack finds, spread over two processes: as `--json` tells it."""
    out = tmp_path_factory.mktemp("failures")
    done = without_docker(*EXPLORE, "--processes", "2", "--json", "--out", str(out))
    assert done.returncode == 1, done.stderr
    (failure,) = json.loads(done.stdout)["found"]
    return failure


@pytest.fixture
def failure(found, tmp_path) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(found["folder"], tmp_path / "failure"))


class TestExplore:
    def test_it_finds_shrinks_and_keeps_what_fails(self, found):
        folder = Path(found["folder"])
        assert {path.name for path in folder.iterdir()} == {
            *("scenario.yaml", "tape.json", "history.jsonl", "verdict.json", "run.json")
        }
        assert found["property"] == "no_job_lost"
        assert found["robust"]
        assert found["steps"] <= 2
        assert folder.name.startswith("no-job-lost-by-")

    def test_its_scenario_is_a_regression_as_it_stands(self, found):
        scenario = load_scenario(Path(found["folder"]) / "scenario.yaml")
        assert [(on.stack, on.expect.violated) for on in scenario.stacks] == [(BAD, ("no_job_lost",))]

    def test_a_person_reads_the_scenario_and_the_commands_for_it(self, tmp_path):
        done = parity(*EXPLORE, "--processes", "1", "--out", str(tmp_path))
        lines = done.stdout.splitlines()
        assert done.returncode == 1
        assert re.fullmatch(
            rf"no_job_lost is violated on {re.escape(BAD)} in the simulator: \d+ runs in .* a second of the search",
            lines[0],
        )
        assert re.fullmatch(r"shrunk in .* it fails whatever the small timings are", lines[1])
        assert lines[2].endswith("/scenario.yaml")
        assert "    steps:" in lines
        assert lines[-1] == f"on containers: parity replay {Path(lines[2]).parent} --on docker"

    def test_the_same_search_keeps_the_same_failure_in_the_same_folder(self, found):
        folder = Path(found["folder"])
        done = parity(*EXPLORE, "--processes", "1", "--json", "--out", str(folder.parent))
        assert [each["folder"] for each in json.loads(done.stdout)["found"]] == [str(folder)]
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    def test_a_search_that_finds_nothing_says_where_it_never_came(self, tmp_path):
        done = parity("explore", "--for", "0.1s", "--seed", "1", "--processes", "1", "--out", str(tmp_path / "x"))
        assert done.returncode == 0
        assert done.stdout.startswith("nothing found on compose/rabbitmq in the simulator: ")
        assert "never reached, and so not tried:" in done.stdout
        assert done.stdout.splitlines()[-1].startswith("This says nothing about RabbitMQ")
        assert not (tmp_path / "x").exists()

    @pytest.mark.usefixtures("ray_home")
    def test_on_a_cluster_every_property_has_its_failure(self, tmp_path):
        arguments = ("--stack", BAD, "--seed", "1", "--for", "1s", "--json", "--out", str(tmp_path / "all"))
        done = parity("explore", "--engine", "ray", "--processes", "2", *arguments)
        assert done.returncode == 1, done.stderr
        told = json.loads(done.stdout)
        properties = [each["property"] for each in told["found"]]
        assert "no_job_lost" in properties
        assert len(set(properties)) == len(properties)
        assert {each["folder"] for each in told["found"]} == {str(path) for path in (tmp_path / "all").iterdir()}
        assert told["twice"] >= told["runs"] // 20

    def test_without_ray_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "ray", None)
        done = parity("explore", "--engine", "ray")
        assert done.returncode == 2
        assert "pip install 'parity[ray]'" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--property", "no_job_lots"], "did you mean 'no_job_lost'?"),
            (["--property", "redelivered_within"], "redelivered_within needs a bound"),
            (
                ["--property", "drained_before_termination"],
                "claimed where workers finish in their group's terminate hook",
            ),
            (["--property", "logs_archived"], "logs_archived is claimed where logs are archived: x-parity has no"),
            (["--for", "long"], "expected a duration such as 250ms, 3s or 2m"),
            (["--stack", "compose/rabitmq"], "did you mean 'compose/rabbitmq'?"),
        ],
    )
    def test_wrong_arguments(self, arguments, said):
        done = parity("explore", *arguments)
        assert done.returncode == 2
        assert said in " ".join(done.stderr.split())


class TestReplay:
    @pytest.mark.parametrize("name", ["", "tape.json"])
    def test_a_failure_fails_again_event_by_event(self, failure, name):
        done = without_docker("replay", str(failure / name))
        assert done.returncode == 0
        assert done.stdout.splitlines()[1:] == ["the very same run, event by event"]
        assert "no_job_lost" in done.stdout

    def test_a_robust_scenario_fails_without_its_tape(self, failure):
        done = parity("replay", str(failure / "scenario.yaml"), "--json")
        assert done.returncode == 0
        told = json.loads(done.stdout)
        assert told["same"] is None
        assert "no_job_lost" in told["violated"]

    def test_another_run_than_it_was_is_said(self, failure):
        tape = msgspec.structs.replace(read_tape(failure / "tape.json"), digest="1a2b")
        write_tape(failure / "tape.json", tape)
        done = parity("replay", str(failure))
        assert done.returncode == 0
        assert "another run than it was (digest 1a2b, now " in done.stdout

    def test_what_does_not_fail_any_more_has_exit_status_1(self, failure):
        """As after the stack was mended."""
        tape = msgspec.structs.replace(read_tape(failure / "tape.json"), stack="compose/rabbitmq")
        write_tape(failure / "tape.json", tape)
        done = parity("replay", str(failure))
        assert done.returncode == 1
        assert ": holds, nothing is violated" in done.stdout

    def test_a_simulated_runs_record_is_replayed_too(self, tmp_path):
        run = json.loads(parity("run", "queue-leader-killed", "--on", "sim", "--json", "--out", str(tmp_path)).stdout)
        done = parity("replay", run["run"], "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["same"] is True

    @pytest.mark.parametrize("command", ["replay", "shrink"])
    def test_what_is_no_failure_is_refused(self, command, tmp_path):
        done = parity(command, str(tmp_path))
        assert done.returncode == 2
        assert done.stderr == f"parity: {tmp_path}: neither a folder with scenario.yaml nor a scenario's file\n"

    def test_a_tape_of_another_version_is_refused_with_the_way_out(self, failure):
        text = (failure / "tape.json").read_text()
        (failure / "tape.json").write_text(re.sub(r'"parity":"[^"]+"', '"parity":"0.0.9"', text))
        done = parity("replay", str(failure))
        assert done.returncode == 2
        assert "Run its scenario.yaml without the tape" in done.stderr

    def test_containers_need_an_engine(self, failure):
        done = without_docker("replay", str(failure), "--on", "docker")
        assert done.returncode == 2


class TestConfirming:
    """`replay --on docker`, with runs that are told instead of done."""

    @pytest.fixture
    def runs(self, monkeypatch) -> list[Verdict]:
        """The verdicts of the runs to come; those that were asked for are taken away."""
        verdicts: list[Verdict] = []

        def run_entries(entries, **rest) -> Iterator[object]:
            for _ in entries:
                yield result("no_job_lost", no_job_lost=verdicts.pop(0))

        monkeypatch.setattr(replay_command, "run_entries", run_entries)
        monkeypatch.setattr(replay_command, "remove_leftovers", lambda _: None)
        return verdicts

    def test_the_first_violation_confirms_and_ends_it(self, failure, tmp_path, runs):
        runs += [Verdict.UNKNOWN, Verdict.VIOLATED, Verdict.HOLDS]
        done = parity("replay", str(failure), "--on", "docker", "--out", str(tmp_path / "out"))
        assert done.returncode == 0
        assert "confirmed on containers (confirmed 1 of 2 runs, 1 of them unknown)" in done.stdout
        assert runs == [Verdict.HOLDS]

    def test_none_in_so_many_does_not(self, failure, tmp_path, runs):
        runs += [Verdict.HOLDS, Verdict.HOLDS, Verdict.VIOLATED]
        done = parity("replay", str(failure), "--on", "docker", "--out", str(tmp_path / "out"), "--times", "2")
        assert done.returncode == 1
        assert "not confirmed on containers (confirmed 0 of 2 runs)" in done.stdout


class TestShrink:
    def test_a_failure_is_shrunk_again_from_the_run_that_was_found(self, failure):
        before = read_failure(failure)
        done = parity("shrink", str(failure), "--json")
        assert done.returncode == 0
        told = json.loads(done.stdout)
        assert told["folder"] == str(failure)
        after = read_failure(failure)
        assert after[0] == before[0]
        assert (after[1].digest, after[1].index) == (before[1].digest, before[1].index)

    def test_a_run_of_a_scenario_that_was_written_by_hand_is_shrunk_too(self, tmp_path):
        arguments = ("--stack", BAD, "--on", "sim", "--seed", "1", "--json", "--out", str(tmp_path))
        run = json.loads(parity("run", "worker-killed-mid-job", *arguments).stdout)
        done = parity("shrink", run["run"], "--for", "5s", "--out", str(tmp_path / "failures"))
        assert done.returncode == 0, done.stderr
        assert "Shrunk from a run of worker-killed-mid-job" in " ".join(done.stdout.split())
        (folder,) = (tmp_path / "failures").iterdir()
        assert len(load_scenario(folder / "scenario.yaml").steps) == 1
        assert parity("replay", str(folder)).returncode == 0

    def test_what_violates_nothing_has_nothing_to_shrink(self, tmp_path):
        run = json.loads(parity("run", "queue-leader-killed", "--on", "sim", "--json", "--out", str(tmp_path)).stdout)
        done = parity("shrink", run["run"])
        assert done.returncode == 2
        assert "there is nothing to shrink" in done.stderr
