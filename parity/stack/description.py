"""All that parity knows about an application: the `x-parity` section of its compose file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from parity.errors import SourceError
from parity.model.settings import ModelSettings
from parity.scenario.duration import Seconds
from parity.scenario.source import Place, Source, WrongPartsError, found, joined, load_source, nearest, topmost
from parity.stack.setting import Setting

#: Events of a history that a step's moment may name, beside the points that the log patterns declare.
EVENT_NAMES = ("submit", "submitted", "delivery", "effect")
_LISTED_EVENTS = ", ".join(EVENT_NAMES)
#: What a step's moment can name.
POINT_NAME = re.compile(r"[A-Za-z_][\w-]*")
_ZONE = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d[a-z]")
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
    """Which service is the worker, how many there are by default, and whether they use the AWS API."""

    service: str
    count: int = Field(default=3, ge=0)
    #: Whether a run with a group has the AWS API, S3 and the metadata service for its instances.
    aws: bool = False


class GroupSection(_Section):
    """The Auto Scaling group that a kept stack begins with, which has the worker service as its launch source.

    What is left out follows from `worker.count`.
    """

    #: The worker service's, where it has no other.
    name: str | None = Field(default=None, min_length=1, max_length=255)
    #: One at least, unless there is none by default.
    min: int | None = Field(default=None, ge=0)
    desired: int | None = Field(default=None, ge=0)
    #: Room to scale in: ten, and at least three times as many as there are by default.
    max: int | None = Field(default=None, ge=0)
    #: Availability zones, all of one region. Each is a network of its own.
    zones: tuple[str, ...] = Field(default=("us-east-1a", "us-east-1b"), min_length=1, max_length=6)
    #: A script beside the compose file that instances run when they boot.
    user_data: str | None = None

    @field_validator("zones")
    @classmethod
    def _zones_of_one_region(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for zone in value:
            if not _ZONE.fullmatch(zone):
                raise ValueError(f"{zone!r} is no availability zone: expected one such as us-east-1a")
        if len({zone[:-1] for zone in value}) > 1 or len(set(value)) < len(value):
            raise ValueError(f"expected different zones of one region, found {', '.join(value)}")
        return value

    @property
    def region(self) -> str:
        """The region that the zones are in."""
        return self.zones[0][:-1]

    def sizes(self, count: int) -> tuple[int, int, int]:
        """Smallest, desired and largest number of instances.

        Args:
            count: How many workers there are by default.
        """
        within = min(count, count if self.max is None else self.max)
        desired = max(within, self.min or 0) if self.desired is None else self.desired
        smallest = min(1, desired) if self.min is None else self.min
        largest = max(10, 3 * count, desired) if self.max is None else self.max
        return smallest, desired, largest


class BalancerSection(_Section):
    """A load balancer in the stack, whose servers are the in-service instances of a kept stack's group."""

    #: An HAProxy, with its runtime API on a port and a backend without servers.
    service: str
    #: Where it takes requests.
    port: int = Field(default=80, ge=1, le=65535)
    runtime_port: int = Field(default=9999, ge=1, le=65535)
    backend: str = "targets"
    #: Where instances take them.
    target_port: int = Field(default=8080, ge=1, le=65535)
    #: What its checks ask for.
    health_path: str = "/health"


class SubmitSection(_Section):
    """How to submit: a long-lived command, or a message that parity publishes itself.

    The command reads `job[ kind]` lines on standard input and prints one `ok`, `fail` or `unknown` line a
    job. Where `body` is given instead, parity publishes it with confirms, `{job}` and `{kind}` filled in.
    """

    service: str | None = None
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
    """What the worker's log lines tell. Patterns of jobs have a group `job`, and may have `redelivered` (0 or 1)."""

    delivery: str | None = None
    points: dict[str, str] = Field(default_factory=dict)
    #: That a worker starts, and which revision of the code it has: a group `revision`.
    revision: str | None = None
    #: The bucket in S3 that has what instances print, in objects whose keys begin with the instance's id and a slash.
    #: `{virtual_host}` stands for the run's.
    archive: str = ""

    @field_validator("delivery")
    @classmethod
    def _delivery_names_job(cls, value: str | None) -> str | None:
        return value if value is None else _pattern(value)

    @field_validator("revision")
    @classmethod
    def _revision_names_it(cls, value: str | None) -> str | None:
        return value if value is None else _pattern(value, "revision")

    @field_validator("points")
    @classmethod
    def _points_name_job(cls, value: dict[str, str]) -> dict[str, str]:
        wrong: list[tuple[Place, str]] = []
        for name, pattern in value.items():
            try:
                _pattern(pattern)
            except ValueError as error:
                wrong.append(((name,), f"{name}: {error}"))
            if not POINT_NAME.fullmatch(name) or name in EVENT_NAMES:
                wrong.append(((name,), f"{name!r} cannot name a point: expected a word, none of {_LISTED_EVENTS}"))
        if wrong:
            raise WrongPartsError(*wrong)
        return value


