"""`parity replay` and `parity shrink`: a failure once more, on the models or on containers, or simpler."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from parity.check.verdict import Verdict
from parity.cli.explore import FAILURES, AsJson, Kept, describe, found_as_dict, seconds, seldom
from parity.cli.reports import reporting
from parity.cli.runtime import remove_leftovers
from parity.cli.show import Screen
from parity.run.entry import Runtime
from parity.run.failures import Case, Replayed, failure_of, keep, read_case, replay_on_models, violated_by
from parity.run.result import Result
from parity.run.session import run_entries
from parity.run.spaces import space_for
from parity.sim.failure import NO_SEARCH
from parity.sim.run import simulate
from parity.sim.shrink import shrink as make_simpler

_SHRINK_S = 60.0


def shrink(
    failure: Annotated[Path, typer.Argument(help="A failure's folder or tape, or a simulated run's folder.")],
    *,
    for_s: Annotated[
        float,
        typer.Option("--for", parser=seconds, metavar="DURATION", help="After so long the simplest so far counts."),
    ] = _SHRINK_S,
    as_json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where a run that no search found is kept, shrunk.")] = FAILURES,
) -> None:
    """Shrink a failure again, with more time: from the run that the search found."""
    screen = Screen(quiet_output=as_json)
    case = read_case(failure, root=Path.cwd())
    space = space_for(case.files)
    with screen.working():
        found = failure_of(case, space)
        shrunk = make_simpler(found, space, simulate, work=None, for_s=for_s, progress=seldom(screen))
        folder = None if found.index == NO_SEARCH else case.folder
        kept = Kept(shrunk=shrunk, folder=keep(shrunk, space, out=out, seed=found.seed, folder=folder))
    if as_json:
        sys.stdout.write(json.dumps(found_as_dict(kept)) + "\n")
    else:
        screen.say([f"{shrunk.property} is violated on {space.stack} in the simulator", *describe(kept)])


def replay(
    file: Annotated[Path, typer.Argument(help="A failure's folder or tape, a simulated run's folder, or a scenario.")],
    *,
    on: Annotated[Runtime, typer.Option("--on", help="The simulator, or containers.")] = "sim",
    times: Annotated[
        int, typer.Option(min=1, help="On containers: how often at most; the first violation ends it.")
    ] = 3,
    as_json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where records of runs on containers go.")] = Path("out"),
) -> None:
    """Run a failure again. Exit status 0: what it violates was violated once more; 1: it was not."""
    screen = Screen(quiet_output=as_json)
    case = read_case(file, root=Path.cwd())
    if on == "sim":
        done = replay_on_models(case)
        again = case.shown_by(set(done.violated)) or not (case.properties or done.violated)
        told: dict[str, Any] = {
            "runtime": "sim",
            "verdict": done.verdict.value,
            "violated": list(done.violated),
            "same": done.same,
        }
        lines = _on_models(case, done)
    else:
        remove_leftovers(screen)
        results = _on_containers(case, screen, times=times, out=out)
        confirmed = [result for result in results if case.shown_by(set(violated_by(result)))]
        again = bool(confirmed)
        told = {"runtime": "docker", "confirmed": len(confirmed), "runs": [result.as_dict() for result in results]}
        lines = [_confirmation(case, results, len(confirmed))]
    if as_json:
        sys.stdout.write(json.dumps({"file": str(file), "stack": case.files.name, **told}) + "\n")
    else:
        screen.say(lines)
    raise typer.Exit(0 if again else 1)


def _on_models(case: Case, done: Replayed) -> list[str]:
    what = f"{', '.join(done.violated)} violated" if done.violated else f"{done.verdict}, nothing is violated"
    lines = [f"{case.scenario.name} on {case.files.name}, sim: {what}"]
    if done.unmodelled:
        lines.append(f"no model covers {', '.join(dict.fromkeys(done.unmodelled))}")
    if done.same is not None and case.tape is not None:
        changed = f"digest {case.tape.digest}, now {done.digest}: the stack's files, the scenario or the models changed"
        lines.append("the very same run, event by event" if done.same else f"another run than it was ({changed})")
    return lines


def _on_containers(case: Case, screen: Screen, *, times: int, out: Path) -> list[Result]:
    """Run it until what it violates is violated, or the number of times is used up."""
    results: list[Result] = []
    seed = case.tape.seed if case.tape else 0
    with screen.working(), reporting(out, screen) as report_on:
        runs = run_entries(
            [case.entry] * times, seed=seed, out=out, progress=screen.progress, announce=screen.announce, lanes=1
        )
        with contextlib.closing(runs):
            for result in runs:
                results.append(result)
                screen.result(result)
                report_on(result)
                if case.shown_by(set(violated_by(result))):
                    break
    return results


def _confirmation(case: Case, results: list[Result], confirmed: int) -> str:
    what = ", ".join(case.properties) or "a violation"
    unknown = sum(result.verdict is Verdict.UNKNOWN for result in results)
    counted = f"confirmed {confirmed} of {len(results)} runs" + (f", {unknown} of them unknown" if unknown else "")
    said = "confirmed on containers" if confirmed else "not confirmed on containers"
    return f"{case.scenario.name} on {case.files.name}, docker: {what} {said} ({counted})"
