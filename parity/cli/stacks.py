"""Commands for a stack that stays: up, down, status, logs; and doctor, which says what the machine lacks."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from parity.cli.show import Screen
from parity.errors import EngineError, ParityError, StackError
from parity.stack import owner
from parity.stack.compose import compose_command
from parity.stack.description import load_stack
from parity.stack.engine import Filters, engine, translated
from parity.stack.kept import kept_stack, kept_stacks, name_of
from parity.stack.reaper import remove_stack
from parity.stack.stack import blueprint, running_stack

DEFAULT_STACK = "compose/rabbitmq"
StackName = Annotated[str, typer.Argument(help="The stack's folder, with +NAME for an overlay.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]


def up(stack: StackName = DEFAULT_STACK) -> None:
    """Bring a stack up and keep it: `parity run` uses it, `parity down` ends it."""
    screen = Screen()
    plan = blueprint(load_stack(stack, root=Path.cwd()))
    with kept_stack(plan, progress=screen.progress) as kept:
        if kept is not None:
            screen.progress(f"{stack} is up already, as {kept.id}")
            return
    with running_stack(plan, progress=screen.progress, keep=True) as fresh:
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
        if owner.is_held(str(lock)):
            raise StackError(f"the stack {stack_id} is in use by another parity; end that first")
        screen.progress(f"taking down {name_of(labels)} ({stack_id})")
        remove_stack(stack_id, folder=lock.parent)


def status(*, as_json: AsJson = False) -> None:
    """Show the kept stacks: services, states, and where they listen."""
    screen = Screen(quiet_output=as_json)
    rows = [row for stack_id, labels in kept_stacks().items() for row in _services(stack_id, name_of(labels))]
    if as_json:
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
        return
    if not rows:
        screen.progress("no stack is kept; `parity up` brings one up")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stack", "service", "state", "listens"):
        table.add_column(name)
    for row in rows:
        listens = ", ".join(f"{port} at 127.0.0.1:{host}" for port, host in row["ports"].items())
        table.add_row(f"{row['name']} ({row['stack']})", row["service"], row["state"], listens)
    screen.show(table)


def logs(
    service: Annotated[str, typer.Argument(help="One service; all if not given.")] = "",
    *,
    tail: Annotated[int, typer.Option(help="Lines of each service.")] = 50,
) -> None:
    """Show the last lines of the kept stacks' services."""
    found = False
    for stack_id in kept_stacks():
        for name, container in sorted(_containers(stack_id).items()):
            if service in {"", name}:
                found = True
                with translated(f"read the log of {name}"):
                    text = container.logs(tail=tail).decode(errors="replace")
                sys.stdout.write("".join(f"{name} | {line}\n" for line in text.splitlines()))
    if not found:
        raise StackError(f"no kept stack has a service {service!r}" if service else "no stack is kept")


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
    return {container.labels.get("com.docker.compose.service") or str(container.name): container for container in found}


def _services(stack_id: str, name: str) -> list[dict[str, Any]]:
    rows = []
    for service, container in sorted(_containers(stack_id).items()):
        ports = {port: bindings[0]["HostPort"] for port, bindings in container.ports.items() if bindings}
        rows.append({"stack": stack_id, "name": name, "service": service, "state": container.status, "ports": ports})
    return rows
