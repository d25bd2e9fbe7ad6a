"""All that parity knows about an application: the `x-parity` section of its compose file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from parity.errors import SourceError
from parity.scenario.duration import Seconds
from parity.scenario.source import Place, Source, load_source, nearest

COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerSection(_Section):
    """The broker: its kind and the services that are its nodes."""

    kind: Literal["rabbitmq"]
    services: tuple[str, ...] = Field(min_length=1)
    user: str
    password: str
    amqp_port: int = 5672
    management_port: int = 15672


class DatabaseSection(_Section):
    """The database where effects live, and the file that makes its schema."""

    kind: Literal["postgresql"]
    service: str
    user: str
    password: str
    #: The database that exists from the start; runs get their own, copied from a template.
    name: str = "postgres"
    port: int = 5432
    #: SQL that makes the schema, beside the compose file.
    schema_file: str | None = Field(default=None, alias="schema")


class WorkerSection(_Section):
    """Which service is the worker, and how many there are by default."""

    service: str
    count: int = Field(default=3, ge=0)


class SubmitSection(_Section):
    """How to submit: a long-lived command, or a message that parity publishes itself.

    The command reads `job[ kind]` lines on standard input and prints one `ok`, `fail` or `unknown` line a
    job. Where `body` is given instead, parity publishes it with confirms, `{job}` and `{kind}` filled in.
    """

    service: str | None = None
    command: tuple[str, ...] | str | None = None
    body: str | None = None
    exchange: str = ""
    routing_key: str | None = None
    #: How long a submitted job may go without an outcome before it counts as unknown.
    patience: Seconds = 60.0

    @model_validator(mode="after")
    def _one_way(self) -> SubmitSection:
        if (self.service is None) == (self.body is None):
            raise ValueError("give either `service` (a command that submits) or `body` (a message to publish)")
        return self


class QueuesSection(_Section):
    """The application's queues, and where a message carries its job's identity."""

    work: tuple[str, ...] = Field(min_length=1)
    dead_letter: tuple[str, ...] = ()
    #: `message_id`, or a pattern over the body with a group `job`.
    job_id: str = "message_id"

    @field_validator("job_id")
    @classmethod
    def _pattern_names_job(cls, value: str) -> str:
        return value if value == "message_id" else _pattern(value)


class EffectsSection(_Section):
    """How to see effects: SQL that gives a job's identity and the number of its effects, a row a job."""

    sql: str


class LogSection(_Section):
    """What the worker's log lines tell. Patterns have a group `job`, and may have `redelivered` (0 or 1)."""

    delivery: str | None = None
    points: dict[str, str] = Field(default_factory=dict)

    @field_validator("delivery")
    @classmethod
    def _delivery_names_job(cls, value: str | None) -> str | None:
        return value if value is None else _pattern(value)

    @field_validator("points")
    @classmethod
    def _points_name_job(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: _pattern(pattern) for name, pattern in value.items()}


class Setting(_Section):
    """A thing a scenario may turn, and the environment variable where the application reads it."""

    service: str | tuple[str, ...]
    environment: str
    type: Literal["text", "integer", "duration", "duration_range"] = "text"
    #: The unit the application reads it in.
    unit: str = ""
    about: str = ""

    @property
    def services(self) -> tuple[str, ...]:
        """The services that read it."""
        return (self.service,) if isinstance(self.service, str) else self.service


class Description(_Section):
    """The `x-parity` section, version 1."""

    version: Literal[1]
    broker: BrokerSection
    database: DatabaseSection
    worker: WorkerSection
    submit: SubmitSection
    queues: QueuesSection
    effects: EffectsSection
    log: LogSection = LogSection()
    #: What the application is told; `{virtual_host}`, `{database}` and `{instance}` are filled in for each run.
    environment: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, Setting] = Field(default_factory=dict)
    #: Kinds of jobs a scenario may submit, beyond ordinary ones.
    kinds: tuple[str, ...] = ()
    #: A job's identity, made from its number.
    job_id: str = "job-{number:06d}"
    #: Folder of the Dockerfiles for images named `parity/NAME`, beside the compose file.
    images: str = "../images"
    ready_within: Seconds = 120.0

    @field_validator("job_id")
    @classmethod
    def _names_number(cls, value: str) -> str:
        try:
            if value.format(number=1) == value.format(number=2):
                raise ValueError(f"the pattern {value!r} must contain {{number}}")
        except (KeyError, IndexError) as error:
            raise ValueError(f"the pattern {value!r} may use only {{number}}") from error
        return value


