"""How kept stacks stand: services, the endpoint, groups with instances and activities, alarms, queues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from parity.errors import StackError
from parity.service.asked import Kept, ask, kept
from parity.stack import owner
from parity.stack.engine import Filters, engine, translated
from parity.stack.instances import LABEL_INSTANCE

Row = dict[str, Any]
#: How many of a group's last activities are shown.
_ACTIVITIES = 5
_COLOUR = {"InService": "green", "Healthy": "green", "OK": "green", "ALARM": "red", "Unhealthy": "red", "Failed": "red"}


def standing() -> list[Row]:
    """All there is to say, a row each; `kind` says what it is about, `stack` and `name` of which stack."""
    return [
        {"kind": row.pop("kind"), "stack": stack.stack_id, "name": stack.name} | row
        for stack in kept()
        for row in _of_stack(stack)
    ]


def shown(rows: Sequence[Row]) -> RenderableType:
    """Rows as people read them."""
    parts: list[RenderableType] = []
    # Groups and queues of several stacks are called alike.
    of_which = ("stack",) if len({row["stack"] for row in rows}) > 1 else ()
    for kind, own in _COLUMNS.items():
        columns = own if "stack" in own else (*of_which, *own)
        of_kind = [row for row in rows if row["kind"] == kind]
        if not of_kind:
            continue
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in of_kind:
            table.add_row(*(_cell(row[name]) for name in columns))
        parts += [table, Text("")]
    return Group(*parts[:-1])


#: The columns of each kind's table, in the order of the tables.
_COLUMNS = {
    "service": ("name", "stack", "service", "state", "ports"),
    "endpoint": ("name", "stack", "url", "region", "clock", "offset_s"),
    "group": ("group", "min", "desired", "max", "in_service", "suspended"),
    "instance": ("instance", "group", "lifecycle", "health", "zone", "address", "container", "state"),
    "activity": ("started", "group", "status", "description", "message"),
    "alarm": ("alarm", "state", "reason", "updated"),
    "queue": ("queue", "ready", "unacknowledged", "consumers", "oldest_s"),
}


def _cell(value: Any) -> Text:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if isinstance(value, dict):
        value = ", ".join(f"{port} at 127.0.0.1:{host}" for port, host in value.items())
    if isinstance(value, float):
        value = round(value)
    return Text(str(value), style=_COLOUR.get(str(value), ""))


def _of_stack(stack: Kept) -> Iterator[Row]:
    containers = _containers(stack.stack_id)
    for container in sorted(containers, key=lambda one: str(one.name)):
        if LABEL_INSTANCE not in container.labels:
            ports = {port: bindings[0]["HostPort"] for port, bindings in container.ports.items() if bindings}
            service = container.labels.get("com.docker.compose.service") or str(container.name)
            yield {"kind": "service", "service": service, "state": container.status, "ports": ports}
    if stack.address is None:
        said = f"none is served; `parity up {stack.name}` starts one"
        yield {"kind": "endpoint", "url": said, "region": "", "clock": "", "offset_s": 0.0}
        return
    try:
        told, own = ask(stack.address, "status"), ask(stack.address, "stack")
    except StackError as error:
        yield {"kind": "endpoint", "url": str(error), "region": "", "clock": "", "offset_s": 0.0}
        return
    yield {
        "kind": "endpoint",
        "url": stack.address.url,
        "region": told["region"],
        "clock": told["clock"]["now"],
        "offset_s": told["clock"]["offset_s"],
    }
    states = {one.labels[LABEL_INSTANCE]: one for one in containers if LABEL_INSTANCE in one.labels}
    for group in told["groups"]:
        yield from _of_group(group, states)
    for instance_id, container in sorted(states.items()):
        blank = {"group": "", "lifecycle": "", "health": "", "address": ""}
        zone = container.labels.get(f"{owner.LABEL}.zone", "")
        yield {"kind": "instance", "instance": instance_id, **blank, "zone": zone} | _container(container)
    for alarm in told["alarms"]:
        yield {"kind": "alarm", "alarm": alarm["name"], **{k: alarm[k] for k in ("state", "reason", "updated")}}
    for queue, depth in own["queues"].items():
        yield {"kind": "queue", "queue": queue, **depth}


def _of_group(group: Row, states: dict[str, Any]) -> Iterator[Row]:
    name = group["name"]
    sizes = {key: group[key] for key in ("min", "desired", "max", "suspended")}
    in_service = sum(member["lifecycle"] == "InService" for member in group["instances"])
    yield {"kind": "group", "group": name, **sizes, "in_service": in_service}
    for member in group["instances"]:
        told = {key: member[key] for key in ("lifecycle", "health", "zone", "address")}
        container = _container(states.pop(member["id"], None))
        yield {"kind": "instance", "instance": member["id"], "group": name, **told} | container
    for activity in group["activities"][:_ACTIVITIES]:
        told = {key: activity[key] for key in ("started", "ended", "status", "description", "message", "cause")}
        yield {"kind": "activity", "group": name, **told}


def _container(container: Any) -> Row:
    if container is None:
        return {"container": "", "state": "none"}
    return {"container": str(container.name), "state": container.status}


def _containers(stack_id: str) -> list[Any]:
    chosen: Filters = {"label": f"{owner.LABEL_STACK}={stack_id}"}
    with translated("list the stack's containers"):
        return list(engine().containers.list(all=True, filters=chosen, ignore_removed=True))