class DeploySection(_Section):
    """How a revision of the code gets onto an instance, for scenarios that deploy."""

    #: The variable that tells an instance which revision it boots with.
    environment: str
    #: Run in an instance, it puts a revision in place and has the worker start anew; `{revision}` is filled in.
    command: tuple[str, ...] = Field(min_length=1)
    #: What an instance boots with: the revision that its launch template names, or the one that is deployed then.
    boots_with: Literal["template", "deployed"] = "template"
    #: The ways to deploy that a search may try: those that the stack is made for.
    search: tuple[Literal["discover", "refresh"], ...] = ("refresh",)

    @field_validator("command")
    @classmethod
    def _command_names_revision(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not any("{revision}" in word for word in value):
            raise ValueError("the command must say {revision} somewhere")
        return value


class Description(_Section):
    """The `x-parity` section, version 1."""

    version: Literal[1]
    broker: BrokerSection
    database: DatabaseSection
    worker: WorkerSection
    group: GroupSection = GroupSection()
    balancer: BalancerSection | None = None
    submit: SubmitSection
    queues: QueuesSection
    effects: EffectsSection
    log: LogSection = LogSection()
    #: None: scenarios cannot deploy.
    deploy: DeploySection | None = None
    #: What the application is told; `{virtual_host}`, `{database}` and `{instance}` are filled in for each run.
    environment: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, Setting] = Field(default_factory=dict)
    #: Kinds of jobs a scenario may submit, beyond ordinary ones.
    kinds: tuple[str, ...] = ()
    #: Model settings that neither a setting nor the compose file says; None: the models do not cover this stack.
    model: ModelSettings | None = None
    #: A job's identity, made from its number.
    job_id: str = "job-{number:06d}"
    #: Folder of the Dockerfiles for images named `parity/NAME`, beside the compose file.
    images: str = "../images"
    ready_within: Seconds = 120.0

    @model_validator(mode="after")
    def _group_has_an_order(self) -> Description:
        smallest, desired, largest = self.group.sizes(self.worker.count)
        if not smallest <= desired <= largest:
            raise WrongPartsError(
                (("group",), f"expected min <= desired <= max, found {smallest}, {desired} and {largest}")
            )
        return self

    @field_validator("job_id")
    @classmethod
    def _names_number(cls, value: str) -> str:
        try:
            if value.format(number=1) == value.format(number=2):
                raise ValueError(f"the pattern {value!r} must contain {{number}}")
        except (KeyError, IndexError, AttributeError) as error:
            raise ValueError(f"the pattern {value!r} may use only {{number}}") from error
        if value.split() != [value]:
            raise ValueError(f"the pattern {value!r} makes identities with spaces, which part a line's words")
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
        raise SourceError(_no_stack(folder_name, folder, root), file=folder_name)
    paths = [base_path]
    if overlay:
        paths.append(_overlay_path(folder, folder_name, overlay))
    sources = [_compose_source(path, shown=_shown(name, folder, path)) for path in paths]
    _check_overlay(sources)
    services = tuple(dict.fromkeys(str(service) for source in sources for service in source.data["services"] or {}))
    merged: dict[str, Any] = {}
    for source in sources:
        merged = _merge(merged, source.data.get("x-parity") or {})
    if not merged:
        raise sources[0].error("the section x-parity is missing: it tells parity how to submit and see effects")
    description = sources[-1].parse(Description, merged, under=("x-parity",), over=tuple(sources[:-1]))
    wrong = [
        *_unknown_services(description, services),
        *_missing_files(description, folder),
        *_unknown_kinds(description),
    ]
    if wrong:
        raise joined(
            topmost(sources, ("x-parity", *place)).error(message, at=("x-parity", *place)) for place, message in wrong
        )
    return StackFiles(name=name, folder=folder, compose_files=tuple(paths), description=description, services=services)


def sources_of(files: StackFiles) -> tuple[Source, ...]:
    """The documents of a stack's compose files, the base first, with the places of what they say."""
    return tuple(_compose_source(path, shown=_shown(files.name, files.folder, path)) for path in files.compose_files)


