"""`parity run --on both`: the parity report, as a file and on the terminal."""

from __future__ import annotations

import json
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from parity.cli.show import Screen
from parity.model.contract import BRANCHES
from parity.report.comparison import Compared, ParityReport, compare, read_coverage, write_coverage
from parity.run.entry import Entry
from parity.run.result import Result

REPORT, COVERAGE = "parity.json", "coverage.json"


def check_coverage(out: Path) -> None:
    """Say before anything is run that the counts of earlier runs cannot be read.

    Raises:
        RecordError: They cannot.
    """
    read_coverage(out / COVERAGE)


def report_parity(entries: list[Entry], results: list[Result], screen: Screen, *, seed: int, out: Path) -> ParityReport:
    """Compare what was run on both runtimes, write it down, and show it.

    Args:
        entries: What was run.
        results: What came of it, on either runtime.
        screen: Where it is shown.
        seed: What values were drawn with.
        out: Where `parity.json` and the counts over all runs are.

    Raises:
        RecordError: Something cannot be written.
    """
    by_run = {(result.scenario, result.stack, result.runtime): result for result in results}
    pairs = []
    for entry in entries:
        key = entry.scenario.name, entry.files.name
        docker, sim = by_run.get((*key, "docker")), by_run.get((*key, "sim"))
        if docker and sim:
            pairs.append(compare(entry, docker, sim))
    coverage = write_coverage(out / COVERAGE, [shown for _, shown in pairs])
    report = ParityReport(seed=seed, compared=tuple(compared for compared, _ in pairs), coverage=coverage)
    (out / REPORT).write_text(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _show(report, screen, out)
    return report


def _show(report: ParityReport, screen: Screen, out: Path) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("scenario", "stack", "docker", "sim", "jobs held against the contract", "differences"):
        table.add_column(name, justify="right" if name[0] in "jd" and name != "docker" else "left")
    for one in report.compared:
        count = f"[bold red]{len(one.differences)}[/]" if one.differences else "0"
        table.add_row(*_cells(one), count)
    screen.show(table)
    for one in report.compared:
        told = [
            *one.differences,
            *one.examples,
            *(f"(explained by {name}: {count} jobs)" for name, count in one.known.items()),
        ]
        if told or one.remarks:
            screen.say([f"{one.scenario} on {one.stack}", *(f"    {line}" for line in (*told, *one.remarks))])
    screen.say(_never_shown(report))
    screen.say([f"{report.differences} unexplained differences between the stack and its models; {out / REPORT}"])


def _cells(one: Compared) -> list[str]:
    stack = one.stack.rpartition("/")[2]
    held = f"{one.jobs} {one.conformance['docker']}"
    return [escape(one.scenario), escape(stack), one.verdicts["docker"], one.verdicts["sim"], held]


def _never_shown(report: ParityReport) -> list[str]:
    never = report.coverage.never_shown()
    counted = f"{report.coverage.runs} runs in containers with {report.coverage.jobs:,} jobs so far"
    if not never:
        return [f"All that the models allow was shown by the stack, in {counted}."]
    return [
        f"Allowed by the models and never shown by the stack, in {counted}:",
        *(
            f"    {name}: {BRANCHES[name].says} (allowed in {shown.runs_allowed} of the runs)"
            for name, shown in never.items()
            if name in BRANCHES
        ),
    ]
