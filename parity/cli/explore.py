"""`parity explore`: search the models for a scenario that violates something, shrink it, and keep it."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from parity.cli.runtime import ClusterOption
from parity.cli.show import Screen
from parity.cli.stacks import DEFAULT_STACK
from parity.cluster import RayCluster
from parity.errors import SourceError
from parity.model.probes import probes_of
from parity.run.failures import keep
from parity.run.spaces import space_for
from parity.scenario.duration import parse_duration_s
from parity.scenario.properties import PROPERTY_NAMES, Properties
from parity.scenario.source import nearest
from parity.sim.grouped import CLAIMED
from parity.sim.run import simulate
from parity.sim.search import Effort, Hunt, Progress
from parity.sim.search import explore as search
from parity.sim.shrink import Shrunk, shrink
from parity.sim.space import Space
from parity.sim.spread import Cluster, explore_spread
from parity.stack.description import load_stack

FAILURES = Path("failures")
#: How often progress is told where it cannot be drawn over: a log is read, not watched.
_TOLD_EVERY_S = 5.0
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def seconds(value: str | float) -> float:
    """A duration as an option's value, or its default.

    Raises:
        BadParameter: It is none.
    """
    try:
        return parse_duration_s(float(value) if _NUMBER.fullmatch(str(value)) else value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _property(name: str) -> str:
    """A property that every scenario of a search claims."""
    if name and name not in PROPERTY_NAMES:
        raise typer.BadParameter(f"no property is called {name!r}{nearest(name, list(PROPERTY_NAMES))}")
    if name and name not in CLAIMED and getattr(Properties(), name) in (None, False):
        raise typer.BadParameter(f"{name} needs a bound, which no scenario of a search has")
    return name


def _check_claimed(name: str, space: Space) -> None:
    """Say where no scenario of a stack claims the property that alone counts: nothing would ever be found.

    Raises:
        SourceError: None does.
    """
    deploys = space.group.deploys if space.group else ()
    if name == "on_revision" and not deploys:
        raise SourceError(f"{name} is claimed where a deploy is tried: x-parity has no `deploy`", file=space.stack)
    if name == "drained_before_termination" and (not space.group or space.settings.worker.in_hook == "ignore"):
        message = f"{name} is claimed where workers finish in their group's terminate hook: nothing says that these do"
        raise SourceError(message, file=space.stack)
    if name == "logs_archived" and not (space.group and space.group.archives):
        raise SourceError(f"{name} is claimed where logs are archived: x-parity has no `log.archive`", file=space.stack)


AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


def explore(
    *,
    stack: Annotated[
        str, typer.Option(help="The stack to search, such as compose/rabbitmq+no-confirms.")
    ] = DEFAULT_STACK,
    for_s: Annotated[
        float, typer.Option("--for", parser=seconds, metavar="DURATION", help="How long to search, such as 60s or 10m.")
    ] = 60.0,
    wanted: Annotated[
        str, typer.Option("--property", callback=_property, help="The one property that counts; any if not given.")
    ] = "",
    seed: Annotated[int | None, typer.Option(help="Where all choices come from; a fresh one if not given.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="How many to spread over.")] = os.cpu_count() or 2,
    engine: Annotated[
        Literal["processes", "ray"],
        typer.Option(help="Processes of this machine, or a Ray cluster, which goes on after the first failure."),
    ] = "processes",
    cluster: ClusterOption = None,
    as_json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where what is found is kept.")] = FAILURES,
) -> None:
    """Search the models for a scenario that violates something, and shrink it. Exit status 1: one was found."""
    screen = Screen(quiet_output=as_json)
    space = space_for(load_stack(stack, root=Path.cwd()))
    _check_claimed(wanted, space)
    seed = screen.announce_seed(seed)
    hunt = Hunt(space=space, simulate=simulate, seed=seed, property=wanted)
    with screen.working():
        progress = seldom(screen)
        if engine == "ray":
            with RayCluster(cluster, workers=processes) as workers:
                effort, kept = _on_cluster(hunt, workers, progress, for_s=for_s, out=out)
        else:
            effort, kept = _here(hunt, progress, for_s=for_s, processes=processes, out=out)
    unreached = effort.unreached(probes_of(space.settings))
    if as_json:
        sys.stdout.write(json.dumps(_as_dict(effort, kept, space, seed, unreached)) + "\n")
    elif not kept:
        screen.say(_nothing(effort, space, unreached))
    else:
        screen.say([line for each in kept for line in (_found(effort, each, space), *describe(each))])
    raise typer.Exit(1 if kept else 0)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A failure, shrunk and written down.

    Args:
        shrunk: The failure.
        folder: Where it is.
    """

    shrunk: Shrunk
    folder: Path


