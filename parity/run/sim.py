"""A run on the models, in virtual time: it needs neither an engine nor a compose tool, and proves nothing of them."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from parity import __version__
from parity.check import judge
from parity.check.verdict import Judgement, Verdict
from parity.errors import ModelError
from parity.history.file import read_history
from parity.run.draws import SeededDraws
from parity.run.entry import Announce, Entry, attempt, conclude, open_record
from parity.run.fits import check_fits
from parity.run.record import Record
from parity.run.result import Result
from parity.scenario.scenario import Scenario
from parity.sim.failure import FORMAT, NO_SEARCH, TapeFile, write_history, write_tape
from parity.sim.run import simulate
from parity.sim.simulation import Simulation
from parity.sim.tape import Tape
from parity.stack.modelled import model_settings


def simulate_entries(
    entries: list[Entry], *, seed: int, out: Path, announce: Announce
) -> Generator[Result, None, None]:
    """Run scenarios on the models, one after the other.

    Args:
        entries: What to run; checked before anything is started.
        seed: What ranges are drawn with, and the models' choices made.
        out: Where records go.
        announce: Told of every drawn scenario before it starts.

    Yields:
        A result for each entry. What no model covers is a result too: unknown.

    Raises:
        SourceError: A scenario asks a stack for what it does not have, or a stack's files contradict one another.
    """
    for entry in entries:
        check_fits(entry.scenario, entry.files, document=entry.document)
        # What no model covers is no mistake in a file: its run says so.
        with contextlib.suppress(ModelError):
            model_settings(entry.files, entry.scenario, document=entry.document)
    for entry in entries:
        yield simulate_entry(entry, seed=seed, out=out, announce=announce)


def simulate_entry(entry: Entry, *, seed: int, out: Path, announce: Announce) -> Result:
    """Run one scenario on the models.

    Args:
        entry: What to run.
        seed: What ranges are drawn with, and the models' choices made.
        out: Where the record goes.
        announce: Told of the drawn scenario before it starts.

    Returns:
        The result; unknown where no model covers the stack, or what the scenario asks of it.
    """
    drawn = entry.scenario.draw(SeededDraws(seed, entry.scenario.name))
    record = open_record(entry, drawn, runtime="sim", seed=seed, out=out)
    announce(entry, drawn, seed)
    run = SimulatedRun(entry=entry, scenario=drawn, record=record, seed=seed)
    done = attempt(run.execute, record)
    return conclude(entry, drawn, record, done, runtime="sim", seed=seed)


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """One run of a drawn scenario on the models.

    Args:
        entry: What it is a run of.
        scenario: As drawn.
        record: Where it is written down.
        seed: What the models' choices are made with, together with the scenario's name.
    """

    entry: Entry
    scenario: Scenario
    record: Record
    seed: int

    def execute(self) -> Judgement:
        """Do it.

        Returns:
            The judgement, which rests on the history's file alone.

        Raises:
            ModelError: No model covers the stack, or what the scenario asks of it.
        """
        settings = model_settings(self.entry.files, self.scenario, document=self.entry.document)
        tape = Tape(f"{self.seed} {self.scenario.name}")
        simulation = simulate(self.scenario, settings, tape)
        write_history(self.record.history, simulation.events)
        if simulation.unmodelled:
            asked = ", ".join(dict.fromkeys(simulation.unmodelled))
            raise ModelError(f"no model covers what is asked here: {asked}", file=self.entry.source)
        judgement = judge(read_history(self.record.history), self.scenario.properties)
        self._write_tape(tape, simulation, judgement)
        return judgement

    def _write_tape(self, tape: Tape, simulation: Simulation, judgement: Judgement) -> None:
        broken = [finding.property for finding in judgement.findings if finding.verdict is Verdict.VIOLATED]
        write_tape(
            self.record.folder / "tape.json",
            TapeFile(
                format=FORMAT,
                parity=__version__,
                stack=self.entry.files.name,
                property=broken[0] if broken else "",
                seed=self.seed,
                index=NO_SEARCH,
                robust=False,
                choices=tuple(tape.choices),
                digest=f"{simulation.digest:x}",
                again=f"parity replay {shlex.quote(str(self.record.folder))}",
            ),
        )
