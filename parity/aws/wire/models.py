"""The services that are modelled, as botocore describes them."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.loaders import create_loader
from botocore.model import OperationModel, OperationNotFoundError, ServiceModel, Shape

#: Services that the region answers, by the name in a signature's scope; the name is botocore's.
SIGNED_AS = {
    "autoscaling": "autoscaling",
    "ec2": "ec2",
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "sts": "sts",
}
#: The version of the API that a form states, which tells services apart that sign alike, or do not sign.
VERSIONS = {
    "2011-01-01": "autoscaling",
    "2016-11-15": "ec2",
    "2015-12-01": "elbv2",
    "2010-08-01": "cloudwatch",
    "2011-06-15": "sts",
}
#: What stands before the operation in `X-Amz-Target` and in the path of CBOR requests.
TARGETS = {"GraniteServiceVersion20100801": "cloudwatch"}


@cache
def service_model(service: str) -> ServiceModel:
    """A service as botocore describes it; read once, which takes up to 0.1 s."""
    return ServiceModel(create_loader().load_service_model(service, "service-2"), service)


@cache
def operation_model(service: str, name: str) -> OperationModel | None:
    """An operation; None when the service has none of that name."""
    try:
        return service_model(service).operation_model(name)
    except OperationNotFoundError:
        return None


@cache
def statuses(service: str) -> dict[str, tuple[str, int]]:
    """Of every error code of a service: its shape's name, and the status of HTTP."""
    found = {}
    for shape in service_model(service).error_shapes:
        error: dict[str, Any] = shape.metadata.get("error", {})
        found[shape.error_code] = (shape.name, int(error.get("httpStatusCode", 400)))
    return found


def location(shape: Shape, default: str) -> str:
    """What a member is called on the wire."""
    return str(shape.serialization.get("name", default))
