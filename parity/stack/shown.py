"""What the compose file and the files it mounts show of themselves: facts that a model has to agree with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from parity.errors import ModelError, SourceError
from parity.model.names import in_words
from parity.stack import compose
from parity.stack.description import Description
from parity.stack.setting import misfit
from parity.stack.written import Mount, Service, Sources, Written

_ARGUMENTS = ("RABBITMQ_SERVER_ERL_ARGS", "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS")
#: RabbitMQ's own names for what the models have.
_NODE_SETTINGS = {
    "cluster_partition_handling": "broker.partition_handling",
    "net_ticktime": "broker.net_ticktime",
    "consumer_timeout": "broker.consumer_timeout",
}
#: Where RabbitMQ reads, with the variables that name another file.
_CONF = ("RABBITMQ_CONFIG_FILE", "/etc/rabbitmq/rabbitmq.conf", ".conf")
_ADVANCED = ("RABBITMQ_ADVANCED_CONFIG_FILE", "/etc/rabbitmq/advanced.config", ".config")
_CONF_FOLDER = "/etc/rabbitmq/conf.d"
#: PostgreSQL's own names for what the models have.
_DATABASE_SETTINGS = {
    "max_connections": "database.max_connections",
    "superuser_reserved_connections": "database.reserved_connections",
    "synchronous_commit": "database.synchronous_commit",
}
_ON = {"on": True, "true": True, "yes": True, "1": True, "local": True, "remote_write": True, "remote_apply": True}
_OFF = {"off": False, "false": False, "no": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What the files show of one model setting.

    Args:
        model: The model setting.
        value: What it is.
        what: What shows it, for a message.
        written: Where.
    """

    model: str
    value: Any
    what: str
    written: Written


def facts(sources: Sources, description: Description) -> list[Fact]:
    """Everything that a stack's files show.

    Raises:
        SourceError: Something that is shown cannot be read, or no model covers it.
    """
    return [
        *_counts(sources, description),
        *_broker(sources, description),
        *_database(Service(sources, description.database.service)),
        *_worker(sources, Service(sources, description.worker.service)),
        *(_own_publishing(sources, description) if description.submit.body else ()),
    ]


def _counts(sources: Sources, description: Description) -> Iterator[Fact]:
    def fact(model: str, value: Any, *place: str) -> Fact:
        written = sources.last(("x-parity", *place))
        return Fact(model=model, value=value, what=f"`{'.'.join(place)}` makes it", written=written)

    yield fact("nodes", len(description.broker.services), "broker", "services")
    yield fact("workers", description.worker.count, "worker", "count")
    yield fact("broker.dead_letter", bool(description.queues.dead_letter), "queues", "dead_letter")
    if description.deploy is not None:
        yield fact("worker.boots_with", description.deploy.boots_with, "deploy", "boots_with")


def _worker(sources: Sources, worker: Service) -> Iterator[Fact]:
    written = worker.value("stop_grace_period")
    what = f"`stop_grace_period` of {worker.name}{'' if written else ', which is not stated,'} makes it"
    shown = written or sources.last(worker.place)
    try:
        seconds = compose.stop_grace_s({"stop_grace_period": written.text} if written else {})
    except ValueError as error:
        raise shown.error(f"stop_grace_period: {error}") from error
    yield Fact(model="worker.stop_grace", value=float(seconds), what=what, written=shown)
    yield from _processors(worker)


def _processors(worker: Service) -> Iterator[Fact]:
    """How many processors an instance may use, where that is limited; as `compose.cpus` has it."""
    for place in (("cpus",), ("deploy", "resources", "limits", "cpus")):
        written = worker.value(*place)
        if written is not None and written.text:
            what = f"`{'.'.join(place)}` of {worker.name} makes it"
            value: Any = float(written.text) if re.fullmatch(r"\d*\.?\d+", written.text) else written.text
            yield _checked(Fact(model="worker.processors", value=value, what=what, written=written))
            return


def _own_publishing(sources: Sources, description: Description) -> Iterator[Fact]:
    """How parity publishes where the application has no producer."""
    written = sources.last(("x-parity", "submit", "body"))
    values = {
        "ok_when": "confirmed",
        "persistent": True,
        "mandatory": True,
        "on_nack": "unknown",
        "on_timeout": "unknown",
        "on_connection_lost": "unknown",
        "confirm_timeout": description.submit.patience,
        "window": 1,
        "heartbeat": 60.0,
    }
    for name, value in values.items():
        yield Fact(model=f"producer.{name}", value=value, what="parity's own publishing makes it", written=written)


def _broker(sources: Sources, description: Description) -> Iterator[Fact]:
    """What the nodes are configured to; the models have one configuration for all of them."""
    nodes = [Service(sources, name) for name in description.broker.services]
    first, *others = ((node, {fact.model: fact for fact in _node(node)}) for node in nodes)
    for other, known in others:
        for model in sorted(first[1].keys() | known.keys()):
            one, another = first[1].get(model), known.get(model)
            if one is None or another is None or one.value != another.value:
                raise _differ(model, (first[0], one), (other, another))
    yield from first[1].values()


