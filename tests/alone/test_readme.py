"""Every command of the README is run: here, or by the test that is named beside it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.docker, pytest.mark.alone]

#: Commands that a test of their own runs.
ELSEWHERE = {
    "make test": "what runs this test",
    "make parity": "tests/docker/test_scenarios.py",
    ".venv/bin/parity run": "tests/docker/test_scenarios.py",
    ".venv/bin/parity run --all": "tests/docker/test_scenarios.py",
    'eval "$(.venv/bin/parity env)"': "tests/docker/test_attended.py",
    "aws autoscaling set-desired-capacity --auto-scaling-group-name worker --desired-capacity 6": (
        "tests/docker/test_attended.py"
    ),
    ".venv/bin/parity status --watch": "tests/docker/test_attended.py",
    ".venv/bin/parity clock advance 1h": "tests/docker/test_attended.py",
}


def commands() -> list[str]:
    """The lines of the README's shell blocks and of the two commands it opens with, without their comments."""
    text = (ROOT / "README.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    lines += re.findall(r"^    (make \w+)", text, re.MULTILINE)
    return [line.partition("#")[0].strip() for line in lines]


def shown(words: str) -> str:
    """The one command of the README's transcripts that has these words."""
    (line,) = re.findall(rf"^\$ (parity .*{words}.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return f".venv/bin/{line}"


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def test_the_readme_has_its_commands() -> None:
    """The block is found, the two commands stand first, and what is said to be elsewhere is there."""
    assert commands()[-2:] == ["make parity", "make test"]
    assert set(ELSEWHERE) <= set(commands())
    assert all((ROOT / place).exists() for place in ELSEWHERE.values() if place.endswith(".py"))


def test_the_commands_do_what_they_say() -> None:
    """In the README's order, on one kept stack where it says so."""
    done = {command: run(command) for command in commands() if command not in ELSEWHERE}
    failed = {command: result.stderr[-2000:] for command, result in done.items() if result.returncode}
    assert failed == {}
    (line,) = done[".venv/bin/parity run slow-worker --json"].stdout.splitlines()
    assert json.loads(line)["verdict"] == "holds"
    assert "rabbit1" in done[".venv/bin/parity status"].stdout
    assert "rabbit1 |" in done[".venv/bin/parity logs rabbit1"].stdout
    assert "Docker engine" in done[".venv/bin/parity doctor"].stdout


def test_what_a_search_finds_is_confirmed_on_containers(tmp_path: Path) -> None:
    """As the README shows it; what is found is what the models are today, in a folder of the test's own."""
    found = run(f"{shown('explore')} --json --out {tmp_path}")
    assert found.returncode == 1
    folder = json.loads(found.stdout)["found"][0]["folder"]
    confirmed = run(f".venv/bin/parity replay {folder} --on docker --json --out {tmp_path / 'out'}")
    assert confirmed.returncode == 0, confirmed.stderr[-2000:]
    assert json.loads(confirmed.stdout)["confirmed"] == 1