class StackFiles(BaseModel):
    """A stack on disk: its folder, compose files and what they say.

    Args:
        name: As scenarios and users write it, such as `compose/rabbitmq+no-confirms`.
        compose_files: The base file, then the overlay's.
        services: The services by name, as the files state them before the compose tool merges them.
    """

    model_config = ConfigDict(frozen=True)
    name: str
    folder: Path
    compose_files: tuple[Path, ...]
    description: Description
    services: tuple[str, ...]


def load_stack(name: str, *, root: Path) -> StackFiles:
    """Read a stack's compose file, its overlay and its `x-parity` section.

    Args:
        name: Folder relative to `root` (or absolute), with `+overlay` for a file in its `overlays` folder.
        root: Where relative names start.

    Raises:
        SourceError: A file is missing or wrong; says where, what was expected, and the nearest valid name.
    """
    folder_name, _, overlay = name.partition("+")
    folder = (root / folder_name).resolve()
    base_path = next((folder / file for file in COMPOSE_NAMES if (folder / file).is_file()), None)
    if base_path is None:
        raise SourceError(f"no compose file here; expected one of {', '.join(COMPOSE_NAMES)}", file=str(folder))
    sources = [_compose_source(base_path)]
    paths = [base_path]
    if overlay:
        paths.append(_overlay_path(folder, overlay))
        sources.append(_compose_source(paths[-1]))
    services = tuple(dict.fromkeys(service for source in sources for service in source.data.get("services") or {}))
    merged: dict[str, Any] = {}
    for source in sources:
        merged = _merge(merged, source.data.get("x-parity") or {})
    if not merged:
        raise sources[0].error("the section x-parity is missing: it tells parity how to submit and see effects")
    description = sources[-1 if "x-parity" in sources[-1].data else 0].parse(Description, merged, under=("x-parity",))
    _check_services(sources[0], description, services)
    if description.database.schema_file and not (folder / description.database.schema_file).is_file():
        raise sources[0].error(
            f"no such file: {description.database.schema_file}", at=("x-parity", "database", "schema")
        )
    return StackFiles(name=name, folder=folder, compose_files=tuple(paths), description=description, services=services)


def _overlay_path(folder: Path, overlay: str) -> Path:
    path = folder / "overlays" / f"{overlay}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (folder / "overlays").glob("*.yaml"))
        raise SourceError(f"no overlay {overlay!r}{nearest(overlay, known)}", file=str(folder / "overlays"))
    return path


def _compose_source(path: Path) -> Source:
    source = load_source(path)
    if not isinstance(source.data, dict) or not isinstance(source.data.get("services", {}), dict):
        raise source.error("expected a compose file: a mapping with `services`")
    for name, service in (source.data.get("services") or {}).items():
        if not isinstance(service, dict):
            raise source.error(f"expected a mapping, found {type(service).__name__}", at=("services", name))
    return source


def _check_services(source: Source, description: Description, services: tuple[str, ...]) -> None:
    named: list[tuple[Place, str]] = [
        (("broker", "services", index), service) for index, service in enumerate(description.broker.services)
    ]
    named.append((("database", "service"), description.database.service))
    named.append((("worker", "service"), description.worker.service))
    if description.submit.service:
        named.append((("submit", "service"), description.submit.service))
    for name, setting in description.settings.items():
        named.extend((("settings", name, "service"), service) for service in setting.services)
    for place, service in named:
        if service not in services:
            message = f"no service {service!r} in the compose file{nearest(service, list(services))}"
            raise source.error(message, at=("x-parity", *place))


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value).groupindex
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if "job" not in groups:
        raise ValueError(f"the pattern {value!r} needs a group named job: (?P<job>...)")
    return value
