"""The commands of the README that need no Docker, run without it."""

from __future__ import annotations

import re
from pathlib import Path

from test_cli_sim import ROOT, parity

#: What a search found has exit status 1.
STATUS = {"explore": 1}


def commands() -> list[list[str]]:
    """The words of each command of the section, in its order, but for those that say they need Docker."""
    section = (ROOT / "README.md").read_text().partition("## Without Docker\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\$ parity (.*)$", section, re.MULTILINE)
    return [line.split() for line in lines if "--on docker" not in line]


def test_what_is_shown_without_docker_needs_none(tmp_path: Path) -> None:
    """In the README's order, in a folder that has nothing but the project's stacks and scenarios."""
    for name in ("compose", "scenarios"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert [words[0] for words in commands()] == ["run", "explore", "replay"]
    printed = {}
    for words in commands():
        # What a search finds is what the models are today: its folder may have another name by now.
        found = [str(path.relative_to(tmp_path)) for path in tmp_path.glob("failures/*")]
        done = parity(*(found[0] if word.startswith("failures/") else word for word in words), cwd=tmp_path)
        assert done.returncode == STATUS.get(words[0], 0), (words, done.stderr)
        printed[words[0]] = done.stdout
    assert "every verdict as expected; all simulated, which proves nothing about the real services" in printed["run"]
    assert "no_job_lost is violated on compose/rabbitmq+no-confirms in the simulator" in printed["explore"]
    assert printed["replay"].splitlines()[-1] == "the very same run, event by event"
