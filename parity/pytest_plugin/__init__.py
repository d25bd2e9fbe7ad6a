"""The pytest plugin: scenario files are tests, and a marked test gets a live stack to break.

    scenarios/queue-leader-killed.yaml::compose/rabbitmq    a file's test on one stack

    @pytest.mark.parity("compose/rabbitmq", workers=3)      a test that gets the fixture `parity_stack`

The tests of a session that can share a stack do, each in a namespace of its own.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import get_args

import pytest

from parity.pytest_plugin.fixture import parity_stack, report_section
from parity.pytest_plugin.live import ParityStack, Urls
from parity.pytest_plugin.needs import need_engine
from parity.pytest_plugin.scenarios import ScenarioFile, ScenarioItem, group_by_stack, is_scenario
from parity.pytest_plugin.session import SESSION, ParitySession, session_of
from parity.run.entry import Runtime

__all__ = ["ParityStack", "Urls", "parity_stack"]

_MARKER = (
    "parity(stack, *, workers=None, settings={}, seed=None): the test needs this stack, such as compose/rabbitmq; "
    "the fixture parity_stack brings it up"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("parity", "job-queue stacks, broken on purpose")
    group.addoption("--parity-all", action="store_true", default=False, help="Known-bad stacks and slow scenarios too.")
    group.addoption(
        "--parity-seed", type=int, metavar="N", help="Draw ranges with this seed; a fresh one if not given."
    )
    group.addoption(
        "--parity-stack", default="", metavar="NAME", help="Run scenarios on this stack only, such as compose/rabbitmq."
    )
    group.addoption(
        "--parity-on",
        choices=get_args(Runtime),
        default="docker",
        help="Run scenarios on containers, or on the simulator, which proves nothing about the real services.",
    )
    group.addoption("--parity-out", type=Path, default=Path("out"), metavar="DIR", help="Where records go.")
    parser.addini(
        "parity_scenarios",
        type="args",
        default=["scenarios/*.yaml"],
        help="Patterns of the files that are collected as scenarios.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set the session's state up; nothing is started before a test needs it."""
    config.addinivalue_line("markers", _MARKER)
    config.stash[SESSION] = ParitySession(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take down the stack that is up, however the session ended."""
    if SESSION in config.stash:
        config.stash[SESSION].close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which seed ranges are drawn with, and where scenarios run."""
    session = session_of(config)
    lines = [f"parity: seed {session.seed}"]
    if session.on == "sim":
        lines.append("parity: scenarios run on the simulator, which proves nothing about the real services")
    return lines


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect scenario files."""
    return ScenarioFile.from_parent(parent, path=file_path) if is_scenario(file_path, parent) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put scenarios that can share a stack after one another."""
    if not config.getoption("collectonly") and session_of(config).on == "docker":
        group_by_stack(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or in CI fail, what needs an engine that is not there."""
    simulated = isinstance(item, ScenarioItem) and session_of(item.config).on == "sim"
    if item.get_closest_marker("parity") and not simulated:
        need_engine(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failed test's report what its stack has to tell."""
    report = yield
    if report.failed and (text := report_section(item)):
        report.sections.append(("parity", text))
    return report