def _differ(model: str, one: tuple[Service, Fact | None], other: tuple[Service, Fact | None]) -> SourceError:
    fact = other[1] or one[1]
    assert fact is not None
    said = [f"{node.name} {f'has {in_words(fact.value)}' if fact else 'does not say'}" for node, fact in (one, other)]
    message = f"{fact.what.split()[0]}: {' and '.join(said)}; the models have one {model} for all nodes"
    return fact.written.error(message, ModelError)


def _node(node: Service) -> Iterator[Fact]:
    """One node's settings; the later ones win, as in RabbitMQ: its files, then the command line."""
    for name, text, written in (*_in_conf(node), *_in_advanced(node), *_in_arguments(node)):
        model = _NODE_SETTINGS[name]
        value: Any = text
        if name == "consumer_timeout":
            off = text in {"undefined", "false", "infinity"}
            value = None if off else int(text) / 1000 if text.isdecimal() else text
        elif text.isdecimal():
            value = float(text)
        yield _checked(Fact(model=model, value=value, what=f"{name} of {node.name} makes it", written=written))


def _in_conf(node: Service) -> Iterator[tuple[str, str, Written]]:
    main = node.mounted(_file(node, _CONF))
    for mount in (*([main] if main else ()), *node.mounted_below(_CONF_FOLDER, ".conf")):
        for number, line in enumerate(_lines(mount), 1):
            name, _, text = line.partition("#")[0].partition("=")
            if name.strip() in _NODE_SETTINGS:
                column = line.index("=") + len(text) - len(text.lstrip()) + 2
                yield name.strip(), text.strip(), _in_file(mount, text.strip(), number, column)


def _in_advanced(node: Service) -> Iterator[tuple[str, str, Written]]:
    mount = node.mounted(_file(node, _ADVANCED))
    for number, line in enumerate(_lines(mount) if mount else (), 1):
        told = line.partition("%")[0]
        for name in _NODE_SETTINGS:
            for found in re.finditer(rf"\b{name}\b", told):
                assert mount is not None
                value = re.match(r"\s*,\s*'?(\w+)'?\s*\}", told[found.end() :])
                written = _in_file(mount, value[1] if value else "", number, found.start() + 1)
                if value is None:
                    raise written.error(
                        f"{name}: expected {{{name}, VALUE}} in one line, found {told.strip()!r}", ModelError
                    )
                yield name, value[1], written


def _in_arguments(node: Service) -> Iterator[tuple[str, str, Written]]:
    for variable in _ARGUMENTS:
        written = node.variable(variable)
        for value in re.findall(r"-kernel\s+net_ticktime\s+(\S+)", written.text) if written else ():
            assert written is not None
            yield "net_ticktime", value, written


def _database(database: Service) -> Iterator[Fact]:
    for name, text, written in _options(database.command()):
        if name == "fsync" and _ON.get(text.lower()) is not True:
            raise written.error(f"fsync={text}: the models have a database that keeps what it committed", ModelError)
        if name == "config_file":
            message = "config_file: what it says is not seen by the models; set it in the command, `-c NAME=VALUE`"
            raise written.error(message, ModelError)
        if name in _DATABASE_SETTINGS:
            value: Any = (_ON | _OFF).get(text.lower(), text) if name == "synchronous_commit" else text
            value = int(text) if name != "synchronous_commit" and text.isdecimal() else value
            what = f"{name} of {database.name} makes it"
            yield _checked(Fact(model=_DATABASE_SETTINGS[name], value=value, what=what, written=written))


def _options(words: list[tuple[str, Written]]) -> Iterator[tuple[str, str, Written]]:
    """The settings in a `postgres` command: `-c NAME=VALUE`, `--NAME=VALUE`, `-N MAX_CONNECTIONS`, `-F`."""
    texts = [text for text, _ in words]
    for (text, written), following in zip(words, [*texts, ""][1:], strict=True):
        if text == "-F":
            yield "fsync", "off", written
        elif text == "-N":
            yield "max_connections", following, written
        elif text == "-c" or (text.startswith(("-c", "--")) and "=" in text):
            name, _, value = (following if text == "-c" else text[2:]).partition("=")
            yield name.strip().replace("-", "_"), value.strip().strip("'"), written


def _checked(fact: Fact) -> Fact:
    unfit = misfit(fact.model, fact.value)
    if unfit:
        raise fact.written.error(
            f"{fact.what.removesuffix(' makes it')}, {fact.model} to the models: {unfit}", ModelError
        )
    return fact


def _file(node: Service, what: tuple[str, str, str]) -> str:
    variable, default, suffix = what
    named = node.variable(variable)
    path = named.text if named and named.text else default
    return path if path.endswith(suffix) else path + suffix


def _lines(mount: Mount) -> list[str]:
    return mount.path.read_text(encoding="utf-8", errors="replace").splitlines()


def _in_file(mount: Mount, text: str, line: int, column: int) -> Written:
    return Written(text=text, file=mount.shown, line=line, column=column)
