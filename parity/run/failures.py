"""Failures as users name them: found by a search and kept in a folder, or a scenario's file. They are replayed here."""

from __future__ import annotations

import itertools
import shlex
from dataclasses import dataclass
from pathlib import Path

from parity.check.judge import judge
from parity.check.verdict import Verdict
from parity.errors import SourceError
from parity.run.draws import SeededDraws
from parity.run.entry import Entry
from parity.run.fits import check_fits
from parity.run.result import Result
from parity.scenario.scenario import Expectation, OnStack, Scenario, read_scenario
from parity.scenario.source import Source, load_source
from parity.sim.failure import NO_SEARCH, TapeFile, as_regression, name_of, read_tape, readable_yaml, write_failure
from parity.sim.run import simulate
from parity.sim.search import Failure, Hunt, broken_by
from parity.sim.shrink import Shrunk
from parity.sim.space import Space
from parity.sim.tape import Tape
from parity.stack.description import StackFiles, load_stack
from parity.stack.modelled import model_settings

SCENARIO, TAPE = "scenario.yaml", "tape.json"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A scenario on one stack that violates something, or is to be seen not to.

    Args:
        path: As the user named it.
        scenario: As drawn.
        files: The stack.
        properties: Those that are to be violated; empty where none is known.
        tape: The choices of its simulated run; None where there is only a scenario.
        document: The scenario's file.
    """

    path: Path
    scenario: Scenario
    files: StackFiles
    properties: tuple[str, ...]
    tape: TapeFile | None
    document: Source

    @property
    def folder(self) -> Path:
        """The folder that scenario and tape are in."""
        return Path(self.document.file).parent

    @property
    def entry(self) -> Entry:
        """The case as a run's entry, with what it is to show."""
        return Entry(
            files=self.files,
            scenario=self.scenario,
            expectation=Expectation(violated=self.properties),
            source=str(self.path),
            document=self.document,
        )

    def shown_by(self, violated: set[str]) -> bool:
        """Whether what a run violated is what the case violates."""
        return set(self.properties) <= violated if self.properties else bool(violated)


def read_case(path: Path, *, root: Path, seed: int = 0) -> Case:
    """Read what a user names: a folder with scenario and tape, its tape, or a scenario's file.

    Args:
        path: The folder or file.
        root: Where names of stacks start.
        seed: What ranges are drawn with, where the file has any.

    Raises:
        SourceError: There is no such thing, a file in it is wrong, or the scenario does not fit the stack.
    """
    folder = path.parent if path.name == TAPE else path
    is_folder = folder.is_dir()
    file = folder / SCENARIO if is_folder else path
    if not file.is_file():
        raise SourceError(f"neither a folder with {SCENARIO} nor a scenario's file", file=str(path))
    document = load_source(file)
    scenario = read_scenario(document, name=file.stem)
    tape = read_tape(folder / TAPE) if is_folder and (folder / TAPE).is_file() else None
    on = _stack_of(scenario, tape)
    files = load_stack(on.stack, root=root)
    check_fits(scenario, files, document=document)
    return Case(
        path=path,
        scenario=scenario.draw(SeededDraws(seed, scenario.name)),
        files=files,
        properties=on.expect.violated,
        tape=tape,
        document=document,
    )


def _stack_of(scenario: Scenario, tape: TapeFile | None) -> OnStack:
    """The tape's stack; without a tape the first where something is to be violated, or the first."""
    if tape is not None:
        return OnStack(stack=tape.stack, expect=Expectation(violated=(tape.property,) if tape.property else ()))
    bad = [on for on in scenario.stacks if on.expect.violated]
    return (bad or scenario.stacks)[0]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What came of doing a case's run again on the models.

    Args:
        verdict: Unknown where no model covers what is asked for.
        violated: The properties that it violates.
        digest: The run's, in hexadecimal.
        same: Whether the digest is the tape's; None where there is no tape.
        unmodelled: What no model covers.
    """

    verdict: Verdict
    violated: tuple[str, ...]
    digest: str
    same: bool | None
    unmodelled: tuple[str, ...] = ()


def replay_on_models(case: Case) -> Replayed:
    """Do a case's run again, event by event where it has a tape, else with the benign choices.

    Raises:
        ModelError: The models do not cover the stack.
        SourceError: The scenario and the stack do not fit.
    """
    settings = model_settings(case.files, case.scenario, document=case.document)
    simulation = simulate(case.scenario, settings, Tape(choices=case.tape.choices if case.tape else ()))
    judgement = judge(simulation.events, case.scenario.properties)
    digest = f"{simulation.digest:x}"
    return Replayed(
        verdict=Verdict.UNKNOWN if simulation.unmodelled else judgement.verdict,
        violated=() if simulation.unmodelled else broken_by(judgement),
        digest=digest,
        same=digest == case.tape.digest if case.tape else None,
        unmodelled=simulation.unmodelled,
    )


def failure_of(case: Case, space: Space) -> Failure:
    """The failure that a case was shrunk from, or the case itself where no search found it.

    Args:
        case: As `read_case` gives it.
        space: Of its stack.

    Raises:
        SourceError: It violates nothing any more.
    """
    tape = case.tape
    if tape is not None and tape.index != NO_SEARCH:
        hunt = Hunt(space=space, simulate=simulate, seed=tape.seed, property=tape.property)
        found = hunt.failure(tape.index)
        if found is None:
            raise SourceError(
                f"run {tape.seed}/{tape.index} on {tape.stack} does not violate {tape.property} any more: the stack's "
                "files or the models have changed since; `parity explore` searches again",
                file=str(case.path),
            )
        return found
    done = replay_on_models(case)
    broken = [name for name in done.violated if name in case.properties] or list(done.violated)
    if not broken:
        raise SourceError("nothing is violated in its simulated run: there is nothing to shrink", file=str(case.path))
    return Failure(
        scenario=case.scenario,
        scenario_choices=(),
        choices=tape.choices if tape else (),
        digest=int(done.digest, 16),
        property=broken[0],
        seed=tape.seed if tape else 0,
        index=NO_SEARCH,
        runs=1,
        seconds=0.0,
    )


def keep(shrunk: Shrunk, space: Space, *, out: Path, seed: int, folder: Path | None = None) -> Path:
    """Write a failure down.

    Args:
        shrunk: The failure.
        space: What it was found in.
        out: Where folders of failures are.
        seed: The search's.
        folder: Its folder; one named after it, below `out`, where None.

    Returns:
        The folder.
    """
    folder = folder or _folder_for(shrunk, space, out, seed)
    write_failure(folder, shrunk, space, simulate, seed=seed, again=f"parity replay {shlex.quote(str(folder))}")
    return folder


def _folder_for(shrunk: Shrunk, space: Space, out: Path, seed: int) -> Path:
    """A folder named after the failure; the one where this very failure is kept already, if there is one."""
    text = readable_yaml(as_regression(shrunk, space.stack, seed=seed))
    for number in itertools.count(1):
        folder = out / (name_of(shrunk) if number == 1 else f"{name_of(shrunk)}-{number}")
        scenario = folder / SCENARIO
        if not folder.exists() or (scenario.is_file() and scenario.read_text(encoding="utf-8") == text):
            break
    return folder


def violated_by(result: Result) -> tuple[str, ...]:
    """The properties that a run violated."""
    return broken_by(result.judgement) if result.judgement else ()
