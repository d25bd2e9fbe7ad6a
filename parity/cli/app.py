"""parity's commands. Exit status: 0 as expected, 1 not as expected, 2 could not be done, 130 interrupted."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from parity.cli.both import check_coverage, report_parity
from parity.cli.endpoint import clock, env
from parity.cli.explore import explore
from parity.cli.replay import replay, shrink
from parity.cli.reports import report, reporting
from parity.cli.runtime import ClusterOption, On, OnOption, remove_leftovers, runtimes_of
from parity.cli.selection import select
from parity.cli.show import Screen
from parity.cli.stacks import doctor, down, logs, status, up
from parity.cluster import RayCluster
from parity.errors import ParityError
from parity.run.entry import Entry, Runtime
from parity.run.result import Result
from parity.run.session import LANES, STACKS, run_entries
from parity.run.sim import simulate_entries
from parity.run.spread import run_spread
from parity.stack.reaper import reap

#: What a shell calls the end by Ctrl-C; typer's own exit code for it.
_INTERRUPTED = 130

#: Commands that look after leftovers themselves, once they know whether they need an engine; and the help.
_ENGINE_OR_NOT = {"doctor", "clean", "run", "explore", "shrink", "replay", None}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Break a job-queue stack on purpose and account for every job.",
)


@app.callback()
def before(context: typer.Context) -> None:
    """Remove what an earlier parity left, whatever ended it, before anything else is done."""
    if context.invoked_subcommand in _ENGINE_OR_NOT or {"--help"} & set(sys.argv):
        return
    remove_leftovers(Screen(quiet_output="--json" in sys.argv))


@app.command()
def run(
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="Scenario files or names; all of the suite if none.")
    ] = None,
    *,
    on: OnOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Known-bad stacks and slow scenarios too.")] = False,
    stack: Annotated[str, typer.Option(help="Run on this stack only, such as compose/rabbitmq+no-confirms.")] = "",
    seed: Annotated[int | None, typer.Option(help="Draw ranges with this seed; a fresh one if not given.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a run on standard output, nothing else.")
    ] = False,
    lanes: Annotated[int, typer.Option(min=1, help="Scenarios that may run side by side on one stack.")] = LANES,
    stacks: Annotated[
        int, typer.Option(min=1, help="Stacks that may be up side by side here; a cluster's machine has one.")
    ] = STACKS,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="This machine's Docker engine, or those of a Ray cluster's machines."),
    ] = "local",
    cluster: ClusterOption = None,
    out: Annotated[Path, typer.Option(help="Where records go.")] = Path("out"),
) -> None:
    """Run scenarios on containers, or on the simulator, and judge them."""
    screen = Screen(quiet_output=as_json)
    if engine == "ray" and on is On.SIM:
        raise typer.BadParameter("with --on sim nothing goes over a cluster: its runs need no engine, and no time")
    chosen = select(scenarios or [], everything=everything, stack=stack, root=Path.cwd())
    runtimes = runtimes_of(On.DOCKER if engine == "ray" and on is None else on, screen)
    if "docker" in runtimes and engine == "local":
        remove_leftovers(screen)
    both = len(runtimes) > 1
    if both:
        check_coverage(out)
    seed = screen.announce_seed(seed)
    results: list[Result] = []
    printed = sys.stdout
    with screen.working(), reporting(out, screen) as report_on:
        containers = _on_containers(chosen, engine, cluster, screen, seed=seed, out=out, lanes=lanes, stacks=stacks)
        runs = _runs(chosen, runtimes, screen, containers, seed=seed, out=out)
        with contextlib.closing(runs):
            for result in runs:
                results.append(result)
                screen.result(result)
                report_on(result)
                if as_json:
                    printed.write(json.dumps(result.as_dict()) + "\n")
                    printed.flush()
    if not as_json:
        screen.table(results)
    differences = report_parity(chosen, results, screen, seed=seed, out=out).differences if both else 0
    as_expected = bool(results) and all(result.as_expected for result in results)
    raise typer.Exit(0 if as_expected and not differences else 1)


def _runs(
    entries: list[Entry],
    runtimes: tuple[Runtime, ...],
    screen: Screen,
    containers: Generator[Result, None, None],
    *,
    seed: int,
    out: Path,
) -> Generator[Result, None, None]:
    if "sim" in runtimes:
        yield from simulate_entries(entries, seed=seed, out=out, announce=screen.announce)
    if "docker" in runtimes:
        yield from containers


def _on_containers(
    entries: list[Entry],
    engine: str,
    cluster: str | None,
    screen: Screen,
    *,
    seed: int,
    out: Path,
    lanes: int,
    stacks: int,
) -> Generator[Result, None, None]:
    if engine == "local":
        yield from run_entries(
            entries,
            seed=seed,
            out=out,
            progress=screen.progress,
            announce=screen.announce,
            lanes=lanes,
            stacks=stacks,
        )
        return
    root = Path.cwd().resolve()
    with RayCluster(cluster, project=root, left_out=(out,)) as machines:
        yield from run_spread(
            entries,
            machines,
            root=root,
            seed=seed,
            out=out,
            progress=screen.progress,
            warn=screen.warn,
            announce=screen.announce,
            lanes=lanes,
        )


for command in (explore, shrink, replay, up, down, status, env, clock, logs, doctor, report):
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
    # SIGTERM unwinds like Ctrl-C, so that every fault is healed and everything started is removed. Both are set: a
    # script's background job starts with SIGINT ignored, and would go on whatever it is told.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
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
