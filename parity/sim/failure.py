"""The artefact of a failure: a folder with what fails, its history, and how to see it again.

scenario.yaml   reads as a specification, and is one: copied into `scenarios/` it is a regression as it stands
tape.json       the choices inside the models, the run's digest, and which parity they belong to
history.jsonl   what happened, in virtual time
verdict.json    what that violates
run.json        what a report says of a run
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from parity import __version__
from parity.check.judge import judge
from parity.check.verdict import Judgement
from parity.errors import DeterminismError, SourceError
from parity.history.events import Event
from parity.history.file import HistoryWriter
from parity.scenario.scenario import Expectation, OnStack, Scenario, load_scenario
from parity.sim.search import Simulate
from parity.sim.shrink import Shrunk
from parity.sim.simulation import Simulation
from parity.sim.space import Space
from parity.sim.tape import Tape
from parity.sim.words import describe

#: Of `tape.json`. Another one is not read. Since 2 a number of a search may stand for a scenario with a group.
FORMAT = 2
#: The number of a run that is none of a search: its scenario was written by hand.
NO_SEARCH = -1
_NAME_MAX = 60
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])|[.:]")
_WHOLE_SECONDS = re.compile(r"(\d+)000ms")


class TapeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `tape.json` says."""

    format: int
    #: The version that made it. The models of another make other choices, and the tape fits only its own.
    parity: str
    stack: str
    #: What is violated; empty where nothing is.
    property: str
    #: Of the search, and the run's number in it: `NO_SEARCH` where it is the run of a scenario's file.
    seed: int
    index: int
    #: Whether the scenario fails without the tape too.
    robust: bool
    #: Choices inside the models, each the distance from the benign one; what comes after them is benign.
    choices: tuple[int, ...]
    #: Of the run, in hexadecimal.
    digest: str
    #: Replays it.
    again: str


def name_of(shrunk: Shrunk) -> str:
    """What a failure is called: what it violates, and by which kinds of steps."""
    # A call goes by its operation.
    kinds = [_CAPITAL.sub("-", step.operation or step.kind).lower() for step in shrunk.scenario.steps]
    kinds = list(dict.fromkeys(kinds))
    words = "-".join([shrunk.property, *(["by", *kinds] if kinds else [])]).replace("_", "-")
    return words[:_NAME_MAX].rstrip("-")


def as_regression(shrunk: Shrunk, stack: str, *, seed: int) -> Scenario:
    """The scenario as a file in `scenarios/`: named, told in words, and expected to fail on its stack."""
    steps = describe(shrunk.scenario)
    violates = f"{shrunk.property} was violated on {stack}"
    timings = "whatever the small timings" if shrunk.robust else "with the timings of one tape"
    searched = shrunk.index != NO_SEARCH
    origin = f"run {seed}/{shrunk.index} of a search" if searched else f"a run of {shrunk.scenario.name}"
    about = (
        f"{violates} in the simulator, {timings}{': ' if steps else ''}{steps}. "
        f"Shrunk from {origin}; when this is mended, expect that it holds."
    )
    on = OnStack(stack=stack, expect=Expectation(violated=(shrunk.property,)))
    return shrunk.scenario.model_copy(update={"name": name_of(shrunk), "about": about, "stacks": (on,)})


def write_failure(
    folder: Path, shrunk: Shrunk, space: Space, simulate: Simulate, *, seed: int, again: str = ""
) -> Path:
    """Write the artefact of a failure.

    Args:
        folder: Where; it and those above it are made.
        shrunk: The failure.
        space: What it was found in.
        simulate: What it was found with: the run is done once more for its history.
        seed: The search's.
        again: The command that replays it; `parity replay FOLDER` where empty.

    Returns:
        The scenario's file.

    Raises:
        DeterminismError: The run is not what it was.
    """
    simulation = simulate(shrunk.scenario, space.settings_of(shrunk.scenario), Tape(choices=shrunk.choices))
    if simulation.digest != shrunk.digest:
        raise DeterminismError(_another_run(str(folder), shrunk.digest, simulation.digest))
    folder.mkdir(parents=True, exist_ok=True)
    scenario = as_regression(shrunk, space.stack, seed=seed)
    path = folder / "scenario.yaml"
    path.write_text(readable_yaml(scenario), encoding="utf-8")
    again = again or f"parity replay {folder}"
    tape = TapeFile(
        format=FORMAT,
        parity=__version__,
        stack=space.stack,
        property=shrunk.property,
        seed=seed,
        index=shrunk.index,
        robust=shrunk.robust,
        choices=shrunk.choices,
        digest=f"{shrunk.digest:x}",
        again=again,
    )
    write_tape(folder / "tape.json", tape)
    write_history(folder / "history.jsonl", simulation.events)
    judgement = judge(simulation.events, scenario.properties)
    _write_json(folder / "verdict.json", _verdict(scenario, judgement, shrunk, space.stack))
    facts = {"parity": __version__, "scenario": scenario.name, "stack": space.stack, "runtime": "sim", "seed": seed}
    _write_json(folder / "run.json", facts | {"again": again})
    return path