def _shown(name: str, folder: Path, path: Path) -> str:
    return str(Path(name.partition("+")[0]) / path.relative_to(folder))


def _no_stack(name: str, folder: Path, root: Path) -> str:
    """What to say of a folder that has no compose file; names the nearest folder beside it that has one."""
    expected = f"expected one of {', '.join(COMPOSE_NAMES)}"
    parents = [parent for parent in (folder.parent, root / "compose") if parent.is_dir()]
    files = {file for parent in parents for names in COMPOSE_NAMES for file in parent.glob(f"*/{names}")}
    root = root.resolve()
    known = sorted(
        str(file.parent.resolve().relative_to(root)) for file in files if file.resolve().is_relative_to(root)
    )
    hint = nearest(name, [stack for stack in known if stack != name])
    return f"no compose file here, {expected}{hint}" if folder.is_dir() else f"no such folder{hint or f'; {expected}'}"


def _overlay_path(folder: Path, shown: str, overlay: str) -> Path:
    path = folder / "overlays" / f"{overlay}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in (folder / "overlays").glob("*.yaml"))
        hint = nearest(overlay, known) or "; there are none"
        raise SourceError(f"no overlay {overlay!r}{hint}", file=str(Path(shown) / "overlays"))
    return path


def _compose_source(path: Path, *, shown: str) -> Source:
    source = load_source(path, shown=shown)
    if not isinstance(source.data, dict):
        raise source.error(f"expected a compose file, a mapping with `services`; found {found(source.data)}")
    source.data.setdefault("services", {})
    for section in ("services", "x-parity"):
        value = source.data.get(section)
        if not isinstance(value, dict | None):
            raise source.error(f"{section}: expected a mapping, found {found(value)}", at=(section,))
    wrong = [
        source.error(f"{name}: expected a mapping, found {found(service)}", at=("services", name))
        for name, service in (source.data["services"] or {}).items()
        if not isinstance(service, dict)
    ]
    if wrong:
        raise joined(wrong)
    return source


def _check_overlay(sources: list[Source]) -> None:
    """An overlay changes services, or adds whole ones: a service with neither name nor image is a slip."""
    base, *overlays = sources
    known = list(base.data["services"] or {})
    wrong = [
        overlay.error(f"no service {name!r} to lay this over{nearest(name, known)}", at=("services", name), key=True)
        for overlay in overlays
        for name, service in (overlay.data["services"] or {}).items()
        if name not in known and not {"image", "build", "extends"} & service.keys()
    ]
    if wrong:
        raise joined(wrong)


def _missing_files(description: Description, folder: Path) -> list[tuple[Place, str]]:
    named = [
        (("database", "schema"), description.database.schema_file, "*.sql"),
        (("group", "user_data"), description.group.user_data, "*.sh"),
    ]
    wrong: list[tuple[Place, str]] = []
    for place, name, pattern in named:
        if name is not None and not (folder / name).is_file():
            known = sorted(str(file.relative_to(folder)) for file in folder.glob(pattern))
            wrong.append((place, f"no such file: {name}{nearest(name, known)}"))
    return wrong


def _unknown_services(description: Description, services: tuple[str, ...]) -> list[tuple[Place, str]]:
    named: list[tuple[Place, str]] = [
        (("broker", "services", index), service) for index, service in enumerate(description.broker.services)
    ]
    named.append((("database", "service"), description.database.service))
    named.append((("worker", "service"), description.worker.service))
    if description.submit.service:
        named.append((("submit", "service"), description.submit.service))
    for name, setting in description.settings.items():
        one = isinstance(setting.service, str)
        named += [
            (("settings", name, "service", *(() if one else (index,))), service)
            for index, service in enumerate(setting.services)
        ]
    return [
        (place, f"no service {service!r} in the compose file{nearest(service, list(services))}")
        for place, service in named
        if service not in services
    ]


def _unknown_kinds(description: Description) -> list[tuple[Place, str]]:
    known = list(description.kinds)
    model = description.model
    named = [("poison", model.poison), ("crash", model.crash)] if model else []
    return [
        (("model", what, index), f"no kind of job {kind!r} here{nearest(kind, known) or '; there are none'}")
        for what, kinds in named
        for index, kind in enumerate(kinds)
        if kind not in known
    ]


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _pattern(value: str, group: str = "job") -> str:
    try:
        groups = re.compile(value).groupindex
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if group not in groups:
        raise ValueError(f"the pattern {value!r} needs a group named {group}: (?P<{group}>...)")
    return value
