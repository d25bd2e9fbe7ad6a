"""How a target group checks its targets: what may be stated, and what a row of checks makes of a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parity.errors import ServiceError
from parity.model.scaling.state import TargetGroup

WEB = ("HTTP", "HTTPS")
TRAFFIC_PORT = "traffic-port"
#: How targets are checked where nothing else is stated. Source: CreateTargetGroup in ELBv2's API reference.
COMMON = {
    "HealthCheckEnabled": True,
    "HealthCheckPort": TRAFFIC_PORT,
    "HealthCheckIntervalSeconds": 30,
    "HealthyThresholdCount": 5,
    "UnhealthyThresholdCount": 2,
}
#: By the protocol of the target group, and of its check.
_WEB_BY_WEB = {"HealthCheckPath": "/", "HealthCheckTimeoutSeconds": 5, "Matcher": {"HttpCode": "200"}}
_OTHER_BY_WEB = {"HealthCheckPath": "/", "HealthCheckTimeoutSeconds": 6, "Matcher": {"HttpCode": "200-399"}}
_OTHER_BY_TCP = {"HealthCheckTimeoutSeconds": 10}
MEMBERS = (
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckPath",
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "Matcher",
)
#: What only checks by HTTP have.
_WEB_ONLY = {"HealthCheckPath": "path", "Matcher": "matcher"}


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """How a target is checked.

    Args:
        protocol: `HTTP`, `HTTPS` or `TCP`.
        port: Where; None: where requests go.
        path: What is asked for; with TCP nothing is.
        codes: The status codes that are well, as pairs of the first and the last.
        interval_s: From the begin of one check to that of the next.
        timeout_s: No answer for so long is a failure.
        healthy_after: So many that succeed in a row make what is unhealthy healthy.
        unhealthy_after: So many that fail in a row make a target unhealthy.
    """

    protocol: str
    port: int | None
    path: str
    codes: tuple[tuple[int, int], ...]
    interval_s: int
    timeout_s: int
    healthy_after: int
    unhealthy_after: int

    def accepts(self, code: int) -> bool:
        """Whether a status code is well."""
        return any(first <= code <= last for first, last in self.codes)


@dataclass(kw_only=True)
class Standing:
    """What a target's checks have come to. `healthy` is None until they say something."""

    healthy: bool | None = None
    #: How many in a row succeeded (above zero) or failed.
    streak: int = 0

    def take(self, check: HealthCheck, *, passed: bool) -> bool:
        """Take in a check; says whether the target is now otherwise than before.

        The first check that a new target passes makes it healthy.
        Source: ELB user guide, "Health checks for Application Load Balancer target groups".
        """
        self.streak = max(self.streak, 0) + 1 if passed else min(self.streak, 0) - 1
        enough = 1 if self.healthy is None else check.healthy_after
        if self.healthy is passed or -check.unhealthy_after < self.streak < enough:
            return False
        self.healthy = passed
        return True


def health_check_of(group: TargetGroup) -> HealthCheck:
    """How a target group has its targets checked."""
    given = group.given
    return HealthCheck(
        protocol=given["HealthCheckProtocol"],
        port=None if given["HealthCheckPort"] == TRAFFIC_PORT else int(given["HealthCheckPort"]),
        path=given.get("HealthCheckPath", ""),
        codes=_codes(given.get("Matcher", {}).get("HttpCode", "")) or (),
        interval_s=given["HealthCheckIntervalSeconds"],
        timeout_s=given["HealthCheckTimeoutSeconds"],
        healthy_after=given["HealthyThresholdCount"],
        unhealthy_after=given["UnhealthyThresholdCount"],
    )


# What may be stated.


def with_defaults(protocol: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A target group's settings with what is taken where they state nothing of the check.

    Args:
        protocol: The target group's.
        given: Its settings; may say nothing, or too much for its check's protocol.

    Raises:
        ServiceError: They cannot be.
    """
    by = given.get("HealthCheckProtocol") or ("HTTP" if protocol in WEB else "TCP")
    defaults: dict[str, Any] = COMMON | {"HealthCheckProtocol": by}
    defaults |= (_WEB_BY_WEB if protocol in WEB else _OTHER_BY_WEB) if by in WEB else _OTHER_BY_TCP
    whole = defaults | {key: value for key, value in given.items() if value is not None}
    _check_protocol(protocol, by)
    _check_timeout(protocol, whole)
    if not whole["HealthCheckEnabled"]:
        kind = whole.get("TargetType", "instance")
        raise ServiceError(
            "ValidationError", f"Health check enabled must be true for target groups with target type '{kind}'"
        )
    port = whole["HealthCheckPort"]
    if port != TRAFFIC_PORT and not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise ServiceError("ValidationError", f"Health check port '{port}' must be '{TRAFFIC_PORT}' or '1-65535'")
    if by in WEB:
        _check_web(protocol, whole)
    elif stated := [words for member, words in _WEB_ONLY.items() if member in whole]:
        raise ServiceError(
            "InvalidConfigurationRequest", f"You cannot specify a health check {stated[0]} with protocol '{by}'"
        )
    return whole


def changed(protocol: str, given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A target group's settings with changes of its check; `protocol` is the target group's.

    Raises:
        ServiceError: They cannot be.
    """
    by = changes.get("HealthCheckProtocol") or given["HealthCheckProtocol"]
    kept = {key: value for key, value in given.items() if by in WEB or key not in _WEB_ONLY}
    return with_defaults(protocol, {**kept, **changes})


def _check_protocol(protocol: str, by: str) -> None:
    allowed = WEB if protocol in WEB else (*WEB, "TCP")
    if by not in allowed:
        raise ServiceError("ValidationError", f"Health check protocol '{by}' must be one of '{', '.join(allowed)}'")


def _check_timeout(protocol: str, given: Mapping[str, Any]) -> None:
    timeout_s, interval_s = given["HealthCheckTimeoutSeconds"], given["HealthCheckIntervalSeconds"]
    if timeout_s > interval_s or (timeout_s == interval_s and protocol in WEB):
        than = "smaller than" if protocol in WEB else "smaller than or equal to"
        raise ServiceError(
            "ValidationError", f"Health check timeout '{timeout_s}' must be {than} the interval '{interval_s}'"
        )


def _check_web(protocol: str, given: Mapping[str, Any]) -> None:
    path = given["HealthCheckPath"]
    if not path.startswith("/"):
        raise ServiceError("ValidationError", f"Health check path '{path}' must begin with a '/' character")
    if not (path.isascii() and path.isprintable() and " " not in path):
        raise ServiceError("ValidationError", f"Health check path '{path}' must have printable ASCII characters only")
    codes = given["Matcher"].get("HttpCode")
    if not codes:
        raise ServiceError("ValidationError", "Health check matcher HTTP code cannot be empty")
    last = 499 if protocol in WEB else 599
    found = _codes(codes)
    if found is None or any(not 200 <= low <= high <= last for low, high in found):
        raise ServiceError("ValidationError", f"Health check matcher HTTP code '{codes}' must be within '200-{last}'")


def _codes(text: str) -> tuple[tuple[int, int], ...] | None:
    """Status codes such as `200,204` or `200-299`, as pairs; None where that is not what it says."""
    pairs = []
    for part in text.split(",") if text else ():
        low, _, high = part.strip().partition("-")
        if not all(len(one) == 3 and one.isascii() and one.isdecimal() for one in (low, high or low)):
            return None
        pairs.append((int(low), int(high or low)))
    return tuple(pairs)
