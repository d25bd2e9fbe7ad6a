"""A group's settings: what a call may state of them, checked, and as the group keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.groups import termination
from parity.model.scaling.region import Request
from parity.model.scaling.state import Group

HEALTH_CHECKS = ("EC2", "EBS", "ELB", "VPC_LATTICE")
WARMUP_S_MAX = 3600
LIFETIME_S_MIN = 86_400
#: Kept as it is stated and shown again; some of it has a meaning elsewhere.
KEPT = (
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "CapacityReservationSpecification",
    "Context",
    "DeletionProtection",
    "DesiredCapacityType",
    "InstanceLifecyclePolicy",
    "Operator",
    "PlacementGroup",
    "ServiceLinkedRoleARN",
)


def checked(request: Request, group: Group | None = None) -> dict[str, Any]:
    """The settings that a call states, by the names of `Group`.

    Raises:
        ServiceError: One of them cannot be.
    """
    found = {name: read(request[key]) for key, (name, read) in _SETTINGS.items() if request.get(key) is not None}
    kept = {key: request[key] for key in KEPT if request.get(key) is not None}
    if kept:
        found["extra"] = {**(group.extra if group else {}), **kept}
    return found


def sizes(request: Request, group: Group | None = None) -> tuple[int, int, int]:
    """The smallest, the largest and the desired size that a call asks for.

    A desired size that is not stated follows the limits: it is the smallest of a new group, and of one that is there
    it stays, or becomes the limit that would leave it out.

    Raises:
        ServiceError: They contradict one another.
    """
    min_size = _either(request.get("MinSize"), group.min_size if group else 0)
    max_size = _either(request.get("MaxSize"), group.max_size if group else 0)
    if min_size < 0 or max_size < 0:
        raise ServiceError("ValidationError", "MinSize and MaxSize must be greater than or equal to 0.")
    if min_size > max_size:
        raise ServiceError(
            "ValidationError", f"Max bound, {max_size}, must be greater than or equal to min bound, {min_size}"
        )
    desired = request.get("DesiredCapacity")
    if desired is None:
        return min_size, max_size, min(max(group.desired if group else min_size, min_size), max_size)
    if not min_size <= desired <= max_size:
        raise ServiceError(
            "ValidationError",
            f"Desired capacity:{desired} must be between the specified min size:{min_size} and max size:{max_size}",
        )
    return min_size, max_size, desired


def _either(stated: int | None, otherwise: int) -> int:
    return otherwise if stated is None else stated


def _bounded(name: str, least: int, most: int | None = None) -> Callable[[int], int]:
    def read(value: int) -> int:
        if value < least or (most is not None and value > most):
            limits = f"between {least} and {most}" if most is not None else f"at least {least}"
            raise ServiceError("ValidationError", f"{name} must be {limits}.")
        return value

    return read


def _health(value: str) -> str:
    kinds = [text.strip() for text in value.split(",")]
    if unknown := [kind for kind in kinds if kind not in HEALTH_CHECKS]:
        raise ServiceError("ValidationError", f"Invalid health check type: {unknown[0]}")
    return ",".join(kinds)


def _policies(value: list[str]) -> list[str]:
    unknown = [one for one in value if one not in termination.POLICIES and not one.startswith("arn:")]
    if unknown:
        raise ServiceError("ValidationError", f"Invalid termination policies: [{', '.join(unknown)}]")
    return list(value)


def _warmup(value: int) -> int | None:
    return None if value == -1 else _bounded("DefaultInstanceWarmup", 0, WARMUP_S_MAX)(value)


def _lifetime(value: int) -> int:
    if value and value < LIFETIME_S_MIN:
        raise ServiceError(
            "ValidationError", f"MaxInstanceLifetime must be equal to 0 or at least {LIFETIME_S_MIN} seconds."
        )
    return _bounded("MaxInstanceLifetime", 0)(value)


def _maintenance(value: Mapping[str, int]) -> tuple[int, int] | None:
    least, most = value.get("MinHealthyPercentage"), value.get("MaxHealthyPercentage")
    if least is None or most is None:
        raise ServiceError("ValidationError", "Both MinHealthyPercentage and MaxHealthyPercentage must be specified.")
    if least == -1 and most == -1:
        return None
    if not (0 <= least <= 100 and 100 <= most <= 200):
        raise ServiceError(
            "ValidationError",
            "MinHealthyPercentage must be between 0 and 100, and MaxHealthyPercentage between 100 and 200.",
        )
    if most - least > 100:
        raise ServiceError(
            "ValidationError",
            "The difference between MinHealthyPercentage and MaxHealthyPercentage cannot be greater than 100.",
        )
    return least, most


_SETTINGS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "CapacityRebalance": ("capacity_rebalance", bool),
    "DefaultCooldown": ("cooldown_s", _bounded("DefaultCooldown", 0)),
    "DefaultInstanceWarmup": ("warmup_s", _warmup),
    "HealthCheckGracePeriod": ("grace_s", _bounded("HealthCheckGracePeriod", 0)),
    "HealthCheckType": ("health_check_type", _health),
    "InstanceMaintenancePolicy": ("maintenance", _maintenance),
    "MaxInstanceLifetime": ("max_lifetime_s", _lifetime),
    "NewInstancesProtectedFromScaleIn": ("new_protected", bool),
    "TerminationPolicies": ("termination_policies", _policies),
}
