"""The fixture behind `@pytest.mark.parity`: from the marker to a live stack, and from the stack to the report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from parity.errors import ParityError, SourceError
from parity.pytest_plugin.explain import explain_findings
from parity.pytest_plugin.live import ParityStack, run_scenario
from parity.pytest_plugin.scenarios import properties_of
from parity.pytest_plugin.session import session_of
from parity.run.docker import DockerRun
from parity.run.draws import SeededDraws
from parity.run.entry import Entry, open_record, write_result
from parity.run.fits import check_fits
from parity.run.result import Result
from parity.run.session import facts_of, keep_logs
from parity.scenario.scenario import Expectation

_LIVE = pytest.StashKey[tuple[ParityStack, str]]()


@pytest.fixture
def parity_stack(request: pytest.FixtureRequest) -> Iterator[ParityStack]:
    """A live stack in a namespace of its own, as `@pytest.mark.parity("compose/rabbitmq")` names it."""
    item = request.node
    marker = item.get_closest_marker("parity")
    if marker is None or len(marker.args) != 1:
        example = '@pytest.mark.parity("compose/rabbitmq")'
        pytest.fail(f"parity_stack needs to know its stack: mark the test with {example}", pytrace=False)
    with contextlib.ExitStack() as living:
        try:
            live = living.enter_context(_live(item, marker.args[0], dict(marker.kwargs)))
        except ParityError as error:
            pytest.fail(str(error), pytrace=False)
        yield live


@contextlib.contextmanager
def _live(item: pytest.Item, stack_name: str, keywords: dict[str, Any]) -> Iterator[ParityStack]:
    session = session_of(item.config)
    seed = keywords.pop("seed", session.seed)
    if not isinstance(seed, int):
        raise SourceError(f"seed: expected a whole number, found {seed!r}", file="@pytest.mark.parity")
    again = session.again(item.nodeid, seed)
    scenario = run_scenario(item.name, stack_name, about=f"The test {item.nodeid}.", keywords=keywords)
    check_fits(scenario, session.files(stack_name))
    drawn = scenario.draw(SeededDraws(seed, scenario.name))
    files, plan = session.files(stack_name), session.plan(stack_name)
    entry = Entry(files=files, scenario=scenario, expectation=Expectation(), source=item.nodeid)
    stack = session.ready(plan)
    facts = facts_of(stack, plan)
    record = open_record(entry, drawn, runtime="docker", seed=seed, out=session.out, again=again, facts=facts)
    run = DockerRun(stack=stack, plan=plan, scenario=drawn, record=record, progress=session.detail)
    live, start = ParityStack(run, seed=seed), time.monotonic()
    item.stash[_LIVE] = live, f"seed {seed}\nrecord: {record.folder}\nagain:  {again}"
    error = ""
    try:
        with run.started():
            yield live
    except ParityError as caught:
        error = str(caught)
        raise
    finally:
        seconds = time.monotonic() - start
        result = _result(entry, live, seed=seed, seconds=seconds, faults_s=record.faulted_s(), error=error)
        write_result(record, result)
        keep_logs(record, stack, result)
        item.user_properties += properties_of(result)


def report_section(item: pytest.Item) -> str:
    """What a failed test's report adds: what was found, the record, and how to see it again; empty without a run."""
    if _LIVE not in item.stash:
        return ""
    live, text = item.stash[_LIVE]
    findings = explain_findings(live.judgement.findings) if live.judgement else ["not judged: `drain` was not reached"]
    return "\n".join([*findings, text])


def _result(entry: Entry, live: ParityStack, *, seed: int, seconds: float, faults_s: float, error: str) -> Result:
    return Result(
        scenario=entry.scenario.name,
        stack=entry.files.name,
        runtime="docker",
        seed=seed,
        expectation=entry.expectation,
        judgement=live.judgement,
        seconds=seconds,
        faults_s=faults_s,
        record=live.record,
        error=error or ("" if live.judgement else "the test ended without `drain`"),
    )
