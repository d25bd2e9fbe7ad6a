"""The model in virtual time, for bodies that speak to it as they would to AWS through boto3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from parity.errors import ServiceError
from parity.model.scaling.api import Region
from parity.model.scaling.lives import Timing
from parity.model.scaling.state import Image, State, Zone
from parity.model.scaling.virtual import World

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEGIN = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)
IMAGE_ID = "ami-0123456789abcdef0"
ZONES = [
    Zone(
        name=f"us-east-1{letter}",
        zone_id=f"use1-az{number}",
        subnet_id=f"subnet-{number:017x}",
        cidr=f"10.{number}.0.0/16",
    )
    for number, letter in enumerate("abc", 1)
]


def to_us(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def to_datetime(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def convert(shape: Shape, value: Any, moment: Callable[[Any], Any]) -> Any:
    """A request or answer with its times as the other side has them; what no shape has is not let through."""
    if isinstance(shape, StructureShape):
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{shape.name} has no {sorted(unknown)}"
        assert None not in value.values(), f"{shape.name} has members that are None: {value}"
        return {name: convert(shape.members[name], member, moment) for name, member in value.items()}
    if isinstance(shape, ListShape):
        assert isinstance(value, list | tuple), f"{shape.name} is a list, not {value!r}"
        return [convert(shape.member, member, moment) for member in value]
    if isinstance(shape, MapShape):
        return {key: convert(shape.value, member, moment) for key, member in value.items()}
    if shape.type_name == "timestamp":
        return moment(value)
    kinds = {"string": str, "integer": int, "long": int, "boolean": bool, "double": int | float, "float": int | float}
    assert isinstance(value, kinds[shape.type_name]), f"{shape.name} is a {shape.type_name}, not {value!r}"
    return value


@cache
def service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


class ModelClient:
    """Looks like boto3's client of a service; is answered by the model."""

    def __init__(self, service: str, world: World) -> None:
        self._service = service
        self._world = world
        self._names = {xform_name(name): name for name in service_model(service).operation_names}

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        if name not in self._names:
            raise AttributeError(name)
        return lambda **request: self._call(self._names[name], request)

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        model = service_model(self._service).operation_model(operation)
        given: dict[str, Any] = {}
        if model.input_shape is not None:
            report = ParamValidator().validate(request, model.input_shape)
            if report.has_errors():
                raise ParamValidationError(report=report.generate_report())
            given = convert(model.input_shape, request, to_us)
        try:
            answer = self._world.call(self._service, operation, given)
        except ServiceError as refused:
            error = {"Type": "Sender", "Code": refused.code, "Message": refused.message}
            raise ClientError(
                {"Error": error, "ResponseMetadata": {"HTTPStatusCode": refused.status}}, operation
            ) from refused
        return convert(model.output_shape, answer, to_datetime) if model.output_shape is not None else {}


class ModelWorld:
    """A region of its own, in which nothing takes real time."""

    id = "model"
    image_id = IMAGE_ID
    instance_type = "t3.micro"

    def __init__(self, *, seed: int = 1, timing: Timing | None = None) -> None:
        began_us = to_us(BEGIN)
        image = Image(image_id=IMAGE_ID, name="worker", tag="worker:1", created_us=began_us)
        zones = [Zone(z.name, z.zone_id, z.subnet_id, z.cidr) for z in ZONES]
        self.virtual = World(
            Region(State(seed=seed, zones=zones, images={IMAGE_ID: image}, now_us=began_us)), timing=timing
        )
        self.autoscaling = ModelClient("autoscaling", self.virtual)
        self.ec2 = ModelClient("ec2", self.virtual)
        self.cloudwatch = ModelClient("cloudwatch", self.virtual)
        self.elbv2 = ModelClient("elbv2", self.virtual)
        self._named = 0

    def name(self, stem: str) -> str:
        """A name that nothing else in this world has."""
        self._named += 1
        return f"{stem}-{self._named}"

    def now(self) -> datetime:
        return to_datetime(self.virtual.now_us)

    def advance_to(self, moment: datetime) -> None:
        """Let time pass until then; no time at all where that has passed."""
        self.virtual.run_until(max(to_us(moment), self.virtual.now_us))

    def advance(self, seconds: float) -> None:
        self.advance_to(self.now() + timedelta(seconds=seconds))

    def until(self, condition: Callable[[], Any], *, within_s: float = 120) -> None:
        """Let time pass until a condition holds. It is looked at whenever something happened."""
        limit_us = self.virtual.now_us + round(within_s * 1_000_000)
        assert self.virtual.run_while(lambda: not condition(), limit_us), f"not within {within_s} s"

    def kill(self, instance_id: str) -> None:
        """Have an instance die without anybody having asked for it."""
        self.virtual.kill(instance_id)
