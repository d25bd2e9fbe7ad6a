"""The parity report: where a stack in containers and its models differ, and what the stack has never shown.

Three things are compared for each scenario on each stack: the verdicts, the tallies by kind (was any job lost on one
runtime and none on the other?), and each history with the contract, job by job. What the contract allows and
no run on containers ever showed is counted over all runs so far.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from parity.check.conformance import Conformance, conformance
from parity.check.coverage import Coverage, coverage_of, merge
from parity.check.verdict import Verdict
from parity.errors import ModelError, RecordError
from parity.history.file import read_history
from parity.model.contract import BRANCHES, Contract
from parity.run.entry import Entry
from parity.run.result import Result
from parity.scenario.scenario import load_scenario
from parity.stack.modelled import model_settings

#: What must be none on both runtimes or some on both: no timing turns one into the other.
KINDS = ("lost", "stuck", "late", "dead_lettered", "duplicated")
#: What timing decides: none here and some there is worth a remark, and no difference.
REMARKED = ("unknown", "refused", "redelivered")
_EXAMPLES = 5


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario on one stack, on both runtimes."""

    scenario: str
    stack: str
    #: By runtime.
    verdicts: dict[str, str]
    records: dict[str, str]
    #: What each history is to the contract: `holds`, `violated` or `unknown`.
    conformance: dict[str, str]
    #: Jobs whose lives were held against the contract.
    jobs: int
    #: What nothing explains, in sentences: each makes the exit status 1.
    differences: tuple[str, ...]
    #: The first jobs that did what the contract forbids, in sentences.
    examples: tuple[str, ...]
    #: Differences that a known deviation explains, by its id.
    known: dict[str, int]
    #: What timing decides, and what could not be said.
    remarks: tuple[str, ...]


class ParityReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that was compared in one session, and what all runs so far have shown."""

    seed: int
    compared: tuple[Compared, ...]
    coverage: Coverage

    @property
    def differences(self) -> int:
        """How many things nothing explains."""
        return sum(len(one.differences) for one in self.compared)

    def as_dict(self) -> dict[str, Any]:
        """What `parity.json` has."""
        never = self.coverage.never_shown()
        return {
            "seed": self.seed,
            "differences": self.differences,
            "compared": msgspec.to_builtins(self.compared),
            "never_shown": {
                name: {"says": BRANCHES[name].says, "runs_allowed": shown.runs_allowed, "possible": shown.possible}
                for name, shown in never.items()
                if name in BRANCHES
            },
            "runs": self.coverage.runs,
            "jobs": self.coverage.jobs,
        }


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """A run's history, held against its contract; where that could not be done, why."""

    found: Conformance | None = None
    coverage: Coverage = Coverage()
    reason: str = ""


def compare(entry: Entry, docker: Result, sim: Result) -> tuple[Compared, Coverage]:
    """Compare a scenario's runs on both runtimes.

    Args:
        entry: What was run.
        docker: What came of it in containers.
        sim: What came of it on the models.

    Returns:
        How they compare, and which branches of the contract the containers have shown.
    """
    held = {result.runtime: _held(entry, result) for result in (docker, sim)}
    real = held["docker"].found
    compared = Compared(
        scenario=docker.scenario,
        stack=docker.stack,
        verdicts={result.runtime: result.verdict.value for result in (docker, sim)},
        records={result.runtime: str(result.record) for result in (docker, sim)},
        conformance={name: (one.found.verdict if one.found else Verdict.UNKNOWN).value for name, one in held.items()},
        jobs=real.jobs if real else 0,
        differences=(*_verdicts(docker, sim), *_tallies(docker, sim), *_forbidden(held)),
        examples=tuple(_examples(held)),
        known=dict(real.known) if real else {},
        remarks=(*_remarks(docker, sim), *_unsaid(held)),
    )
    return compared, held["docker"].coverage


def _held(entry: Entry, result: Result) -> _Held:
    try:
        scenario = load_scenario(result.record / "scenario.yaml")
        policies = [step.policy.get("definition", {}) for step in scenario.steps if step.policy]
        contract = Contract(model_settings(entry.files, scenario), policies=policies)
        found = conformance(read_history(result.record / "history.jsonl"), contract)
    except (ModelError, RecordError) as error:
        return _Held(reason=str(error))
    return _Held(found=found, coverage=coverage_of(found, contract))


def _verdicts(docker: Result, sim: Result) -> Iterable[str]:
    if docker.verdict is not sim.verdict:
        said = [f"{result.runtime} {result.verdict} ({_why(result)})" for result in (docker, sim)]
        yield f"verdicts: {', '.join(said)}"


def _why(result: Result) -> str:
    if result.error:
        return result.error.partition("\n")[0]
    worst = [finding for finding in result.findings if finding.verdict is result.verdict]
    if result.verdict is Verdict.HOLDS or not worst:
        return "all that was claimed"
    return ", ".join(finding.property for finding in worst)


def _tallies(docker: Result, sim: Result) -> Iterable[str]:
    # A run that broke off has no tally: that it did is a difference of verdicts.
    if docker.judgement and sim.judgement:
        yield from (f"{name}: {said}" for name, said in _of_another_kind(docker, sim, KINDS))


def _remarks(docker: Result, sim: Result) -> Iterable[str]:
    if docker.judgement and sim.judgement:
        yield from (f"{name}: {said}; timing decides" for name, said in _of_another_kind(docker, sim, REMARKED))


def _of_another_kind(docker: Result, sim: Result, names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        real, modelled = getattr(docker.tally, name), getattr(sim.tally, name)
        if bool(real) != bool(modelled):
            yield name, f"docker {real}, sim {modelled}"


def _forbidden(held: dict[str, _Held]) -> Iterable[str]:
    """Jobs that did what the contract forbids: in containers the stack's doing, on the models the models' own."""
    for runtime, one in held.items():
        if one.found is not None and one.found.verdict is Verdict.VIOLATED:
            yield f"{runtime}: {one.found.reason}"


def _examples(held: dict[str, _Held]) -> Iterable[str]:
    for runtime, one in held.items():
        for each in one.found.differences[:_EXAMPLES] if one.found else ():
            yield (
                f"{runtime}: job {each.job} at {each.t_us / 1e6:.3f} s breaks {each.rule}: "
                f"expected {each.expected}; seen: {each.observed}"
            )


def _unsaid(held: dict[str, _Held]) -> Iterable[str]:
    for runtime, one in held.items():
        if one.found is None:
            yield f"{runtime}: not held against the contract: {one.reason}"
        elif one.found.verdict is Verdict.UNKNOWN:
            yield f"{runtime}: {one.found.reason}"


def read_coverage(path: Path) -> Coverage:
    """What runs so far have shown; nothing where there is no such file.

    Raises:
        RecordError: It cannot be read.
    """
    if not path.exists():
        return Coverage()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Coverage)
    except (OSError, msgspec.DecodeError) as error:
        raise RecordError(f"{path}: not the coverage of earlier runs: {error}. Remove it to count anew") from error


def write_coverage(path: Path, shown: Iterable[Coverage]) -> Coverage:
    """Add what runs have shown to what earlier ones had.

    Args:
        path: The file.
        shown: What each of the runs has shown.

    Returns:
        All of it together.

    Raises:
        RecordError: The file cannot be read or written.
    """
    total = merge([read_coverage(path), *shown])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(total)) + b"\n")
        fresh.replace(path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written: {error.strerror}") from error
    return total
