"""Which scenarios on which stacks a command line means; everything is read and checked before anything starts."""

from __future__ import annotations

from pathlib import Path

from parity.errors import SourceError
from parity.run.entry import Entry
from parity.scenario.scenario import read_scenario
from parity.scenario.source import load_source, nearest
from parity.stack.description import StackFiles, load_stack

SCENARIOS = "scenarios"


def select(names: list[str], *, everything: bool, stack: str, root: Path) -> list[Entry]:
    """The entries to run.

    Args:
        names: Scenario files, or names of files in `scenarios/`; empty for all of them.
        everything: Entries of the suite `all` too.
        stack: Run on this stack only; on one that a scenario does not name, everything is expected to hold.
        root: The project's folder.

    Raises:
        SourceError: A file is wrong or missing.
    """
    stacks: dict[str, StackFiles] = {}

    def files(name: str) -> StackFiles:
        if name not in stacks:
            stacks[name] = load_stack(name, root=root)
        return stacks[name]

    entries = []
    for path in scenario_files(names, root):
        document = load_source(path)
        scenario = read_scenario(document, name=path.stem)
        chosen = scenario.stacks_of(everything=everything or bool(names), stack=stack)
        entries += [
            Entry(files=files(on.stack), scenario=scenario, expectation=on.expect, source=str(path), document=document)
            for on in chosen
        ]
    if not entries:
        raise SourceError("no scenario to run", file=str(root / SCENARIOS))
    return entries


def scenario_files(names: list[str], root: Path) -> list[Path]:
    """The scenario files meant.

    Raises:
        SourceError: A name is no file; carries the nearest one that is.
    """
    known = sorted((root / SCENARIOS).glob("*.yaml"))
    if not names:
        return known
    found = []
    for name in names:
        path = Path(name)
        if not path.is_file():
            path = next((file for file in known if file.stem == name), path)
        if not path.is_file():
            raise SourceError(f"no such scenario{nearest(path.stem, [file.stem for file in known])}", file=name)
        found.append(path)
    return found
