"""Commands for a stack that stays: up, down, status, logs; and doctor, which says what the machine lacks."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from parity.cli.endpoint import KeptName
from parity.cli.show import Screen
from parity.cli.standing import shown, standing
from parity.errors import EngineError, ParityError, StackError
from parity.scenario.duration import parse_duration_s
from parity.service.asked import kept
from parity.service.start import ensure_attended, missing_parts
from parity.stack import owner
from parity.stack.compose import compose_command
from parity.stack.description import load_stack
from parity.stack.engine import Filters, engine, translated
from parity.stack.instances import LABEL_INSTANCE
from parity.stack.kept import kept_stack, kept_stacks, name_of
from parity.stack.reaper import remove_stack
from parity.stack.stack import Stack, blueprint, running_stack

_WATCH_S = 1.0
DEFAULT_STACK = "compose/rabbitmq"
StackName = Annotated[str, typer.Argument(help="The stack's folder, with +NAME for an overlay.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]


def up(
    stack: StackName = DEFAULT_STACK,
    *,
    port: Annotated[int, typer.Option(help="The AWS endpoint's port; another where it is taken.")] = 4566,
    metrics_every: Annotated[str, typer.Option(help="From one datapoint of a metric to the next.")] = "60s",
) -> None:
    """Bring a stack up and keep it, with an AWS endpoint: `parity run` uses it, `parity down` ends it."""
    screen = Screen()
    try:
        period_s = parse_duration_s(metrics_every)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    plan = blueprint(load_stack(stack, root=Path.cwd()))

    def attend(running: Stack) -> None:
        if missing := missing_parts():
            screen.warn(f"no AWS endpoint: {', '.join(missing)} not installed (pip install 'parity[aws]')")
            return
        screen.progress("starting the AWS endpoint")
        address = ensure_attended(running, root=Path.cwd(), period_s=period_s, port=port)
        screen.progress(f'the AWS endpoint is {address.url}; eval "$(parity env)" points AWS tools there')

    with kept_stack(plan, progress=screen.progress) as there:
        if there is not None:
            screen.progress(f"{stack} is up already, as {there.id}")
            attend(there)
            return
    with running_stack(plan, progress=screen.progress, keep=True) as fresh:
        attend(fresh)
        screen.progress(f"{stack} is up, as {fresh.id}; `parity status` says where it is")


def down(
    stack: Annotated[str, typer.Argument(help="The stack to take down; every kept one if not given.")] = "",
) -> None:
    """Take kept stacks down."""
    screen = Screen()
    for stack_id, labels in kept_stacks().items():
        if stack not in {"", name_of(labels)}:
            continue
        lock = Path(labels[owner.LABEL_LOCK])
        with owner.held(lock) as mine:
            if not mine:
                raise StackError(f"the stack {stack_id} is in use by another parity; end that first")
            screen.progress(f"taking down {name_of(labels)} ({stack_id})")
            remove_stack(stack_id, folder=lock.parent)


def status(
    *,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on showing it, until Ctrl-C.")] = False,
) -> None:
    """Show the kept stacks: services, instances, activities, alarms, queues; with --watch as they change."""
    screen = Screen(quiet_output=as_json)
    rows = standing()
    if as_json:
        _write(rows, seen=set())
    elif not rows:
        screen.progress("no stack is kept; `parity up` brings one up")
        return
    elif not watch:
        screen.show(shown(rows))
    # Ctrl-C is how watching ends, and interrupts nothing.
    with contextlib.suppress(KeyboardInterrupt):
        if watch and as_json:
            _write_changes(rows)
        elif watch:
            with screen.live() as show:
                while True:
                    show(shown(standing()))
                    time.sleep(_WATCH_S)


def _write_changes(rows: list[dict[str, Any]]) -> None:
    seen = {json.dumps(row) for row in rows}
    while True:
        time.sleep(_WATCH_S)
        seen = _write(standing(), seen=seen)


def _write(rows: list[dict[str, Any]], *, seen: set[str]) -> set[str]:
    """Write the rows that are not as they were, and return all."""
    lines = [json.dumps(row) for row in rows]
    sys.stdout.write("".join(f"{line}\n" for line in lines if line not in seen))
    sys.stdout.flush()
    return set(lines)


def logs(
    service: Annotated[str, typer.Argument(help="One service, an instance, or `endpoint`; all if not given.")] = "",
    *,
    tail: Annotated[int, typer.Option(help="Lines of each.")] = 50,
    stack: KeptName = "",
) -> None:
    """Show the last lines of the kept stacks' services, instances, and AWS endpoint."""
    found = False
    for one in kept(stack):
        for name, container in sorted(_containers(one.stack_id).items()):
            if service in {"", name, container.labels.get(owner.LABEL_ROLE)}:
                found = True
                with translated(f"read the log of {name}"):
                    text = container.logs(tail=tail).decode(errors="replace")
                _write_log(name, text.splitlines())
        if service in {"", "endpoint"} and one.log.is_file():
            found = True
            _write_log("endpoint", one.log.read_text(errors="replace").splitlines()[-tail:])
    if not found:
        which = f"stack {stack} is kept" if stack else "stack is kept"
        raise StackError(f"no kept stack has a service {service!r}" if service else f"no {which}")


def _write_log(name: str, lines: list[str]) -> None:
    sys.stdout.write("".join(f"{name} | {line}\n" for line in lines))


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One thing doctor looked at."""

    name: str
    good: bool
    found: str


def doctor(*, as_json: AsJson = False) -> None:
    """Say what this machine has and lacks for parity."""
    screen = Screen(quiet_output=as_json)
    examined = [_python(), _engine(), _compose(), _bootstrap(), _disk()]
    for one in examined:
        if as_json:
            sys.stdout.write(json.dumps({"name": one.name, "good": one.good, "found": one.found}) + "\n")
        else:
            screen.examined(one.name, good=one.good, found=one.found)
    raise typer.Exit(0 if all(one.good for one in examined) else 1)


def _python() -> Examined:
    return Examined(name="Python", good=sys.version_info >= (3, 11), found=platform.python_version())


def _engine() -> Examined:
    try:
        version = engine().version()
    except EngineError as error:
        return Examined(name="Docker engine", good=False, found=str(error))
    return Examined(name="Docker engine", good=True, found=f"{version['Version']}, API {version['ApiVersion']}")


def _compose() -> Examined:
    try:
        return Examined(name="compose tool", good=True, found=" ".join(compose_command()))
    except ParityError as error:
        return Examined(name="compose tool", good=False, found=str(error))


def _bootstrap() -> Examined:
    tool = shutil.which("mmdebstrap") or shutil.which("debootstrap")
    found = tool or "none; parity pulls its Debian base, or installs mmdebstrap where it may"
    return Examined(name="Debian bootstrapper", good=True, found=found)


def _disk() -> Examined:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    return Examined(name="free disk", good=free_gb > 4, found=f"{free_gb:.0f} GB of the 4 GB that images and runs take")


def _containers(stack_id: str) -> dict[str, Any]:
    chosen: Filters = {"label": f"{owner.LABEL_STACK}={stack_id}"}
    with translated("list the stack's containers"):
        found = engine().containers.list(all=True, filters=chosen, ignore_removed=True)
    return {_name(container.labels) or str(container.name): container for container in found}


def _name(labels: dict[str, str]) -> str | None:
    return labels.get("com.docker.compose.service") or labels.get(LABEL_INSTANCE)
