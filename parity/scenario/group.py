"""The Auto Scaling group of a scenario: its workers are the group's instances."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from parity.scenario.duration import Seconds
from parity.scenario.source import Place, WrongPartsError

#: An operation of the AWS API, of Auto Scaling where no service stands before the dot.
_OPERATION = re.compile(r"(?:(?P<service>autoscaling|cloudwatch|ec2|elbv2)\.)?(?P<name>[A-Z][A-Za-z0-9]+)")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


def split_operation(written: str) -> tuple[str, str]:
    """Service and name of an operation such as `PutScalingPolicy` or `cloudwatch.PutMetricAlarm`.

    Raises:
        ValueError: It is none.
    """
    match = _OPERATION.fullmatch(written)
    if match is None:
        raise ValueError(
            "expected an operation of the AWS API such as SetDesiredCapacity or cloudwatch.PutMetricAlarm, "
            f"found {written!r}"
        )
    return match["service"] or "autoscaling", match["name"]


class Call(BaseModel):
    """A call of the AWS API, as data.

    The group's name need not stand in the request; times are written as AWS writes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    call: str
    request: dict[str, Any] = Field(default_factory=dict)

    @field_validator("call")
    @classmethod
    def _known(cls, value: str) -> str:
        split_operation(value)
        return value


class GroupSection(BaseModel):
    """An Auto Scaling group that the workers of a run are instances of."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    min_size: int = Field(default=1, ge=0)
    max_size: int = Field(default=10, ge=0)
    #: Instances at the start.
    desired: int = Field(default=3, ge=0)
    #: Availability zones.
    zones: int = Field(default=2, ge=1, le=6)
    #: Seconds of the group's clock in a second of the run: hours of heartbeats and schedules pass in a short run.
    pace: float = Field(default=1.0, gt=0, le=100_000)
    #: What the group's clock shows when the run begins; schedules go by it.
    begins: str = Field(default="2026-01-05T00:00:00Z", pattern=_INSTANT.pattern)
    #: How often metrics are told, in seconds of the group's clock.
    metrics_every: Seconds = Field(default=60.0, ge=1)
    #: Calls that are made before the first instance is launched: policies, hooks, schedules, alarms.
    setup: tuple[Call, ...] = ()

    @model_validator(mode="after")
    def _makes_sense(self) -> GroupSection:
        if not self.min_size <= self.desired <= self.max_size:
            place: Place = ("desired",)
            message = f"desired: expected a size from {self.min_size} to {self.max_size}, found {self.desired}"
            raise WrongPartsError((place, message))
        return self
