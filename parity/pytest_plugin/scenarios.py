"""Scenario files as tests: one for each stack that the file names."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parity.errors import ParityError
from parity.pytest_plugin.explain import explain
from parity.pytest_plugin.session import session_of
from parity.run.entry import Entry
from parity.run.fits import check_fits
from parity.run.result import Result
from parity.run.session import run_entry
from parity.run.sim import simulate_entry
from parity.scenario.scenario import OnStack, Scenario, read_scenario
from parity.scenario.source import load_source

_SUFFIXES = {".yaml", ".yml"}


def is_scenario(path: Path, parent: pytest.Collector) -> bool:
    """Whether a file is to be collected: named on the command line, or matched by the ini option."""
    if path.suffix not in _SUFFIXES:
        return False
    patterns = parent.config.getini("parity_scenarios")
    return parent.session.isinitpath(path) or any(path.match(pattern) for pattern in patterns)


class ScenarioFile(pytest.File):
    """A scenario file."""

    def collect(self) -> Iterator[ScenarioItem]:
        """A test for each stack of the chosen suite; all of them where the file is named on the command line.

        Raises:
            SourceError: The file or a stack's is wrong, or they do not fit one another.
        """
        session = session_of(self.config)
        source = Path(os.path.relpath(self.path, self.config.invocation_params.dir))
        document = load_source(source)
        scenario = read_scenario(document, name=source.stem)
        everything = session.everything or self.session.isinitpath(self.path)
        for on in scenario.stacks_of(everything=everything, stack=session.stack):
            check_fits(scenario, session.files(on.stack), document=document)
            yield ScenarioItem.from_parent(self, name=on.stack, scenario=scenario, on=on, source=str(source))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What is wrong and where, without the traceback of whoever found it."""
        del style
        return str(excinfo.value) if isinstance(excinfo.value, ParityError) else super().repr_failure(excinfo)


class ScenarioItem(pytest.Item):
    """A scenario on one stack.

    Args:
        scenario: As its file states it.
        on: The stack, and what is expected there.
        source: The file, as messages name it.
    """

    def __init__(self, *, scenario: Scenario, on: OnStack, source: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.scenario = scenario
        self.on = on
        self.source = source
        self.add_marker(pytest.mark.parity(on.stack))

    def runtest(self) -> None:
        """Run it; anything but the expected verdict is a failure.

        Raises:
            ParityError: The stack cannot be had.
        """
        result = self._simulate() if session_of(self.config).on == "sim" else self._run()
        self.user_properties += properties_of(result)
        if not result.as_expected:
            pytest.fail(explain(result, again=session_of(self.config).again(self.nodeid, result.seed)), pytrace=False)

    def _entry(self) -> Entry:
        files = session_of(self.config).files(self.on.stack)
        return Entry(files=files, scenario=self.scenario, expectation=self.on.expect, source=self.source)

    def _run(self) -> Result:
        session = session_of(self.config)
        plan = session.plan(self.on.stack)
        return run_entry(
            self._entry(),
            plan,
            session.ready(plan),
            seed=session.seed,
            out=session.out,
            progress=session.detail,
            announce=self._announce,
        )

    def _simulate(self) -> Result:
        session = session_of(self.config)
        return simulate_entry(self._entry(), seed=session.seed, out=session.out, announce=self._announce)

    def _announce(self, entry: Entry, drawn: Scenario, seed: int) -> None:
        session_of(self.config).detail(f"{self.nodeid}, seed {seed}, drawn:\n{drawn.to_yaml().rstrip()}")
        self.add_report_section("call", f"scenario as drawn with seed {seed}", drawn.to_yaml())
        del entry

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What went wrong, without the traceback of whoever noticed."""
        if isinstance(excinfo.value, ParityError):
            return f"{excinfo.value}\nagain: {session_of(self.config).again(self.nodeid, session_of(self.config).seed)}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands, and what it is called."""
        return self.path, None, f"{self.scenario.name} on {self.on.stack}"


def properties_of(result: Result) -> list[tuple[str, object]]:
    """What JUnit XML tells of a run."""
    tally = json.dumps({name: getattr(result.tally, name) for name in result.tally.__struct_fields__})
    return [("record", str(result.record)), ("verdict", result.verdict.value), ("tally", tally)]


def group_by_stack(items: list[pytest.Item]) -> None:
    """Put scenarios that can share a stack after one another, in the places that scenarios have anyway.

    Bringing a stack up takes longer than most runs.
    """
    scenarios = {index: item for index, item in enumerate(items) if isinstance(item, ScenarioItem)}
    groups: dict[str, list[ScenarioItem]] = {}
    for item in scenarios.values():
        groups.setdefault(_fingerprint(item), []).append(item)
    ordered = itertools.chain.from_iterable(groups.values())
    for index, item in zip(scenarios, ordered, strict=True):
        items[index] = item


def _fingerprint(item: ScenarioItem) -> str:
    # What is wrong with a stack is said by the test that needs it.
    try:
        return session_of(item.config).plan(item.on.stack).fingerprint()
    except ParityError:
        return item.on.stack