def read_failure(folder: Path) -> tuple[Scenario, TapeFile]:
    """The scenario and the tape of an artefact.

    Args:
        folder: As `write_failure` left it.

    Raises:
        SourceError: A file is missing or wrong, or the tape is of another format or version of parity.
    """
    return load_scenario(folder / "scenario.yaml"), read_tape(folder / "tape.json")


def read_tape(path: Path) -> TapeFile:
    """A tape that this parity can replay.

    Args:
        path: A `tape.json`.

    Raises:
        SourceError: It is none, or of another format or version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except ValueError as error:
        raise SourceError(f"not a tape: {error}", file=str(path)) from error
    made_by = data.get("parity") if isinstance(data, dict) else None
    if isinstance(data, dict) and data.get("format") != FORMAT:
        raise SourceError(
            f"a tape of format {data.get('format')!r}, made by parity {made_by}; this is parity {__version__}, which "
            f"reads format {FORMAT}. {_instead(made_by)}",
            file=str(path),
        )
    try:
        tape = msgspec.convert(data, TapeFile)
        int(tape.digest, 16)
    except (msgspec.ValidationError, ValueError) as error:
        raise SourceError(f"not a tape: {error}", file=str(path)) from error
    if tape.parity != __version__:
        raise SourceError(
            f"a tape of parity {tape.parity}, and this is {__version__}: its choices belong to other models. "
            f"{_instead(made_by)}",
            file=str(path),
        )
    return tape


def replay(scenario: Scenario, tape: TapeFile, simulate: Simulate, space: Space) -> Simulation:
    """Do the run of an artefact again.

    Args:
        scenario: As `read_failure` gives it.
        tape: With it.
        simulate: Runs it.
        space: Of its stack.

    Raises:
        DeterminismError: The run is not what it was: the stack, the scenario or the models have changed.
    """
    simulation = simulate(scenario, space.settings_of(scenario), Tape(choices=tape.choices))
    if simulation.digest != int(tape.digest, 16):
        raise DeterminismError(_another_run(tape.again, int(tape.digest, 16), simulation.digest))
    return simulation


def readable_yaml(scenario: Scenario) -> str:
    """A scenario's file as people write one: a step a line, durations in seconds, the text folded."""
    data = yaml.safe_load(scenario.to_yaml())
    about = data.pop("about")
    name = data.pop("name")
    lines = [yaml.safe_dump({"name": name}), "about: >-\n", *(f"  {line}\n" for line in _folded(about))]
    for key, value in data.items():
        if key in {"steps", "stacks"}:
            lines += [f"{key}:\n", *(f"  - {_flow(item)}\n" for item in value)]
        elif key == "group" and "setup" in value:
            setup = value.pop("setup")
            lines += [f"{key}:\n", *(f"  {name}: {_flow(item)}\n" for name, item in value.items())]
            lines += ["  setup:\n", *(f"    - {_flow(call)}\n" for call in setup)]
        else:
            lines.append(f"{key}: {_flow(value)}\n")
    return "".join(lines)


def _flow(value: Any) -> str:
    if isinstance(value, str) and (whole := _WHOLE_SECONDS.fullmatch(value)):
        return f"{whole[1]}s"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _folded(text: str, width: int = 110) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _verdict(scenario: Scenario, judgement: Judgement, shrunk: Shrunk, stack: str) -> dict[str, Any]:
    return {
        "scenario": scenario.name,
        "stack": stack,
        "runtime": "sim",
        "verdict": judgement.verdict.value,
        "expected": f"violated: {shrunk.property}",
        "as_expected": True,
        "robust": shrunk.robust,
        "findings": json.loads(msgspec.json.encode(judgement.findings)),
        "tally": json.loads(msgspec.json.encode(judgement.tally)),
    }


def write_tape(path: Path, tape: TapeFile) -> None:
    """Write a tape's file."""
    path.write_bytes(msgspec.json.encode(tape) + b"\n")


def write_history(path: Path, events: Iterable[Event]) -> None:
    """Write the history of a simulated run, in place of one that may be there."""
    path.unlink(missing_ok=True)
    with HistoryWriter(path, flush_every=1000) as writer:
        for event in events:
            writer.write(event)


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _another_run(what: str, was: int, now: int) -> str:
    return (
        f"{what}: the run is not what it was (digest {was:x}, now {now:x}). The stack's files, the scenario or the "
        "models have changed since; the scenario alone can be run all the same"
    )


def _instead(made_by: object) -> str:
    return f"Run its scenario.yaml without the tape, or replay it with parity {made_by}"
