"""What a person sees: progress on standard error, the table on standard output."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from parity.check.verdict import Verdict
from parity.run.entry import Entry
from parity.run.result import Result
from parity.scenario.scenario import Scenario

_COLOUR = {Verdict.HOLDS: "green", Verdict.VIOLATED: "red", Verdict.UNKNOWN: "yellow"}


class Screen:
    """The terminal.

    Args:
        quiet_output: Nothing but JSON goes to standard output.
    """

    def __init__(self, *, quiet_output: bool = False) -> None:
        self._errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self._output = self._errors if quiet_output else Console(highlight=False)
        if not self._output.is_terminal:
            # A pipe has no width of its own, and a table folded at 80 columns serves nobody.
            self._output.width = 240
        self._status: Status | None = None
        self._start = time.monotonic()

    def announce_seed(self, seed: int | None) -> int:
        """Say which seed is used; a fresh one where none was given."""
        chosen = secrets.randbelow(1_000_000) if seed is None else seed
        self._errors.print(f"[bold]seed {chosen}[/]")
        return chosen

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Show the latest progress while the block runs."""
        if not self._errors.is_terminal:
            yield
            return
        with self._errors.status("starting") as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None

    def progress(self, text: str) -> None:
        """Say what is being done now."""
        if self._status is not None:
            self._status.update(escape(text))
        else:
            self._errors.print(f"[dim]{time.monotonic() - self._start:6.1f}s[/] {escape(text)}")

    def warn(self, text: str) -> None:
        """Say what must not be overlooked."""
        self._errors.print(f"[bold yellow]{escape(text)}[/]")

    def announce(self, entry: Entry, drawn: Scenario, seed: int, *, machine: str = "") -> None:
        """Print every drawn value before a run starts, and where it does if that is not here."""
        parts = [f"jobs {drawn.workload.jobs.value}", f"rate {drawn.workload.rate:g}/s"]
        if drawn.workers:
            parts.append(f"workers {drawn.workers.value}")
        parts += [f"{name} {value}" for name, value in drawn.settings.items()]
        where = escape(f"{machine}: ") if machine else ""
        lines = [f"{where}[bold]{drawn.name}[/] on {entry.files.name}, seed {seed}", f"    {escape(', '.join(parts))}"]
        for step in drawn.steps:
            words = ", ".join(f"{key}: {value}" for key, value in step.model_dump(by_alias=True).items())
            lines.append(f"    {escape(words)}")
        self._say(lines)

    def result(self, result: Result) -> None:
        """Print one run's verdict as it comes, with what was violated or unknown."""
        colour = _COLOUR[result.verdict]
        mark = "as expected" if result.as_expected else "[bold red]NOT AS EXPECTED[/]"
        place = f"[bold]{result.scenario}[/] on {result.stack}, {result.runtime}"
        lines = [f"{place}: [{colour}]{result.verdict}[/] ({mark}) in {result.seconds:.1f} s"]
        if result.error:
            lines.append(f"    {escape(result.error)}")
        lines += [
            f"    {finding.property} {finding.verdict}: {escape(finding.reason)}"
            for finding in result.findings
            if finding.verdict is not Verdict.HOLDS
        ]
        lines.append(f"    {escape(str(result.record))}")
        self._say(lines)

    def _say(self, lines: list[str]) -> None:
        # In one piece, because runs go on side by side.
        self._errors.print("\n".join(lines))

    @property
    def is_live(self) -> bool:
        """Whether progress is drawn over what was said before."""
        return self._status is not None

    def say(self, lines: list[str]) -> None:
        """Print what a command came to."""
        for line in lines:
            self._output.print(escape(line), soft_wrap=True)

    def show(self, table: RenderableType) -> None:
        """Print a table, or several."""
        self._output.print(table)

    @contextlib.contextmanager
    def live(self) -> Iterator[Callable[[RenderableType], None]]:
        """Show one thing after another in the same place while the block runs."""
        with Live(console=self._output, auto_refresh=False, screen=self._output.is_terminal) as live:
            yield lambda shown: live.update(shown, refresh=True)

    def examined(self, name: str, *, good: bool, found: str) -> None:
        """Print one thing that was looked at."""
        mark = "[green]ok[/]     " if good else "[red]missing[/]"
        self._output.print(f"{mark} {name}: {escape(found)}")

    def table(self, results: list[Result]) -> None:
        """Print the table of all runs; `s` is wall time on either runtime."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("scenario", "stack", "on", "verdict", "expected"):
            table.add_column(name, overflow="fold")
        for name in ("ok", "unknown", "refused", "effects", "redelivered", "duplicated", "lost", "stuck", "dead", "s"):
            table.add_column(name, justify="right")
        first = {(result.scenario, result.stack): index for index, result in reversed(list(enumerate(results)))}
        # The runs of a scenario on both runtimes stand below one another.
        for result in sorted(results, key=lambda result: first[result.scenario, result.stack]):
            tally = result.tally
            colour = _COLOUR[result.verdict] if result.as_expected else "bold red"
            submitted = (tally.ok, tally.unknown, tally.refused)
            found = (tally.effects, tally.redelivered, tally.duplicated, tally.lost, tally.stuck, tally.dead_lettered)
            table.add_row(
                result.scenario,
                result.stack.rpartition("/")[2],
                result.runtime,
                f"[{colour}]{result.verdict}[/]",
                result.expected,
                *map(str, (*submitted, *found)),
                f"{result.seconds:.1f}",
            )
        self._output.print(table)
        wrong = [result for result in results if not result.as_expected]
        known_bad = sum(bool(result.expectation.violated) for result in results)
        summary = f"{len(results)} runs, {known_bad} of them on known-bad stacks; "
        summary += f"[bold red]{len(wrong)} not as expected[/]" if wrong else "[green]every verdict as expected[/]"
        if simulated := sum(result.runtime == "sim" for result in results):
            summary += f"; {'all' if simulated == len(results) else simulated} simulated, which proves nothing about "
            summary += "the real services"
        self._output.print(summary)
