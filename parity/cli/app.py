"""parity's commands. Exit status: 0 as expected, 1 not as expected, 2 could not be done, 130 interrupted."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from parity.cli.reports import report, reporting
from parity.cli.selection import select
from parity.cli.show import Screen
from parity.cli.stacks import doctor, down, logs, status, up
from parity.errors import EngineError, ParityError
from parity.run.result import Result
from parity.run.session import LANES, run_entries
from parity.stack.engine import engine
from parity.stack.reaper import reap

#: What a shell calls the end by Ctrl-C; typer's own exit code for it.
_INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Break a job-queue stack on purpose and account for every job.",
)


@app.callback()
def before(context: typer.Context) -> None:
    """Remove what an earlier parity left, whatever ended it, before anything else is done."""
    if context.invoked_subcommand in {"doctor", "clean", None} or {"--help"} & set(sys.argv):
        return
    try:
        engine()
    except EngineError:
        # The command says so itself, once it has read what it was given.
        return
    screen = Screen(quiet_output="--json" in sys.argv)
    for line in reap():
        screen.progress(f"left over from an earlier run, removed: {line}")


@app.command()
def run(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="Scenario files or names; all of the suite if none.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Known-bad stacks and slow scenarios too.")] = False,
    stack: Annotated[str, typer.Option(help="Run on this stack only, such as compose/rabbitmq+no-confirms.")] = "",
    seed: Annotated[int | None, typer.Option(help="Draw ranges with this seed; a fresh one if not given.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a run on standard output, nothing else.")
    ] = False,
    lanes: Annotated[int, typer.Option(min=1, help="Scenarios that may run side by side on one stack.")] = LANES,
    out: Annotated[Path, typer.Option(help="Where records go.")] = Path("out"),
) -> None:
    """Run scenarios on containers and judge them."""
    screen = Screen(quiet_output=as_json)
    chosen = select(scenarios or [], everything=everything, stack=stack, root=Path.cwd())
    seed = screen.announce_seed(seed)
    results: list[Result] = []
    with screen.working(), reporting(out, screen) as report_on:
        runs = run_entries(chosen, seed=seed, out=out, progress=screen.progress, announce=screen.announce, lanes=lanes)
        with contextlib.closing(runs):
            for result in runs:
                results.append(result)
                screen.result(result)
                report_on(result)
                if as_json:
                    sys.stdout.write(json.dumps(result.as_dict()) + "\n")
                    sys.stdout.flush()
    if not as_json:
        screen.table(results)
    raise typer.Exit(0 if results and all(result.as_expected for result in results) else 1)


for command in (up, down, status, logs, doctor, report):
    app.command()(command)


@app.command()
def clean() -> None:
    """Remove whatever any earlier parity left, kept stacks too; what a living parity holds stays."""
    screen = Screen()
    done = reap(everything=True)
    for line in done:
        screen.progress(f"removed {line}")
    screen.progress(f"{len(done)} things removed" if done else "nothing was left")


def main() -> NoReturn:
    """The `parity` command."""
    # SIGTERM unwinds like Ctrl-C, so that every fault is healed and everything started is removed.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app()
    except ParityError as error:
        sys.stderr.write(f"parity: {error}\n")
        sys.exit(2)
    except SystemExit as ending:
        if ending.code == _INTERRUPTED:
            sys.stderr.write("parity: interrupted; everything that was started is gone\n")
        raise
    sys.exit(0)
