"""What the tests of one pytest session share: options, seed, the stack that is up, and where progress goes."""

from __future__ import annotations

import secrets
import shlex
import time
from pathlib import Path

import pytest

from parity.run.entry import Runtime
from parity.run.stacks import Stacks
from parity.stack.description import StackFiles, load_stack
from parity.stack.reaper import reap
from parity.stack.stack import Blueprint, Stack, blueprint


class ParitySession:
    """The plugin's state in a pytest session.

    Args:
        config: Pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        given = config.getoption("parity_seed")
        self.seed: int = secrets.randbelow(1_000_000) if given is None else given
        self.everything: bool = config.getoption("parity_all")
        self.stack: str = config.getoption("parity_stack")
        self.on: Runtime = config.getoption("parity_on")
        self.out: Path = config.getoption("parity_out")
        self._files: dict[str, StackFiles] = {}
        self._plans: dict[str, Blueprint] = {}
        self._stacks: Stacks | None = None
        self._start = time.monotonic()

    def files(self, name: str) -> StackFiles:
        """A stack's files, by the name that scenarios and markers give it, from pytest's root.

        Raises:
            SourceError: A file is missing or wrong.
        """
        if name not in self._files:
            self._files[name] = load_stack(name, root=self._config.rootpath)
        return self._files[name]

    def plan(self, name: str) -> Blueprint:
        """A stack's blueprint.

        Raises:
            ParityError: The compose tool is missing or refuses the files.
        """
        if name not in self._plans:
            self._plans[name] = blueprint(self.files(name))
        return self._plans[name]

    def ready(self, plan: Blueprint) -> Stack:
        """A stack that is up and well; the same one for tests in a row that can share it.

        Raises:
            ParityError: It does not come up.
        """
        if self._stacks is None:
            for line in reap():
                self.progress(f"left over from an earlier run, removed: {line}")
            self._stacks = Stacks(self.progress)
        return self._stacks.ready(plan)

    def close(self) -> None:
        """Take down the stack that is up."""
        if self._stacks is not None:
            self._stacks.release()
            self._stacks = None

    def progress(self, text: str) -> None:
        """Say what takes time, past pytest's capturing; silent with `-q`."""
        if self._config.get_verbosity() < 0:
            return
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if reporter is None or capture is None:
            return
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"parity: {time.monotonic() - self._start:6.1f}s {text}")

    def detail(self, text: str) -> None:
        """Say what a run is doing, where `-v` asks for that much."""
        if self._config.get_verbosity() > 0:
            self.progress(text)

    def again(self, node_id: str, seed: int) -> str:
        """The command that replays a test."""
        words = ["pytest", node_id, "--parity-seed", str(seed)]
        if self.stack:
            words += ["--parity-stack", self.stack]
        if self.on != "docker":
            words += ["--parity-on", self.on]
        return shlex.join(words)


SESSION = pytest.StashKey[ParitySession]()


def session_of(config: pytest.Config) -> ParitySession:
    """The plugin's state."""
    return config.stash[SESSION]