def seldom(screen: Screen) -> Progress:
    """Progress for a terminal; elsewhere only every few seconds."""
    if screen.is_live:
        return screen.progress
    last_s = time.monotonic()

    def progress(text: str) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _TOLD_EVERY_S:
            last_s = time.monotonic()
            screen.progress(text)

    return progress


def describe(kept: Kept) -> list[str]:
    """What a person reads of a failure: how it was shrunk, its scenario, and the commands for it."""
    shrunk, folder = kept.shrunk, kept.folder
    sure = "whatever the small timings are" if shrunk.robust else "with the timings of its tape, not with any"
    over = "" if shrunk.finished else "; there was more to try, and `parity shrink` does"
    scenario = (folder / "scenario.yaml").read_text(encoding="utf-8")
    return [
        f"shrunk in {shrunk.runs:,} runs and {shrunk.seconds:.1f} s to {_size(shrunk)}; it fails {sure}{over}",
        f"{folder}/scenario.yaml",
        *(f"    {line}" for line in scenario.splitlines()),
        f"again:         parity replay {folder}",
        f"on containers: parity replay {folder} --on docker",
    ]


def _size(shrunk: Shrunk) -> str:
    steps, jobs = len(shrunk.scenario.steps), shrunk.scenario.workload.jobs.value
    return f"{steps} step{'' if steps == 1 else 's'} and {jobs} job{'' if jobs == 1 else 's'}"


def _here(hunt: Hunt, progress: Progress, *, for_s: float, processes: int, out: Path) -> tuple[Effort, list[Kept]]:
    """Search on this machine, up to the first failure."""
    found = search(
        hunt.space,
        hunt.simulate,
        seed=hunt.seed,
        for_s=for_s,
        property=hunt.property,
        processes=processes,
        progress=progress,
    )
    if found.failure is None:
        return found, []
    shrunk = shrink(found.failure, hunt.space, hunt.simulate, progress=progress)
    return found, [_keep(shrunk, hunt, out)]


def _on_cluster(
    hunt: Hunt, cluster: Cluster, progress: Progress, *, for_s: float, out: Path
) -> tuple[Effort, list[Kept]]:
    """Search on a cluster for all of the time; the first failure of every property is kept as soon as it is shrunk."""
    kept: list[Kept] = []
    found = explore_spread(
        hunt, cluster, keep=lambda shrunk: kept.append(_keep(shrunk, hunt, out)), for_s=for_s, progress=progress
    )
    return found, kept


def _keep(shrunk: Shrunk, hunt: Hunt, out: Path) -> Kept:
    return Kept(shrunk=shrunk, folder=keep(shrunk, hunt.space, out=out, seed=hunt.seed))


def _found(found: Effort, kept: Kept, space: Space) -> str:
    return f"{kept.shrunk.property} is violated on {space.stack} in the simulator: {_effort(found)}"


def _nothing(found: Effort, space: Space, unreached: list[str]) -> list[str]:
    lines = [f"nothing found on {space.stack} in the simulator: {_effort(found)}"]
    if found.silent:
        lines.append(f"{found.silent:,} of the runs say nothing: a moment that never came, or what no model covers")
    lines += [f"    no model covers {name}, asked for by {count:,} runs" for name, count in found.unmodelled.items()]
    if unreached:
        lines += ["never reached, and so not tried:", *(f"    {name}" for name in unreached)]
    return [*lines, "This says nothing about RabbitMQ: only containers do (parity run --on docker)."]


def _effort(found: Effort) -> str:
    return f"{found.runs:,} runs in {found.seconds:.1f} s, {found.runs_per_s:,.0f} a second of the search"


def _as_dict(found: Effort, kept: list[Kept], space: Space, seed: int, unreached: list[str]) -> dict[str, Any]:
    return {
        "stack": space.stack,
        "runtime": "sim",
        "seed": seed,
        "runs": found.runs,
        "seconds": round(found.seconds, 1),
        "twice": found.twice,
        "silent": found.silent,
        "unmodelled": found.unmodelled,
        "probes": found.probes,
        "unreached": unreached,
        "found": [found_as_dict(each) for each in kept],
    }


def found_as_dict(kept: Kept) -> dict[str, Any]:
    """A failure as `--json` tells it."""
    shrunk = kept.shrunk
    return {
        "property": shrunk.property,
        "index": shrunk.index,
        "robust": shrunk.robust,
        "finished": shrunk.finished,
        "digest": f"{shrunk.digest:x}",
        "steps": len(shrunk.scenario.steps),
        "jobs": shrunk.scenario.workload.jobs.value,
        "shrink_runs": shrunk.runs,
        "shrink_seconds": round(shrunk.seconds, 1),
        "folder": str(kept.folder),
        "again": f"parity replay {kept.folder}",
    }
